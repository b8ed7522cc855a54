"""Limits that were met, of other nodes and our own, as the metrics count them.

Pure. The metrics are those of :attr:`p2p.Server.metrics`, by name. There is no other way to look
into a node that runs elsewhere (:mod:`p2p.cli.doctor.running`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from p2p.cli.doctor.finding import Finding, Level
from p2p.cli.shown import number_of

CHECK = "limits"


@dataclass(frozen=True)
class Limit:
    """A limit: the metric that counts it, of what, what happened to them, and the remedy.

    ``level`` is OK for what every healthy node meets.
    """

    metric: str
    noun: str
    text: str
    remedy: str
    level: Level = Level.WARNING


_DIALS, _SERVES = "p2p/dials/{}", "p2p/serves/{}"
_OF_DISCOVERY = (
    (
        "rate",
        "dropped: more than a network or all unknown nodes may send",
        "it is a flood, or many nodes in one network; for a network of your own, set own_networks",
        Level.WARNING,
    ),
    (
        "amplification",
        "not sent: answers to nodes that have not proved their address are limited",
        "nothing to do: nodes prove it with their first pong",
        Level.OK,
    ),
)
LIMITS = (
    Limit(
        _SERVES.format("refused/throttled"),
        "inbound connection",
        "closed: the host had connected within 30 s",
        "have it wait 30 s; for nodes that share an address, set own_networks",
    ),
    Limit(
        _SERVES.format("refused/restricted"),
        "inbound connection",
        "closed: the address is outside net_restrict",
        "correct net_restrict, if these are your nodes",
    ),
    Limit(
        _SERVES.format("refused/displaced"),
        "inbound handshake",
        "given up for a newer one: max_pending_peers was reached",
        "raise max_pending_peers, or keep silent clients away from the port",
    ),
    Limit(
        _SERVES.format("error/saturated"),
        "inbound node",
        "refused: max_peers was reached",
        "raise max_peers, or make nodes that must come in trusted nodes",
    ),
    Limit(
        _DIALS.format("error/saturated"),
        "dial",
        "refused by a node that is full",
        "nothing to do on a public network: others are tried; else have the node trust yours",
        Level.OK,
    ),
    Limit(
        _DIALS.format("error/rlpx/enc"),
        "dial",
        "ended by the node before the keys were agreed on",
        "nodes close a second connection of an address within 30 s: do not dial more often, nor "
        "from two programs; or the key in the URL is not that of the node",
    ),
    Limit(
        _DIALS.format("refused/RecentlyDialed"),
        "dial",
        "put off: the node was dialed within redial_pause_s",
        "nothing to do: it is dialed later; with few nodes around, give more bootnodes",
        Level.OK,
    ),
    Limit(
        _DIALS.format("refused/Throttled"),
        "dial",
        "put off: the node would close a second connection within 30 s",
        "wait half a minute between two calls of connect for one node",
    ),
    Limit(
        _DIALS.format("refused/TooManyPeers"),
        "dial",
        "refused: max_peers was reached",
        "raise max_peers, or make the node a trusted node",
    ),
    Limit(
        _DIALS.format("refused/CrowdedNetwork"),
        "dial",
        "put off: of one network only two nodes are dialed in 5 minutes",
        "nothing to do, unless the network is your own: set own_networks",
        Level.OK,
    ),
    Limit(
        _DIALS.format("refused/NetRestricted"),
        "dial",
        "refused: the address is outside net_restrict",
        "correct net_restrict, if the node is one to dial",
    ),
    *(
        Limit(f"discover/{version}/dropped/{reason}", "datagram", text, remedy, level)
        for version in ("v4", "v5")
        for reason, text, remedy, level in _OF_DISCOVERY
    ),
)


def met(metrics: Mapping[str, Any], whose: str) -> Iterator[Finding]:
    """Yield a finding for each limit that has refused or delayed something of ``whose`` node."""
    counts = {limit: int(metrics.get(limit.metric, 0)) for limit in LIMITS}
    for limit, count in counts.items():
        if count:
            facts = {"metric": limit.metric, "count": count}
            text = f"{whose}: {number_of(count, limit.noun)} {limit.text}"
            yield Finding(CHECK, limit.level, text, limit.remedy, facts)
    if not any(counts.values()):
        yield Finding(CHECK, Level.OK, f"{whose}: no limit has refused or delayed anything")
