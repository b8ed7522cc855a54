"""A Ctrl-C between two steps that belong together: what the one has begun is not left undone.

The interpreter raises KeyboardInterrupt in the main thread between any two of its instructions, so
a thread that changes something and then tells others of it may never come to tell. Here it comes
at just that place: the call that tells is put in place, once, by one that raises.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import p2p
from p2p import mailbox
from p2p.clock import SystemClock
from p2p.errors import PipeClosed
from p2p.mailbox import LIMIT_BYTES, Mailbox
from p2p.net import Loop
from tests.hostile.target import eventually
from tests.nodes import WAIT_S, Nodes


@contextmanager
def interrupted(owner: Any, name: str, *, late: bool = False) -> Iterator[None]:
    """A Ctrl-C comes before the next call of ``owner.name``, or ``late``, when it is done."""
    real: Callable[..., object] = getattr(owner, name)

    def interrupt(*args: Any) -> object:
        setattr(owner, name, real)
        if late:
            real(*args)
        raise KeyboardInterrupt

    setattr(owner, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        yield


def test_post_still_wakes_the_loop() -> None:
    loop = Loop("p2p-io", SystemClock())
    loop.start()
    eventually(lambda: loop._asleep)
    ran = threading.Event()
    with interrupted(loop._wake_up, "send"):
        loop.post(ran.set)
    assert ran.wait(WAIT_S)
    loop.stop()
    assert loop.join(WAIT_S)


def test_start_that_has_started_the_thread_lets_it_end() -> None:
    loop = Loop("p2p-io", SystemClock())
    with interrupted(loop._thread, "start", late=True):
        loop.start()
    assert loop.join(WAIT_S)


def test_put_still_announces_the_item() -> None:
    announced: list[int] = []
    box = Mailbox(on_items=lambda: announced.append(1))
    with interrupted(box, "_on_items"):
        box.put((0, b""))
    assert announced
    assert len(box.take(LIMIT_BYTES)) == 1


def test_get_still_tells_of_the_room(nodes: Nodes) -> None:
    """Or the connection would not be read any more."""
    here, there = nodes.pair()
    payload = b"\xb9\xff\x00" + bytes(0xFF00)

    def write() -> None:
        for _ in range(100):
            there.rw.write_msg(p2p.Msg(0, payload))

    writer = threading.Thread(target=write)
    writer.start()
    inbox = here.rw.inbox  # type: ignore[attr-defined]
    eventually(lambda: inbox.is_full)
    got = 0
    with interrupted(inbox, "_on_room"):
        while True:
            here.rw.read_msg(WAIT_S)
            got += 1
    for _ in range(100 - got - 1):  # that of the Ctrl-C is lost with it
        here.rw.read_msg(WAIT_S)
    writer.join(WAIT_S)


def test_thread_that_was_woken_already_is_not_woken_again() -> None:
    """It has not come to run yet, so it stands on the list still."""

    class Turn:
        def __init__(self) -> None:
            self._lock = threading.Lock()
            self._lock.acquire()
            self.locked = self._lock.locked

        def release(self) -> None:
            self._lock.release()
            signal.raise_signal(signal.SIGINT)

    box = Mailbox()
    box.put((0, bytes(LIMIT_BYTES)))
    box._writers.append(Turn())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        box.close(lambda: PipeClosed("over"), discard=False)
    assert len(box.take(2 * LIMIT_BYTES)) == 1
    assert box._writers == []


class WatchedLock:
    """A lock that tells when the main thread is about to wait for it."""

    def __init__(self) -> None:
        self.awaited = threading.Event()
        self._lock = threading.Lock()
        self.release = self._lock.release

    def acquire(self) -> None:
        if self._lock.locked() and threading.current_thread() is threading.main_thread():
            self.awaited.set()
        self._lock.acquire()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


def test_reader_that_waits_for_the_lock_leaves_it_to_its_holder() -> None:
    """The holder is the I/O thread, and would die of a lock that it does not hold any more."""
    box = Mailbox()
    lock = box._lock = WatchedLock()  # type: ignore[assignment]
    errors: list[BaseException] = []
    interrupted_once = threading.Event()

    def offer() -> None:
        eventually(lambda: bool(box._readers))
        try:
            with box._lock:
                mailbox._wake(box._readers, 1)
                assert lock.awaited.wait(WAIT_S)
                # Again and again: it may come just before the reader stands in the kernel.
                while not interrupted_once.wait(0.01):
                    signal.pthread_kill(main, signal.SIGINT)
        except (AssertionError, RuntimeError) as error:
            errors.append(error)

    def interrupt(number: int, frame: object) -> None:
        if not interrupted_once.is_set():
            interrupted_once.set()
            raise KeyboardInterrupt

    main = threading.main_thread().ident or 0
    holder = threading.Thread(target=offer)
    usual = signal.signal(signal.SIGINT, interrupt)
    try:
        holder.start()
        with pytest.raises(KeyboardInterrupt):
            box.get(WAIT_S)
        holder.join(WAIT_S)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert errors == []


def test_stop_that_is_cut_short_twice_has_told_the_io_thread_to_end(nodes: Nodes) -> None:
    server = nodes.start()
    real = server._loop.post

    def post(fn: Callable[..., object], *args: Any) -> bool:
        if fn == server._peer_set.abort:
            raise KeyboardInterrupt
        return real(fn, *args)

    server._loop.post = post  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        server.stop()
    assert server._loop.join(WAIT_S)
