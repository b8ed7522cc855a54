"""A connection that breaks in every state, by a reset or by an end of data; who dials varies."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

import p2p
from p2p import DiscReason
from p2p.rlpx import State
from p2p.rlpx.messages import HELLO, encode_hello
from tests.kit import inspect
from tests.kit.remote import Remote, RemoteListener
from tests.kit.target import Inbox, Target, dial, talk, target
from tests.kit.waiting import eventually

Step = Callable[[Remote], object]
Break = Callable[[Remote], None]


def half_auth(remote: Remote) -> None:
    remote.send_raw(remote.pending()[:100])


def auth(remote: Remote) -> None:
    remote.flush()


def half_hello(remote: Remote) -> None:
    remote.shake_hands()
    remote.send_raw(remote.frame(HELLO, encode_hello(remote.hello))[:50])


def hello(remote: Remote) -> None:
    """The hello is sent; the server's own is not read."""
    remote.shake_hands()
    remote.send_hello()


def half_message(remote: Remote) -> None:
    remote.open()
    remote.send_payloads((0, b"whole"))
    remote.send_raw(remote.frame(0x10, bytes(2000))[:1000])


def disconnect(remote: Remote) -> None:
    remote.open()
    remote.say_disconnect(b"\xc1\x08")


#: What an inbound remote does before it breaks, and how far the server has come when it does.
INBOUND: dict[str, tuple[Step, State]] = {
    "before auth": (lambda remote: None, State.AWAIT_AUTH),
    "inside auth": (half_auth, State.AWAIT_AUTH),
    "after auth": (auth, State.AWAIT_HELLO),
    "after ack": (Remote.shake_hands, State.AWAIT_HELLO),
    "inside hello": (half_hello, State.AWAIT_HELLO),
    "after hello": (hello, State.OPEN),
    "open": (Remote.open, State.OPEN),
    "inside a message": (half_message, State.OPEN),
    "after disconnect": (disconnect, State.CLOSED),
}


def reset(remote: Remote) -> None:
    remote.reset()


def end_of_data(remote: Remote) -> None:
    remote.sock.shutdown(socket.SHUT_WR)
    remote.expect_closed()


def close(remote: Remote) -> None:
    remote.sock.close()


BREAKS = {"reset": reset, "end of data": end_of_data, "close": close}


@pytest.mark.parametrize("end", BREAKS)
@pytest.mark.parametrize("state", INBOUND)
def test_inbound_connection_that_breaks_leaves_nothing(state: str, end: str) -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, talk(victim) as honest, victim.attack() as remote:
        step, reached = INBOUND[state]
        step(remote)
        eventually(lambda: _state_of(victim, remote) is reached)
        BREAKS[end](remote)
        victim.await_quiet(peers=1)
        honest.exchange()


@pytest.mark.parametrize("end", BREAKS)
def test_open_connection_that_breaks_is_a_network_error_of_the_remote(end: str) -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.open()
        remote.send_payloads((3, b"read me"))
        assert inbox.message().payload == b"read me"
        BREAKS[end](remote)
        ending = inbox.ending()
    assert (ending.reason, ending.by_remote) == (DiscReason.NETWORK_ERROR, True)
    assert isinstance(ending.__cause__, OSError) is (end == "reset")


def test_messages_before_the_end_of_data_are_delivered() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.open()
        remote.send_payloads(*((n % 16, bytes(n)) for n in range(1000)))
        remote.sock.shutdown(socket.SHUT_WR)
        assert [inbox.message().size for _ in range(1000)] == list(range(1000))
        assert inbox.ending().by_remote


def test_reset_while_the_server_lingers_ends_the_linger() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.open()
        inbox.peer().disconnect(DiscReason.REQUESTED)
        assert remote.disconnect_reason() is DiscReason.REQUESTED
        assert victim.sessions() == (1, 0, 1)
        remote.reset()
        victim.await_quiet()


def test_linger_ends_after_a_second_without_the_remote() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.open()
        inbox.peer().disconnect(DiscReason.REQUESTED)
        assert remote.disconnect_reason() is DiscReason.REQUESTED
        victim.clock.advance(1.0)
        victim.await_quiet()


def test_peer_may_come_back_as_soon_as_its_handler_has_returned() -> None:
    inbox, key = Inbox(), p2p.generate_key()
    with target(inbox.run) as victim:
        for _ in range(5):
            with victim.attack(key=key) as remote:
                remote.open()
                assert inbox.peer().id == remote.node.id
                remote.reset()
            inbox.ending()
            victim.await_quiet()


# the same when we dial


def read_auth(remote: Remote) -> None:
    remote.receive()


def ack(remote: Remote) -> None:
    remote.shake_hands()


def ack_and_half_hello(remote: Remote) -> None:
    remote.shake_hands()
    remote.send_raw(remote.frame(HELLO, encode_hello(remote.hello))[:50])


DIALED: dict[str, tuple[Step, p2p.errors.DialStep]] = {
    "after connect": (lambda remote: None, p2p.errors.DialStep.ACK),
    "after auth": (read_auth, p2p.errors.DialStep.ACK),
    "after ack": (ack, p2p.errors.DialStep.HELLO),
    "inside hello": (ack_and_half_hello, p2p.errors.DialStep.HELLO),
}


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("state", DIALED)
def test_dialed_connection_that_breaks_is_a_lost_connection(state: str, end: str) -> None:
    step, reached = DIALED[state]
    with target() as victim, talk(victim) as honest, RemoteListener() as listener:
        join = dial(victim, listener.node)
        with listener.accept() as remote:
            # A reset before that would be a failure of the connection itself.
            eventually(lambda: _step_of(victim, listener.node) is p2p.errors.DialStep.ACK)
            step(remote)
            BREAKS[end](remote)
        error = join()
        assert type(error) is p2p.errors.ConnectionLost
        assert error.step is reached
        (attempt,) = victim.server.dial_attempts(listener.node)
        assert (type(attempt.error), attempt.step) == (p2p.errors.ConnectionLost, reached)
        victim.await_quiet(peers=1)
        assert inspect.dials(victim.server) == {}
        honest.exchange()


@pytest.mark.parametrize("state", DIALED)
def test_dial_that_gets_no_answer_times_out_at_its_step(state: str) -> None:
    step, reached = DIALED[state]
    with target() as victim, RemoteListener() as listener:
        join = dial(victim, listener.node)
        with listener.accept() as remote:
            step(remote)
            eventually(lambda: _step_of(victim, listener.node) is reached)
            victim.clock.advance(5.0)
            remote.expect_closed()
        error = join()
        assert type(error) is p2p.errors.DialTimeout
        assert error.step is reached
        victim.await_quiet()


def _state_of(victim: Target, remote: Remote) -> State | None:
    """How far the server has come with a remote that has dialed it."""
    port = remote.sock.getsockname()[1]
    sessions = inspect.sessions(victim.server)
    return next((s.machine.state for s in sessions if s.channel.remote_addr[1] == port), None)


def _step_of(victim: Target, node: p2p.Node) -> p2p.errors.DialStep | None:
    made = inspect.dials(victim.server).get(node.id)
    return None if made is None or made._session is None else made.step
