"""Discovery: finding nodes, and being found.

``Server.discovery_v4`` is a :class:`UDPv4`, ``Server.discovery_v5`` a :class:`UDPv5`; a program
without a server makes its own, of a key and a UDP address. Any thread may use it;
:class:`Discovery`, its base class, has its methods:

* ``ping``, ``lookup``, ``resolve`` and ``request_enr`` ask the network and wait for the answer;
* ``random_nodes`` is an endless iterator over nodes (:class:`RandomNodes`);
* ``table`` shows the node table at one moment: a :class:`TableView` of :class:`BucketView` and
  :class:`TableNode`, which ``print`` makes readable;
* ``UDPv5.advertise`` makes a node known under a topic (:class:`Advertisement`), ``UDPv5.find`` is
  an endless iterator over the nodes of a topic (:class:`TopicNodes`);
* ``subscribe_events`` reports each :class:`NodeAdded` and :class:`NodeRemoved`;
* ``counters`` has the traffic so far (:class:`Counters`).

:func:`measure_drift` compares our clock with a time server.

:class:`LocalView` and :class:`NodeStore` are what an own node and a node database of the program
must look like; :class:`p2p.enode.LocalNode` and :class:`p2p.enode.NodeDB` do.

Inside, there are two layers. The modules here are shared by all discovery protocols and know no
packets. A protocol has a folder of its own, `v4` or `v5`, and may use all of these.

==============  ====================================================================
`table`         the known nodes: `bucket`, `revalidation`; `snapshot` is a copy for display
`lookup`        lookups under way; `shortlist` has their candidates
`maintenance`   seeds, refresh, revalidation
`operations`    commands: ping, lookup, resolve, record
`transport`     interface of the requests of a protocol
`records`       checks of the records of other nodes
`store`         interface of the node database
`local`         interface of our own node
`ratelimit`     limits on packets of each network, and of unverified sources
`traffic`       datagrams to send; `counters` of all that pass
`timers`        timers of an engine
`wallclock`     a wall clock that may jump
`bootnodes`     bootnodes and the look-ups of their names; `bootwatch` has their silence
`event`         events of an engine
`observer`      interface of an observer of an engine
`engine`        interface of a protocol's engine, used by the modules below
--------------  --------------------------------------------------------------------
`runner`        one engine on the thread `p2p-disc`, and its waiting callers
`driver`        the UDP socket that engines share
`clockcheck`    a query to a time server when no node answers
`iterator`      endless iterators over nodes
`service`       the thread, its start and its stop
`front`         the methods for programs
==============  ====================================================================
"""

from __future__ import annotations

from p2p.discover.clockcheck import measure_drift
from p2p.discover.counters import Counters
from p2p.discover.event import NodeAdded, NodeRemoved
from p2p.discover.front import Discovery
from p2p.discover.iterator import RandomNodes, TopicNodes
from p2p.discover.local import LocalView
from p2p.discover.store import NodeStore
from p2p.discover.table.snapshot import BucketView, TableNode, TableView
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.advertisement import Advertisement
from p2p.discover.v5.udpv5 import UDPv5

__all__ = [
    "Advertisement",
    "BucketView",
    "Counters",
    "Discovery",
    "LocalView",
    "NodeAdded",
    "NodeRemoved",
    "NodeStore",
    "RandomNodes",
    "TableNode",
    "TableView",
    "TopicNodes",
    "UDPv4",
    "UDPv5",
    "measure_drift",
]
