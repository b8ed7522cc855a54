"""The search for a router, on a thread for each kind of router, such as ``p2p-nat-pmp``.

A :class:`RouterSearch` belongs to the thread of its loop. The threads of a search end with it, and
post their results to that loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from p2p.clock import Deadline
from p2p.nat.errors import NatError
from p2p.nat.gateway import Gateway, Stop
from p2p.net import Loop
from p2p.netutil import printable
from p2p.threads import join_threads

#: Time to find a router, in seconds. Most answer at once; a slow one of UPnP gets 6 s.
FIND_S = 10.0
#: Longest text of a router's error in a log line, in characters.
_MAX_TEXT = 200


class Find(Protocol):
    """The search for a router, ``find`` of the modules for the kinds of routers."""

    def __call__(self, deadline: Deadline, stop: Stop) -> Gateway | None:
        """Return a router, None if none answers."""


class RouterSearch:
    """Searches for routers of the kinds in ``find``.

    ``on_ended`` is called on the loop for each kind, with the router or None.
    """

    def __init__(
        self,
        find: Mapping[str, Find],
        loop: Loop,
        on_ended: Callable[[Gateway | None], None],
        log: logging.Logger,
    ) -> None:
        # fixed after __init__
        self._find = dict(find)
        self._loop = loop
        self._on_ended = on_ended
        self._log = log
        # owned by the loop's thread
        self._threads: list[threading.Thread] = []
        self._awaited = 0  # threads whose result is awaited
        self._outcomes: list[str] = []

    @property
    def is_under_way(self) -> bool:
        """Whether the result of a kind is awaited."""
        return self._awaited > 0

    @property
    def outcomes(self) -> str:
        """The kinds of routers that were not found, and why."""
        return "; ".join(sorted(self._outcomes))

    def begin(self, stop: Stop) -> None:
        """Look for routers of all kinds, unless a search is under way."""
        if self.is_under_way:
            return
        deadline = Deadline(FIND_S)
        self._threads = [self._thread(kind, deadline, stop) for kind in self._find]
        self._awaited = len(self._threads)
        self._outcomes.clear()
        for thread in self._threads:
            try:
                thread.start()
            except RuntimeError as error:  # the system has no more threads
                self._end(None, f"{thread.name}: {error}")

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for the threads. Returns the names of those still running. Any thread."""
        return join_threads(self._threads, deadline)

    def _thread(self, kind: str, deadline: Deadline, stop: Stop) -> threading.Thread:
        return threading.Thread(
            target=self._find_one,
            args=(kind, deadline, stop),
            name=f"p2p-nat-{kind}",
            daemon=True,
        )

    def _end(self, found: Gateway | None, outcome: str) -> None:
        self._awaited -= 1
        self._outcomes.append(outcome)
        self._on_ended(found)

    # the threads of a search

    def _find_one(self, kind: str, deadline: Deadline, stop: Stop) -> None:
        found, outcome = None, kind
        try:
            found = self._find[kind](deadline, stop)
        except (NatError, OSError) as error:
            outcome = f"{kind}: {error_text(error)}"
        except Exception as error:  # the top of the thread
            self._log.error("search for %s failed", kind, exc_info=error)
        finally:  # even if the program's log fails
            self._loop.post(self._end, found, outcome)


def error_text(error: Exception) -> str:
    """Return the text of an error, in which a router may have words of its own."""
    return printable(str(error), _MAX_TEXT)
