"""Checks of responses of ``eth`` against their requests and the block headers.

Each raises InvalidResponse. What a response leaves out is no fault: the remote may not have it, or
bound its response. Pure; any thread (devp2p, caps/eth.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from p2p.eth.accesslist import AccountChanges, check_access_list
from p2p.eth.block import BlockBody, check_body
from p2p.eth.errors import InvalidResponse
from p2p.eth.header import Header, check_chain
from p2p.eth.limits import MIN_TRANSACTION_GAS
from p2p.eth.receipt import Receipt, check_receipts
from p2p.eth.requests import HeadersQuery, Receipts70


def check_headers(query: HeadersQuery, headers: Sequence[Header]) -> None:
    """Check headers that were asked for so.

    The first is that of ``query.start``, the numbers go by ``skip``, and without it each header is
    the child of the one below.
    """
    _check_count(headers, query.limit)
    if not headers:
        return
    first, step = headers[0], (query.skip + 1) * (-1 if query.reverse else 1)
    if query.start != (first.hash if isinstance(query.start, bytes) else first.number):
        raise InvalidResponse(f"the first header is of block {first.number}, not the one asked for")
    for index, header in enumerate(headers):
        if header.number != first.number + index * step:
            raise InvalidResponse(f"header {index} is of block {header.number}")
    if query.skip == 0:
        check_chain(headers[::-1] if query.reverse else headers)


def check_bodies(headers: Sequence[Header], bodies: Sequence[BlockBody]) -> None:
    """Check bodies that were asked for by these headers."""
    _check_count(bodies, len(headers))
    for header, body in zip(headers, bodies, strict=False):
        check_body(header, body)


def check_receipt_lists(headers: Sequence[Header], lists: Sequence[Sequence[Receipt]]) -> None:
    """Check lists of receipts that were asked for by these headers."""
    _check_count(lists, len(headers))
    for header, receipts in zip(headers, lists, strict=False):
        check_receipts(header, receipts)


def check_part(part: Receipts70, blocks: int) -> None:
    """Check a response about ``blocks`` blocks that may be incomplete: it must have a receipt then.

    Else a remote could let us ask forever; :func:`check_receipts_so_far` is the other half.
    """
    _check_count(part.receipts, blocks)
    if part.last_incomplete and not any(part.receipts):
        raise InvalidResponse("an incomplete list of receipts without any")


def check_receipts_so_far(header: Header, receipts: Sequence[Receipt]) -> None:
    """Check an incomplete list: no block has more receipts than its gas pays for."""
    most = header.gas_used // MIN_TRANSACTION_GAS
    if len(receipts) > most:
        text = f"{len(receipts)} receipts and more of block {header.number}"
        raise InvalidResponse(f"{text}, whose gas pays for {most}")


def check_access_lists(
    headers: Sequence[Header], lists: Sequence[Sequence[AccountChanges] | None]
) -> None:
    """Check access lists that were asked for by these headers; None is not checked."""
    _check_count(lists, len(headers))
    for header, access_list in zip(headers, lists, strict=False):
        if access_list is not None:
            check_access_list(header, access_list)


def _check_count(items: Sequence[object], most: int) -> None:
    if len(items) > most:
        raise InvalidResponse(f"{len(items)} items, at most {most} were asked for")
