"""Failed waits, blocks and constructors: limits, patience, and errors that must not be lost.

Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from p2p.clock import Deadline

T = TypeVar("T")

#: Wait in seconds for handlers and servers after Ctrl-C.
MOMENT_S = 0.2
#: Longest timeout that all systems accept for a socket: 2**31 milliseconds are 24 days.
_MAX_SOCKET_S = 2_000_000.0


def socket_timeout(deadline: Deadline) -> float | None:
    """Return the time left as a timeout of a socket."""
    left_s = deadline.left_s
    return None if left_s is None else min(left_s, _MAX_SOCKET_S)


def patience_after(error: BaseException, timeout: float) -> float:
    """Return the timeout for the end of a block that ``error`` has ended; short for Ctrl-C."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        return min(timeout, MOMENT_S)
    return timeout


def add_cause(error: BaseException, cause: BaseException | None) -> None:
    """Make ``cause`` the last in the chain of errors that Python shows for ``error``."""
    passed: list[BaseException] = []
    following: BaseException | None = error
    while following is not None:
        if following is cause or any(following is other for other in passed):
            return
        passed.append(following)
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)
    if cause is not None:
        passed[-1].__cause__ = cause


def of_whole(method: Callable[[T], str]) -> Callable[[T], str]:
    """Decorate a ``__repr__``: an object whose ``__init__`` has failed shows its class only."""

    @wraps(method)
    def shown(self: T) -> str:
        try:
            return method(self)
        except AttributeError:
            return f"<{type(self).__name__}, incomplete>"

    return shown
