"""The I/O thread dies: who waits on the server learns it, and ``stop`` still knows its threads."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

import p2p
from tests.nodes import WAIT_S, Nodes, assert_goes_on, listening, node_at


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


def outcome_of(call: Callable[[], object]) -> SimpleQueue[object]:
    """What ``call`` returns or raises, in a thread of its own."""
    outcome: SimpleQueue[object] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(call())
        except BaseException as error:
            outcome.put(error)

    threading.Thread(target=run).start()
    return outcome


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
    nodes.remote(server).join()
    assert reading.wait(WAIT_S)
    waiting = outcome_of(server.wait)
    failing.armed = True
    server._loop.post(die)
    for ending in (endings.get(timeout=WAIT_S), waiting.get(timeout=WAIT_S)):
        assert isinstance(ending, p2p.LoopCrashed)
        assert isinstance(ending.__cause__, Fault)


def test_connect_has_an_outcome_though_the_log_fails_when_the_dial_is_over(
    nodes: Nodes, failing: Failing
) -> None:
    here, there = nodes.start(listen_addr=None), nodes.start()
    failing.part, failing.armed = "dial of", True
    outcome = outcome_of(lambda: here.connect(there.self(), timeout=WAIT_S))
    assert isinstance(outcome.get(timeout=WAIT_S), p2p.Peer)
    assert here._loop.join(WAIT_S)
    assert isinstance(here._loop.crash, OSError)


@pytest.mark.usefixtures("quiet")
def test_stop_names_the_handlers_that_go_on_after_a_crash(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    nodes.remote(server).join()
    talk = talks.next()
    server._loop.post(die)
    assert server._loop.join(WAIT_S)
    assert_goes_on(server.stop(timeout=0.05), f"p2p-peer-{talk.peer.id.short}-test")


@pytest.mark.usefixtures("quiet")
def test_stop_waits_for_handlers_after_a_crash(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        running.set()
        assert list(iter(lambda: over.wait(WAIT_S), True)) == []

    running, over = threading.Event(), threading.Event()
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    nodes.remote(server).join()
    assert running.wait(WAIT_S)
    server._loop.post(die)
    assert server._loop.join(WAIT_S)
    stopping = outcome_of(lambda: server.stop(WAIT_S))
    over.set()
    assert stopping.get(timeout=WAIT_S) == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith("p2p-peer")]


@pytest.mark.usefixtures("quiet")
def test_remove_peer_never_returns_as_if_done_when_the_server_dies(nodes: Nodes) -> None:
    """The server dies right after it has taken the command."""
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server).join()
    talks.next()
    at_work, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_work.set()
        go_on.wait(WAIT_S)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1)  # the I/O thread goes on to its end before anybody looks
    try:
        server._loop.post(hold)
        assert at_work.wait(WAIT_S)
        removing = outcome_of(lambda: server.remove_peer(remote.node))
        while not server._loop._posted:
            threading.Event().wait(0.001)
        server._loop.post(die)
        go_on.set()
        outcome = removing.get(timeout=WAIT_S)
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
        go_on.wait(WAIT_S)

    server._loop.post(hold)
    assert at_work.wait(WAIT_S)
    server._loop.post(die)
    with listening() as listener:
        connecting = outcome_of(lambda: server.connect(node_at(listener), WAIT_S))
        while len(server._loop._posted) < 2:
            threading.Event().wait(0.001)
        go_on.set()
        outcome = connecting.get(timeout=WAIT_S)
    assert isinstance(outcome, p2p.LoopCrashed), outcome
    assert isinstance(outcome.__cause__, Fault)


def test_connect_raises_what_the_program_s_logging_raises_and_the_server_lives(
    nodes: Nodes, failing: Failing
) -> None:
    server = nodes.start()
    with listening() as listener:
        node = node_at(listener)
        failing.armed = True
        outcome = outcome_of(lambda: server.connect(node, WAIT_S)).get(timeout=WAIT_S)
        failing.armed = False
        assert isinstance(outcome, OSError) and str(outcome) == "disk full"
        assert server.dial_attempts(node) == []
        listener.accept()[0].close()
