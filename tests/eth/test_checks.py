"""Responses against their requests: what a remote may leave out, and what it may not do."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.eth import HeadersQuery, InvalidResponse, Receipts70
from p2p.eth.checks import (
    check_access_lists,
    check_bodies,
    check_headers,
    check_part,
    check_receipt_lists,
)
from tests.eth.chain import make_chain
from tests.eth.vectors import RECEIPTS

BLOCKS = make_chain(10)
HEADERS = [block.header for block in BLOCKS]

FITTING: dict[str, tuple[HeadersQuery, slice]] = {
    "all": (HeadersQuery(2, 4, 0, False), slice(2, 6)),
    "fewer": (HeadersQuery(8, 10, 0, False), slice(8, 10)),
    "none": (HeadersQuery(50, 10, 0, False), slice(0, 0)),
    "by hash": (HeadersQuery(HEADERS[3].hash, 2, 0, False), slice(3, 5)),
    "downward": (HeadersQuery(5, 3, 0, True), slice(5, 2, -1)),
    "to the genesis block": (HeadersQuery(1, 3, 0, True), slice(1, None, -1)),
    "every third": (HeadersQuery(1, 3, 2, False), slice(1, 8, 3)),
    "every third downward": (HeadersQuery(9, 3, 2, True), slice(9, 2, -3)),
}


@pytest.mark.parametrize("query, which", FITTING.values(), ids=FITTING)
def test_headers_that_fit_are_accepted(query: HeadersQuery, which: slice) -> None:
    check_headers(query, HEADERS[which])


WRONG: dict[str, tuple[HeadersQuery, slice, str]] = {
    "too many": (HeadersQuery(2, 3, 0, False), slice(2, 6), "4 items, at most 3"),
    "another start": (HeadersQuery(2, 3, 0, False), slice(3, 5), "first header is of block 3"),
    "another hash": (HeadersQuery(bytes(32), 3, 0, False), slice(3, 5), "of block 3, not the one"),
    "upward": (HeadersQuery(5, 3, 0, True), slice(5, 8), "header 1 is of block 6"),
    "no skip": (HeadersQuery(2, 3, 1, False), slice(2, 5), "header 1 is of block 3"),
}


@pytest.mark.parametrize("query, which, words", WRONG.values(), ids=WRONG)
def test_headers_that_do_not_fit_are_refused(query: HeadersQuery, which: slice, words: str) -> None:
    with pytest.raises(InvalidResponse, match=words):
        check_headers(query, HEADERS[which])


def test_headers_of_two_chains_are_refused() -> None:
    other = [block.header for block in make_chain(5, transactions=1)]
    with pytest.raises(InvalidResponse, match="block 3 is not the child"):
        check_headers(HeadersQuery(2, 2, 0, False), [HEADERS[2], other[3]])
    with pytest.raises(InvalidResponse, match="block 3 is not the child"):
        check_headers(HeadersQuery(3, 2, 0, True), [other[3], HEADERS[2]])


LISTS: dict[str, tuple[Any, list[Any]]] = {
    "bodies": (check_bodies, [block.body for block in BLOCKS]),
    "receipts": (check_receipt_lists, [block.receipts for block in BLOCKS]),
    "access lists": (check_access_lists, [block.access_list for block in BLOCKS]),
}


@pytest.mark.parametrize("check, items", LISTS.values(), ids=LISTS)
def test_lists_fit_their_headers_and_the_last_may_be_missing(check: Any, items: list[Any]) -> None:
    check(HEADERS, items)
    check(HEADERS, items[:4])
    check(HEADERS, [])
    with pytest.raises(InvalidResponse, match="2 items, at most 1"):
        check(HEADERS[:1], items[:2])


@pytest.mark.parametrize("check, items", [LISTS["bodies"], LISTS["receipts"]])
def test_lists_in_another_order_are_refused(check: Any, items: list[Any]) -> None:
    with pytest.raises(InvalidResponse, match="block 0"):
        check(HEADERS, items[::-1])


def test_an_access_list_that_the_remote_does_not_have_is_not_checked() -> None:
    check_access_lists(HEADERS[:2], [None, BLOCKS[1].access_list])
    with pytest.raises(InvalidResponse):
        check_access_lists(HEADERS[:1], [[]])


def test_an_incomplete_part_has_at_least_one_receipt() -> None:
    check_part(Receipts70(1, True, [[], RECEIPTS]), 2)
    check_part(Receipts70(1, False, []), 2)
    for receipts in ([], [[], []]):
        with pytest.raises(InvalidResponse, match="without any"):
            check_part(Receipts70(1, True, receipts), 2)
