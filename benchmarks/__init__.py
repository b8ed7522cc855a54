"""Benchmarks of the library: workloads, each compared with the calls that it needs at least.

``python -m benchmarks`` runs all of them; README.md explains the output. These are no tests:
nothing fails on a slow machine.
"""
