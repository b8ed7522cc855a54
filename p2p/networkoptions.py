"""The effect of the option ``network``: values of options that are not given, and a record entry.

It opens and resolves nothing; it only looks whether dnspython is installed. Any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p.dnsdisc.resolver import is_installed
from p2p.enr import Raw
from p2p.forkid import eth_entry, node_filter
from p2p.networks import Network

if TYPE_CHECKING:
    from p2p.config import Config


def options_of(network: Network, given: Config) -> dict[str, object]:
    """Return the options that ``network`` sets: used ones that are None in ``given``.

    ``dns_discovery`` stays None if there are lists and dnspython is not installed. Nodes that are
    given for v4 serve for v5, too. Raises InvalidNode for a text of the network that is no node.
    """
    options: dict[str, object] = {}
    if given.bootstrap_nodes is None and given.discovers:
        options["bootstrap_nodes"] = network.bootstrap_nodes
        if given.bootstrap_nodes_v5 is None:
            options["bootstrap_nodes_v5"] = network.bootstrap_nodes_v5 or None
    if given.dns_discovery is None:
        urls = () if given.no_dial else network.dns_trees
        options["dns_discovery"] = urls if not urls or is_installed() else None
    if given.candidate_filter is None:
        options["candidate_filter"] = node_filter(network.chain)
    return options


def chain_entry(network: Network, time_unix: float) -> Raw:
    """Return the entry ``eth`` of a node without blocks that starts at ``time_unix``."""
    return eth_entry(network.chain.fork_id_at(max(0, int(time_unix))))
