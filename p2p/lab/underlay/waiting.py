"""Whether a thread waits for another one: from the frame that it is in.

The library's threads wait in a few functions. The variables there tell whether a thread still waits
or has been woken and has not run yet: the one that wakes it takes it from a list first, or puts
something into its queue. So a thread that has work is not taken for one that waits, and no call of
the library costs anything for this. A frame in any other function, such as one of a handler, counts
as work, even if it sleeps. Any thread may ask about all others.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping
from types import CodeType, FrameType
from typing import Any

from p2p.dial.filterthread import FilterThread
from p2p.discover.v5.talk import TalkHandlers
from p2p.mailbox import Mailbox
from p2p.threads import Launcher, _Worker

#: Beginning of the names of the library's threads; handlers run in them.
PREFIX = "p2p-"
#: Threads that only look at a network, on real time.
ONLOOKERS = frozenset(("p2p-monitor", "p2p-metrics"))

_Names = Mapping[str, Any]


def busy_threads(loops: Collection[int | None] = ()) -> list[str]:
    """Return the names of the library's threads that have work, sorted.

    The calling thread does not count, nor do the ``loops``, by their thread identifiers, and those
    that only look on.
    """
    but = {threading.get_ident(), *loops}
    active = [
        ident
        for ident, frame in sys._current_frames().items()
        if ident not in but and not is_waiting(frame)
    ]
    # A thread that is being started has no frame yet, and the one that starts it waits for it.
    names = [thread.name for thread in list(threading._limbo)]  # type: ignore[attr-defined]
    if active:
        by_ident = {thread.ident: thread.name for thread in threading.enumerate()}
        names += [by_ident.get(ident, "") for ident in active]
    return sorted(name for name in names if name.startswith(PREFIX) and name not in ONLOOKERS)


def is_waiting(frame: FrameType) -> bool:
    """Return whether the thread of this frame waits for another one, and has not been woken."""
    still_waits = _WAITS.get(frame.f_code)
    return still_waits is not None and still_waits(frame.f_locals)


def _in_condition(names: _Names) -> bool:
    return "waiter" in names and names["waiter"] in names["self"]._waiters


def _in_mailbox(names: _Names) -> bool:
    return "turn" in names and names["turn"] in names["turns"]


def _without_job(names: _Names) -> bool:
    return names["self"]._job is None


def _at_queue(names: _Names) -> bool:
    return bool(names["self"]._queue.empty())


def _at_living_thread(names: _Names) -> bool:
    return bool(names["self"].is_alive())


# The innermost function of Thread.join: another one before Python 3.13.
_JOIN: Any = getattr(threading.Thread, "_wait_for_tstate_lock", threading.Thread.join)

#: The functions in which threads wait, and what shows that they still do.
_WAITS: dict[CodeType, Callable[[_Names], bool]] = {
    threading.Condition.wait.__code__: _in_condition,
    Mailbox._wait_locked.__code__: _in_mailbox,
    _Worker.wait.__code__: _without_job,
    Launcher._do_next.__code__: _at_queue,
    FilterThread._run.__code__: _at_queue,
    TalkHandlers._run.__code__: _at_queue,
    _JOIN.__code__: _at_living_thread,
}
