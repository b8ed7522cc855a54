"""Nodes: who they are, where they are, and how near to each other.

Values that any thread may use (:class:`NodeID`, :class:`Node`, the distances, and the parser of
enode URLs), and the one thing here that touches a file: the node's own key
(:mod:`p2p.enode.nodekey`). What a node says about itself is a record (:mod:`p2p.enr`).
"""

from __future__ import annotations

from .distance import closer, compare_distance, log_distance, xor_distance
from .ids import NodeID
from .node import Endpoint, Node, parse_node
from .nodekey import generate_key, load_key, load_or_generate_key, save_key

__all__ = [
    "Endpoint",
    "Node",
    "NodeID",
    "closer",
    "compare_distance",
    "generate_key",
    "load_key",
    "load_or_generate_key",
    "log_distance",
    "parse_node",
    "save_key",
    "xor_distance",
]
