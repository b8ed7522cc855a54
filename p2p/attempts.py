"""What became of the attempts to connect to nodes, for those who ask afterwards.

Pure; the server's I/O thread owns the log.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeVar

from p2p.errors import ConnectError, DialStep

E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True, slots=True)
class DialAttempt:
    """One attempt to connect to a node.

    ``time_unix`` is when it ended, ``address`` the "ip:port" that was dialed (or what stands for
    it), ``step`` how far it came, ``error`` why it failed, or None if the node became a peer.
    """

    time_unix: float
    address: str
    step: DialStep
    error: ConnectError | None = None

    @property
    def outcome(self) -> str:
        """What came of it, in a line: "connected", or the step, the error's name and its text."""
        if self.error is None:
            return "connected"
        return f"{self.step}: {type(self.error).__name__}: {self.error}"


class AttemptLog:
    """The last attempts to connect, by node ID; bounded in nodes and in attempts of a node.

    When there are more than ``max_nodes`` the node goes whose last attempt is the longest ago.
    """

    def __init__(self, max_nodes: int = 1000, per_node: int = 10) -> None:
        self._max_nodes = max_nodes
        self._per_node = per_node
        # by node, the one with the latest attempt at the end
        self._attempts: OrderedDict[bytes, list[DialAttempt]] = OrderedDict()

    def add(self, node_id: bytes, attempt: DialAttempt) -> None:
        """Remember an attempt. Its error is kept as a copy, without its traceback."""
        if attempt.error is not None:
            attempt = replace(attempt, error=_without_traceback(attempt.error))
        attempts = self._attempts.setdefault(node_id, [])
        attempts.append(attempt)
        del attempts[: -self._per_node]
        self._attempts.move_to_end(node_id)
        if len(self._attempts) > self._max_nodes:
            self._attempts.popitem(last=False)

    def of(self, node_id: bytes) -> list[DialAttempt]:
        """The attempts that are remembered of a node, oldest first; a new list."""
        return list(self._attempts.get(node_id, ()))


def _without_traceback(error: E) -> E:
    """Copy an error and its direct cause, so that no frame with all it holds is kept alive."""
    copy = _bare_copy(error)
    if error.__cause__ is not None:
        copy.__cause__ = _cause(error.__cause__)
    return copy


def _cause(error: BaseException) -> BaseException | None:
    """What is kept of a cause: all of an error of ours, number and texts of one of the system.

    An error of the program's dialer may be of any class, whose constructor is the program's code,
    and may hold anything; of that, too, number and texts are kept.
    """
    origin = type(error).__module__.partition(".")[0]
    if origin == "p2p":
        return _bare_copy(error)
    if not isinstance(error, OSError):
        return None
    kind = type(error) if origin in ("builtins", "socket") else OSError
    given: tuple[object, ...] = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    return kind(*(arg for arg in given if type(arg) in (int, str)))


def _bare_copy(error: E) -> E:
    # not copy.copy(): it calls the constructor, whose arguments are not always error.args
    copy = type(error).__new__(type(error), *error.args)
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    return copy
