"""Nodes: their identity, their address, their distance, and sequences of them.

:class:`Node`, :class:`NodeID`, :func:`parse_node` and the functions for key files are also in
:mod:`p2p`, where programs take them from.

*Sequences of nodes*, for ``Protocol.dial_candidates`` and for loops of your own. A
:class:`NodeIterator` can be closed from another thread, which wakes the threads that wait in it.
:func:`iter_nodes` yields some nodes once, :func:`cycle_nodes` repeats them, :func:`filter_nodes`
yields those of another sequence that satisfy a condition, :func:`buffered` reads ahead, and
:class:`FairMix` takes from several, so that none crowds out the others.

*Distances* of two node IDs, the XOR metric of Kademlia: :func:`xor_distance` is the distance,
:func:`log_distance` its number of bits (0 to 256), :func:`compare_distance` and :func:`closer` say
which of two IDs is nearer to a third one.

*Our own node*: a :class:`LocalNode` makes and signs the record (:class:`p2p.Record`, whose values
are :class:`Raw`) that others see; a :class:`NodeDB` keeps its number and the known nodes in a file.
Only a program that runs :class:`p2p.discover.UDPv4` without a server makes them itself.
:class:`NodeEndpoint`, :class:`Now` and :class:`RandomSource` are types of their arguments.

Values are for any thread; what touches a file says so.
"""

from __future__ import annotations

from p2p.enode.db.nodedb import NodeDB
from p2p.enode.distance import closer, compare_distance, log_distance, xor_distance
from p2p.enode.fairmix import FairMix
from p2p.enode.iterator import NodeIterator, buffered, cycle_nodes, filter_nodes, iter_nodes
from p2p.enode.keyfile import generate_key, load_key, load_or_generate_key, save_key
from p2p.enode.localnode import LocalNode
from p2p.enode.node import Node, parse_node
from p2p.enode.nodeid import NodeID
from p2p.enr import Raw
from p2p.inputs import Now, RandomSource
from p2p.netutil import NodeEndpoint

__all__ = [
    "FairMix",
    "LocalNode",
    "Node",
    "NodeDB",
    "NodeEndpoint",
    "NodeID",
    "NodeIterator",
    "Now",
    "RandomSource",
    "Raw",
    "buffered",
    "closer",
    "compare_distance",
    "cycle_nodes",
    "filter_nodes",
    "generate_key",
    "iter_nodes",
    "load_key",
    "load_or_generate_key",
    "log_distance",
    "parse_node",
    "save_key",
    "xor_distance",
]
