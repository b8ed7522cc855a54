"""Roots of lists: those of go-ethereum's DeriveSha."""

from __future__ import annotations

import pytest

from p2p.eth import list_root
from tests.eth.vectors import DATA


@pytest.mark.parametrize("count", [int(count) for count in DATA["roots"]])
def test_root_of_a_list_is_that_of_go_ethereum(count: int) -> None:
    items = [bytes([index % 256]) * (1 + index % 70) for index in range(count)]
    assert list_root(items).hex() == DATA["roots"][str(count)]


def test_root_depends_on_the_order() -> None:
    assert list_root([b"a", b"b"]) != list_root([b"b", b"a"])
