"""Copies and pickles of errors, with their text, attributes and cause. Pure; any thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

E = TypeVar("E", bound=Exception)


def restore(
    kind: type[E],
    args: tuple[object, ...],
    attributes: Mapping[str, object],
    cause: BaseException | None,
) -> E:
    """Recreate an error without its constructor, whose arguments need not be ``args``."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    if cause is not None:
        error.__cause__ = cause
    return error


def portable(cause: BaseException | None) -> BaseException | None:
    """Return the cause for a copy, without the code and the objects of a program's own class.

    An error of this package is returned itself, an OSError as a copy with its simple arguments, a
    builtin error as a copy if its arguments are simple. The result is None for any other error.
    """
    if cause is None or _origin(cause) == "p2p":
        return cause
    # Not cause.args, which a program's class may define as it likes.
    args: tuple[object, ...] = BaseException.args.__get__(cause)  # type: ignore[attr-defined]
    if isinstance(cause, OSError):
        kind = type(cause) if _origin(cause) in ("builtins", "socket") else OSError
        return kind(*(arg for arg in args if type(arg) in (int, str)))
    if _origin(cause) == "builtins" and all(type(arg) in (int, str, bytes) for arg in args):
        return type(cause)(*args)
    return None


def _origin(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]
