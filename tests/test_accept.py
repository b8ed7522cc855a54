"""``Server.accept``: which peers it returns, and how a wait for one ends."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p import DiscReason
from tests.kit import inspect
from tests.kit.nodes import Nodes, listening, node_at
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually

TEST = p2p.Protocol("test", 1, 8)


def waits(server: p2p.Server) -> bool:
    return bool(inspect.peer_set(server).backlog._changed._waiters)  # type: ignore[attr-defined]


class Waiting:
    """A call of ``accept`` in a thread."""

    def __init__(self, server: p2p.Server) -> None:
        self._outcomes: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(server,))
        self._thread.start()
        eventually(lambda: waits(server))

    def _run(self, server: p2p.Server) -> None:
        try:
            self._outcomes.append(server.accept())
        except p2p.P2PError as error:
            self._outcomes.append(error)

    def outcome(self) -> Any:
        self._thread.join(PATIENCE_S)
        return self._outcomes[0]


def leave(remote: Remote) -> None:
    remote.send_disconnect(DiscReason.QUITTING)
    remote.sock.shutdown(socket.SHUT_WR)


@pytest.fixture
def server(nodes: Nodes) -> p2p.Server:
    return nodes.start(protocols=[TEST])


# which peers


def test_inbound_peer_is_accepted(nodes: Nodes, server: p2p.Server) -> None:
    remote = nodes.remote(server).open()
    peer = server.accept(PATIENCE_S)
    assert (peer.id, peer.inbound) == (remote.node.id, True)
    assert server.peers == [peer]
    with peer.open("test") as rw:
        remote.send_payload(3)
        assert rw.read_msg(PATIENCE_S).code == 3
    assert remote.ending() is DiscReason.REQUESTED


def test_call_that_waits_gets_the_peer(nodes: Nodes, server: p2p.Server) -> None:
    waiting = Waiting(server)
    remote = nodes.remote(server).open()
    assert waiting.outcome().id == remote.node.id


def test_peers_are_accepted_in_their_order(nodes: Nodes, server: p2p.Server) -> None:
    remotes = []
    for number in range(3):
        remotes.append(nodes.remote(server).open())
        eventually(lambda number=number: server.peer_count == number + 1)  # type: ignore[misc]
    accepted = [server.accept(PATIENCE_S).id for _ in remotes]
    assert accepted == [remote.node.id for remote in remotes]


def test_peer_that_the_server_has_dialed_by_itself_is_accepted(nodes: Nodes) -> None:
    there = nodes.start()
    here = nodes.start(protocols=[TEST], static_nodes=[there.self])
    peer = here.accept(PATIENCE_S)
    assert (peer.id, peer.static_dialed) == (there.self.id, True)


def test_peer_of_connect_is_not_accepted_here_but_there(nodes: Nodes, server: p2p.Server) -> None:
    here = nodes.start(protocols=[TEST])
    here.connect(server.self, timeout=PATIENCE_S)
    assert server.accept(PATIENCE_S).id == here.self.id
    with pytest.raises(p2p.Timeout):
        here.accept(0)


def test_inbound_peer_that_connect_returns_is_not_accepted(
    nodes: Nodes, server: p2p.Server
) -> None:
    """The node has dialed us while we dial it, and its connection stays."""
    key, peers = p2p.generate_key(), []
    with listening() as sock:
        node = node_at(sock, key)
        dialing = threading.Thread(target=lambda: peers.append(server.connect(node, PATIENCE_S)))
        dialing.start()
        with sock.accept()[0]:  # which says nothing, and is closed
            nodes.remote(server, key=key).open()
            eventually(lambda: server.peer_count == 1)
        dialing.join(PATIENCE_S)
    assert [peer.inbound for peer in peers] == [True]
    with pytest.raises(p2p.Timeout):
        server.accept(0)


def test_peer_that_connect_has_not_returned_is_accepted(nodes: Nodes) -> None:
    """The node has dialed us while we dialed it, and our time was up before our dial was over."""
    clock, key, errors = p2p.testing.SimulatedClock(), p2p.generate_key(), []
    server = nodes.start(protocols=[TEST], clock=clock)

    def dial(node: p2p.Node) -> None:
        try:
            server.connect(node, timeout=3.0)
        except p2p.errors.DialTimeout as error:
            errors.append(error)

    with listening() as sock:
        dialing = threading.Thread(target=dial, args=(node_at(sock, key),))
        dialing.start()
        with sock.accept()[0]:  # which says nothing
            remote = nodes.remote(server, key=key).open()
            eventually(lambda: server.peer_count == 1)
            with pytest.raises(p2p.Timeout):
                server.accept(0)
            clock.advance(3.0)
            peer = server.accept(PATIENCE_S)
        dialing.join(PATIENCE_S)
    assert (peer.id, len(errors)) == (remote.node.id, 1)
    with pytest.raises(p2p.Timeout):
        server.accept(0)


def test_each_peer_is_returned_once_when_both_nodes_dial(nodes: Nodes) -> None:
    for _ in range(5):
        one, other = nodes.start(protocols=[TEST]), nodes.start(protocols=[TEST])
        outcomes: list[tuple[p2p.Server, bool]] = []

        def dial(here: p2p.Server, there: p2p.Server) -> None:
            try:
                here.connect(there.self, timeout=PATIENCE_S)
                outcomes.append((here, True))  # noqa: B023
            except p2p.errors.AlreadyConnected:
                outcomes.append((here, False))  # noqa: B023

        pairs = ((one, other), (other, one))
        threads = [threading.Thread(target=dial, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(outcomes) == 2
        for here, connected in outcomes:
            if not connected:
                here.accept(PATIENCE_S)
            with pytest.raises(p2p.Timeout):
                here.accept(0)
        one.stop()
        other.stop()


def test_peer_whose_protocol_was_opened_is_not_accepted(nodes: Nodes, server: p2p.Server) -> None:
    nodes.remote(server).open()
    eventually(lambda: server.peer_count == 1)
    server.peers[0].open("test")
    with pytest.raises(p2p.Timeout, match="^no peer came within 0 s$"):
        server.accept(0)


def test_peer_whose_protocols_all_have_handlers_is_not_accepted(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol(), p2p.Protocol("more", 1, 8)])
    handled = nodes.remote(server, caps=[("test", 1)]).open()
    talks.next()
    mixed = nodes.remote(server, caps=[("test", 1), ("more", 1)]).open()
    assert server.accept(PATIENCE_S).id == mixed.node.id
    assert talks.next().peer.id == mixed.node.id
    with pytest.raises(p2p.Timeout):
        server.accept(0)
    assert {peer.id for peer in server.peers} == {handled.node.id, mixed.node.id}


def test_peer_that_has_left_is_accepted_and_read(nodes: Nodes, server: p2p.Server) -> None:
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    remote.send_payload(5)
    leave(remote)
    assert [events.get(PATIENCE_S).type, events.get(PATIENCE_S).type] == ["add", "drop"]
    rw = server.accept(0).open("test")
    assert rw.read_msg(0).code == 5
    with pytest.raises(p2p.PeerDisconnected) as left:
        rw.read_msg(0)
    assert (left.value.reason, left.value.by_remote) == (DiscReason.QUITTING, True)


def test_peers_that_have_left_are_bounded(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "p2p")
    server = nodes.start(protocols=[TEST], max_peers=4, max_pending_peers=2, dial_ratio=2)
    events = server.subscribe_events()
    remotes = []
    for _ in range(7):
        remotes.append(nodes.remote(server).open())
        assert events.get(PATIENCE_S).type == "add"
        leave(remotes[-1])
        assert events.get(PATIENCE_S).type == "drop"
    accepted = [server.accept(0).id for _ in range(5)]
    assert accepted == [remote.node.id for remote in remotes[2:]]
    with pytest.raises(p2p.Timeout):
        server.accept(0)
    for remote in remotes[:2]:
        assert f"peer {remote.node.id.short}" in caplog.text
    assert caplog.text.count("has left before it was accepted") == 2


# the end of a wait


def test_stop_wakes_each_call(nodes: Nodes, server: p2p.Server) -> None:
    waiting = [Waiting(server) for _ in range(2)]
    assert server.stop() == []
    for call in waiting:
        assert isinstance(call.outcome(), p2p.ServerStopped)
    with pytest.raises(p2p.ServerStopped):
        server.accept()


@pytest.mark.usefixtures("short_linger")
def test_stop_does_not_wait_for_a_handler_that_accepts(nodes: Nodes) -> None:
    outcomes: list[BaseException] = []

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        try:
            server.accept()
        except p2p.ServerStopped as error:
            outcomes.append(error)

    server = nodes.start(protocols=[TEST, p2p.Protocol("more", 1, 8, run)])
    nodes.remote(server, caps=[("more", 1)]).open()
    eventually(lambda: waits(server))
    assert server.stop() == []
    assert len(outcomes) == 1


def test_crash_wakes_each_call(server: p2p.Server) -> None:
    waiting = Waiting(server)
    fault = ValueError("a fault")

    def fail() -> None:
        raise fault

    inspect.post(server, fail)
    error = waiting.outcome()
    assert isinstance(error, p2p.LoopCrashed)
    assert error.__cause__ is fault
    for _ in range(2):
        with pytest.raises(p2p.LoopCrashed):
            server.accept()
        server.stop()


@pytest.mark.usefixtures("short_linger")
def test_ctrl_c_ends_the_wait_and_harms_nothing(nodes: Nodes, server: p2p.Server) -> None:
    main = threading.main_thread().ident or 0

    def press() -> None:
        eventually(lambda: waits(server))
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        server.accept()
    presser.join(PATIENCE_S)
    remote = nodes.remote(server).open()
    assert server.accept(PATIENCE_S).id == remote.node.id
    assert server.stop() == []


def test_time_runs_out(server: p2p.Server) -> None:
    with pytest.raises(p2p.Timeout, match=r"^no peer came within 0.01 s$"):
        server.accept(timeout=0.01)


# refused


def test_accept_before_the_start(nodes: Nodes) -> None:
    with pytest.raises(p2p.errors.ServerStateError, match=r"call start\(\) first"):
        nodes.new(protocols=[TEST]).accept()


@pytest.mark.parametrize("protocols", [[], ["handled"]], ids=str)
def test_accept_where_no_peer_can_be_talked_to(nodes: Nodes, protocols: list[str]) -> None:
    made = [nodes.talks().protocol(name) for name in protocols]
    refusal = "^accept: wanted a protocol without a handler"
    with pytest.raises(p2p.ConfigError, match=refusal):
        nodes.start(protocols=made).accept()


@pytest.mark.parametrize("timeout", ["soon", b"", [1], float("nan")], ids=repr)
def test_timeout_that_is_no_number(server: p2p.Server, timeout: Any) -> None:
    with pytest.raises(p2p.errors.ArgumentError, match="^timeout: wanted"):
        server.accept(timeout)
