"""Checks of the arguments of public calls, with one form of error text.

The text names the argument, the wanted value and the given one. The error is an ArgumentError for a
wrong value and an ArgumentTypeError for a wrong type; for options, :func:`of_options` turns them
into ConfigErrors. Pure; any thread.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from p2p.errors import ArgumentError, ArgumentTypeError, ConfigError, ConfigTypeError

#: Accepted types of a time in seconds, and of bytes.
NUMBER = (int, float)
BYTES = (bytes, bytearray, memoryview)
#: Largest number of 64 bits without a sign, and its range as text for an error.
MAX_UINT64 = 2**64 - 1
UINT64 = "an int from 0 to 2**64 - 1"

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def shown(value: object) -> str:
    """Return a value and its type as text for an error; a long value is cut."""
    return f"{_repr.repr(value)} ({type(value).__name__})"


def wrong(name: str, value: object, wanted: str) -> ArgumentError:
    """Return the error for a wrong value of the argument ``name``; its type is right.

    ``wanted`` describes the right values.
    """
    return ArgumentError(f"{name}: wanted {wanted}; got {shown(value)}")


def wrong_type(name: str, value: object, wanted: str) -> ArgumentTypeError:
    """Return the error for an argument ``name`` of the wrong type."""
    return ArgumentTypeError(f"{name}: wanted {wanted}; got {shown(value)}")


def check_type(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Raise ArgumentTypeError unless the value is of this type, or of one of these types.

    A bool does not count as a number.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, NUMBER)):
        raise wrong_type(name, value, wanted)


def check_int(name: str, value: object, least: float, most: float, wanted: str) -> None:
    """Raise ArgumentError unless the value is an int from ``least`` to ``most``."""
    check_type(name, value, int, wanted)
    assert isinstance(value, int)
    if not least <= value <= most:
        raise wrong(name, value, wanted)


def check_uint64(name: str, value: object) -> None:
    """Raise ArgumentError unless the value is an int of 64 bits without a sign."""
    check_int(name, value, 0, MAX_UINT64, UINT64)


def check_each(name: str, values: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Raise ArgumentTypeError unless the values are a sequence of this type, or of these types."""
    is_plain = isinstance(values, Sequence) and not isinstance(values, (str, *BYTES))
    if not is_plain or not all(isinstance(value, kind) for value in values):  # type: ignore[attr-defined]
        raise wrong_type(name, values, wanted)


def text_of(value: object, name: str) -> str:
    """Return the text ``value`` without white space around it.

    Errors contain only its type, since it may be a key.
    """
    if isinstance(value, str):
        return value.strip()
    hint = "; decode() makes text of bytes" if isinstance(value, (bytes, bytearray)) else ""
    raise ArgumentTypeError(f"{name}: wanted text; got {type(value).__name__}{hint}")


def bytes_of(value: object, name: str) -> bytes:
    """Return ``value`` as bytes. Errors contain only its type, since it may be a key."""
    if isinstance(value, BYTES):
        return bytes(value)
    hint = "; bytes.fromhex() makes bytes of hex digits" if isinstance(value, str) else ""
    raise ArgumentTypeError(f"{name}: wanted bytes; got {type(value).__name__}{hint}")


@contextmanager
def of_options() -> Iterator[None]:
    """Turn each ArgumentError of a ``with`` block or a function into a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except ArgumentError as error:
        kind = ConfigTypeError if isinstance(error, ArgumentTypeError) else ConfigError
        raise kind(*error.args) from error.__cause__


def check_function(name: str, function: object, *arguments: str) -> None:
    """Raise ArgumentTypeError unless ``function`` can be called with ``arguments``.

    Rejects a coroutine or generator function, since a call runs none of its code, and a function
    that takes other arguments, if its signature is known.
    """
    call = f"{name.rpartition('.')[2]}({', '.join(arguments)})"
    if not callable(function):
        raise ArgumentTypeError(f"{name} must be callable as {call}, not {shown(function)}")
    lazy = _lazy_kind(function)
    if lazy is not None:
        raise ArgumentTypeError(
            f"{name} must be a plain function, called as {call}, not {lazy}, whose call runs no "
            f"code: {shown(function)}; write it with def, without await or yield: it may block"
        )
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # some C functions have none, and annotations may fail
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        given = f"{shown(function)} takes {signature}"
        text = f"{name} must be callable as {call}, but {given}: {error}"
        raise ArgumentTypeError(text) from None


def _lazy_kind(function: Any) -> str | None:
    """Return the kind of a function whose call runs no code yet; None for any other function."""
    while isinstance(function, partial):
        function = function.func
    try:
        for code in (function, type(function).__call__):
            if inspect.iscoroutinefunction(code):
                return "a coroutine function"
            if inspect.isasyncgenfunction(code):
                return "an asynchronous generator function"
            if inspect.isgeneratorfunction(code):
                return "a generator function"
    except Exception:  # a mock that looks like a function
        pass
    return None


def check_has_run(name: str, result: object) -> None:
    """Raise ConfigTypeError if the result of a function is a coroutine or a generator.

    None of its code has run then: a plain function has called a coroutine or generator function.
    """
    if inspect.iscoroutine(result):
        result.close()  # otherwise Python warns that it was never awaited
    elif not inspect.isgenerator(result) and not inspect.isasyncgen(result):
        return
    raise ConfigTypeError(f"{name} has run nothing, it returned {shown(result)}")
