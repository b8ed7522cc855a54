"""Keys and values of a file in TOML, read with one-line errors. Pure.

An error names the key by its path, such as ``network.nodes``; the error of an unknown key has the
nearest known one.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.shown import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Most characters of a file: an experiment takes some hundred.
MAX_CHARS = 64 * 1024
#: Most characters of a wrong value or key in an error.
MAX_SHOWN = 60

#: The tables of a file, by their names.
Tables: TypeAlias = Mapping[str, Any]


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a text in TOML. Raises Failure, with the line, if it is none."""
    if len(text) > MAX_CHARS:
        raise wrong(f"longer than {MAX_CHARS} characters")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong(f"not TOML: {shown(str(error), 4 * MAX_SHOWN)}") from None


def wrong(text: str) -> Failure:
    """Return the failure for wrong input."""
    return Failure(text, ExitCode.USAGE)


class Section:
    """A table of the file; each key is read once, by the method for its type.

    ``path`` is its name. The methods raise Failure for a wrong value; :meth:`end` for keys that
    were not read.
    """

    def __init__(self, tables: Tables, path: str) -> None:
        table = tables.get(path, {})
        if not isinstance(table, dict):
            raise wrong(f"{path}: want a table, [{path}]")
        self._table: dict[str, Any] = table
        self._path = path
        self._read: list[str] = []

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(key, value, f"an integer from {low} to {high}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``."""
        value = self._value(key, default)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            raise self._wrong(key, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, key: str, default: str | None, choices: Iterable[str]) -> str:
        """Return one of ``choices``; ``default`` None means that the key has to be there."""
        value = self._value(key, default)
        names = list(choices)
        if value is None:
            raise wrong(f"{self._path}.{key}: missing; want one of {', '.join(names)}")
        if value not in names:
            near = nearest(value, names) if isinstance(value, str) else ""
            raise self._wrong(key, value, f"one of {', '.join(names)}", near)
        return str(value)

    def accept(self, key: str) -> None:
        """Accept a key that was read before."""
        self._read.append(key)

    def end(self) -> None:
        """Raise Failure for the first key that was not read."""
        refuse_unknown(self._table, self._read, f"{self._path}.")

    def _value(self, key: str, default: Any) -> Any:
        self._read.append(key)
        return self._table.get(key, default)

    def _wrong(self, key: str, value: object, wanted: str, hint: str = "") -> Failure:
        got = shown(repr(value), MAX_SHOWN)
        return wrong(f"{self._path}.{key}: want {wanted}, got {got}{hint}")


def count_samples(duration_s: float, sample_s: float) -> int:
    """Return the number of samples in ``duration_s`` seconds, one every ``sample_s``.

    Decimals of a file have no exact binary value, so a quotient near an integer counts as it.
    Raises Failure for any other.
    """
    number = round(duration_s / sample_s)
    if number < 1 or not math.isclose(number * sample_s, duration_s):
        found = f"want a multiple of sample_s ({sample_s:g}), got {duration_s:g}"
        raise wrong(f"experiment.duration_s: {found}")
    return number


def refuse_unknown(found: Iterable[str], known: Iterable[str], path: str = "") -> None:
    """Raise Failure for the first key that is not known."""
    names = list(known)
    for key in found:
        if key not in names:
            where = shown(path + key, MAX_SHOWN)
            raise wrong(f"{where}: unknown{nearest(key, names) or '; known: ' + ', '.join(names)}")


def nearest(word: str, names: Iterable[str]) -> str:
    """Return a question for the name that was meant, or nothing if none is near."""
    near = difflib.get_close_matches(word[:MAX_SHOWN], list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""
