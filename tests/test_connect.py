"""``connect`` returns the running peer, or raises the error that says why there is none.

Also the attempts that the server remembers, and dialers of the user's own.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

import p2p
import p2p.testing
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes, await_event, closed_port, listening, node_at
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually


class Dialing:
    """A ``connect`` under way in a thread."""

    def __init__(self, server: p2p.Server, node: p2p.Node, timeout: float = PATIENCE_S) -> None:
        self._outcome: Future[p2p.Peer] = Future()

        def run() -> None:
            try:
                self._outcome.set_result(server.connect(node, timeout=timeout))
            except BaseException as error:
                self._outcome.set_exception(error)

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def peer(self) -> p2p.Peer:
        peer = self._outcome.result(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        return peer

    def error(self) -> Any:
        error = self._outcome.exception(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        assert error is not None, "it connected"
        return error


class ByHand:
    """A dialer that the test plays: ``dial`` asks ``answer``."""

    def __init__(self, answer: Callable[[p2p.Node, float], Any]) -> None:
        self.dial = answer


def to_loopback(port: int) -> ByHand:
    """A dialer for which every address is this port of this machine."""
    return ByHand(lambda node, timeout_s: socket.create_connection((HOST, port), timeout_s))


def await_waiters(server: p2p.Server, node: p2p.Node, number: int) -> None:
    """Until so many calls of ``connect`` wait for the dial of ``node``."""
    eventually(lambda: len(inspect.dials(server)[node.id].waiters) >= number)


def refused(server: p2p.Server, node: p2p.Node, timeout: float = PATIENCE_S) -> Any:
    """The error with which ``connect`` fails; the attempt must have been remembered with it."""
    with pytest.raises(p2p.ConnectError) as raised:
        server.connect(node, timeout=timeout)
    assert_remembered(server, node, raised.value)
    return raised.value


def assert_remembered(server: p2p.Server, node: p2p.Node, error: p2p.ConnectError) -> None:
    """The last attempt to dial ``node`` has failed of this."""
    last = server.dial_attempts(node)[-1].error
    assert last is not None
    assert (type(last), str(last), last.step) == (type(error), str(error), error.step)


@contextmanager
def full_backlog() -> Iterator[socket.socket]:
    """A listening socket that the kernel makes no more connections for."""
    with (
        listening(backlog=0) as listener,
        socket.create_connection(listener.getsockname(), PATIENCE_S),
    ):
        # One fits. Until it has its place, others would find room as well.
        assert select.select([listener], [], [], PATIENCE_S)[0]
        yield listener


# success


def test_connect_returns_the_running_peer(nodes: Nodes) -> None:
    talks = nodes.talks()
    here = nodes.start(listen_addr=None, protocols=[talks.protocol()])
    there = nodes.start(name="there")
    peer = here.connect(there.self)
    assert peer is talks.next().peer
    assert here.peers == [peer]
    assert (peer.name, peer.id, peer.inbound) == ("there", there.self.id, False)
    (attempt,) = here.dial_attempts(there.self)
    assert (attempt.outcome, attempt.step, attempt.error) == (
        "connected",
        p2p.errors.DialStep.CONNECTED,
        None,
    )


@pytest.mark.parametrize("form", ["url", "record"])
def test_node_may_come_from_text(nodes: Nodes, form: str) -> None:
    there = nodes.start()
    text = there.self.url if form == "url" else str(there.self)
    here = nodes.start()
    assert here.connect(p2p.parse_node(text)).id == there.self.id


def test_host_name_is_looked_up(nodes: Nodes) -> None:
    there = nodes.start()
    node = p2p.Node.from_parts(there.self.public_key, None, there.self.tcp)
    here = nodes.start()
    peer = here.connect(node.with_hostname("localhost"))
    assert peer.remote_addr == there.self.tcp_endpoint
    assert here.dial_attempts(node)[0].address == there.self.tcp_endpoint


def test_connect_joins_a_dial_under_way(nodes: Nodes) -> None:
    talks = nodes.talks()
    here = nodes.start(listen_addr=None, protocols=[talks.protocol()])
    key = p2p.generate_key()
    with listening() as listener:
        node = node_at(listener, key)
        first = Dialing(here, node)
        sock, _ = listener.accept()
        remote = nodes.adopt(Remote(sock, key=key))
        others = [Dialing(here, node) for _ in range(3)]
        await_waiters(here, node, 4)
        remote.open()
        peers = [dialing.peer() for dialing in (first, *others)]
    assert len(set(map(id, peers))) == 1
    assert len(here.dial_attempts(node)) == 1


def test_static_dial_is_joined(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    key = p2p.generate_key()
    with listening() as listener:
        node = node_at(listener, key)
        here.add_peer(node)
        sock, _ = listener.accept()
        dialing = Dialing(here, node)
        await_waiters(here, node, 1)
        nodes.adopt(Remote(sock, key=key)).open()
        assert dialing.peer().static_dialed


def test_connect_works_from_a_handler(nodes: Nodes) -> None:
    third = nodes.start(name="third")
    found: Future[str] = Future()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        if peer.inbound:
            found.set_result(server.connect(third.self).name)
        else:
            assert list(rw) == []

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    nodes.remote(server).open()
    assert found.result(PATIENCE_S) == "third"


def test_connect_works_with_no_dial(nodes: Nodes) -> None:
    """The option is about what the server dials by itself."""
    here = nodes.start(no_dial=True)
    assert here.connect(nodes.start().self).dyn_dialed


# before a packet is sent


def test_own_node_is_not_dialed(nodes: Nodes) -> None:
    here = nodes.start()
    error = refused(here, here.self)
    assert (type(error), error.step) == (p2p.errors.IsSelf, p2p.errors.DialStep.CHECK)


@pytest.mark.parametrize("ip, port", [(None, 30303), ("0.0.0.0", 30303), (HOST, 0)])
def test_node_without_an_endpoint_is_not_dialed(nodes: Nodes, ip: str | None, port: int) -> None:
    here = nodes.start()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, ip, port)
    error = refused(here, node)
    assert (type(error), error.step) == (p2p.errors.NoEndpoint, p2p.errors.DialStep.CHECK)


def test_peer_is_not_dialed_again(nodes: Nodes) -> None:
    here, there = nodes.pair()
    error = refused(here.server, there.server.self)
    assert (type(error), error.step) == (p2p.errors.AlreadyConnected, p2p.errors.DialStep.CHECK)
    error = refused(there.server, there.peer.node)
    assert type(error) is p2p.errors.AlreadyConnected


def test_handshake_in_the_name_of_a_node_does_not_keep_it_from_being_dialed(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.peers.holds.HOLD_S", 0.1)
    here, there = nodes.start(), nodes.start()
    forger = nodes.remote(here, key=there.config.private_key)
    forger.shake_hands()  # as far as one gets without the key
    assert here.connect(there.self, timeout=PATIENCE_S).id == there.self.id


def test_address_outside_net_restrict_is_not_dialed(nodes: Nodes) -> None:
    here = nodes.start(net_restrict="10.0.0.0/8, fd00::/8", listen_addr=None)
    with listening() as listener:
        error = refused(here, node_at(listener))
        assert (type(error), error.step) == (p2p.errors.NetRestricted, p2p.errors.DialStep.CHECK)
        assert "10.0.0.0/8" in str(error) and HOST in str(error)


def test_host_name_that_leads_outside_net_restrict_is_not_dialed(nodes: Nodes) -> None:
    here = nodes.start(net_restrict="10.0.0.0/8", listen_addr=None)
    with listening() as listener:
        node = node_at(listener).with_ip(None).with_hostname("localhost")
        assert type(refused(here, node)) is p2p.errors.NetRestricted
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_full_server_dials_nobody(nodes: Nodes) -> None:
    here = nodes.start(max_peers=1)
    here.connect(nodes.start().self)
    with listening() as listener:
        error = refused(here, node_at(listener))
        assert (type(error), error.step) == (p2p.errors.TooManyPeers, p2p.errors.DialStep.CHECK)


def test_server_that_wants_no_peers_has_too_many(nodes: Nodes) -> None:
    here = nodes.start(max_peers=0)
    assert type(refused(here, nodes.start().self)) is p2p.errors.TooManyPeers


def test_full_server_dials_a_trusted_node(nodes: Nodes) -> None:
    here = nodes.start(max_peers=1)
    here.connect(nodes.start().self)
    third = nodes.start().self
    here.add_trusted_peer(third)
    assert here.connect(third).trusted
    assert here.peer_count == 2


def test_lan_address_is_dialed_as_often_as_one_likes(nodes: Nodes) -> None:
    here = nodes.start()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    for _ in range(3):
        assert type(refused(here, node)) is p2p.errors.DialRefused


# the name and the TCP connection


def test_name_without_address(nodes: Nodes) -> None:
    here = nodes.start()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, None, 30303)
    error = refused(here, node.with_hostname("nobody.invalid"))
    assert (type(error), error.step) == (p2p.errors.NameNotResolved, p2p.errors.DialStep.RESOLVE)
    assert "nobody.invalid" in str(error)


def test_port_nobody_listens_on_refuses(nodes: Nodes) -> None:
    here = nodes.start()
    port = closed_port()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, port)
    error = refused(here, node)
    assert (type(error), error.step) == (p2p.errors.DialRefused, p2p.errors.DialStep.TCP)
    assert f"{HOST}:{port}" in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_address_that_cannot_be_reached(nodes: Nodes) -> None:
    here = nodes.start()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, "255.255.255.255", 30303)
    error = refused(here, node)
    assert (type(error), error.step) == (p2p.errors.Unreachable, p2p.errors.DialStep.TCP)


def test_no_tcp_connection_in_time(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    with full_backlog() as listener:
        error = refused(here, node_at(listener), timeout=0.1)
    assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.TCP)
    assert isinstance(error, TimeoutError)
    assert "no TCP connection within 0.1 s" in str(error)


def test_tcp_connection_has_15_s_at_most(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(listen_addr=None, clock=clock)
    with full_backlog() as listener:
        dialing = Dialing(here, node_at(listener), timeout=100)
        eventually(lambda: inspect.dials(here))
        clock.advance(15)
        error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.TCP)


# the handshake


def test_no_ack_within_5_s(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(listen_addr=None, clock=clock)
    with listening() as listener:
        dialing = Dialing(here, node_at(listener))
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            assert sock.recv(1)  # the auth
            clock.advance(5)
            error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.ACK)
    assert str(error) == "no answer to the handshake (ack) in 5 s"


def test_no_ack_within_the_time_of_the_caller(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(listen_addr=None, clock=clock)
    with listening() as listener:
        node = node_at(listener)
        dialing = Dialing(here, node, timeout=0.1)
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            assert sock.recv(1)  # the auth
            clock.advance(0.1)
            error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.ACK)
    assert "no answer to the handshake (ack) within 0.1 s" in str(error)
    assert_remembered(here, node, error)


def test_no_hello_within_5_s(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(listen_addr=None, clock=clock)
    key = p2p.generate_key()
    with listening() as listener:
        dialing = Dialing(here, node_at(listener, key))
        remote = nodes.adopt(Remote(listener.accept()[0], key=key))
        remote.shake_hands()
        assert remote.sock.recv(1)  # our hello; its own is not sent
        clock.advance(5)
        error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.HELLO)


def test_no_hello_within_the_time_of_the_caller(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(listen_addr=None, clock=clock)
    key = p2p.generate_key()
    with listening() as listener:
        node = node_at(listener, key)
        dialing = Dialing(here, node, timeout=0.3)
        remote = nodes.adopt(Remote(listener.accept()[0], key=key))
        remote.shake_hands()
        assert remote.sock.recv(1)  # our hello; its own is not sent
        clock.advance(0.3)
        error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.HELLO)
    assert_remembered(here, node, error)


def test_static_dial_goes_on_when_the_caller_has_no_more_time(nodes: Nodes) -> None:
    talks = nodes.talks()
    here = nodes.start(listen_addr=None, protocols=[talks.protocol()])
    key = p2p.generate_key()
    with listening() as listener:
        here.add_peer(node_at(listener, key))
        sock, _ = listener.accept()
        with pytest.raises(p2p.errors.DialTimeout):
            here.connect(node_at(listener, key), timeout=0.05)
        nodes.adopt(Remote(sock, key=key)).open()
        assert talks.next().peer.static_dialed


def test_node_with_another_key_closes_and_the_text_explains_it(nodes: Nodes) -> None:
    here, there = nodes.start(), nodes.start()
    wrong = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, there.self.tcp)
    error = refused(here, wrong)
    assert (type(error), error.step) == (p2p.errors.ConnectionLost, p2p.errors.DialStep.ACK)
    for words in ("public key is another one", "slots", "30 s"):
        assert words in str(error)
    assert (here.peer_count, there.peer_count) == (0, 0)


def test_connection_that_ends_before_the_hello_is_lost(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    key = p2p.generate_key()
    with listening() as listener:
        dialing = Dialing(here, node_at(listener, key))
        remote = nodes.adopt(Remote(listener.accept()[0], key=key))
        remote.shake_hands()
        remote.sock.close()
        error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.ConnectionLost, p2p.errors.DialStep.HELLO)


def test_hello_that_names_another_key_is_a_wrong_identity(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    key, other = p2p.generate_key(), p2p.generate_key()
    with listening() as listener:
        dialing = Dialing(here, node_at(listener, key))
        node_key = other.public_key.to_bytes()
        remote = nodes.adopt(Remote(listener.accept()[0], key=key, node_key=node_key))
        remote.shake_hands()
        assert remote.ending() is p2p.DiscReason.UNEXPECTED_IDENTITY
        error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.WrongIdentity, p2p.errors.DialStep.HELLO)
    assert isinstance(error.__cause__, p2p.errors.UnexpectedIdentity)


def test_broken_handshake_is_told_with_its_cause(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    with listening() as listener:
        node = node_at(listener)
        dialing = Dialing(here, node)
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"\x00\x00 this is no ack")
            error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.HandshakeFailed, p2p.errors.DialStep.ACK)
    assert isinstance(error.__cause__, p2p.errors.HandshakeError)
    assert type(here.dial_attempts(node)[0].error) is p2p.errors.HandshakeFailed


def test_full_remote_says_so(nodes: Nodes) -> None:
    there = nodes.start(max_peers=0)
    here = nodes.start()
    error = refused(here, there.self)
    assert (type(error), error.reason) == (p2p.errors.RefusedByPeer, p2p.DiscReason.TOO_MANY_PEERS)
    assert error.step is p2p.errors.DialStep.HELLO
    assert "too many peers" in str(error)


@pytest.mark.parametrize("reason", [0x00, 0x04, 0x07, 0x08, 0x0B, 0x42])
@pytest.mark.parametrize("when", ["before hello", "after hello"])
def test_reason_of_the_remote_is_kept(nodes: Nodes, reason: int, when: str) -> None:
    talks = nodes.talks()
    here = nodes.start(listen_addr=None, protocols=[talks.protocol()])
    key = p2p.generate_key()
    with listening() as listener:
        dialing = Dialing(here, node_at(listener, key))
        remote = nodes.adopt(Remote(listener.accept()[0], key=key))
        remote.shake_hands()
        if when == "before hello":
            remote.send_disconnect(reason)
            error = dialing.error()
            assert (type(error), error.reason) == (p2p.errors.RefusedByPeer, reason)
        else:
            # Both hellos have passed, so there is a peer, if only for a moment.
            remote.send_hello()
            remote.expect_hello()
            remote.send_disconnect(reason)
            assert dialing.peer() is talks.next().peer


def test_no_shared_capability_lists_what_both_have(nodes: Nodes) -> None:
    talks = nodes.talks()
    there = nodes.start(protocols=[talks.protocol("foo", 2), talks.protocol("bar", 1)])
    here = nodes.start(protocols=[talks.protocol("foo", 1)])
    error = refused(here, there.self)
    assert (type(error), error.step) == (p2p.errors.NoSharedCapability, p2p.errors.DialStep.HELLO)
    assert error.ours == (p2p.Cap("foo", 1),)
    assert error.theirs == (p2p.Cap("bar", 1), p2p.Cap("foo", 2))
    assert "ours [foo/1], theirs [bar/1, foo/2]" in str(error)


def test_server_that_stops_says_so_to_those_who_wait(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    with listening() as listener:
        dialing = Dialing(here, node_at(listener))
        listener.accept()[0].close()
        dialing.error()
        waiting = Dialing(here, node_at(listener))
        sock, _ = listener.accept()
        with sock:
            here.stop()
        assert type(waiting.error()) is p2p.ServerStopped


def test_own_limit_reached_while_the_connection_was_made(nodes: Nodes) -> None:
    here = nodes.start(max_peers=1)
    events = here.subscribe_events()
    key = p2p.generate_key()
    with listening() as listener:
        dialing = Dialing(here, node_at(listener, key))
        remote = nodes.adopt(Remote(listener.accept()[0], key=key))
        here.connect(nodes.start().self)
        await_event(events, "add")
        remote.shake_hands()
        assert remote.ending() is p2p.DiscReason.TOO_MANY_PEERS
        error = dialing.error()
    assert (type(error), error.step) == (p2p.errors.TooManyPeers, p2p.errors.DialStep.HELLO)


def test_node_that_became_a_peer_in_the_meantime(nodes: Nodes) -> None:
    here = nodes.start()
    events = here.subscribe_events()
    key = p2p.generate_key()
    with listening() as listener:
        node = node_at(listener, key)
        dialing = Dialing(here, node)
        dialed = nodes.adopt(Remote(listener.accept()[0], key=key))
        nodes.remote(here, key=key).open()
        await_event(events, "add")
        dialed.shake_hands()
        assert dialed.ending() is p2p.DiscReason.ALREADY_CONNECTED
        assert dialing.peer() == here.peers[0]
    (attempt,) = here.dial_attempts(node)
    assert isinstance(attempt.error, p2p.errors.AlreadyConnected)


# a dialer of the user's own


def test_dialer_opens_the_connections(nodes: Nodes) -> None:
    there = nodes.start()
    asked: list[tuple[p2p.Node, float]] = []

    def dial(node: p2p.Node, timeout_s: float) -> socket.socket:
        asked.append((node, timeout_s))
        assert threading.current_thread().name == f"p2p-dial-{node.id.short}"
        return socket.create_connection((HOST, there.self.tcp), timeout_s)

    here = nodes.start(listen_addr=None, dialer=ByHand(dial))
    node = p2p.Node.from_parts(there.self.public_key, "8.8.8.8", 1)
    peer = here.connect(node)
    assert peer.id == node.id
    assert asked == [(node, 15.0)]


def test_dialer_may_return_any_stream_socket(nodes: Nodes) -> None:
    key = p2p.generate_key()
    ours, theirs = socket.socketpair()
    theirs_remote = nodes.adopt(Remote(theirs, key=key))
    here = nodes.start(listen_addr=None, dialer=ByHand(lambda node, timeout_s: ours))
    dialing = Dialing(here, p2p.Node.from_parts(key.public_key, HOST, 1))
    theirs_remote.open()
    assert dialing.peer().id == p2p.NodeID.from_public_key(key.public_key)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), p2p.errors.DialRefused),
        (TimeoutError("slow"), p2p.errors.DialTimeout),
        (OSError(errno.EHOSTUNREACH, "no way"), p2p.errors.Unreachable),
        (OSError("odd"), p2p.errors.Unreachable),
        (ValueError("a fault of the dialer"), p2p.errors.Unreachable),
        (SystemExit(1), p2p.errors.Unreachable),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_error_of_the_dialer_is_named(
    nodes: Nodes, error: BaseException, kind: type[p2p.ConnectError]
) -> None:
    def dial(node: p2p.Node, timeout_s: float) -> socket.socket:
        raise error

    here = nodes.start(listen_addr=None, dialer=ByHand(dial))
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 1)
    raised = refused(here, node)
    assert (type(raised), raised.step) == (kind, p2p.errors.DialStep.TCP)
    assert here.dial_attempts(node) and here.peers == []


def test_request_that_fails_in_whatever_way_ends_for_its_caller(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*args: object) -> None:
        raise SystemExit(1)

    here, there = nodes.start(), nodes.start()
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(inspect.dialing(here), "connect", leave)
        here.connect(there.self, timeout=PATIENCE_S)
    assert here.connect(there.self, timeout=PATIENCE_S).id == there.self.id


def test_fault_of_the_dialer_is_logged_with_its_traceback(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    def dial(node: p2p.Node, timeout_s: float) -> socket.socket:
        raise ZeroDivisionError

    here = nodes.start(listen_addr=None, dialer=ByHand(dial))
    refused(here, p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 1))
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "the dialer failed" in record.getMessage()


@pytest.mark.parametrize("value", [None, "socket", 7])
def test_dialer_that_returns_no_socket_harms_nobody(nodes: Nodes, value: object) -> None:
    here = nodes.start(dialer=ByHand(lambda node, timeout_s: value))
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 1)
    assert type(refused(here, node)) is p2p.errors.Unreachable
    nodes.remote(here).open()


def test_dialer_that_returns_a_closed_socket_harms_nobody(nodes: Nodes) -> None:
    closed = socket.socket()
    closed.close()
    here = nodes.start(dialer=ByHand(lambda node, timeout_s: closed))
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 1)
    assert isinstance(refused(here, node), p2p.ConnectError)
    nodes.remote(here).open()


def test_dialer_that_blocks_is_given_up(nodes: Nodes) -> None:
    release = threading.Event()

    def dial(node: p2p.Node, timeout_s: float) -> socket.socket:
        release.wait(PATIENCE_S)
        return socket.create_connection(listener.getsockname(), PATIENCE_S)

    with listening() as listener:
        here = nodes.start(listen_addr=None, dialer=ByHand(dial))
        error = refused(here, node_at(listener), timeout=0.05)
        assert (type(error), error.step) == (p2p.errors.DialTimeout, p2p.errors.DialStep.TCP)
        release.set()
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            assert sock.recv(1) == b""  # what came too late is closed
    assert here.peers == []


def test_death_of_the_io_thread_is_told_to_those_who_wait(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    here = nodes.start(listen_addr=None)
    fault = ZeroDivisionError("injected")

    def fail() -> None:
        raise fault

    with listening() as listener:
        dialing = Dialing(here, node_at(listener))
        listener.accept()[0].close()
        dialing.error()
        waiting = Dialing(here, node_at(listener))
        sock, _ = listener.accept()
        with sock:
            inspect.post(here, fail)
            error = waiting.error()
    assert type(error) is p2p.LoopCrashed
    assert error.__cause__ is fault
    with pytest.raises(p2p.LoopCrashed):
        here.wait()


# the attempts


def test_attempts_tell_time_address_step_and_outcome(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(listen_addr=None, clock=clock)
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    assert here.dial_attempts(node) == []
    for _ in range(2):
        refused(here, node)
        clock.advance(60)
    first, second = here.dial_attempts(node)
    assert second.time_unix - first.time_unix == 60
    assert (first.address, first.step) == (node.tcp_endpoint, p2p.errors.DialStep.TCP)
    assert first.outcome.startswith("tcp: DialRefused: ")


def test_attempts_are_bounded(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    for _ in range(12):
        refused(here, node)
    assert len(here.dial_attempts(node)) == 10
    other = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    assert here.dial_attempts(other) == []


def test_attempts_of_static_dials_are_remembered_too(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    here.add_peer(node)
    eventually(lambda: here.dial_attempts(node))
    assert type(here.dial_attempts(node)[0].error) is p2p.errors.DialRefused
