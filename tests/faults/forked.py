"""Calls in a forked child, as the parent hears of them: what came of each, or that it hangs.

While the fork happens, another thread holds every lock of the library, as a child may find it.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from tests.kit.waiting import PATIENCE_S

#: What a child gets for all that it does: a fraction of what any wait of the library takes.
CHILD_S = 5.0

_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition)


def outcomes_in_child(
    calls: Mapping[str, Callable[[], object]], *, among_locks: bool = True
) -> dict[str, object]:
    """What each call in a child returned (its repr), or the exception that it raised.

    Fails when one of them hangs, and names it.
    """
    reader, writer = os.pipe()
    with locks_held() if among_locks else nullcontext():
        pid = os.fork()
    if not pid:
        _tell_outcomes(calls, writer)
    os.close(writer)
    outcomes: dict[str, object] = {}
    try:
        with open(reader, "rb") as told:
            begun = None
            deadline = time.monotonic() + CHILD_S
            while True:
                left_s = max(0.0, deadline - time.monotonic())
                ready = select.select([told], [], [], left_s)[0]
                assert ready, f"{begun} hangs in the child"
                try:
                    name, is_over, outcome = pickle.load(told)
                except EOFError:
                    break
                begun = name
                if is_over:
                    outcomes[name] = outcome
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert outcomes.keys() == calls.keys()
    return outcomes


def outcome_in_child(call: Callable[[], object], *, among_locks: bool = True) -> object:
    return outcomes_in_child({"the call": call}, among_locks=among_locks)["the call"]


def _tell_outcomes(calls: Mapping[str, Callable[[], object]], writer: int) -> None:
    """In the child: to its end."""
    try:
        for name, call in calls.items():
            os.write(writer, pickle.dumps((name, False, None)))
            outcome: object
            try:
                outcome = repr(call())
            except BaseException as error:
                outcome = error
            os.write(writer, pickle.dumps((name, True, outcome)))
    finally:
        os._exit(0)


@contextmanager
def locks_held() -> Iterator[None]:
    """Have a thread hold each lock of the library that is free."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        taken = [lock for lock in locks() if lock.acquire(blocking=False)]
        held.set()
        release.wait(PATIENCE_S)
        for lock in taken:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE_S)
    try:
        yield
    finally:
        release.set()
        holder.join(PATIENCE_S)


def locks() -> list[Any]:
    """The locks in attributes of objects of the library."""
    found = {}
    for thing in gc.get_objects():
        if str(type(thing).__module__).partition(".")[0] == "p2p":
            for value in getattr(thing, "__dict__", {}).values():
                if isinstance(value, _LOCKS):
                    found[id(value)] = value
    return list(found.values())
