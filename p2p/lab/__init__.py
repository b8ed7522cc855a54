"""Networks of real servers in one process: made, changed and watched by a program.

::

    from p2p.lab import Lab

    with Lab(nodes=50, topology="small-world", protocols=protocols_of) as lab:
        lab.stop_node(7)
        lab.wait_until(lambda: not lab[7].neighbors)
        lab.start_node(7)

* :class:`Lab` is the network, a :class:`LabNode` one of its nodes. :class:`LabEvent` is an event of
  ``Lab.subscribe_events``.
* A ``Script`` changes a lab over time, and :class:`ScriptRun` is one that was started.
  :class:`Churn`, :class:`Partitions` and :class:`LinkNoise` are ready ones.
* :class:`Snapshot`, with a :class:`SnapshotNode` for each node, is a lab as a value or a file.
* :func:`ring`, :func:`star`, :func:`full`, :func:`random_graph` and :func:`small_world` make
  topologies, :func:`edges_of` those with a name.
* :class:`MemoryNetwork` is a network in memory, beneath servers that are each on a
  :class:`MemoryHost`; a :class:`LoopbackNetwork` with each :class:`LoopbackHost` is one of sockets
  of the system. :class:`Link` is the latency, jitter, loss and bandwidth between two of them,
  and :class:`Traffic` counts datagrams. :class:`LabClock` moves simulated time from event to event.
"""

from __future__ import annotations

from p2p.lab.behaviour import Churn, LinkNoise, Partitions
from p2p.lab.event import LabEvent
from p2p.lab.lab import Lab
from p2p.lab.node import LabNode
from p2p.lab.scripts import Script, ScriptRun
from p2p.lab.snapshot import Snapshot, SnapshotNode
from p2p.lab.topology import edges_of, full, random_graph, ring, small_world, star
from p2p.lab.underlay.clock import LabClock
from p2p.lab.underlay.host import MemoryHost
from p2p.lab.underlay.loopback import LoopbackHost, LoopbackNetwork
from p2p.lab.underlay.network import MemoryNetwork
from p2p.sim import Link, Traffic

__all__ = [
    "Churn",
    "Lab",
    "LabClock",
    "LabEvent",
    "LabNode",
    "Link",
    "LinkNoise",
    "LoopbackHost",
    "LoopbackNetwork",
    "MemoryHost",
    "MemoryNetwork",
    "Partitions",
    "Script",
    "ScriptRun",
    "Snapshot",
    "SnapshotNode",
    "Traffic",
    "edges_of",
    "full",
    "random_graph",
    "ring",
    "small_world",
    "star",
]
