"""Headers: the hash of each fork, fields that may be missing, and chains of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2p.errors import ArgumentError, DecodeError
from p2p.eth import Header, InvalidResponse, check_chain
from p2p.rlp import decode, encode
from tests.eth.chain import make_chain
from tests.eth.vectors import DATA, hash_of, header


@pytest.mark.parametrize("fork", range(6))
def test_hash_is_that_of_go_ethereum(fork: int) -> None:
    assert header(fork).hash.hex() == DATA["hashes"][f"header {fork}"]


def test_a_field_before_a_later_one_may_not_be_missing() -> None:
    with pytest.raises(ArgumentError, match="blob_gas_used is given and withdrawals_root, which"):
        replace(header(5), withdrawals_root=None)


def test_a_header_with_more_fields_than_are_known_is_refused() -> None:
    fields = decode(encode(header(5)), list)
    with pytest.raises(DecodeError, match="more than 23 items"):
        decode(encode([*fields, b""]), Header)


def test_a_header_without_a_field_of_frontier_is_refused() -> None:
    fields = decode(encode(header(0)), list)
    with pytest.raises(DecodeError, match="expected 15"):
        decode(encode(fields[:-1]), Header)


def test_a_hash_of_another_length_is_refused() -> None:
    fields = decode(encode(header(0)), list)
    with pytest.raises(DecodeError, match="parent_hash"):
        decode(encode([b"\x01" * 31, *fields[1:]]), Header)


def test_a_chain_is_accepted() -> None:
    headers = [block.header for block in make_chain(5)]
    check_chain(headers)
    check_chain(headers[2:3])
    check_chain([])


BROKEN = {
    "number": ({"number": 7}, "block 7 follows block 1"),
    "parent": ({"parent_hash": hash_of(1)}, "block 2 is not the child"),
    "gas": ({"gas_used": 30_000_001}, "block 2 uses more gas than its limit"),
}


@pytest.mark.parametrize("changes, words", BROKEN.values(), ids=BROKEN)
def test_a_chain_that_is_none_is_refused(changes: dict[str, object], words: str) -> None:
    headers = [block.header for block in make_chain(3)]
    headers[2] = replace(headers[2], **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidResponse, match=words):
        check_chain(headers)
