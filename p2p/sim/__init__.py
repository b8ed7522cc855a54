"""A network of discovery nodes in memory, on simulated time: for tests, and to see how it works.

    network = Network(seed=1, loss=0.01)
    boot = network.add("boot")
    for _ in range(20):
        network.add(bootnodes=[boot])
    network.run_for(60)
    print(boot.table())

The nodes are the real engines of discovery v4; what is simulated is the time, the network and the
machines they run on. No thread, no socket, no waiting, and nothing that differs from run to run.

==============  ====================================================================
`network`       what a program makes: nodes, time, partitions
`node`          a node: its life, its clock, its commands
`operation`     a command that was begun
`fabric`        hosts and the ways between them
`link`          the quality of a way: latency, loss, duplication, reordering
`router`        address translation
`trace`         everything that happens, as text
`local`         what a node behind a router says of itself
`timeline`      what is to happen when
`wire`          datagrams without signatures, for large networks
==============  ====================================================================
"""

from __future__ import annotations

from p2p.sim.fabric import Fabric, Traffic
from p2p.sim.link import Link
from p2p.sim.network import Network
from p2p.sim.node import SimNode
from p2p.sim.operation import Operation
from p2p.sim.router import Address, Router, RouterKind
from p2p.sim.trace import Trace
from p2p.sim.wire import UnsignedWire

__all__ = [
    "Address",
    "Fabric",
    "Link",
    "Network",
    "Operation",
    "Router",
    "RouterKind",
    "SimNode",
    "Trace",
    "Traffic",
    "UnsignedWire",
]
