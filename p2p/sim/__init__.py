"""A network of discovery nodes in memory, on simulated time, for tests and demonstrations.

::

    network = Network(seed=1, loss=0.01)
    boot = network.add("boot")
    for _ in range(20):
        network.add(bootnodes=[boot])
    network.run_for(60)
    print(boot.table())

The nodes are the real engines of discovery v4, or with ``Network(protocol="v5")`` those of v5, with
the real record and memory of nodes; the time, the network and the machines they run on are
simulated. No thread, no socket, no waiting, and no difference from run to run.

Inside:

==============  ====================================================================
`network`       the network that a program makes: nodes, time, partitions
`node`          a node: its start and stop, its clock, its commands
`operation`     a command that was started
`datagrams`     hosts and the links between them
`link`          the quality of a link: latency, loss, duplication, reordering
`router`        address translation
`trace`         the events of a network, as text
`timeline`      simulated time and scheduled calls
`wire`          datagrams without signatures, for large networks
==============  ====================================================================
"""

from __future__ import annotations

from p2p.sim.datagrams import DatagramNetwork, Traffic
from p2p.sim.link import Link
from p2p.sim.network import Network
from p2p.sim.node import SimNode
from p2p.sim.operation import Operation
from p2p.sim.router import Router, RouterKind
from p2p.sim.trace import Trace
from p2p.sim.wire import UnsignedWire

__all__ = [
    "DatagramNetwork",
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
