"""Commands for sets of nodes in files: ``p2p nodeset info | filter``. Main thread; files.

The filters are those of go-ethereum's ``devp2p nodeset filter``, which also writes them with one
dash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeAlias

import click

import p2p
from p2p.cli.command import group
from p2p.cli.entrytext import key_text
from p2p.cli.files.nodes import NodeEntry, NodeSet, format_nodes, format_time, read_nodes
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import DURATION, FILE, NETWORK, NETWORKS
from p2p.cli.shown import number_of

Filter: TypeAlias = Callable[[NodeEntry], bool]


@group("nodeset")
def nodeset() -> None:
    """Count and filter the nodes of a file.

    FILE has go-ethereum's format, nodes.json, which "p2p crawl" and its devp2p write; "-" is the
    standard input.
    """


@nodeset.command("info", examples="p2p nodeset info nodes.json")
@click.argument("file", type=FILE)
@with_output
def info(output: Output, file: str) -> None:
    """Count the nodes of FILE, and the entries of their records."""
    nodes = read_nodes(file)
    counts = {
        "entries": _count(key for entry in nodes.values() for key in _keys(entry)),
        "networks": _count(name for entry in nodes.values() for name in _networks_of(entry)),
        "families": _count(name for entry in nodes.values() for name in _families(entry)),
    }
    checked = [entry.last_check_unix for entry in nodes.values() if entry.last_check_unix]
    last = format_time(max(checked)) if checked else None
    lines = [number_of(len(nodes), "node") + (f", last check {last}" if last else "")]
    for title, counted in counts.items():
        lines += [f"{title}:"] if counted else []
        width = max(map(len, counted), default=0)
        lines += [f"  {name:{width}}  {number}" for name, number in counted.items()]
    output.result({"nodes": len(nodes), "last_check": last, **counts}, "\n".join(lines))


@nodeset.command(
    "filter",
    examples="""
    p2p nodeset filter nodes.json --eth-network sepolia --min-age 24h > long-lived.json
    p2p nodeset filter nodes.json -snap -ip 192.0.2.0/24 -limit 100
    """,
)
@click.argument("file", type=FILE)
@click.option(
    "--limit", type=click.IntRange(0), help="Take this many nodes of the best score."
)
@click.option("--ip", metavar="NETWORK", help="Address in a network, 192.0.2.0/24.")
@click.option(
    "--min-age",
    type=DURATION,
    help="Time between the first and the last response at least, 24h.",
)
@click.option("--eth-network", type=NETWORK, help="Fork identifier of a network.")
@click.option("--les-server", is_flag=True, help="Has the entry les.")
@click.option("--snap", is_flag=True, help="Has the entry snap.")
@click.option("--dialable", is_flag=True, help="Has a port of TCP or QUIC.")
@with_output
def filter_nodes(output: Output, file: str, limit: int | None, **options: Any) -> None:
    """Print those nodes of FILE that pass all filters, in the format of FILE.

    With --json, a line for each node.
    """
    checks = [
        _FILTERS[name](value) for name, value in options.items() if value not in (None, False)
    ]
    nodes = read_nodes(file)
    passed = {key: entry for key, entry in nodes.items() if all(check(entry) for check in checks)}
    result = passed if limit is None else _best(passed, limit)
    if output.as_json:
        for node_id in sorted(result):
            output.result(_summary(result[node_id]), "")
    else:
        output.text(format_nodes(result))


def _in_network(text: str) -> Filter:
    try:
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
    except ValueError as error:
        raise click.UsageError(f"--ip: {error}; want a network such as 192.0.2.0/24") from None
    return lambda entry: entry.node.ip is not None and entry.node.ip in network


def _of_chain(name: str) -> Filter:
    is_of_chain = p2p.eth.node_filter(NETWORKS[name].chain)
    return lambda entry: is_of_chain(entry.node)


def _with_list(key: str) -> Filter:
    # The value is a list of nothing that is defined, as go-ethereum has it.
    return lambda entry: (
        entry.node.record is not None and entry.node.record.get(key, list) is not None
    )


def _is_dialable(entry: NodeEntry) -> bool:
    node, record = entry.node, entry.node.record
    ports = (node.tcp,) if record is None else (record.tcp, record.tcp6, record.quic, record.quic6)
    return any(ports)


_FILTERS: dict[str, Callable[[Any], Filter]] = {
    "ip": _in_network,
    "min_age": lambda seconds: lambda entry: entry.age_s >= seconds,
    "eth_network": _of_chain,
    "les_server": lambda _: _with_list("les"),
    "snap": lambda _: _with_list("snap"),
    "dialable": lambda _: _is_dialable,
}


def _best(nodes: NodeSet, count: int) -> NodeSet:
    """Return ``count`` nodes of the highest scores; of equal ones those of the lowest IDs."""
    ranked = sorted(nodes, key=lambda node_id: (-nodes[node_id].score, node_id))
    return {node_id: nodes[node_id] for node_id in ranked[:count]}


def _summary(entry: NodeEntry) -> dict[str, Any]:
    return {
        "id": entry.node.id,
        "record": str(entry.node),
        "score": entry.score,
        "first_response": entry.first_response_unix,
        "last_response": entry.last_response_unix,
        "last_check": entry.last_check_unix,
    }


def _count(names: Any) -> dict[str, int]:
    counter = Counter(names)
    return {name: counter[name] for name in sorted(counter)}


def _keys(entry: NodeEntry) -> list[str]:
    return [] if entry.node.record is None else [key_text(key) for key in entry.node.record.pairs]


def _networks_of(entry: NodeEntry) -> list[str]:
    """Return the network whose fork identifier a node has, "other" for that of none."""
    if p2p.eth.fork_id_of(entry.node) is None:
        return []
    return [name for name, is_of in _CHAINS.items() if is_of(entry.node)] or ["other"]


def _families(entry: NodeEntry) -> list[str]:
    return [f"IPv{ip.version}" for ip, _, _ in entry.node.endpoints if ip is not None]


_CHAINS = {name: p2p.eth.node_filter(network.chain) for name, network in NETWORKS.items()}
