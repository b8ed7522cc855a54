"""Announcements and cells: numbers of items that must agree, and bitmaps of indices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p.errors import ArgumentError
from p2p.eth import (
    ETH69,
    ETH72,
    Cells,
    NewPooledTransactionHashes68,
    Transactions,
    cell_bitmap,
    cell_indices,
)
from p2p.eth.limits import MAX_TRANSACTIONS
from p2p.rlp import encode
from tests.eth.vectors import TYPED, hash_of

CELL = bytes(2048)
TWO = cell_bitmap(3, 4)


@given(st.sets(st.integers(0, 127)))
def test_indices_of_a_bitmap_are_those_it_was_made_of(indices: set[int]) -> None:
    bitmap = cell_bitmap(*indices)
    assert len(bitmap) == 16
    assert cell_indices(bitmap) == sorted(indices)


def test_there_are_128_cells() -> None:
    for index in (-1, 128):
        with pytest.raises(ArgumentError, match="0 to 127"):
            cell_bitmap(index)


def test_an_announcement_has_as_many_of_each() -> None:
    with pytest.raises(ArgumentError, match="1 types, 1 sizes and 2 hashes"):
        NewPooledTransactionHashes68(b"\x02", [1], [hash_of(1), hash_of(2)])
    with pytest.raises(p2p.DecodeError):
        ETH69.decode(0x08, encode([b"\x02", [1], []]))
    with pytest.raises(p2p.DecodeError):
        ETH72.decode(0x08, encode([b"\x02", [], [hash_of(1)], bytes(16)]))


def test_cells_are_of_whole_blobs_for_each_transaction() -> None:
    Cells(1, [hash_of(1)], [[CELL] * 4], TWO)
    Cells(1, [hash_of(1)], [[]], TWO)
    Cells(1, [], [], bytes(16))
    for hashes, cells, indices in (
        ([hash_of(1)], [[CELL] * 3], TWO),
        ([hash_of(1)], [[CELL]], bytes(16)),
        ([], [[CELL] * 2], TWO),
    ):
        with pytest.raises(ArgumentError):
            Cells(1, hashes, cells, indices)


def test_more_transactions_than_the_limit_are_refused() -> None:
    Transactions([TYPED] * MAX_TRANSACTIONS)
    with pytest.raises(p2p.DecodeError, match="Transactions"):
        ETH69.decode(0x02, encode([TYPED] * (MAX_TRANSACTIONS + 1)))
