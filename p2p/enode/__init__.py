"""Nodes: who they are, where they are, and how near to each other.

Values that any thread may use (:class:`NodeID`, :class:`Node`, the distances, and the parser of
enode URLs), sequences of nodes that can be ended from another thread, our own node
(:class:`LocalNode`), and two things that touch a file: the node's key (:mod:`p2p.enode.nodekey`)
and the node database (:class:`NodeDB`). What a node says about itself is a record (:mod:`p2p.enr`).
"""

from __future__ import annotations

from .distance import closer, compare_distance, log_distance, xor_distance
from .fairmix import FairMix
from .ids import NodeID
from .iterator import NodeIterator, buffered, cycle_nodes, filter_nodes, iter_nodes
from .localnode import LocalNode, PingEndpoint
from .node import Endpoint, Node, parse_node
from .nodedb import NodeDB
from .nodekey import generate_key, load_key, load_or_generate_key, save_key

__all__ = [
    "Endpoint",
    "FairMix",
    "LocalNode",
    "Node",
    "NodeDB",
    "NodeID",
    "NodeIterator",
    "PingEndpoint",
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
