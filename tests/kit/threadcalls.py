"""Calls in threads of their own, whose outcome the test asks for later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.kit.waiting import PATIENCE_S


def in_thread(fn: Callable[..., object], *args: Any) -> threading.Thread:
    """Begin a call that must not raise."""
    thread = threading.Thread(target=fn, args=args)
    thread.start()
    return thread


class Call(threading.Thread):
    """A call that may raise, and has begun."""

    def __init__(self, fn: Callable[..., Any], *args: Any) -> None:
        super().__init__(name="call")
        self.error: BaseException | None = None
        self._fn = fn
        self._args = args
        self._result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._fn(*self._args)
        except Exception as error:
            self.error = error

    def result(self) -> Any:
        """What the call returned; its error is raised."""
        outcome = self.outcome()
        if self.error is not None:
            raise self.error
        return outcome

    def outcome(self) -> Any:
        """What the call returned, or the error that it raised."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), "the call still waits"
        return self._result if self.error is None else self.error
