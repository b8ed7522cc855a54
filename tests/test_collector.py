"""The metrics of real servers: each is what has happened."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import p2p
from p2p import collector
from p2p.errors import DialRefused, IsSelf, NoSharedCapability, RefusedByPeer, TooManyPeers
from p2p.metrics import Histogram
from p2p.peers import outcomes
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes, await_event, closed_port, node_at
from tests.kit.swarm import Swarm, knows
from tests.kit.waiting import PATIENCE_S, eventually


def value(server: p2p.Server, name: str) -> Any:
    return server.metrics[name].value


def failures(server: p2p.Server, of: str) -> dict[str, int]:
    """The kinds of failures that have happened, of "dials" or "serves"."""
    start = f"p2p/{of}/error/"
    return {
        name.removeprefix(start): number
        for name, number in server.metrics.snapshot().items()
        if name.startswith(start) and number
    }


def test_new_server_has_metrics_and_all_are_0(nodes: Nodes) -> None:
    server = nodes.new()
    assert set(server.metrics.snapshot().values()) == {0}
    assert "p2p/peers" in server.metrics and "discover/ingress" not in server.metrics


def test_bytes_and_messages_are_those_of_the_peers(nodes: Nodes) -> None:
    talk, other = nodes.pair()
    for code, size in ((1, 10), (1, 20), (7, 3000)):
        talk.rw.write_msg(p2p.Msg(code, bytes(size)))
        other.read()
    other.rw.write_msg(p2p.Msg(2, b"12345"))
    talk.read()
    here, there = talk.server, other.server  # type: ignore[attr-defined]
    eventually(lambda: value(there, "p2p/ingress") == value(here, "p2p/egress"))
    assert value(here, "p2p/egress") == talk.peer.counters.bytes_out > 0
    assert value(here, "p2p/ingress") == talk.peer.counters.bytes_in > 0
    sent = {
        "p2p/{}/test/1/0x01": 30,
        "p2p/{}/test/1/0x01/packets": 2,
        "p2p/{}/test/1/0x07": 3000,
        "p2p/{}/test/1/0x07/packets": 1,
    }
    for server, way in ((here, "egress"), (there, "ingress")):
        shown = server.metrics.snapshot()
        found = {name: number for name, number in shown.items() if f"{way}/test" in name}
        assert found == {name.format(way): number for name, number in sent.items()}
    assert value(there, "p2p/egress/test/1/0x02") == value(here, "p2p/ingress/test/1/0x02") == 5


def test_counts_stay_when_the_peer_has_left_and_after_the_end(nodes: Nodes) -> None:
    talk, other = nodes.pair()
    here, there = talk.server, other.server  # type: ignore[attr-defined]
    talk.rw.write_msg(p2p.Msg(3, b"abc"))
    other.read()
    assert [value(here, f"p2p/peers{way}") for way in ("", "/inbound", "/outbound")] == [1, 0, 1]
    assert [value(there, f"p2p/peers{way}") for way in ("", "/inbound", "/outbound")] == [1, 1, 0]
    talk.end()
    other.end()
    talk.peer.wait_closed(PATIENCE_S)
    before = value(here, "p2p/egress")
    here.stop()
    assert value(here, "p2p/peers") == value(here, "p2p/peers/outbound") == 0
    assert value(here, "p2p/egress") == before > 0
    assert value(here, "p2p/egress/test/1/0x03/packets") == 1
    assert value(here, "p2p/dials") == value(here, "p2p/dials/success") == 1
    assert value(there, "p2p/serves") == value(there, "p2p/serves/success") == 1


def test_queues_show_the_messages_that_wait(nodes: Nodes) -> None:
    talk, other = nodes.pair()
    there = other.server  # type: ignore[attr-defined]
    for _ in range(3):
        talk.rw.write_msg(p2p.Msg(1, bytes(100)))
    eventually(lambda: value(there, "p2p/queue/inbox/test/1") == 3)
    assert value(there, "p2p/queue/inbox/test/1/bytes") >= 300
    assert value(there, "p2p/queue/inbox/test/1/full") == 0
    full = bytes(300_000)
    for _ in range(4):
        talk.rw.write_msg(p2p.Msg(1, full))
    eventually(lambda: value(there, "p2p/queue/inbox/test/1/full") == 1)
    for _ in range(7):
        other.read()
    assert value(there, "p2p/queue/inbox/test/1") == 0


def test_messages_that_cannot_be_sent_show_in_the_outbox(nodes: Nodes) -> None:
    talk, other = nodes.pair()
    here = talk.server  # type: ignore[attr-defined]
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(PATIENCE_S)

    inspect.post(here, hold)
    assert held.wait(PATIENCE_S)
    try:
        talk.rw.write_msg(p2p.Msg(1, bytes(100)))
        inspect.post(here, int)
        assert value(here, "p2p/queue/outbox") == 1
        assert value(here, "p2p/queue/outbox/bytes") >= 100
        assert value(here, "p2p/queue/io") >= 1  # reading does not wait for the I/O thread
    finally:
        go_on.set()
    other.read()
    assert value(here, "p2p/queue/outbox") == 0


def test_time_of_a_handler_runs_until_its_next_read(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    reads = threading.Semaphore(0)

    def handle(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            clock.advance(0.5)
            rw.write_msg(msg)

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, handle)], clock=clock)
    other = nodes.start(protocols=[p2p.Protocol("test", 1, 8)])
    with other.connect(server.self).open("test") as rw:
        for _ in range(2):
            rw.write_msg(p2p.Msg(3))
            rw.read_msg(PATIENCE_S)
        reads.release()
    eventually(lambda: server.peer_count == 0)
    histogram = server.metrics["p2p/handle/test/1/0x03"]
    assert isinstance(histogram, Histogram)
    assert (histogram.count, histogram.sum) == (2, 1.0)
    assert (histogram.buckets[0.1], histogram.buckets[0.5]) == (0, 2)
    assert not [name for name in other.metrics if "handle" in name], "it has no handler"


def test_first_message_of_a_batch_is_timed(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()  # all messages arrive at one time
    talk, other = nodes.pair(clock=clock)
    for code in range(4):
        other.rw.write_msg(p2p.Msg(code))
    for _ in range(4):
        talk.read()
    talk.end()
    eventually(lambda: not talk.peer.is_connected)
    here = talk.server  # type: ignore[attr-defined]
    assert [name for name in here.metrics if "handle" in name] == ["p2p/handle/test/1/0x00"]


# outcomes


def test_dial_that_is_refused_counts_as_no_connection(nodes: Nodes) -> None:
    server = nodes.start()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    with pytest.raises(DialRefused):
        server.connect(node, PATIENCE_S)
    assert (value(server, "p2p/dials"), failures(server, "dials")) == (1, {"connection": 1})
    assert value(server, "p2p/dials/pending") == 0


def test_dial_that_is_refused_by_the_remote_counts_at_both_ends(nodes: Nodes) -> None:
    full = nodes.start(max_peers=0)
    server = nodes.start()
    with pytest.raises(RefusedByPeer):
        server.connect(full.self, PATIENCE_S)
    assert failures(server, "dials") == {"saturated": 1}
    assert failures(full, "serves") == {"saturated": 1}
    assert value(full, "p2p/serves") == 1 and value(full, "p2p/serves/success") == 0


def test_peers_without_a_common_protocol_count_as_useless(nodes: Nodes) -> None:
    there = nodes.start(protocols=[p2p.Protocol("other", 1, 1)])
    server = nodes.start()
    with pytest.raises((NoSharedCapability, RefusedByPeer)):
        server.connect(there.self, PATIENCE_S)
    eventually(lambda: failures(there, "serves") == {"useless": 1})
    assert failures(server, "dials") == {"useless": 1}


def refused(server: p2p.Server, of: str) -> dict[str, int]:
    start = f"p2p/{of}/refused/"
    shown = server.metrics.snapshot().items()
    return {name.removeprefix(start): value for name, value in shown if name.startswith(start)}


def test_dials_that_we_refuse_are_counted_by_their_error(nodes: Nodes) -> None:
    server = nodes.start(max_peers=0)
    other = nodes.start()
    for node in (server.self, other.self, other.self):
        with pytest.raises((IsSelf, TooManyPeers)):
            server.connect(node, PATIENCE_S)
    assert refused(server, "dials") == {"IsSelf": 1, "TooManyPeers": 2}
    assert value(server, "p2p/dials") == 0


def test_handshake_that_makes_room_is_counted(nodes: Nodes) -> None:
    server = nodes.start(max_pending_peers=1)
    assert server.listen_addr is not None
    here = (HOST, server.listen_addr.port)
    with socket.create_connection(here), socket.create_connection(here):
        eventually(lambda: refused(server, "serves") == {"displaced": 1})


def test_connection_from_outside_net_restrict_is_counted(nodes: Nodes) -> None:
    server = nodes.start(net_restrict="10.0.0.0/8")
    assert server.listen_addr is not None
    with socket.create_connection((HOST, server.listen_addr.port)):
        eventually(lambda: refused(server, "serves") == {"restricted": 1})
    assert value(server, "p2p/serves") == 0


def test_garbage_counts_as_a_failed_handshake(nodes: Nodes) -> None:
    server = nodes.start()
    assert server.listen_addr is not None
    with socket.create_connection((HOST, server.listen_addr.port)) as sock:
        eventually(lambda: value(server, "p2p/serves/pending") == 1)
        sock.sendall(bytes(1000))
        eventually(lambda: failures(server, "serves") == {"rlpx/enc": 1})
    assert value(server, "p2p/serves/pending") == 0


def test_dial_under_way_shows(nodes: Nodes) -> None:
    server = nodes.start()
    with socket.create_server((HOST, 0)) as silent:
        server.add_peer(node_at(silent))
        eventually(lambda: value(server, "p2p/dials/pending") == 1)
        assert value(server, "p2p/dials") == 1


def test_peers_that_stay_a_minute_are_counted_once(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A short minute: a connection in which nothing comes for 30 s ends.
    for module in (collector, outcomes):
        monkeypatch.setattr(module, "LASTING_S", 5.0)
    clock = p2p.testing.SimulatedClock()
    there = nodes.start(clock=clock)
    talk, _ = nodes.pair(clock=clock)
    here = talk.server  # type: ignore[attr-defined]
    here.connect(there.self, PATIENCE_S)
    eventually(lambda: there.peer_count == 1)

    def counts() -> list[int]:
        return [value(here, "p2p/dials/success/1min"), value(there, "p2p/serves/success/1min")]

    clock.advance(4.0)
    assert counts() == [0, 0]
    with here.subscribe_events() as events:
        clock.advance(1.0)
        assert counts() == [2, 1]
        talk.peer.disconnect()
        await_event(events, "drop")
    assert counts() == [2, 1]
    assert value(here, "p2p/serves/success/1min") == 0


# discovery


@pytest.mark.slow
def test_discovery_shows_table_and_packets(nodes: Nodes) -> None:
    swarm = Swarm(nodes)
    boot = swarm.start(max_peers=0)
    node = swarm.start(bootstrap_nodes=[boot.self])
    swarm.until(lambda: knows(node, boot))
    shown = node.metrics.snapshot()
    discovery = node.discovery_v4
    assert discovery is not None
    counters = discovery.counters()
    for kind, number in counters.packets_out.items():
        assert shown[f"discover/v4/egress/{kind}/packets"] <= number
    assert shown["discover/v4/egress/ping/packets"] > 0
    assert shown["discover/v4/ingress/pong/packets"] > 0
    assert 0 < shown["discover/egress"] and 0 < shown["discover/ingress"]
    buckets = [shown[f"discover/bucket/{number}/count"] for number in range(17)]
    nodes_of = [shown.get(f"discover/{version}/nodes", 0) for version in ("v4", "v5")]
    assert sum(buckets) == sum(nodes_of)
    assert shown["discover/v4/nodes"] == shown["discover/v4/nodes/live"] == 1


def test_datagrams_that_are_dropped_show_with_their_reason(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False, discovery_v5=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (HOST, server.self.udp))
        eventually(lambda: server.metrics.snapshot().get("discover/v4/dropped/size") == 1)
    server.stop()
    assert value(server, "discover/v4/dropped/size") == 1


# threads


def test_reading_goes_on_while_everything_changes(nodes: Nodes) -> None:
    talk, other = nodes.pair()
    here = talk.server  # type: ignore[attr-defined]
    done, errors = threading.Event(), []

    def read() -> None:
        last: dict[str, int] = {}
        try:
            while not done.is_set():
                values = {
                    metric.name: metric.value
                    for metric in here.metrics.values()
                    if metric.family.kind == "counter"
                }
                assert all(values[name] >= number for name, number in last.items())
                last = values
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(2_000):
            other.rw.write_msg(p2p.Msg(number % 8, bytes(number % 50)))
        for number in range(2_000):
            assert talk.read().code == number % 8
    finally:
        done.set()
        reader.join()
    assert errors == []


@pytest.mark.parametrize("where", ["io", "handler"])
def test_any_thread_of_the_server_may_read(nodes: Nodes, where: str) -> None:
    found: list[Any] = []
    read: Callable[[], None]

    def handle(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        if where == "handler":
            read()
        list(rw)

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, handle)])

    def read() -> None:
        found.append(value(server, "p2p/peers"))

    other = nodes.start(protocols=[p2p.Protocol("test", 1, 8)])
    other.connect(server.self, PATIENCE_S)
    eventually(lambda: server.peer_count == 1)
    if where == "io":
        inspect.on_io(server, read)
    eventually(lambda: found == [1])
