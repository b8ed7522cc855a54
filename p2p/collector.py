"""The reading of all metrics of a server, from the counts that its parts keep.

Any thread calls :func:`collect`. It asks no other thread: a part's owner counts, and a number or a
copy of a dict is read as it is at that moment. So a metric may miss what is being counted, and two
metrics may be of slightly different moments, but a counter never goes back.
"""

from __future__ import annotations

from collections import Counter as Sums
from collections.abc import Iterable, Iterator, Mapping

from p2p.discover.front import Discovery
from p2p.metrics import Counter, Family, Gauge, Histogram, Metric, catalog
from p2p.parts import Parts
from p2p.peers.outcomes import LASTING_S, Outcomes
from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.peers.peerset import PeerSet
from p2p.peers.traffic import CodeCounts
from p2p.rlpx import Cap


class Collector:
    """The reading of the metrics of all parts of a server. Any thread."""

    def __init__(self, parts: Parts) -> None:
        # fixed after __init__
        self._parts = parts
        # The largest value of each count of lasting peers so far; a race only makes it smaller.
        self._lasting = {catalog.SERVES_LASTING: 0, catalog.DIALS_LASTING: 0}

    def collect(self) -> Iterator[Metric]:
        """Return all metrics, in the order of the catalog."""
        peer_set, services = self._parts.peer_set, self._parts.services
        yield from _traffic(peer_set)
        yield from _handlers(peer_set)
        yield from _requests(peer_set)
        # before the peers, which a lasting peer leaves before it is counted as ended
        ended = {outcomes: outcomes.lasting_ended for outcomes in (peer_set.serves, peer_set.dials)}
        peers = peer_set.peers
        yield from _queues(peers, peer_set)
        yield _gauge(catalog.POSTED, self._parts.loop.waiting)
        yield from _peers(peers)
        serves, dials = peer_set.serves, peer_set.dials
        yield _counter(catalog.SERVES, serves.begun)
        yield _gauge(catalog.SERVES_PENDING, peer_set.pending)
        yield _counter(catalog.SERVES_SUCCESS, serves.succeeded)
        inbound = [peer for peer in peers if peer.inbound]
        yield self._lasting_of(catalog.SERVES_LASTING, ended[serves], inbound)
        yield from _failures(catalog.SERVES_ERROR, serves)
        yield from _refused(catalog.SERVES_REFUSED, serves)
        yield _counter(catalog.DIALS, dials.begun)
        yield _gauge(catalog.DIALS_PENDING, self._parts.dials.under_way)
        yield _counter(catalog.DIALS_SUCCESS, dials.succeeded)
        dialed = [peer for peer in peers if not peer.inbound]
        yield self._lasting_of(catalog.DIALS_LASTING, ended[dials], dialed)
        yield from _failures(catalog.DIALS_ERROR, dials)
        yield from _refused(catalog.DIALS_REFUSED, dials)
        status = None if services is None else services.nat_status
        if status is not None:
            mapped = sum(port.external_port is not None for port in status.ports)
            yield _gauge(catalog.NAT_MAPPED, mapped)
        lan = None if services is None else services.lan_nodes
        if lan is not None:
            yield _gauge(catalog.LAN_NODES, len(lan.nodes))
        if services is not None:
            versions = {"v4": services.discovery_v4, "v5": services.discovery_v5}
            yield from _discovery({key: one for key, one in versions.items() if one is not None})

    def _lasting_of(self, family: Family, ended: int, peers: Iterable[Peer]) -> Counter:
        value = ended + sum(peer.lifetime >= LASTING_S for peer in peers)
        value = self._lasting[family] = max(self._lasting[family], value)
        return _counter(family, value)


def _counter(family: Family, value: int, **labels: str) -> Counter:
    return Counter(family, labels, value)


def _gauge(family: Family, value: int, **labels: str) -> Gauge:
    return Gauge(family, labels, value)


# peers and messages


def _traffic(peer_set: PeerSet) -> Iterator[Metric]:
    totals = peer_set.totals
    yield _counter(catalog.INGRESS, totals.bytes_in)
    yield _counter(catalog.EGRESS, totals.bytes_out)
    families = (catalog.MESSAGE_INGRESS, catalog.MESSAGES_IN)
    yield from _messages(totals.received, *families)
    families = (catalog.MESSAGE_EGRESS, catalog.MESSAGES_OUT)
    yield from _messages(totals.sent, *families)


def _messages(
    counts: Mapping[Cap, CodeCounts], size: Family, number: Family
) -> Iterator[Metric]:
    for cap, by_code in counts.items():
        for code, (messages, size_bytes) in sorted(by_code.copy().items()):
            labels = {**_labels_of(cap), "code": _code_text(code)}
            yield _counter(size, size_bytes, **labels)
            yield _counter(number, messages, **labels)


def _handlers(peer_set: PeerSet) -> Iterator[Metric]:
    for cap, recorders in peer_set.handle_times.recorders.items():
        for code, recorder in sorted(recorders.copy().items()):
            labels = {**_labels_of(cap), "code": _code_text(code)}
            yield Histogram(catalog.HANDLE, labels, *recorder.read())


def _requests(peer_set: PeerSet) -> Iterator[Metric]:
    for cap, totals in peer_set.request_totals.items():
        for code, number in sorted(totals.tracked.copy().items()):
            yield _gauge(catalog.TRACKED, number, **_labels_of(cap), code=_code_text(code))
        for code, number in sorted(totals.lost.copy().items()):
            yield _counter(catalog.LOST_REQUESTS, number, **_labels_of(cap), code=_code_text(code))
        if totals.tracked or totals.stale:
            yield _counter(catalog.STALE, totals.stale, **_labels_of(cap))
        for code, recorder in sorted(totals.waits.copy().items()):
            labels = {**_labels_of(cap), "code": _code_text(code)}
            yield Histogram(catalog.WAIT, labels, *recorder.read())


def _queues(peers: Iterable[Peer], peer_set: PeerSet) -> Iterator[Metric]:
    ends: dict[Cap, list[ProtocolReadWriter]] = {cap: [] for cap in peer_set.totals.received}
    for peer in peers:
        for rw in peer._running:
            ends[rw.protocol.cap].append(rw)
    for cap, rws in ends.items():
        labels, inboxes = _labels_of(cap), [rw._inbox for rw in rws]
        yield _gauge(catalog.INBOX, sum(map(len, inboxes)), **labels)
        yield _gauge(catalog.INBOX_BYTES, sum(inbox.size_bytes for inbox in inboxes), **labels)
        yield _gauge(catalog.INBOX_FULL, sum(inbox.is_full for inbox in inboxes), **labels)
    yield _gauge(catalog.OUTBOX, sum(len(peer._outbox) for peer in peers))
    yield _gauge(catalog.OUTBOX_BYTES, sum(peer._outbox.size_bytes for peer in peers))


def _peers(peers: tuple[Peer, ...]) -> Iterator[Metric]:
    inbound = sum(peer.inbound for peer in peers)
    yield _gauge(catalog.PEERS, len(peers))
    yield _gauge(catalog.PEERS_INBOUND, inbound)
    yield _gauge(catalog.PEERS_OUTBOUND, len(peers) - inbound)


def _failures(family: Family, outcomes: Outcomes) -> Iterator[Metric]:
    for kind, number in outcomes.failed.items():
        yield _counter(family, number, kind=kind)


def _refused(family: Family, outcomes: Outcomes) -> Iterator[Metric]:
    for reason, number in sorted(dict(outcomes.refused).items()):
        yield _counter(family, number, reason=reason)


def _labels_of(cap: Cap) -> dict[str, str]:
    return {"protocol": cap.name, "version": str(cap.version)}


def _code_text(code: int) -> str:
    """Return a code as go-ethereum writes it; "other" for those that are counted together."""
    return f"{code:#04x}" if code < catalog.MAX_CODES else "other"


# discovery


def _discovery(versions: Mapping[str, Discovery]) -> Iterator[Metric]:
    """Read discovery, by the names of its versions."""
    engines = {version: front._running_engine for version, front in versions.items()}
    running = {version: engine for version, engine in engines.items() if engine is not None}
    bytes_in = bytes_out = 0
    buckets: Sums[int] = Sums()
    for engine in running.values():
        bytes_in += sum(engine.counters.bytes_in.copy().values())
        bytes_out += sum(engine.counters.bytes_out.copy().values())
        buckets.update(dict(enumerate(engine.table.bucket_sizes())))
    yield _counter(catalog.DISCOVER_INGRESS, bytes_in)
    yield _counter(catalog.DISCOVER_EGRESS, bytes_out)
    for bucket, size in buckets.items():
        yield _gauge(catalog.BUCKET, size, bucket=str(bucket))
    for version, engine in running.items():
        counters, table = engine.counters, engine.table
        yield _gauge(catalog.TABLE_NODES, len(table), version=version)
        yield _gauge(catalog.TABLE_LIVE, table.live_count, version=version)
        for kind, number in sorted(dict(counters.packets_in).items()):
            yield _counter(catalog.PACKETS_IN, number, version=version, kind=kind)
        for kind, number in sorted(dict(counters.packets_out).items()):
            yield _counter(catalog.PACKETS_OUT, number, version=version, kind=kind)
        for reason, number in sorted(dict(counters.dropped).items()):
            yield _counter(catalog.DROPPED, number, version=version, reason=reason)
        yield _counter(catalog.TIMEOUTS, counters.timeouts, version=version)
    for front in list(versions.values())[:1]:  # they share a socket
        for error, number in sorted(front.lost.items()):
            yield _counter(catalog.LOST, number, error=error)
