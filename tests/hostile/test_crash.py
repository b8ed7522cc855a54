"""The I/O thread dies of an injected fault: everybody who waits wakes with the cause."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import p2p
from tests.kit import inspect
from tests.kit.remote import Remote, RemoteListener, connect
from tests.kit.target import Inbox, Target, target
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.usefixtures("quiet")


class Fault(Exception):
    """What the loop dies of."""


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The crash is logged; that is tested once."""
    caplog.set_level(logging.CRITICAL, "p2p")


def crash(victim: Target) -> Fault:
    fault = Fault("injected")

    def fail() -> None:
        raise fault

    assert inspect.post(victim.server, fail)
    assert inspect.loop(victim.server).join(PATIENCE_S)
    return fault


class Waiter:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, fn: Callable[..., Any], *args: Any, **options: Any) -> None:
        self._error: BaseException | None = None
        self._call: Callable[[], Any] = lambda: fn(*args, **options)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def error(self) -> BaseException | None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "still waiting"
        return self._error

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:
            self._error = error


def assert_crashed(error: BaseException | None, fault: Fault) -> None:
    assert type(error) is p2p.LoopCrashed, repr(error)
    assert error.__cause__ is fault


@pytest.fixture
def listener() -> Iterator[RemoteListener]:
    with RemoteListener() as made:
        yield made


def test_wait_raises_the_cause() -> None:
    with target() as victim:
        waiter = Waiter(victim.server.wait)
        fault = crash(victim)
        assert_crashed(waiter.error(), fault)


def test_read_msg_raises_the_cause() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.open()
        inbox.peer()
        fault = crash(victim)
        assert_crashed(inbox.endings.get(timeout=PATIENCE_S), fault)


def test_write_msg_with_a_full_outbox_raises_the_cause() -> None:
    errors: list[BaseException] = []
    ended = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        try:
            while True:
                rw.write_msg(p2p.Msg(0, bytes(100_000)))
        except p2p.P2PError as error:
            errors.append(error)
            ended.set()

    with target(run) as victim:
        with Remote(connect(victim.server, 4096), victim.key, version=4) as remote:
            remote.open()
            (session,) = inspect.sessions(victim.server)
            eventually(lambda: session.outbox.is_full and session.channel.unsent_bytes > 0)
            fault = crash(victim)
            assert ended.wait(PATIENCE_S)
        assert_crashed(errors[0], fault)


def test_connect_raises_the_cause(listener: RemoteListener) -> None:
    with target() as victim:
        waiter = Waiter(victim.server.connect, listener.node)
        with listener.accept() as remote:
            remote.receive()  # the auth: the dial is under way
            fault = crash(victim)
            assert_crashed(waiter.error(), fault)


def test_connect_afterwards_raises_the_cause(listener: RemoteListener) -> None:
    with target() as victim:
        fault = crash(victim)
        assert_crashed(Waiter(victim.server.connect, listener.node).error(), fault)
        assert_crashed(Waiter(victim.server.dial_attempts, listener.node).error(), fault)


def test_remove_peer_wakes_with_the_cause() -> None:
    over = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        over.wait()

    with target(run) as victim, victim.attack() as remote:
        remote.open()
        eventually(lambda: victim.server.peer_count == 1)
        waiter = Waiter(victim.server.remove_peer, remote.node)
        remote.disconnect_reason()
        fault = crash(victim)
        error = waiter.error()
        over.set()
        assert error is not None and fault in (error, error.__cause__), repr(error)


def test_subscription_ends_with_the_cause() -> None:
    with target() as victim:
        events = victim.server.subscribe_events()
        waiter = Waiter(events.get)
        fault = crash(victim)
        error = waiter.error()
        assert isinstance(error, p2p.P2PError)
        assert error.__cause__ is fault
        with pytest.raises(p2p.P2PError) as raised:
            victim.server.subscribe_events().get()
        assert raised.value.__cause__ is fault


def test_remotes_see_the_end_of_their_connections() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as peer, victim.attack() as stranger:
        peer.open()
        stranger.shake_hands()
        inbox.peer()
        crash(victim)
        for remote in (peer, stranger):
            try:
                remote.expect_closed()
            except ConnectionResetError:
                pass  # what we had said was not read any more


def test_stop_afterwards_returns_and_leaves_nothing(listener: RemoteListener) -> None:
    """That nothing is left, neither thread nor socket, is looked at after the test."""
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as peer, victim.attack() as stranger:
        peer.open()
        inbox.peer()
        stranger.shake_hands()
        dialing = Waiter(victim.server.connect, listener.node)
        with listener.accept():
            crash(victim)
            dialing.error()
        assert victim.server.stop(timeout=PATIENCE_S) == []
        assert victim.server.stop() == []
    assert victim.server.peers == []


def test_crash_is_logged_with_the_fault(caplog: pytest.LogCaptureFixture) -> None:
    with target() as victim:
        crash(victim)
    (record,) = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert "p2p-io died" in record.getMessage()
    assert record.exc_info is not None and isinstance(record.exc_info[1], Fault)


def test_crash_while_stopping_does_not_hold_up_stop() -> None:
    over = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        over.wait()

    with target(run) as victim, victim.attack() as remote:
        remote.open()
        eventually(lambda: victim.server.peer_count == 1)
        stopping = Waiter(victim.server.stop, timeout=PATIENCE_S)
        remote.disconnect_reason()
        crash(victim)
        over.set()
        assert stopping.error() is None


@pytest.mark.parametrize("name", ["peers", "peer_count", "self", "node_info", "peers_info"])
def test_what_needs_no_loop_goes_on_working(name: str) -> None:
    with target() as victim:
        crash(victim)
        value = getattr(victim.server, name)
        assert not callable(value) or value() is not None


@pytest.mark.parametrize("name", ["add_peer", "add_trusted_peer", "remove_trusted_peer"])
def test_commands_afterwards_raise_the_cause(name: str, listener: RemoteListener) -> None:
    with target() as victim:
        fault = crash(victim)
        error = Waiter(getattr(victim.server, name), listener.node).error()
        assert_crashed(error, fault)
