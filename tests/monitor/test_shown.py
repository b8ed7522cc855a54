"""Values as text for the page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.monitor.shown import MAX_TEXT, fields_of


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Shown:
    value: Any


@dataclass
class Nasty:
    """Its texts are code of the program."""

    inner: int = 1

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def shown(value: object) -> str:
    (((name, text),)) = fields_of(Shown(value))
    assert name == "value"
    return text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"),
        (True, "True"),
        (None, "None"),
        (1.5, "1.5"),
        ("hi", "hi"),
        ("a\u202eb\n<script>", "a\\u202eb\\n<script>"),
        (b"\x01\x02", "0102"),
        (bytes(100), "00" * 40 + "… (100 bytes)"),
        (2**256 - 1, str(2**256 - 1)),
        (2**256, "a number of 257 bits"),
        (1 << 100_000, "a number of 100001 bits"),
        (Colour.RED, "RED"),
        ([], "no items"),
        ([1], "1 item: 1"),
        ((1, 2, 3, 4), "4 items: 1, 2, 3, …"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Shown([b"\x01"]), "Shown(value=1 item: 01)"),
        ([[[[1]]]], "1 item: 1 item: 1 item: …"),
        (Nasty(), "Nasty(inner=1)"),
        (object(), "a object"),
    ],
    ids=map(str, count()),
)
def test_value_has_a_text(value: object, text: str) -> None:
    assert shown(value) == text


def test_text_is_cut() -> None:
    assert shown("x" * 1_000_000) == "x" * MAX_TEXT + "..."
    assert len(shown(["y" * 1000] * 1000)) == MAX_TEXT + 3


def test_fields_of_a_message_have_their_names() -> None:
    assert fields_of(Point(1, 2)) == [["x", "1"], ["y", "2"]]
    assert fields_of(7) == [["value", "7"]]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=99) | st.text(),
    lambda inner: st.lists(inner) | st.builds(Shown, inner),
)


@settings(max_examples=50)
@given(_VALUES)
def test_any_value_is_printable_and_short(value: object) -> None:
    text = shown(value)
    assert len(text) <= MAX_TEXT + 3 and text.isprintable()
    assert json.loads(json.dumps(text)) == text
