"""Discovery v5 over real sockets, as a program uses it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.discover import UDPv4, UDPv5
from p2p.discover.v5.engine import EngineV5
from p2p.discover.v5.talk import MAX_QUEUED, MAX_TALK_SIZE, THREADS
from p2p.loglimit import LINES_PER_MINUTE
from p2p.netutil import Endpoint
from tests.kit.nodes import HOST, Nodes, key_far_from
from tests.kit.swarm import settle_fronts
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually, pass_until

pytestmark = pytest.mark.slow


class Fleet:
    """Nodes on loopback, stopped at the end."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = p2p.testing.SimulatedClock()
        self._stack = stack
        self._started: list[UDPv4 | UDPv5] = []

    def start(
        self, *bootnodes: UDPv5, key: p2p.PrivateKey | None = None, **options: Any
    ) -> UDPv5:
        known = [bootnode.self for bootnode in bootnodes]
        options = {"ntp_server": None, "bootnodes": known, **options}
        made = UDPv5(key or p2p.generate_key(), f"{HOST}:0", **options)
        self._started.append(made)
        return self._stack.enter_context(made)

    def stop(self, node: UDPv5) -> None:
        self._started.remove(node)
        assert node.stop() == []

    def until(self, happened: Callable[[], object]) -> None:
        """Let time pass for those on the clock of the fleet, until something has happened."""
        pass_until(self.clock, happened, lambda: settle_fronts(self._started))


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(stack)


def test_ping_and_record(fleet: Fleet) -> None:
    one, other = fleet.start(), fleet.start()
    assert one.ping(other.self, PATIENCE_S) == other.self.seq
    assert one.request_enr(other.self, PATIENCE_S) == other.self
    assert one.find_node(other.self, [0], PATIENCE_S) == [other.self]
    assert one.counters().packets_in["whoareyou"] == 1


def test_node_that_does_not_answer(fleet: Fleet) -> None:
    one, gone = fleet.start(clock=fleet.clock), fleet.start()
    fleet.stop(gone)
    ping = Call(one.ping, gone.self)
    fleet.until(lambda: not ping.is_alive())
    with pytest.raises(p2p.errors.NoResponse):
        ping.result()


def test_network_of_five(fleet: Fleet) -> None:
    boot = fleet.start()
    others = [fleet.start(boot, key=key_far_from(boot.self)) for _ in range(4)]
    with others[0].random_nodes() as nodes:
        found: set[p2p.NodeID] = set()
        while len(found) < 4:
            found.add(next(nodes).id)
    assert found == {node.self.id for node in (boot, *others[1:])}
    last = others[3].self
    for target in (last.id, last.public_key, last.public_key.to_bytes()):
        assert others[0].lookup(target, PATIENCE_S)[0] == last
    assert others[0].resolve(others[3].self.with_ip(None), PATIENCE_S) == others[3].self


# talk requests


def test_talk(fleet: Fleet) -> None:
    one, other = fleet.start(), fleet.start()
    seen: list[tuple[p2p.NodeID, Endpoint, bytes]] = []

    def answer(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        seen.append((node_id, endpoint, request))
        return request[::-1]

    other.on_talk("echo", answer)
    assert one.talk(other.self, "echo", b"abc", PATIENCE_S) == b"cba"
    assert seen == [(one.self.id, one.address, b"abc")]
    assert one.talk(other.self, "unknown", b"abc", PATIENCE_S) == b""
    other.on_talk("echo", None)
    assert one.talk(other.self, b"echo", b"abc", PATIENCE_S) == b""


def test_largest_talk(fleet: Fleet) -> None:
    one, other = fleet.start(), fleet.start()
    other.on_talk("x", lambda node_id, endpoint, request: bytes(MAX_TALK_SIZE))
    request = bytes(MAX_TALK_SIZE - 1)
    assert one.talk(other.self, "x", request, PATIENCE_S) == bytes(MAX_TALK_SIZE)
    with pytest.raises(p2p.EncodeError):
        one.talk(other.self, "x", request + b"x", PATIENCE_S)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (lambda node_id, endpoint, request: 1 / 0, "raised"),
        (lambda node_id, endpoint, request: bytes(MAX_TALK_SIZE + 1), "1151 bytes, more than 1150"),
        (lambda node_id, endpoint, request: None, "NoneType, not bytes"),
        (lambda node_id, endpoint, request: "text", "str, not bytes"),
        (lambda node_id, endpoint, request: 5, "int, not bytes"),
        (lambda node_id, endpoint, request: asyncio.sleep(0), "has run nothing"),
    ],
    ids=["raises", "too long", "nothing", "text", "number", "coroutine"],
)
def test_handler_that_fails_is_logged(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, handler: Any, words: str
) -> None:
    caplog.set_level(logging.ERROR, "p2p.discover")
    one, other = fleet.start(), fleet.start()
    other.on_talk("x", handler)
    assert one.talk(other.self, "x", b"", PATIENCE_S) == b""
    assert "the handler of b'x' " in caplog.text
    assert words in caplog.text


def test_handler_that_ends_threads_leaves_them_running(fleet: Fleet) -> None:
    one, other = fleet.start(), fleet.start()

    def answer(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        if request:
            sys.exit(1)
        return b"here"

    other.on_talk("x", answer)
    for _ in range(THREADS):
        assert one.talk(other.self, "x", b"exit", PATIENCE_S) == b""
    assert one.talk(other.self, "x", b"", PATIENCE_S) == b"here"


class FailingLog(logging.Handler):
    """A log of the program that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError("the disk is full")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_handlers_go_on_when_the_log_fails(fleet: Fleet) -> None:
    one, other = fleet.start(), fleet.start()
    other.on_talk("x", lambda node_id, endpoint, request: 1 // len(request) * b"y")
    failing, log = FailingLog(logging.ERROR), logging.getLogger("p2p.discover")
    log.addHandler(failing)
    try:
        for _ in range(THREADS):
            assert one.talk(other.self, "x", b"", PATIENCE_S) == b""
        assert one.talk(other.self, "x", b"x", PATIENCE_S) == b"y"
    finally:
        log.removeHandler(failing)


def test_remote_cannot_fill_the_log_with_errors_of_a_handler(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "p2p.discover")
    one, other = fleet.start(), fleet.start()
    other.on_talk("x", lambda node_id, endpoint, request: b"%d" % (1 // 0))
    for _ in range(3 * LINES_PER_MINUTE):
        assert one.talk(other.self, "x", b"", PATIENCE_S) == b""
    assert 1 <= len(caplog.records) <= LINES_PER_MINUTE


def test_child_of_a_handler_that_forks_ends(fleet: Fleet) -> None:
    one, other = fleet.start(), fleet.start()
    pids: SimpleQueue[int] = SimpleQueue()

    def answer(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        pid = os.fork()
        if pid:
            pids.put(pid)
        return b"parent" if pid else b"child"

    other.on_talk("x", answer)
    assert one.talk(other.self, "x", b"", PATIENCE_S) == b"parent"
    pid = pids.get()
    try:
        eventually(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def test_flood_of_talk_requests_is_dropped_and_counted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.discover.v5.requests.REPLY_TIMEOUT_S", PATIENCE_S)
    one, other = fleet.start(), fleet.start()
    over, begun = threading.Event(), threading.Semaphore(0)

    def wait(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        begun.release()
        over.wait(PATIENCE_S)
        return b"done"

    other.on_talk("x", wait)
    calls = [Call(one.talk, other.self, "x", b"") for _ in range(THREADS)]
    for _ in calls:
        assert begun.acquire(timeout=PATIENCE_S)
    calls += [Call(one.talk, other.self, "x", b"") for _ in range(MAX_QUEUED)]
    eventually(lambda: other.counters().packets_in["talkreq"] == THREADS + MAX_QUEUED)
    lost = Call(one.talk, other.self, "x", b"")
    eventually(lambda: other.counters().dropped["talk"] == 1)
    over.set()
    assert {call.result() for call in calls} == {b"done"}
    assert one.stop() == []
    with pytest.raises(p2p.ServerStopped):
        lost.result()


def test_stop_names_a_handler_that_goes_on(fleet: Fleet) -> None:
    one, other = fleet.start(clock=fleet.clock), fleet.start()
    over, begun = threading.Event(), threading.Event()

    def wait(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        begun.set()
        over.wait(PATIENCE_S)
        return b""

    other.on_talk("x", wait)
    call = Call(one.talk, other.self, "x", b"")
    assert begun.wait(PATIENCE_S)
    assert other.stop(0.05) == ["p2p-talk"]
    over.set()
    fleet.stop(other)
    fleet.until(lambda: not call.is_alive())
    with pytest.raises(p2p.errors.NoResponse):
        call.result()


def test_wrong_arguments(fleet: Fleet) -> None:
    one = fleet.start()
    node: Any = one.self
    calls: list[Any] = [
        lambda: one.find_node(node, [257]),
        lambda: one.find_node(node, ["x"]),
        lambda: one.find_node(node, 256),
        lambda: one.talk(node, 7, b""),
        lambda: one.talk(node, "x", "text"),
        lambda: one.on_talk("x", lambda: b""),
        lambda: one.on_talk("x", 7),
    ]
    for call in calls:
        with pytest.raises(p2p.ArgumentError):
            call()


# one socket, two protocols


def test_v4_and_v5_share_a_socket() -> None:
    def pair(*bootnodes: p2p.Node) -> tuple[UDPv5, UDPv4]:
        key = p2p.generate_key()
        five = UDPv5(key, f"{HOST}:0", bootnodes=bootnodes, ntp_server=None)
        return five, UDPv4(key, five, bootnodes=bootnodes)

    one = pair()
    other = pair(one[0].self)
    with one[0], other[0]:
        for mine, theirs in ((one, other), (other, one)):
            for protocol in (0, 1):
                node = theirs[protocol].self
                assert mine[protocol].address == mine[1 - protocol].address
                assert mine[protocol].ping(node, PATIENCE_S) == node.seq
        kinds = set(one[0].counters().packets_in) & set(one[1].counters().packets_in)
        assert kinds <= {"ping", "pong", "findnode"}
        assert set(one[0].counters().dropped) <= {"unsolicited"}  # requests that were repeated
        assert one[1].stop() == one[0].stop() == []


# servers


def test_servers_find_and_dial_each_other_by_v5_alone(nodes: Nodes) -> None:
    def start(*bootnodes: p2p.Server) -> p2p.Server:
        talks = nodes.talks()
        return nodes.start(
            no_discovery=False,
            discovery_v4=False,
            bootstrap_nodes=[boot.self for boot in bootnodes],
            protocols=[talks.protocol()],
        )

    boot = start()
    others = [start(boot) for _ in range(2)]
    for server in others:
        assert server.discovery_v4 is None and server.discovery_v5 is not None
    eventually(lambda: all(server.peer_count >= 1 for server in (boot, *others)))


def test_server_that_speaks_both_finds_nodes_of_either(nodes: Nodes) -> None:
    only = ({"discovery_v5": False}, {"discovery_v4": False})
    found = [nodes.start(no_discovery=False, no_dial=True, **options) for options in only]
    known = [server.self for server in found]
    talks = nodes.talks()
    both = nodes.start(
        no_discovery=False,
        bootstrap_nodes=known[:1],
        bootstrap_nodes_v5=known[1:],
        protocols=[talks.protocol()],
    )
    assert both.discovery_v4 is not None and both.discovery_v5 is not None
    four, five = both.discovery_v4, both.discovery_v5
    eventually(lambda: [node.id for node in four.nodes()] == [known[0].id])
    eventually(lambda: [node.id for node in five.nodes()] == [known[1].id])


# topics


def topic_fleet(fleet: Fleet, count: int) -> list[UDPv5]:
    options: dict[str, Any] = {"topics": True, "clock": fleet.clock}
    boot = fleet.start(**options)
    return [boot, *(fleet.start(boot, **options) for _ in range(count - 1))]


def test_node_is_found_by_its_topic(fleet: Fleet) -> None:
    _boot, one, other, _more = topic_fleet(fleet, 4)
    with one.advertise("a topic") as ad, other.find(ad.topic) as nodes:
        found = Call(next, nodes)
        fleet.until(lambda: not found.is_alive())
        assert found.result() == one.self
        assert ad.registrars()
        assert repr(ad) == f"<Advertisement of {ad.topic.hex()}>"
        assert repr(nodes).startswith("<TopicNodes, open")
    assert "stopped" in repr(ad)
    assert list(nodes) == []


def test_topic_is_a_name_or_its_identifier(fleet: Fleet) -> None:
    one = fleet.start(topics=True)
    assert one.advertise("a topic").topic == hashlib.sha256(b"a topic").digest()
    assert one.advertise(bytes(32)).topic == bytes(32)
    for call in (one.advertise, one.find):
        with pytest.raises(p2p.ArgumentError, match="topic: wanted the name"):
            call(b"short")


def test_advertisement_ends_once(fleet: Fleet) -> None:
    one = fleet.start(topics=True)
    first, second = one.advertise("a topic"), one.advertise("a topic")
    for _ in range(3):
        first.stop()
    engine = one._runner.engine
    assert isinstance(engine, EngineV5)
    assert one._service.call(lambda: engine.topics.advertised) == [first.topic]
    second.stop()
    assert one._service.call(lambda: engine.topics.advertised) == []


def test_topics_that_are_off_are_a_clear_error(fleet: Fleet) -> None:
    one = fleet.start()
    assert one.self.record is not None and one.self.record.get("topic-discovery") is None
    for call in (one.advertise, one.find):
        with pytest.raises(p2p.errors.ServerStateError, match="topics are off: they need"):
            call("a topic")


def test_search_waits_until_it_is_closed(fleet: Fleet) -> None:
    one, *_ = topic_fleet(fleet, 2)
    nodes = one.find("a topic")
    reader = Call(list, nodes)
    nodes.close()
    assert reader.result() == []


def test_end_of_discovery_ends_searches_and_ads(fleet: Fleet) -> None:
    one, *_ = topic_fleet(fleet, 2)
    nodes, ad = one.find("a topic"), one.advertise("a topic")
    reader = Call(list, nodes)
    assert one.stop() == []
    assert reader.result() == []
    with pytest.raises(p2p.ServerStopped):
        ad.registrars()
    ad.stop()
    for call in (one.advertise, one.find):
        with pytest.raises(p2p.ServerStopped):
            call("a topic")


def test_registrations_are_counted(fleet: Fleet) -> None:
    boot, one = topic_fleet(fleet, 2)
    ad = one.advertise("a topic")
    fleet.until(lambda: ad.registrars() == [boot.self])
    counters = boot.counters()
    assert counters.topics["admitted"] == 1
    assert counters.packets_in["regtopic"] == counters.packets_out["regconfirmation"] == 2
