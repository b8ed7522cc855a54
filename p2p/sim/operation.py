"""A command of a simulated node, from its start to its end."""

from __future__ import annotations

from typing import Any

from p2p.errors import P2PError, RemoteTimeout, ServerStateError
from p2p.sim.timeline import Timeline

#: How long a command may take, in simulated seconds, when the caller does not say.
COMMAND_LIMIT_S = 60.0


class Operation:
    """A command that was begun. ``done`` tells whether it has ended."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.done = False
        self.error: P2PError | None = None
        self._result: Any = None

    @property
    def result(self) -> Any:
        """What it came to. Raises its error, and ServerStateError while it goes on."""
        if self.error is not None:
            raise self.error
        if not self.done:
            raise ServerStateError("the operation has not ended")
        return self._result

    def wait(self, limit: float = COMMAND_LIMIT_S) -> Any:
        """Let time pass until it has ended, at most ``limit`` seconds; then as :attr:`result`.

        Raises RemoteTimeout if it has not.
        """
        if not self._timeline.run_until(lambda: self.done, limit):
            raise RemoteTimeout(f"the operation did not end within {limit} simulated seconds")
        return self.result

    def end(self, result: Any, error: P2PError | None) -> None:
        """It has ended."""
        self.done, self._result, self.error = True, result, error
