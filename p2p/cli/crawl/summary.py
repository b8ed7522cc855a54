"""The counts of a crawl: clients, versions, capabilities, networks, forks, distances.

Pure. The rows of a chart are in order, the largest first, or in the order of their labels where
that has a meaning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import p2p
from p2p.cli.crawl.results import Result
from p2p.cli.parameters import NETWORKS
from p2p.cli.report import Chart
from p2p.cli.shown import shown
from p2p.enode import log_distance

#: Most rows of a chart; the rest is counted as "others".
MAX_ROWS = 14
#: Most characters of a label.
MAX_LABEL = 32

_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")
_CHAINS = {name: p2p.eth.node_filter(network.chain) for name, network in NETWORKS.items()}


def charts(results: Sequence[Result], own_id: p2p.NodeID) -> list[Chart]:
    """Return all charts that have a row, of nodes that have answered."""
    named = [result for result in results if result.hello]
    hellos = [result.hello or {} for result in named]
    names = [str(hello["name"]) for hello in hellos]
    nodes = [result.entry.node for result in results]
    caps = [shown(cap, MAX_LABEL) for hello in hellos for cap in hello["capabilities"]]
    forks = [fork for node in nodes if (fork := _fork_label(node))]
    distances = Counter(log_distance(own_id, node.id) for node in nodes)
    found = [
        Chart("Clients", _ranked(map(client_of, names)), "by the first word of their name"),
        Chart("Versions", _ranked(map(version_of, names))),
        Chart("Capabilities", _ranked(caps), "share of the nodes with a hello", len(named)),
        Chart("Networks", _ranked(map(network_of, nodes)), "by the entry eth of the record"),
        Chart("Fork identifiers", _ranked(forks), "hash, next fork, network"),
        Chart("Discovery", _ranked(map(_protocols_of, results)), "protocols that were answered"),
        Chart("Addresses", _ranked(map(_families_of, nodes))),
        Chart("Hellos", _ranked(map(_hello_of, results)), "why there is none"),
        Chart(
            "Distances",
            [(str(each), distances[each]) for each in sorted(distances, reverse=True)],
            "from our node, in bits; half of all nodes are at 256",
        ),
    ]
    return [chart for chart in found if chart.rows]


def client_of(name: str) -> str:
    """Return the program of a node from the name in its hello, "Geth/v1.16.2/linux"."""
    return shown(name.partition("/")[0].strip() or "(no name)", MAX_LABEL)


def version_of(name: str) -> str:
    """Return program and version from the name in a hello."""
    version = next((m[1] for part in name.split("/")[1:] if (m := _VERSION.match(part))), "?")
    return shown(f"{client_of(name)} {version}", MAX_LABEL)


def network_of(node: p2p.Node) -> str:
    """Return the network whose chain the record of a node names."""
    if p2p.eth.fork_id_of(node) is None:
        return "no entry eth"
    return next((name for name, is_of in _CHAINS.items() if is_of(node)), "other chain")


def _fork_label(node: p2p.Node) -> str:
    fork = p2p.eth.fork_id_of(node)
    if fork is None:
        return ""
    return shown(f"{fork.hash.hex()} {fork.next or '-'} {network_of(node)}", MAX_LABEL)


def _protocols_of(result: Result) -> str:
    return " and ".join(sorted(result.protocols)) or "in an earlier crawl"


def _families_of(node: p2p.Node) -> str:
    families = sorted(f"IPv{ip.version}" for ip, _, _ in node.endpoints if ip is not None)
    return " and ".join(families) or "none"


def _hello_of(result: Result) -> str:
    if result.hello:
        return "hello"
    if not result.entry.node.tcp:
        return "no TCP port"
    text = re.sub(r"\(.*?\)|\[.*?\]|[\d.:]{7,}", "", result.hello_error).split(";")[0]
    return shown(" ".join(text.split()) or "not asked", MAX_LABEL)


def _ranked(labels: Iterable[str]) -> list[tuple[str, int]]:
    counts = Counter(labels)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    others = sum(number for _, number in ranked[MAX_ROWS:])
    return ranked[:MAX_ROWS] + ([("others", others)] if others else [])
