"""Text of a remote, made fit for a line of a log or a terminal."""

from __future__ import annotations

import pytest

from p2p.netutil import printable


class Watched(str):
    """Text that cannot be looked through as a whole."""

    def __iter__(self):
        raise AssertionError("looked through")

    def isprintable(self) -> bool:
        raise AssertionError("looked through")


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("plain", 5, "plain"),
        ("plainer", 5, "plain..."),
        ("a\nb", 4, r"a\nb"),
        ("a\nb", 3, r"a\n..."),
        ("\n\n\n", 4, r"\n\n..."),
        ("\x1b[31m", 20, r"\x1b[31m"),
        ("", 0, ""),
    ],
)
def test_escaped_and_cut(text: str, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown


def test_only_what_may_be_shown_is_looked_through() -> None:
    """A text of 16 MiB took two seconds for a line."""
    assert printable(Watched("\n" * 10**6), 10) == r"\n" * 5 + "..."
