"""``p2p.eth`` is there after ``import p2p``, and imported when it is first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import p2p

PROGRAM = """
import sys, p2p
assert "p2p.eth" not in sys.modules
print(p2p.eth.Chain(bytes(32)).genesis_time)
assert sys.modules["p2p.eth"] is p2p.eth
"""


def test_it_is_imported_at_the_first_use() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_name_that_is_not_there_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="module 'p2p' has no attribute 'nonsense'"):
        p2p.nonsense  # type: ignore[attr-defined]  # noqa: B018
