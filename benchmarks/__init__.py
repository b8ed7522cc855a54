"""How fast the library is: workloads, each beside the calls that it cannot do without.

``python -m benchmarks`` runs all of them; README.md says how to read what it prints. Nothing here
is a test: a machine that is slow fails nothing.
"""
