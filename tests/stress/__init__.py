"""Load, faults and hostile remotes, with figures: ``python -m tests.stress``.

A scenario is a module with a function ``run(scale)`` that yields a ``Figure`` for each thing it
measured, against its limit. ``make stress`` runs all of them at full scale and writes RESULTS.md;
``pytest tests/stress`` runs each at short scale, and a figure beyond its limit fails it, unless it
depends on the speed of the machine. A scenario leaves no thread, socket or process behind. What it
needs of a machine (a limit on open files) it makes itself or says that it is missing.
"""

#: The names of all scenarios, in the order in which they run.
SCENARIOS: tuple[str, ...] = (
    "announce",
    "connects",
    "pingflood",
    "churn",
    "endings",
    "restarts",
    "switching",
    "isolation",
    "detection",
    "slowconsumer",
    "faults",
)
