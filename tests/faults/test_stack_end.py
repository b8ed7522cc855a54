"""A handler whose stack ends within a call of ours: what was begun there is not forgotten.

RecursionError may come at any call, and again when it is handled there; further up there is room.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import p2p
from p2p.clock import SystemClock
from p2p.mailbox import LIMIT_BYTES, Mailbox
from p2p.net import Loop
from p2p.session import STALL_REPORT_S
from tests.hostile.target import eventually, sessions, target

PATIENCE_S = 20.0


def at_the_end_of_the_stack(call: Callable[[], object]) -> None:
    """Call it at every depth, from where there is no room for it up to here."""
    try:
        at_the_end_of_the_stack(call)
    except RecursionError:
        pass
    try:
        call()
    except RecursionError:
        pass


def nothing() -> None:
    pass


def test_loop_wakes_for_what_is_posted_next() -> None:
    loop = Loop("p2p-test", SystemClock())
    loop.start()
    try:
        at_the_end_of_the_stack(lambda: loop.post(nothing))
        ran = threading.Event()
        loop.post(ran.set)
        assert ran.wait(PATIENCE_S)
    finally:
        loop.stop()
        assert loop.join(PATIENCE_S)


def test_mailbox_tells_of_its_items_at_the_next_put() -> None:
    told: list[int] = []
    mailbox = Mailbox(on_items=lambda: told.append(1))
    at_the_end_of_the_stack(lambda: mailbox.put((0, b"")))
    assert told
    told.clear()
    mailbox.take(LIMIT_BYTES)
    mailbox.put((0, b""))
    assert told == [1]


def test_session_reads_on_though_the_handler_could_not_say_that_it_has_room() -> None:
    read = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        eventually(lambda: peer.running[0].inbox.is_full)

        def read_one() -> None:
            if not read.is_set():
                rw.read_msg()
                read.set()

        at_the_end_of_the_stack(read_one)
        while True:
            rw.read_msg()

    with target(run) as victim, victim.attack() as remote:
        remote.open()
        remote.send((0, bytes(2 * LIMIT_BYTES)), (1, b""))
        eventually(lambda: len(sessions(victim)) == 1)
        (session,) = sessions(victim)
        eventually(lambda: session._held and session.peer.running[0].inbox.is_empty)
        victim.clock.advance(STALL_REPORT_S)
        assert read.wait(PATIENCE_S)


def test_put_that_failed_has_put_nothing_where_nobody_is_to_be_told() -> None:
    mailbox = Mailbox()
    reader = threading.Thread(target=mailbox.get)
    reader.start()
    eventually(lambda: bool(mailbox._readers))
    left: list[int] = []

    def put() -> None:
        try:
            mailbox.put((0, b""))
        except RecursionError:
            if not mailbox._gets:
                left.append(len(mailbox._items))
            raise

    at_the_end_of_the_stack(put)
    reader.join(PATIENCE_S)
    assert left and not any(left)
