"""Ctrl-C in the main thread: a call that waits ends at once, and other peers notice nothing.

``Server.wait`` and ``Server.stop`` are in ``tests/test_server_stop.py``.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import p2p
from p2p.clock import SystemClock
from p2p.mailbox import LIMIT_BYTES, Mailbox
from p2p.net import Loop
from p2p.peers.stalls import STALL_REPORT_S
from tests.faults.neighbors import Neighbors, talk
from tests.kit import inspect
from tests.kit.nodes import Nodes, listening, node_at
from tests.kit.target import sessions, target
from tests.kit.waiting import PATIENCE_S, eventually


@contextmanager
def ctrl_c(waits: Callable[[], bool]) -> Iterator[None]:
    """Press Ctrl-C as soon as the block ``waits``, which has to end by it."""
    main = threading.main_thread().ident or 0
    pressed = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        if not pressed.is_set():
            pressed.set()
            raise KeyboardInterrupt

    def press() -> None:
        eventually(waits)
        # Again and again: it may come just before the thread sleeps in the kernel.
        while not pressed.wait(0.01):
            signal.pthread_kill(main, signal.SIGINT)

    usual = signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=press)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        pressed.set()
        thread.join(PATIENCE_S)
        signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("short_linger")
def test_read_msg_ends_and_can_be_called_again(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(max_peers=20, protocols=[talks.protocol(), talk()])
    with Neighbors(nodes, server) as neighbors:
        remote = nodes.remote(server).open()
        rw = talks.next().rw
        with ctrl_c(lambda: bool(rw._inbox._readers)):  # type: ignore[attr-defined]
            rw.read_msg(PATIENCE_S)
        neighbors.exchange(5)
        remote.send_payload(3)
        assert rw.read_msg(PATIENCE_S).code == 3
    talks.release()
    assert server.stop() == []


def test_connect_ends_and_the_server_can_be_stopped(nodes: Nodes) -> None:
    server = nodes.start(max_peers=20, protocols=[talk()])
    with Neighbors(nodes, server) as neighbors, listening() as listener:
        node = node_at(listener)
        with ctrl_c(lambda: inspect.on_io(server, lambda: node.id in inspect.dials(server))):
            server.connect(node, PATIENCE_S)
        neighbors.exchange(5)
    assert server.stop() == []


def test_connection_that_was_not_told_of_room_is_read_after_a_while() -> None:
    read = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        inbox = peer._running[0]._inbox
        eventually(lambda: inbox.is_full)
        inbox._on_room, on_room = None, inbox._on_room  # a Ctrl-C comes before its call
        rw.read_msg()
        inbox._on_room = on_room
        rw.read_msg()
        read.set()
        list(rw)

    with target(run) as victim, victim.attack() as remote:
        remote.open()
        remote.send_payloads((0, bytes(2 * LIMIT_BYTES)))
        eventually(lambda: len(sessions(victim)) == 1)
        (session,) = sessions(victim)
        eventually(lambda: session.loop.call(lambda: session._held))
        eventually(lambda: session.peer._running[0]._inbox.is_empty)
        remote.send_payloads((1, b""))
        victim.clock.advance(STALL_REPORT_S)
        assert read.wait(PATIENCE_S)


def test_lock_of_a_mailbox_is_released_by_its_holder_alone() -> None:
    """A Ctrl-C may end a reader's wait for it while the I/O thread has it."""
    box = Mailbox()
    errors: list[RuntimeError] = []

    def release() -> None:
        try:
            box._lock.release()
        except RuntimeError as error:
            errors.append(error)

    with box._lock:
        thread = threading.Thread(target=release)
        thread.start()
        thread.join(PATIENCE_S)
    assert len(errors) == 1


def test_loop_that_an_interrupted_post_has_not_woken_wakes_for_the_next() -> None:
    loop = Loop("p2p-io", SystemClock())
    loop.start()
    eventually(lambda: loop._asleep)
    send = loop._wake_up.send

    def interrupt() -> None:
        loop._wake_up.send = send  # type: ignore[method-assign]
        raise KeyboardInterrupt

    loop._wake_up.send = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        loop.post(int)
    ran = threading.Event()
    loop.post(ran.set)
    assert ran.wait(PATIENCE_S)
    loop.stop()
    assert loop.join(PATIENCE_S)
