"""The same workloads for us, go-ethereum's p2p and @ethereumjs/devp2p: ``make bench-peers``.

Each implementation has a program with the same roles, orders and conversation as
:mod:`benchmarks.node`, so each runs against itself and against each other. They take turns within a
round, and what is compared is compared within a round. README.md of the folder above says what is
measured and what was done to make it fair.
"""
