"""Checks of numbers among the arguments of a lab. Pure."""

from __future__ import annotations

import sys

from p2p.arguments import NUMBER, check_type, wrong

#: The range of any int, and its words, for ``check_int``.
INT = (-float("inf"), float("inf"), "an int")


def real(name: str, value: object) -> float:
    """Return a finite number. Raises ArgumentError for anything else."""
    check_type(name, value, NUMBER, "a number")
    assert isinstance(value, NUMBER)
    if not abs(value) <= sys.float_info.max:  # nor NaN; an int may be too large for a float
        raise wrong(name, value, "a finite number")
    return float(value)


def positive(name: str, value: object) -> float:
    """Return a finite number above 0. Raises ArgumentError for anything else."""
    number = real(name, value)
    if number <= 0:
        raise wrong(name, value, "a number above 0")
    return number


def probability(name: str, value: object) -> float:
    """Return a number from 0 to 1. Raises ArgumentError for anything else."""
    number = real(name, value)
    if not 0 <= number <= 1:
        raise wrong(name, value, "a probability, from 0 to 1")
    return number


def span(name: str, value: object) -> tuple[float, float]:
    """Return the least and the most of a pair of numbers from 0 up, or of one for both."""
    least, most = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
    low, high = real(name, least), real(name, most)
    if not 0 <= low <= high:
        raise wrong(name, value, "a number from 0 up, or the least and the most")
    return low, high
