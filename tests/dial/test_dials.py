"""Dials: each way to fail has its own error, and every attempt is remembered."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

import p2p
import p2p.testing
from p2p import Cap, DiscReason
from p2p.codec import encode
from p2p.config import Config
from p2p.dial.failures import session_error, step_of, tcp_error
from p2p.errors import DialStep
from p2p.peers.phase import Ending
from p2p.peers.session import Session
from p2p.rlpx import Hello, State
from tests.kit import inspect
from tests.kit.remote import Remote, RemoteListener
from tests.kit.target import Inbox, Target, dial, talk, target
from tests.kit.waiting import PATIENCE_S, eventually

KEY = p2p.generate_key()
CONFIG = Config(
    private_key=KEY, name="us", max_peers=1, protocols=[p2p.Protocol("test", 1, 1, Inbox().run)]
)


# the mapping


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), p2p.errors.DialRefused),
        (TimeoutError(errno.ETIMEDOUT, "late"), p2p.errors.DialTimeout),
        (OSError(errno.ENETUNREACH, "no way"), p2p.errors.Unreachable),
        (OSError(errno.EHOSTUNREACH, "no way"), p2p.errors.Unreachable),
        (ConnectionResetError(errno.ECONNRESET, "reset"), p2p.errors.Unreachable),
        (OSError(errno.EMFILE, "no descriptors"), p2p.errors.Unreachable),
        (OSError("a dialer's own words"), p2p.errors.Unreachable),
    ],
    ids=repr,
)
def test_error_of_tcp_has_its_connect_error(error: OSError, kind: type[p2p.ConnectError]) -> None:
    made = tcp_error(error)
    assert type(made) is kind
    assert made.step is DialStep.TCP
    assert made.__cause__ is error
    assert str(error) in str(made)


@dataclass
class Machine:
    remote_hello: Hello | None
    last_state: State
    state: State


@dataclass
class Ended:
    """What the mapping looks at of a session that has ended."""

    ending: Ending
    machine: Machine


def error_of(
    ending: Ending, hello: Hello | None = None, state: State = State.AWAIT_HELLO
) -> p2p.ConnectError:
    ended = Ended(ending, Machine(hello, ending.state, state))
    return session_error(cast(Session, ended), CONFIG)


ACK, HELLO = DialStep.ACK, DialStep.HELLO
AWAIT_ACK, AWAIT_HELLO = State.AWAIT_ACK, State.AWAIT_HELLO
CAUSED: list[tuple[Ending, type[p2p.ConnectError]]] = [
    (
        Ending(DiscReason.READ_TIMEOUT, False, state, p2p.errors.RemoteTimeout("late")),
        p2p.errors.DialTimeout,
    )
    for state in (AWAIT_ACK, AWAIT_HELLO)
] + [
    (
        Ending(
            DiscReason.PROTOCOL_ERROR,
            False,
            AWAIT_ACK,
            p2p.errors.HandshakeError("ack is malformed"),
        ),
        p2p.errors.HandshakeFailed,
    ),
    (
        Ending(DiscReason.PROTOCOL_ERROR, False, AWAIT_HELLO, p2p.errors.FrameError("bad MAC")),
        p2p.errors.HandshakeFailed,
    ),
    (
        Ending(DiscReason.PROTOCOL_ERROR, False, AWAIT_HELLO, p2p.errors.HelloError("malformed")),
        p2p.errors.HandshakeFailed,
    ),
    (
        Ending(
            DiscReason.INVALID_IDENTITY, False, AWAIT_HELLO, p2p.errors.InvalidIdentity("no key")
        ),
        p2p.errors.HandshakeFailed,
    ),
    (
        Ending(
            DiscReason.UNEXPECTED_IDENTITY,
            False,
            AWAIT_HELLO,
            p2p.errors.UnexpectedIdentity("other"),
        ),
        p2p.errors.WrongIdentity,
    ),
    (
        Ending(DiscReason.NETWORK_ERROR, True, AWAIT_ACK, ConnectionResetError("reset")),
        p2p.errors.ConnectionLost,
    ),
]


@pytest.mark.parametrize(("ending", "kind"), CAUSED, ids=str)
def test_ending_with_a_cause_has_its_connect_error(
    ending: Ending, kind: type[p2p.ConnectError]
) -> None:
    made = error_of(ending)
    assert type(made) is kind
    assert made.step is step_of(ending.state)
    assert made.__cause__ is ending.cause


@pytest.mark.parametrize(("state", "step"), [(AWAIT_ACK, ACK), (AWAIT_HELLO, HELLO)])
def test_end_of_data_is_a_lost_connection(state: State, step: DialStep) -> None:
    made = error_of(Ending(DiscReason.NETWORK_ERROR, True, state))
    assert (type(made), made.step) == (p2p.errors.ConnectionLost, step)
    assert f"closed the connection where {step} was expected" in str(made)


def test_lost_connection_before_the_ack_names_the_likely_reasons() -> None:
    text = str(error_of(Ending(DiscReason.NETWORK_ERROR, True, AWAIT_ACK)))
    assert "public key" in text and "30 s" in text


@pytest.mark.parametrize("reason", DiscReason, ids=str)
def test_disconnect_of_the_remote_is_a_refusal_with_its_reason(reason: DiscReason) -> None:
    made = error_of(Ending(reason, True, AWAIT_HELLO), state=State.CLOSED)
    assert isinstance(made, p2p.errors.RefusedByPeer)
    assert (made.reason, made.step) == (reason, HELLO)


def test_our_refusals_have_their_connect_errors() -> None:
    theirs = [Cap("eth", 68), Cap("snap", 1)]
    hello = Hello(5, "x", theirs, 0, bytes(64))
    useless = error_of(Ending(DiscReason.USELESS_PEER, False, AWAIT_HELLO), hello)
    assert isinstance(useless, p2p.errors.NoSharedCapability)
    assert (useless.ours, useless.theirs) == ((Cap("test", 1),), tuple(theirs))
    assert str(useless) == "no capability in common: ours [test/1], theirs [eth/68, snap/1]"
    for reason, kind in (
        (DiscReason.TOO_MANY_PEERS, p2p.errors.TooManyPeers),
        (DiscReason.ALREADY_CONNECTED, p2p.errors.AlreadyConnected),
        (DiscReason.SELF, p2p.errors.IsSelf),
        (DiscReason.REQUESTED, p2p.errors.ConnectionLost),
    ):
        made = error_of(Ending(reason, False, AWAIT_HELLO), hello)
        assert (type(made), made.step) == (kind, HELLO)


# against a remote that we dial


@pytest.fixture
def listener() -> Iterator[RemoteListener]:
    with RemoteListener() as made:
        yield made


@pytest.fixture
def victim() -> Iterator[Target]:
    with target() as made:
        yield made


def outcome(
    victim: Target, listener: RemoteListener, play: Callable[[Remote], object], **options: Any
) -> p2p.ConnectError:
    """Dial the listener, which plays its part; the error, after all else is gone."""
    join = dial(victim, listener.node)
    with listener.accept(**options) as remote:
        play(remote)
        error = join()
    assert isinstance(error, p2p.ConnectError), repr(error)
    victim.await_quiet()
    attempt = victim.server.dial_attempts(listener.node)[-1]
    assert (type(attempt.error), attempt.step) == (type(error), error.step)
    assert str(attempt.error) == str(error)
    return error


def test_closed_port_is_refused(victim: Target, listener: RemoteListener) -> None:
    node = listener.node
    listener.close()
    with pytest.raises(p2p.errors.DialRefused) as raised:
        victim.server.connect(node)
    assert raised.value.step is DialStep.TCP


def test_garbage_for_an_ack_is_a_failed_handshake(
    victim: Target, listener: RemoteListener
) -> None:
    error = outcome(victim, listener, lambda remote: remote.send_raw(b"\x01\x00" + bytes(300)))
    assert type(error) is p2p.errors.HandshakeFailed
    assert error.step is ACK and isinstance(error.__cause__, p2p.errors.HandshakeError)


def test_replayed_ack_is_a_failed_handshake(victim: Target, listener: RemoteListener) -> None:
    acks: list[bytes] = []

    def record(remote: Remote) -> None:
        remote.receive()
        acks.append(remote.pending())
        remote.send_raw(acks[0])
        remote.sock.close()

    outcome(victim, listener, record)
    victim.clock.advance(60.0)
    error = outcome(victim, listener, lambda remote: remote.send_raw(acks[0] + bytes(64)))
    # The ack is genuine, but its secrets are those of another connection.
    assert type(error) is p2p.errors.HandshakeFailed
    assert error.step is HELLO and isinstance(error.__cause__, p2p.errors.FrameError)


def test_flipped_bit_in_the_ack_is_a_failed_handshake(
    victim: Target, listener: RemoteListener
) -> None:
    def play(remote: Remote) -> None:
        remote.receive()
        ack = bytearray(remote.pending())
        ack[-1] ^= 1
        remote.send_raw(bytes(ack))

    error = outcome(victim, listener, play)
    assert (type(error), error.step) == (p2p.errors.HandshakeFailed, ACK)


def test_flipped_bit_in_the_hello_is_a_failed_handshake(
    victim: Target, listener: RemoteListener
) -> None:
    def play(remote: Remote) -> None:
        remote.shake_hands()
        frame = bytearray(remote.frame(0, b"\xc0"))
        frame[-1] ^= 1
        remote.send_raw(bytes(frame))

    error = outcome(victim, listener, play)
    assert (type(error), error.step) == (p2p.errors.HandshakeFailed, HELLO)
    assert isinstance(error.__cause__, p2p.errors.FrameError)


def test_hello_of_another_node_is_a_wrong_identity(
    victim: Target, listener: RemoteListener
) -> None:
    other = p2p.generate_key().public_key.to_bytes()

    def play(remote: Remote) -> None:
        remote.shake_hands()
        remote.send_hello(encode([5, "x", [["test", 1]], 0, other]))

    error = outcome(victim, listener, play)
    assert (type(error), error.step) == (p2p.errors.WrongIdentity, HELLO)


def test_another_key_behind_the_address_is_a_lost_connection(
    victim: Target, listener: RemoteListener
) -> None:
    """It cannot read our auth, and tells nothing: the text says what it may be."""

    def play(remote: Remote) -> None:
        remote.receive()
        assert isinstance(remote.await_failure().error, p2p.errors.HandshakeError)
        remote.sock.close()

    error = outcome(victim, listener, play, key=p2p.generate_key())
    assert (type(error), error.step) == (p2p.errors.ConnectionLost, ACK)
    assert "public key" in str(error)


def test_no_shared_capability_tells_both_lists(victim: Target, listener: RemoteListener) -> None:
    def play(remote: Remote) -> None:
        remote.shake_hands()
        remote.send_hello()
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.USELESS_PEER

    error = outcome(victim, listener, play, caps=[Cap("eth", 68)])
    assert isinstance(error, p2p.errors.NoSharedCapability)
    assert error.ours == (Cap("talk", 1), Cap("test", 1))
    assert error.theirs == (Cap("eth", 68),)


def test_capabilities_of_a_stranger_are_escaped_and_cut_in_errors_and_log(
    victim: Target, listener: RemoteListener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "p2p")
    caps = [Cap("\x1b[31mred\r\n", 1)] + [Cap("\u202e" * 3, n) for n in range(60)]

    def play(remote: Remote) -> None:
        remote.shake_hands()
        remote.send_hello()

    error = outcome(victim, listener, play, caps=caps)
    assert isinstance(error, p2p.errors.NoSharedCapability)
    assert error.theirs == tuple(caps)
    shown = [str(error), *(record.getMessage() for record in caplog.records)]
    assert all(text.isprintable() for text in shown), shown
    assert all(len(text) < 1000 for text in shown)


@pytest.mark.parametrize("reason", [0, 1, 3, 4, 5, 8, 0x10, 0x42])
def test_disconnect_before_hello_is_a_refusal_with_its_reason(
    victim: Target, listener: RemoteListener, reason: int
) -> None:
    def play(remote: Remote) -> None:
        remote.shake_hands()
        remote.say_disconnect(encode([reason]))

    error = outcome(victim, listener, play)
    assert isinstance(error, p2p.errors.RefusedByPeer), repr(error)
    assert (error.reason, error.step) == (reason, HELLO)


def test_connect_gives_up_at_its_own_timeout(victim: Target, listener: RemoteListener) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            victim.server.connect(listener.node, timeout=2.0)
        except p2p.ConnectError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with listener.accept() as remote:
        remote.receive()
        victim.clock.advance(2.0)
        thread.join(PATIENCE_S)
    (error,) = errors
    assert isinstance(error, p2p.errors.DialTimeout)
    assert error.step is ACK and "within 2 s" in str(error)
    victim.await_quiet()


def test_two_connects_to_one_node_share_the_dial(victim: Target, listener: RemoteListener) -> None:
    peers: list[p2p.Peer] = []
    threads = [
        threading.Thread(target=lambda: peers.append(victim.server.connect(listener.node)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: [len(d.waiters) for d in inspect.dials(victim.server).values()] == [3])
    with listener.accept() as remote:
        remote.open()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert peers == [victim.server.peers[0]] * 3


def test_node_that_connects_during_the_dial_is_the_peer(
    victim: Target, listener: RemoteListener
) -> None:
    join = dial(victim, listener.node)
    with listener.accept() as dialed, victim.attack(key=listener.key) as inbound:
        inbound.open()
        eventually(lambda: victim.server.peer_count == 1)
        dialed.shake_hands()
        assert dialed.disconnect_reason() is DiscReason.ALREADY_CONNECTED
        dialed.sock.close()
        assert join() is None
        (attempt,) = victim.server.dial_attempts(listener.node)
        assert type(attempt.error) is p2p.errors.AlreadyConnected
        victim.await_quiet(peers=1)


def test_server_that_fills_up_during_the_dial_has_too_many_peers(
    listener: RemoteListener,
) -> None:
    with target(max_peers=2) as victim:
        join = dial(victim, listener.node)
        with listener.accept() as dialed, victim.attack() as inbound, RemoteListener() as other:
            inbound.open()
            eventually(lambda: victim.server.peer_count == 1)
            join_other = dial(victim, other.node)
            with other.accept() as second:
                second.open()
                assert join_other() is None
                dialed.shake_hands()
                assert dialed.disconnect_reason() is DiscReason.TOO_MANY_PEERS
                assert type(join()) is p2p.errors.TooManyPeers


def test_stop_ends_a_dial_under_way(victim: Target, listener: RemoteListener) -> None:
    join = dial(victim, listener.node)
    with listener.accept() as remote:
        remote.receive()
        stopping = threading.Thread(target=victim.server.stop)
        stopping.start()
        error = join()
        remote.sock.close()
        stopping.join(PATIENCE_S)
    assert type(error) is p2p.ServerStopped


# names


def test_name_is_looked_up_and_dialed(listener: RemoteListener) -> None:
    with target() as victim:
        join = dial(victim, listener.node.with_ip(None).with_hostname("localhost"))
        with listener.accept() as remote:
            remote.open()
            assert join() is None
        (attempt,) = victim.server.dial_attempts(listener.node)
        assert attempt.step is DialStep.CONNECTED and attempt.error is None


def test_name_that_is_no_name_is_not_resolved(victim: Target, listener: RemoteListener) -> None:
    node = listener.node.with_ip(None).with_hostname("a..b")
    with pytest.raises(p2p.errors.NameNotResolved) as raised:
        victim.server.connect(node)
    assert raised.value.step is DialStep.RESOLVE


def test_name_outside_net_restrict_is_not_dialed(listener: RemoteListener) -> None:
    with target(net_restrict="10.0.0.0/8") as victim:
        with pytest.raises(p2p.errors.NetRestricted):
            victim.server.connect(listener.node.with_ip(None).with_hostname("localhost"))


# static nodes that are never dialed


def test_static_node_that_can_never_be_dialed_is_logged_once_and_leaves_an_attempt(
    listener: RemoteListener,
) -> None:
    forbidden = listener.node
    nowhere = p2p.Node.from_parts(p2p.generate_key().public_key)
    with target(net_restrict="10.0.0.0/8", static_nodes=[forbidden, nowhere]) as victim:
        for node, kind in ((forbidden, p2p.errors.NetRestricted), (nowhere, p2p.errors.NoEndpoint)):
            line = victim.log.await_line(f"static node {node.id.short} cannot be dialed")
            (attempt,) = victim.server.dial_attempts(node)
            assert type(attempt.error) is kind and str(attempt.error) in line
        victim.clock.advance(100.0)
        victim.server.add_peer(p2p.Node.from_parts(p2p.generate_key().public_key))
        victim.log.await_line("cannot be dialed", times=3)
        assert len(victim.server.dial_attempts(forbidden)) == 1


# how dials end with the server


def test_dial_in_its_handshake_is_told_that_the_server_quits(listener: RemoteListener) -> None:
    with target(static_nodes=[listener.node]) as victim, listener.accept() as remote:
        remote.shake_hands()
        eventually(
            lambda: [s.machine.last_state for s in inspect.sessions(victim.server)]
            == [State.AWAIT_HELLO]
        )
        stopper = threading.Thread(target=victim.server.stop)
        stopper.start()
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.QUITTING
        remote.sock.close()
        stopper.join(PATIENCE_S)


def test_thread_of_a_dial_is_started_by_the_launcher_so_that_the_io_thread_never_waits() -> None:
    gate, asked = threading.Event(), threading.Event()

    def answer() -> None:
        asked.set()
        raise ConnectionRefusedError("no")

    node = p2p.Node.from_parts(KEY.public_key, "127.0.0.1", 1)
    with target(dialer=Dialer(answer)) as victim:
        inspect.launcher(victim.server)._queue.put(lambda: gate.wait() and None)
        join = dial(victim, node)
        victim.log.await_line("dialing")
        assert not asked.is_set()
        gate.set()
        assert type(join()) is p2p.errors.DialRefused
        assert asked.is_set()


# the user's dialer


class Dialer:
    def __init__(self, dial: Callable[[], Any]) -> None:
        self._dial = dial

    def dial(self, node: p2p.Node, timeout_s: float) -> Any:
        return self._dial()


def failing(error: Exception) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


def closed_socket() -> socket.socket:
    sock = socket.socket()
    sock.close()
    return sock


DIALERS: dict[str, tuple[Callable[[], Any], type[p2p.ConnectError]]] = {
    "refused": (failing(ConnectionRefusedError("no")), p2p.errors.DialRefused),
    "late": (failing(TimeoutError("late")), p2p.errors.DialTimeout),
    "no way": (failing(OSError(errno.ENETUNREACH, "no way")), p2p.errors.Unreachable),
    "broken": (failing(KeyError("a bug")), p2p.errors.Unreachable),
    "returns nothing": (lambda: None, p2p.errors.Unreachable),
    "returns no socket": (lambda: "socket", p2p.errors.Unreachable),
    "returns a closed socket": (closed_socket, p2p.errors.Unreachable),
    "returns a socket that is not connected": (socket.socket, p2p.errors.ConnectionLost),
}


@pytest.mark.parametrize("kind", DIALERS)
def test_dialer_that_fails_is_a_connect_error_and_harms_nobody(
    kind: str, listener: RemoteListener
) -> None:
    answer, error = DIALERS[kind]
    with target(dialer=Dialer(answer)) as victim, talk(victim) as honest:
        with pytest.raises(p2p.ConnectError) as raised:
            victim.server.connect(listener.node)
        assert type(raised.value) is error
        honest.exchange()


def test_dialer_may_return_any_stream_socket(listener: RemoteListener) -> None:
    ours, theirs = socket.socketpair()
    inbox = Inbox()
    with target(inbox.run, dialer=Dialer(lambda: ours)) as victim:
        join = dial(victim, listener.node)
        with Remote(cast(socket.socket, Plain(theirs)), None, key=listener.key) as remote:
            remote.open()
            assert join() is None
            remote.send_payloads((2, b"over a pipe"))
            assert inbox.message().payload == b"over a pipe"
    assert inbox.ending()


class Plain:
    """A socket that knows nothing of TCP."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def setsockopt(self, *args: Any) -> None:
        """There is nothing to set."""


# two servers dial each other


def pair(**options: Any) -> tuple[p2p.Server, p2p.Server, Inbox, Inbox, p2p.testing.SimulatedClock]:
    clock = p2p.testing.SimulatedClock()
    inboxes = Inbox(), Inbox()
    servers = [
        p2p.Server(
            private_key=p2p.generate_key(),
            name=name,
            max_peers=10,
            listen_addr="127.0.0.1:0",
            protocols=[p2p.Protocol("test", 1, 16, inbox.run)],
            clock=clock,
            **options,
        )
        for name, inbox in zip("ab", inboxes, strict=True)
    ]
    return servers[0], servers[1], *inboxes, clock


class MeetingDialer:
    """Lets no dial go on before the other side's has come as far."""

    def __init__(self, meeting: threading.Barrier) -> None:
        self._meeting = meeting

    def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
        sock = socket.create_connection((str(node.ip), node.tcp), timeout_s)
        self._meeting.wait(PATIENCE_S)
        return sock


@pytest.mark.parametrize("attempt", range(10))
def test_servers_that_connect_to_each_other_at_once_end_connected_once(attempt: int) -> None:
    a, b, _, _, _ = pair(dialer=MeetingDialer(threading.Barrier(2)))
    with a, b:
        outcomes: list[object] = [None, None]

        def connect(index: int, ours: p2p.Server, theirs: p2p.Server) -> None:
            try:
                outcomes[index] = ours.connect(theirs.self, timeout=PATIENCE_S)
            except p2p.ConnectError as error:
                outcomes[index] = error

        threads = [
            threading.Thread(target=connect, args=(0, a, b)),
            threading.Thread(target=connect, args=(1, b, a)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert {type(outcome) for outcome in outcomes} == {p2p.Peer}, outcomes
        eventually(lambda: all(len(inspect.open_sessions(s)) == 1 for s in (a, b)))
        assert (a.peer_count, b.peer_count) == (1, 1)


@pytest.mark.parametrize("attempt", range(5))
def test_servers_with_each_other_as_static_nodes_end_connected_once(attempt: int) -> None:
    a, b, _, inbox_b, clock = pair()
    with a, b:
        a.add_peer(b.self)
        b.add_peer(a.self)
        # Until it is settled which connection stays, there may be two.
        eventually(lambda: all(len(inspect.open_sessions(s)) == 1 for s in (a, b)))
        eventually(lambda: all(s.peer_count == 1 for s in (a, b)))
        p2p.send(a.peers[0]._running[0], 0, "hello")
        assert inbox_b.message().decode(str) == "hello"
        # Nothing but the one connection is left, and nothing is dialed any more.
        eventually(lambda: all(len(inspect.open_sessions(s)) == 1 for s in (a, b)))
        clock.advance(0.0)
        assert (a.peer_count, b.peer_count) == (1, 1)
        assert not inspect.dials(a) and not inspect.dials(b)


