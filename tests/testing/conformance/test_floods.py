"""Targets, and others, that send without end: no wait of a tester goes on for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest

import p2p
from p2p.discover.v4 import wire
from p2p.discover.v5.message import Nodes
from p2p.discover.v5.packet import WhoAreYou
from p2p.enode import NodeEndpoint
from p2p.testing.conformance import Target, discv4, tester5
from p2p.testing.conformance.rlpx import _Dialed, _Frames
from p2p.testing.packets import MAX_SKIPPED
from tests.kit.nodes import HOST
from tests.kit.waiting import PATIENCE_S

KEY = p2p.generate_key()
NODE = p2p.Node.from_parts(KEY.public_key, HOST, 1, 1)
#: More than any of them reads when its time is over.
MANY = 2 * MAX_SKIPPED
STRANGER = ("192.0.2.1", 9)


class Flood(socket.socket):
    """A socket on which datagrams of a stranger wait, many of them."""

    received = 0

    def recvfrom(self, *_: Any) -> Any:
        self.received += 1
        assert self.received < MANY, "it reads on"
        return b"", STRANGER


@pytest.fixture
def v4() -> Iterator[Any]:
    with discv4._Tester(Target(NODE, 0.0)) as tester:
        yield tester


@pytest.fixture
def v5() -> Iterator[tester5.TesterV5]:
    with tester5.TesterV5(Target(NODE, 0.0)) as tester:
        yield tester


@pytest.mark.parametrize("name", ["v4", "v5"])
def test_datagrams_of_strangers_do_not_extend_a_wait(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    tester = request.getfixturevalue(name)
    with Flood(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        monkeypatch.setattr(tester, "_open_socket", lambda: flood, raising=False)
        if name == "v5":
            assert tester.read_packet(0.0, flood) is None
        else:
            assert tester.read_packet(0.0) is None


def test_packets_of_the_target_do_not_extend_a_wait(
    v4: Any, v5: tester5.TesterV5, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbors = SimpleNamespace(public_key=NODE.public_key, packet=p2p.testing.Neighbors((), 1))
    monkeypatch.setattr(v4, "read_packet", lambda *_: neighbors)
    assert len(list(islice(v4.packets(0.0), MANY))) == 1
    challenge = WhoAreYou(bytes(63), bytes(12), bytes(16), 0)
    monkeypatch.setattr(v5, "read_packet", lambda *_: challenge)
    assert len(list(islice(v5.packets(0.0), MANY))) == 1


def test_other_packets_do_not_extend_the_wait_for_one(
    v4: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = islice([SimpleNamespace(packet=p2p.testing.Neighbors((), 1))] * MANY, MANY)
    monkeypatch.setattr(v4, "read_packet", lambda *_: next(packets))
    with pytest.raises(AssertionError, match="Pong did not come"):
        v4.expect(p2p.testing.Pong, 0)
    assert len(list(packets)) == MANY - MAX_SKIPPED - 1


def test_response_of_many_messages_is_a_failure(
    v5: tester5.TesterV5, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v5, "ask", lambda *_: Nodes(b"1", tester5.MAX_TOTAL + 1, []))
    monkeypatch.setattr(v5, "expect", lambda *_: Nodes(b"1", tester5.MAX_TOTAL + 1, []))
    with pytest.raises(AssertionError, match=f"{tester5.MAX_TOTAL + 1} messages"):
        v5.find_node([256])


@pytest.mark.parametrize("wait", ["await_frame", "await_end"])
def test_messages_do_not_extend_the_wait_of_a_connection(
    wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialed = _Dialed.__new__(_Dialed)
    dialed._frames = _Frames()
    dialed._messages, dialed._events, dialed._is_at_end = [], [], False  # type: ignore[assignment]
    turns = iter(range(MANY))

    def receive(_: object) -> None:
        dialed._messages.append((next(turns), b""))
        dialed._frames.frames_in([(16 + len(dialed._messages), b"")])

    monkeypatch.setattr(dialed, "_receive", receive)
    call = {
        "await_frame": lambda: dialed.await_frame(3, 0.0),
        "await_end": lambda: dialed.await_end(0),
    }
    with pytest.raises(AssertionError, match="did not come|still open"):
        call[wait]()
    assert next(turns) == 1 and dialed._frames.waiting == {}


def test_datagram_that_is_none_of_v4_is_no_fault_of_the_target(
    v4: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WHOAREYOU of discovery v5, on the same port, to an earlier user of ours, was one."""
    pong = wire.encode(KEY, p2p.testing.Pong(NodeEndpoint(None, 1, 2), bytes(32), 2**40))
    waiting = [bytes(63), bytes(200), bytes(pong[0]), *[bytes(63)] * MANY]

    class Socket(socket.socket):
        def recvfrom(self, *_: Any) -> Any:
            return waiting.pop(0), (HOST, v4.to.port)

    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        monkeypatch.setattr(v4, "_open_socket", lambda: sock)
        assert isinstance(v4.read_packet(PATIENCE_S).packet, p2p.testing.Pong)
        assert v4.read_packet(0.0) is None and len(waiting) == MANY - 1
