"""A socket without a descriptor is watched as one of the kernel is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from p2p.net import ERROR, READ, WRITE, Loop, VirtualSocket
from tests.kit.waiting import PATIENCE_S

MakeLoop = Callable[..., Loop]


class Flag(VirtualSocket):
    """A socket that is as ready as it is set to be."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = 0

    def readiness(self) -> int:
        return self.ready

    def set(self, ready: int) -> None:
        self.ready = ready
        self.changed()


class Handler:
    """The calls of a loop for one socket; ``drain`` ends the readiness after so many."""

    def __init__(self, sock: Flag, drain: int = 1) -> None:
        self.sock = sock
        self.left = drain
        self.calls: list[int] = []
        self.done = threading.Event()

    def __call__(self, ready: int) -> None:
        self.calls.append(ready)
        self.left -= 1
        if not self.left:
            self.sock.ready = 0
            self.done.set()

    def wait(self) -> list[int]:
        assert self.done.wait(PATIENCE_S)
        return self.calls


@pytest.fixture
def flag() -> Flag:
    return Flag()


def watch(loop: Loop, flag: Flag, interest: int, drain: int = 1) -> Handler:
    handler = Handler(flag, drain)
    loop.call(loop.register, flag, interest, handler)
    return handler


def test_handler_is_called_when_the_socket_becomes_ready(loop: Loop, flag: Flag) -> None:
    handler = watch(loop, flag, READ)
    flag.set(READ | WRITE)
    assert handler.wait() == [READ]


def test_handler_is_called_for_as_long_as_the_socket_is_ready(loop: Loop, flag: Flag) -> None:
    handler = watch(loop, flag, READ | WRITE, drain=3)
    flag.set(READ | WRITE)
    assert handler.wait() == [READ | WRITE] * 3


def test_socket_that_was_ready_before_is_reported(loop: Loop, flag: Flag) -> None:
    flag.set(WRITE)
    assert watch(loop, flag, WRITE).wait() == [WRITE]


def test_readiness_without_interest_waits_for_the_interest(loop: Loop, flag: Flag) -> None:
    handler = watch(loop, flag, 0)
    flag.set(READ)
    loop.call(int)
    assert handler.calls == []
    loop.call(loop.set_interest, flag, READ)
    assert handler.wait() == [READ]


def test_error_is_reported_without_interest_and_with_all_of_it(loop: Loop, flag: Flag) -> None:
    handler = watch(loop, flag, 0)
    flag.set(ERROR)
    assert handler.wait() == [ERROR]
    loop.call(loop.set_interest, flag, READ | WRITE)
    handler.left = 1
    handler.done.clear()
    flag.set(ERROR)
    assert handler.wait()[-1] == ERROR | READ | WRITE


def test_handler_that_was_removed_is_not_called(loop: Loop, flag: Flag) -> None:
    handler = watch(loop, flag, READ)

    def become_ready_and_leave() -> None:
        flag.set(READ)
        loop.unregister(flag)
        loop.unregister(flag)

    loop.call(become_ready_and_leave)
    loop.call(int)
    assert handler.calls == []
    assert watch(loop, flag, READ).wait() == [READ]


def test_other_work_of_the_loop_has_its_turn(loop: Loop, flag: Flag) -> None:
    turns: list[int] = []
    handler = watch(loop, flag, READ, drain=100)

    def post_again() -> None:
        turns.append(len(handler.calls))
        if handler.left > 0:
            loop.post(post_again)

    loop.post(post_again)
    flag.set(READ)
    handler.wait()
    loop.call(int)
    assert len(turns) >= 50


def test_misuse_is_refused_as_for_a_socket_of_the_kernel(loop: Loop, flag: Flag) -> None:
    with pytest.raises(KeyError):
        loop.call(loop.set_interest, flag, READ)
    watch(loop, flag, READ)
    with pytest.raises(ValueError, match="registered already"):
        watch(loop, flag, READ)


def test_state_of_a_loop_that_has_ended_changes_nothing(make_loop: MakeLoop, flag: Flag) -> None:
    loop = make_loop()
    handler = watch(loop, flag, READ)
    loop.stop()
    assert loop.join(PATIENCE_S)
    flag.set(READ)
    assert handler.calls == []
