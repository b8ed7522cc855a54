"""The same workloads for us, go-ethereum's p2p and @ethereumjs/devp2p: ``make bench-peers``.

Each implementation has a program with the same roles, commands and protocol as
:mod:`benchmarks.node`, so each runs against itself and against each other one. They take turns
within a round, and ratios compare within a round. README.md of the folder above lists the workloads
and the measures for a fair comparison.
"""
