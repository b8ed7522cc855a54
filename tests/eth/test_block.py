"""Transactions and bodies: hashes, and the check of a body against its header."""

from __future__ import annotations

from dataclasses import replace

import pytest

import p2p
from p2p.eth import (
    BlockBody,
    InvalidResponse,
    LegacyTransaction,
    Withdrawal,
    check_access_list,
    check_body,
    consensus_encoding,
    transaction_hash,
    transaction_type,
)
from p2p.rlp import decode, encode
from tests.eth.chain import make_chain
from tests.eth.vectors import ACCESS_LIST, CREATION, DATA, LEGACY, TYPED, address, header

BLOCK = make_chain(2)[1]


def test_hashes_are_those_of_go_ethereum() -> None:
    assert transaction_hash(LEGACY).hex() == DATA["hashes"]["legacy"]
    assert transaction_hash(CREATION).hex() == DATA["hashes"]["creation"]
    assert transaction_hash(TYPED).hex() == DATA["hashes"]["typed"]


def test_type_is_the_first_byte_of_a_typed_transaction() -> None:
    assert [transaction_type(item) for item in (LEGACY, TYPED, b"")] == [0, 2, 0]
    assert consensus_encoding(TYPED) == TYPED


def test_a_recipient_is_an_address_or_none() -> None:
    with pytest.raises(p2p.DecodeError, match="recipient"):
        decode(encode([0, 0, 0, bytes(19), 0, b"", 27, 1, 1]), LegacyTransaction)


def test_the_body_of_its_header_is_accepted() -> None:
    check_body(BLOCK.header, BLOCK.body)


def test_a_body_before_shanghai_has_no_withdrawals() -> None:
    body = replace(BLOCK.body, withdrawals=None)
    with pytest.raises(InvalidResponse, match="withdrawals"):
        check_body(BLOCK.header, body)
    kept = ("parent_hash", "ommers_hash", "transactions_root")
    old = header(1, **{name: getattr(BLOCK.header, name) for name in kept})
    check_body(old, body)


OTHER: dict[str, BlockBody] = {
    "transactions": replace(BLOCK.body, transactions=BLOCK.body.transactions[::-1]),
    "ommers": replace(BLOCK.body, ommers=[BLOCK.header]),
    "withdrawals": replace(BLOCK.body, withdrawals=[Withdrawal(0, 0, address(1), 1)]),
}


@pytest.mark.parametrize("what", OTHER)
def test_a_body_of_another_block_is_refused(what: str) -> None:
    with pytest.raises(InvalidResponse, match=f"the {what} are not those of block 1"):
        check_body(BLOCK.header, OTHER[what])


def test_the_access_list_of_its_header_is_accepted_and_no_other() -> None:
    check_access_list(BLOCK.header, ACCESS_LIST)
    with pytest.raises(InvalidResponse, match="access list is not that of block 1"):
        check_access_list(BLOCK.header, [])
