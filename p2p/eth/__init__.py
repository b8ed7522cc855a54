"""Ethereum: which chain a node follows.

A :class:`Chain` makes and checks fork identifiers, each a :class:`ForkID`; the verdict is a
:class:`Compatibility`. :func:`eth_entry` puts one into our record, :func:`fork_id_of` reads that of
another node, and :func:`node_filter` chooses the nodes of a chain.
"""

from __future__ import annotations

from p2p.forkid import Chain, Compatibility, ForkID, eth_entry, fork_id_of, node_filter

__all__ = ["Chain", "Compatibility", "ForkID", "eth_entry", "fork_id_of", "node_filter"]
