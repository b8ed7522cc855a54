"""Fuzzing: hostile bytes for every decoder of a node's bytes, with the first layers repaired.

``python -m tests.fuzz`` mutates seeds and corpus at random, ``python -m tests.fuzz.guided`` with
coverage as the guide (it needs atheris); ``pytest tests/fuzz`` runs the corpus and a few hundred
inputs for each target. :mod:`tests.fuzz.target` says what an input is and what must hold,
:mod:`tests.fuzz.targets` has one target for each decoder, :mod:`tests.fuzz.mutate` the mutations.
"""
