"""The I/O thread dies: who waits on the server learns it, and ``stop`` still knows its threads."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

import p2p
import p2p.testing
from tests.kit import inspect
from tests.kit.nodes import Nodes, assert_goes_on, listening, node_at
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually


class Fault(Exception):
    """What the I/O thread dies of."""


def die() -> None:
    raise Fault("injected")


class Failing(logging.Handler):
    """A handler of the program that fails on the I/O thread, once it is told to, at lines with
    ``part`` in them."""

    armed = False
    part = ""

    def emit(self, record: logging.LogRecord) -> None:
        if self.armed and threading.current_thread().name == "p2p-io":
            if self.part in record.getMessage():
                raise OSError("disk full")


@pytest.fixture
def failing() -> Iterator[Failing]:
    logger = logging.getLogger("p2p")
    handler = Failing()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The crash is logged; that is tested elsewhere."""
    caplog.set_level(logging.CRITICAL + 1, "p2p")


def test_waiters_wake_even_if_the_program_s_logging_fails(nodes: Nodes, failing: Failing) -> None:
    def read(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        reading.set()
        try:
            rw.read_msg()
        except p2p.P2PError as error:
            endings.put(error)

    endings: SimpleQueue[object] = SimpleQueue()
    reading = threading.Event()
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, read)])
    nodes.remote(server).open()
    assert reading.wait(PATIENCE_S)
    waiting = Call(server.wait)
    failing.armed = True
    inspect.post(server, die)
    for ending in (endings.get(timeout=PATIENCE_S), waiting.outcome()):
        assert isinstance(ending, p2p.LoopCrashed)
        assert isinstance(ending.__cause__, Fault)


def test_connect_has_an_outcome_though_the_log_fails_when_the_dial_is_over(
    nodes: Nodes, failing: Failing
) -> None:
    here, there = nodes.start(listen_addr=None), nodes.start()
    failing.part, failing.armed = "dial of", True
    outcome = Call(lambda: here.connect(there.self, timeout=PATIENCE_S))
    assert isinstance(outcome.outcome(), p2p.Peer)
    assert inspect.loop(here).join(PATIENCE_S)
    assert isinstance(inspect.loop(here).crash, OSError)


@pytest.mark.usefixtures("quiet")
def test_stop_names_the_handlers_that_go_on_after_a_crash(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    nodes.remote(server).open()
    talk = talks.next()
    inspect.post(server, die)
    assert inspect.loop(server).join(PATIENCE_S)
    assert_goes_on(server.stop(timeout=0.05), f"p2p-peer-{talk.peer.id.short}-test")


@pytest.mark.usefixtures("quiet")
def test_stop_waits_for_handlers_after_a_crash(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        running.set()
        assert list(iter(lambda: over.wait(PATIENCE_S), True)) == []

    running, over = threading.Event(), threading.Event()
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    nodes.remote(server).open()
    assert running.wait(PATIENCE_S)
    inspect.post(server, die)
    assert inspect.loop(server).join(PATIENCE_S)
    stopping = Call(lambda: server.stop(PATIENCE_S))
    over.set()
    assert stopping.outcome() == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith("p2p-peer")]


@pytest.mark.usefixtures("quiet")
def test_remove_peer_never_returns_as_if_done_when_the_server_dies(nodes: Nodes) -> None:
    """The server dies right after it has taken the command."""
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server).open()
    talks.next()
    at_work, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_work.set()
        go_on.wait(PATIENCE_S)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1)  # the I/O thread goes on to its end before anybody looks
    try:
        inspect.post(server, hold)
        assert at_work.wait(PATIENCE_S)
        removing = Call(lambda: server.remove_peer(remote.node))
        eventually(lambda: inspect.loop(server)._posted)
        inspect.post(server, die)
        go_on.set()
        outcome = removing.outcome()
    finally:
        sys.setswitchinterval(interval)
    assert isinstance(outcome, p2p.LoopCrashed), outcome
    assert isinstance(outcome.__cause__, Fault)


@pytest.mark.usefixtures("quiet")
def test_connect_that_a_dying_server_has_not_heard_of_fails_with_the_cause(nodes: Nodes) -> None:
    server = nodes.start()
    at_work, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_work.set()
        go_on.wait(PATIENCE_S)

    inspect.post(server, hold)
    assert at_work.wait(PATIENCE_S)
    inspect.post(server, die)
    with listening() as listener:
        connecting = Call(lambda: server.connect(node_at(listener), PATIENCE_S))
        eventually(lambda: len(inspect.loop(server)._posted) >= 2)
        go_on.set()
        outcome = connecting.outcome()
    assert isinstance(outcome, p2p.LoopCrashed), outcome
    assert isinstance(outcome.__cause__, Fault)


def test_connect_raises_what_the_program_s_logging_raises_and_the_server_lives(
    nodes: Nodes, failing: Failing
) -> None:
    server = nodes.start()
    with listening() as listener:
        node = node_at(listener)
        failing.armed = True
        outcome = Call(lambda: server.connect(node, PATIENCE_S)).outcome()
        failing.armed = False
        assert isinstance(outcome, OSError) and str(outcome) == "disk full"
        assert server.dial_attempts(node) == []
        listener.accept()[0].close()


def test_stop_waits_for_nothing_that_the_dying_thread_had_to_do(nodes: Nodes, quiet: None) -> None:
    server = nodes.start()
    gate = threading.Event()
    inspect.post(server, gate.wait)
    inspect.post(server, die)
    stopping = threading.Thread(target=server.stop, args=(10 * PATIENCE_S,))
    stopping.start()
    eventually(lambda: len(inspect.loop(server)._posted) == 2)  # die, and the end of the peers
    gate.set()
    stopping.join(PATIENCE_S)
    assert not stopping.is_alive()


class FailingClock(p2p.testing.SystemClock):
    """A clock that fails on the I/O thread from some moment on."""

    def __init__(self) -> None:
        self.fails = False

    def monotonic(self) -> float:  # type: ignore[override]
        if self.fails and threading.current_thread().name == "p2p-io":
            raise Fault
        return super().monotonic()


@pytest.mark.usefixtures("quiet")
def test_fault_that_lasts_ends_the_waits_of_all_peers(nodes: Nodes) -> None:
    clock, talks = FailingClock(), nodes.talks()
    server = nodes.start(clock=clock, protocols=[talks.protocol()])
    remotes = [nodes.remote(server).open() for _ in range(3)]
    taken = [talks.next() for _ in remotes]
    reading = [Call(lambda talk=talk: talk.rw.read_msg(PATIENCE_S)) for talk in taken]
    closing = [Call(lambda talk=talk: talk.peer.wait_closed(PATIENCE_S)) for talk in taken]
    clock.fails = True
    inspect.post(server, int)
    for call in reading:
        assert isinstance(call.outcome(), p2p.LoopCrashed)
    for call in closing:
        assert call.outcome() is None
    for remote in remotes:
        remote.expect_closed()
    talks.release()
