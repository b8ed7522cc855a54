"""Memory of an idle peer: the growth of a listening process with peers that send nothing.

Each peer has a socket, a connection machine, and a thread whose handler waits in ``read_msg``. The
other ends are in a process of their own. Linux only.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.process import Process
from benchmarks.scale import Scale

STATM = Path("/proc/self/statm")


def measure(scale: Scale) -> dict[str, float]:
    """Return the bytes for one peer, by the number of peers; empty on systems without STATM."""
    grown: dict[str, float] = {}
    if not STATM.exists():
        return grown
    with ExitStack() as processes:
        listener = processes.enter_context(Process("listen"))
        crowd = processes.enter_context(Process("crowd", listener.greeting["url"]))
        before = listener.ask("memory")["rss_bytes"]
        for count in scale.crowds:
            crowd.ask("grow", count=count)
            listener.ask("await_arrivals", count=count)
            grown[f"idle peer {count}"] = (listener.ask("memory")["rss_bytes"] - before) / count
    return grown
