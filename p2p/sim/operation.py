"""A command of a simulated node, from its start to its end."""

from __future__ import annotations

from typing import Any

from p2p.errors import P2PError, ServerStateError, Timeout
from p2p.sim.timeline import Timeline

#: Default limit on the duration of a command, in simulated seconds.
COMMAND_LIMIT_S = 60.0


class Operation:
    """A command that was started. ``done`` is True when it has ended."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.done = False
        self.error: P2PError | None = None
        self._result: Any = None

    @property
    def result(self) -> Any:
        """Result of the operation. Raises its error, and ServerStateError before its end."""
        if self.error is not None:
            raise self.error
        if not self.done:
            raise ServerStateError("the operation has not ended")
        return self._result

    def wait(self, limit: float = COMMAND_LIMIT_S) -> Any:
        """Let simulated time pass until the end, at most ``limit`` seconds; return the result.

        Raises the error of the operation, and Timeout if it has not ended.
        """
        if not self._timeline.run_until(lambda: self.done, limit):
            raise Timeout(f"the operation did not end within {limit} simulated seconds")
        return self.result

    def end(self, result: Any, error: P2PError | None) -> None:
        """Record the end of the operation, with its result or its error."""
        self.done, self._result, self.error = True, result, error
