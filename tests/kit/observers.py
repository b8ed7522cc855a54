"""The calls that an observer was told, in order."""

from __future__ import annotations

from functools import partial
from typing import Any


class Calls:
    """All calls as (method, arguments)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def told(self, method: str) -> list[Any]:
        """The arguments of all calls of a method; single ones without their tuple."""
        return [args[0] if len(args) == 1 else args for name, args in self.calls if name == method]

    def joined(self, method: str) -> list[Any]:
        """The members of the batches that a method was told, one after the other."""
        return [member for batch in self.told(method) for member in batch]


def methods_of(observer: type) -> list[str]:
    """The names of all calls that a class of observers defines."""
    return [name for name in vars(observer) if not name.startswith("_")]


class Failing(Calls):
    """An observer that takes every call, and raises ``error`` in the method ``fails``."""

    def __init__(self, fails: str, error: BaseException) -> None:
        super().__init__()
        self._fails = fails
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name)

    def _call(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, arguments))
        if name == self._fails:
            raise self._error
