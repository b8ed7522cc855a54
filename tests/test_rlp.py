"""The public module of RLP; `tests/codec` has the tests of what it shows."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import p2p.rlp
from p2p.codec import MAX_DEPTH, MAX_INT_BYTES, MAX_ITEMS


def test_example_of_the_docstring_works() -> None:
    text = inspect.getdoc(p2p.rlp) or ""
    (example,) = re.findall(r"::\n\n((?:    .*\n)+)", text)
    names: dict[str, Any] = dict(vars(p2p.rlp))
    exec(textwrap.dedent(example), names)
    assert [names[name] for name in ("text", "number", "raw", "numbers")] == [
        *("foo", 5, b"bytes", [1, 2])
    ]


def test_limits_of_the_docstring_are_those_of_the_code() -> None:
    found = re.findall(r"\d[\d,]*\b", inspect.getdoc(p2p.rlp) or "")
    numbers = [int(number.replace(",", "")) for number in found]
    assert {MAX_DEPTH, MAX_INT_BYTES, MAX_ITEMS} <= set(numbers)
