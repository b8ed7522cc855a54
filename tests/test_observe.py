"""The option ``observer``: what it is asked for, by servers and by ``connect``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

import p2p
from p2p.observe import (
    ConnectionObserver,
    DiscoveryObserver,
    NewConnection,
    Observer,
    Secrets,
)
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S


class Mistake(Exception):
    """The error of the observers here."""


class Keys(ConnectionObserver):
    """Observer that keeps the secrets of a connection."""

    def __init__(self) -> None:
        self.found: list[bytes] = []

    def secrets(self, secrets: Secrets) -> None:
        self.found.append(secrets.aes)


class Packets(DiscoveryObserver):
    """Observer that keeps the names of the packets received, and sets an event."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.received = threading.Event()

    def packet_in(self, kind: str, packet: object, sender: p2p.NodeID, addr: p2p.Endpoint) -> None:
        self.kinds.append(kind)
        self.received.set()


class Dials(Observer):
    """Observer that keeps what it is told of dials, and raises in ``fails``."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.told: list[tuple[p2p.Node, str]] = []
        self.attempts: list[p2p.DialAttempt] = []

    def dial_begun(self, node: p2p.Node) -> None:
        self.told.append((node, "begun"))
        if self.fails == "dial_begun":
            raise Mistake

    def dial_ended(self, node: p2p.Node, attempt: p2p.DialAttempt) -> None:
        self.told.append((node, attempt.outcome))
        self.attempts.append(attempt)


class Asked(Observer):
    """Notes what it is asked for; ``failing`` is called first."""

    def __init__(self, failing: Callable[[], None] = lambda: None) -> None:
        self.failing = failing
        self.connections: list[tuple[NewConnection, Keys]] = []
        self.protocols: dict[str, Packets] = {}

    def connection(self, new: NewConnection) -> Keys:
        self.connections.append((new, Keys()))
        self.failing()
        return self.connections[-1][1]

    def discovery(self, protocol: str) -> Packets:
        self.protocols[protocol] = Packets()
        self.failing()
        return self.protocols[protocol]


def fail() -> None:
    raise Mistake


def test_observer_is_asked_for_each_connection(nodes: Nodes) -> None:
    here, there = Asked(), Asked()
    one, other = nodes.start(observer=here), nodes.start(observer=there)
    peer = one.connect(other.self, PATIENCE_S)
    ((dialed, ours),), ((accepted, theirs),) = here.connections, there.connections
    assert dialed == NewConnection(peer.local_addr, peer.remote_addr, peer.node)
    assert accepted == NewConnection(peer.remote_addr, peer.local_addr, None)
    assert ours.found == theirs.found and len(ours.found) == 1


def test_connect_takes_an_observer(nodes: Nodes) -> None:
    asked = Asked()
    _, other = nodes.pair()
    node = other.server.self  # type: ignore[attr-defined]
    with p2p.connect(node, name="test", version=1, length=8, observer=asked):
        ((new, keys),) = asked.connections
    assert new.node == node and len(keys.found) == 1


def test_observer_is_asked_for_each_discovery_protocol(nodes: Nodes) -> None:
    asked = Asked()
    server = nodes.start(no_discovery=False, observer=asked)
    assert asked.protocols.keys() == {"v4", "v5"}
    other = nodes.start(no_discovery=False)
    for discovery in (other.discovery_v4, other.discovery_v5):
        assert discovery is not None
        discovery.ping(server.self, PATIENCE_S)
    assert "ping" in asked.protocols["v4"].kinds
    assert "ping" in asked.protocols["v5"].kinds


def test_each_of_several_observers_is_asked(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    asked = [Asked(), Asked(fail), Asked()]
    server = nodes.start(no_discovery=False, observer=asked)
    other = nodes.start(no_discovery=False)
    server.connect(other.self, PATIENCE_S)
    assert other.discovery_v4 is not None
    other.discovery_v4.ping(server.self, PATIENCE_S)
    for one in (asked[0], asked[2]):
        ((_, keys),) = one.connections
        assert len(keys.found) == 1
        assert one.protocols["v4"].received.wait(PATIENCE_S)
    errors = [line for line in caplog.records if line.levelno == logging.ERROR]
    names = sorted(line.getMessage().split()[1].rpartition(".")[2] for line in errors)
    assert names == ["connection", "discovery", "discovery"]


def test_discovery_without_a_server_takes_an_observer(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False)
    for kind in (p2p.discover.UDPv4, p2p.discover.UDPv5):
        packets = Packets()
        with kind(p2p.generate_key(), "127.0.0.1:0", observer=packets) as discovery:
            discovery.ping(server.self, PATIENCE_S)
        assert "pong" in packets.kinds


@pytest.mark.parametrize("wrong", [Keys(), "x", [Observer(), None], 5])
def test_what_is_no_observer_is_refused(nodes: Nodes, wrong: object) -> None:
    with pytest.raises(p2p.errors.ArgumentTypeError, match=r"^observer: wanted a p2p.observe.Obs"):
        nodes.new(observer=wrong)


def test_observer_is_told_of_each_dial(nodes: Nodes) -> None:
    dials = Dials()
    server, other = nodes.start(observer=dials), nodes.start()
    server.connect(other.self, PATIENCE_S)
    assert dials.told == [(other.self, "begun"), (other.self, "connected")]
    assert dials.attempts == server.dial_attempts(other.self)


def test_observer_is_told_why_a_dial_failed_or_was_refused(nodes: Nodes) -> None:
    dials = Dials()
    server, gone = nodes.start(observer=dials), nodes.start()
    node = gone.self
    gone.stop()
    with pytest.raises(p2p.ConnectError):
        server.connect(node, PATIENCE_S)
    with pytest.raises(p2p.ConnectError):
        server.connect(server.self, PATIENCE_S)  # refused: it has not begun
    assert [text.partition(":")[0] for _, text in dials.told[:2]] == ["begun", "tcp"]
    ((refused, text),) = dials.told[2:]
    assert refused == server.self and text.startswith("check: IsSelf")


def test_failing_observer_has_no_effect_on_dials(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    failing, sound = Dials("dial_begun"), Dials()
    server, other = nodes.start(observer=[failing, sound]), nodes.start()
    server.connect(other.self, PATIENCE_S)
    assert failing.told == [(other.self, "begun")]
    assert sound.told == [(other.self, "begun"), (other.self, "connected")]
    assert "Dials failed in dial_begun" in caplog.text
