"""Receipts: go-ethereum's consensus encoding with its filter, and the check against a header."""

from __future__ import annotations

import pytest

import p2p
from p2p.errors import ArgumentError
from p2p.eth import InvalidResponse, Receipt, check_receipts
from p2p.rlp import decode, encode
from tests.eth.chain import make_chain
from tests.eth.vectors import DATA, RECEIPTS

BLOCK = make_chain(2)[1]


@pytest.mark.parametrize("index", range(3))
def test_consensus_encoding_is_that_of_go_ethereum(index: int) -> None:
    assert RECEIPTS[index].consensus_encoding.hex() == DATA["receipts"][f"receipt {index}"]


def test_status_tells_of_success_and_a_state_root_does_not() -> None:
    assert [receipt.succeeded for receipt in RECEIPTS] == [True, False, None]


def test_filter_without_logs_is_empty() -> None:
    assert RECEIPTS[1].bloom == bytes(256)


def test_a_receipt_of_an_impossible_type_or_status_is_refused() -> None:
    with pytest.raises(ArgumentError, match="tx_type is 128, above 127"):
        Receipt(128, b"", 0, [])
    with pytest.raises(p2p.DecodeError, match="post_state_or_status"):
        decode(encode([0, b"\x01\x01", 0, []]), Receipt)


def test_receipts_of_their_block_are_accepted_and_no_others() -> None:
    check_receipts(BLOCK.header, BLOCK.receipts)
    with pytest.raises(InvalidResponse, match="the receipts are not those of block 1"):
        check_receipts(BLOCK.header, BLOCK.receipts[:-1])
