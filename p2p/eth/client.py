"""Calls to an Ethereum client: ask for headers, bodies, receipts, and get them checked.

Each call writes a request and reads until its response comes. Meanwhile it answers requests of the
remote as a node that has nothing, and hands other messages to the program. A program that serves
blocks itself, or asks from several threads, reads messages in a handler instead (`p2p.requests`).

Owns the request ids of one connection; one thread at a time. The remote's data is checked against
the headers that were asked for, and these against each other; whether they are those of the network
only a consensus client knows (devp2p, caps/eth.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from p2p.arguments import (
    MAX_UINT64,
    check_each,
    check_function,
    check_int,
    check_type,
    check_uint64,
    wrong,
)
from p2p.clock import Deadline, checked_timeout
from p2p.errors import Timeout
from p2p.eth import limits
from p2p.eth.accesslist import AccountChanges
from p2p.eth.block import BlockBody, Transaction
from p2p.eth.checks import (
    check_access_lists,
    check_bodies,
    check_headers,
    check_part,
    check_receipt_lists,
    check_receipts_so_far,
)
from p2p.eth.errors import InvalidResponse
from p2p.eth.header import Header
from p2p.eth.receipt import Receipt
from p2p.eth.requests import (
    BlockAccessLists,
    BlockBodies,
    BlockHeaders,
    GetBlockAccessLists,
    GetBlockBodies,
    GetBlockHeaders,
    GetReceipts69,
    GetReceipts70,
    HeadersQuery,
    Receipts69,
    Receipts70,
)
from p2p.eth.transactions import Cells, GetCells, GetPooledTransactions, PooledTransactions
from p2p.eth.versions import messages_of
from p2p.message import MsgReadWriter
from p2p.messages.readwriter import TypedReadWriter

#: Time for a response, in seconds.
RESPONSE_TIMEOUT_S = 30.0
#: Messages that are read after that time at most, since they may have come before: a remote that
#: sends others without end must not hold a call.
MAX_LATE = 1024

R = TypeVar("R")


class Client:
    """Calls to the client at the other end, after :func:`handshake`; one thread at a time::

        theirs = p2p.eth.handshake(rw, status, network.chain)
        client = p2p.eth.Client(rw, version)
        (header,) = client.get_block_headers(theirs.latest_hash, 1)
        (receipts,) = client.get_receipts([header])

    ``rw`` is the read-writer of ``eth`` in this ``version``. ``on_message`` gets other messages of
    the remote while a call waits, such as announcements, in the calling thread. ``timeout`` is the
    limit on each response in seconds, None for no limit.

    Every call raises Timeout when the response does not come in time (a later one is ignored),
    PeerDisconnected when the connection has ended, DecodeError or InvalidResponse for a response
    that is wrong, which end the connection if they leave its ``with`` block or handler, and
    ArgumentError for arguments out of range. ArgumentError also here, for a version without
    messages.
    """

    __slots__ = ("_ids", "_on_message", "_rw", "_timeout_s", "messages")  # for mocks

    def __init__(
        self,
        rw: MsgReadWriter,
        version: int,
        *,
        on_message: Callable[[Any], object] | None = None,
        timeout: float | None = RESPONSE_TIMEOUT_S,
    ) -> None:
        if on_message is not None:
            check_function("on_message", on_message, "message")
        # fixed after __init__
        self.messages = messages_of(version)
        self._rw = TypedReadWriter(rw, self.messages)
        self._on_message = on_message
        self._timeout_s = checked_timeout(timeout)
        # owned by the calling thread
        self._ids = count(1)

    def __repr__(self) -> str:
        return f"<Client, {self._rw!r}>"

    def get_block_headers(
        self, start: int | bytes, limit: int = 1, *, skip: int = 0, reverse: bool = False
    ) -> list[Header]:
        """Return headers from the block ``start`` on, a number or a hash.

        At most ``limit``, of 1,024; ``skip`` blocks are left out between two; ``reverse`` is
        downward. The list is shorter, or empty, where the remote has none. The first is checked
        against ``start``, the others to follow each other, without ``skip`` also by their hashes.
        """
        _check_start(start)
        check_int("limit", limit, 1, limits.MAX_HEADERS, f"1 to {limits.MAX_HEADERS} headers")
        check_uint64("skip", skip)
        check_type("reverse", reverse, bool, "a bool")
        query = HeadersQuery(start, limit, skip, reverse)
        response = self._ask(GetBlockHeaders(next(self._ids), query), BlockHeaders)
        self._check(BlockHeaders, check_headers, query, response.headers)
        return response.headers

    def get_block_bodies(self, headers: Sequence[Header]) -> list[BlockBody]:
        """Return the bodies of the blocks of at most 1,024 headers, checked against these.

        The remote may leave out the last ones, to bound its response or since it has none.
        """
        hashes = _hashes(headers, limits.MAX_BODIES)
        response = self._ask(GetBlockBodies(next(self._ids), hashes), BlockBodies)
        self._check(BlockBodies, check_bodies, headers, response.bodies)
        return response.bodies

    def get_receipts(self, headers: Sequence[Header]) -> list[list[Receipt]]:
        """Return the receipts of the blocks of at most 1,024 headers, checked against these.

        The remote may leave out the last blocks. Receipts of a block that come in parts (eth/70)
        are asked for until they are complete.
        """
        hashes = _hashes(headers, limits.MAX_RECEIPTS)
        if self.messages.version >= 70:
            lists = self._receipts_in_parts(headers, hashes)
        else:
            lists = self._ask(GetReceipts69(next(self._ids), hashes), Receipts69).receipts
        self._check(self.messages.classes[0x10], check_receipt_lists, headers, lists)
        return lists

    def get_block_access_lists(
        self, headers: Sequence[Header]
    ) -> list[list[AccountChanges] | None]:
        """Return the access lists of the blocks of at most 1,024 headers, checked (eth/71).

        None for one that the remote does not have; it may also leave out the last ones.
        """
        hashes = _hashes(headers, limits.MAX_ACCESS_LISTS)
        response = self._ask(GetBlockAccessLists(next(self._ids), hashes), BlockAccessLists)
        lists = [None if isinstance(item, bytes) else item for item in response.access_lists]
        self._check(BlockAccessLists, check_access_lists, headers, lists)
        return lists

    def get_pooled_transactions(self, hashes: Sequence[bytes]) -> list[Transaction]:
        """Return transactions of the remote's pool, of at most 256 hashes; those that it has."""
        wanted = f"at most {limits.MAX_POOLED_TRANSACTIONS} hashes of 32 bytes"
        check_each("hashes", hashes, bytes, wanted)
        if len(hashes) > limits.MAX_POOLED_TRANSACTIONS:
            raise wrong("hashes", hashes, wanted)
        request = GetPooledTransactions(next(self._ids), list(hashes))
        return self._ask(request, PooledTransactions).transactions

    def _receipts_in_parts(
        self, headers: Sequence[Header], hashes: list[bytes]
    ) -> list[list[Receipt]]:
        """Ask for the rest of the last list as long as it is incomplete."""
        lists: list[list[Receipt]] = []
        is_incomplete = True
        while is_incomplete:
            done, first = (len(lists) - 1, len(lists[-1])) if lists else (0, 0)
            request = GetReceipts70(next(self._ids), first, hashes[done:])
            response = self._ask(request, Receipts70)
            self._check(Receipts70, check_part, response, len(hashes) - done)
            if lists and response.receipts:
                lists[-1] += response.receipts.pop(0)
            lists += response.receipts
            is_incomplete = response.last_incomplete
            if is_incomplete:
                header = headers[len(lists) - 1]
                self._check(Receipts70, check_receipts_so_far, header, lists[-1])
        return lists

    def _ask(self, request: Any, kind: type[R]) -> R:
        """Send a request, and read until the response with its id has come."""
        self._rw.write(request)
        deadline, late = Deadline(self._timeout_s), 0
        while late <= MAX_LATE:
            message = self._rw.read(deadline.left_s)
            if isinstance(message, kind) and message.request_id == request.request_id:  # type: ignore[attr-defined]
                return message
            self._handle(message)
            late += deadline.is_over
        error = Timeout(f"no {kind.__name__} within {self._timeout_s:g} s")
        error.connection_id = self._rw.rw.connection_id
        raise error

    def _handle(self, message: Any) -> None:
        """Answer a request of the remote, or hand over a message that is no response."""
        empty = EMPTY_RESPONSES.get(type(message))
        if empty is not None:
            self._rw.write(empty(message.request_id))
        elif self._on_message is not None and not hasattr(message, "request_id"):
            self._on_message(message)

    def _check(self, kind: type[Any], check: Callable[..., None], *arguments: object) -> None:
        """Check a response of a kind; an error ends the connection that it came from."""
        try:
            check(*arguments)
        except InvalidResponse as error:
            error.connection_id = self._rw.rw.connection_id
            error.msg_code = self.messages.code_of(kind)
            raise


#: Responses to the remote's requests, made of their id, of a node that has nothing.
EMPTY_RESPONSES: dict[type[Any], Callable[[int], Any]] = {
    GetBlockHeaders: lambda request_id: BlockHeaders(request_id, []),
    GetBlockBodies: lambda request_id: BlockBodies(request_id, []),
    GetReceipts69: lambda request_id: Receipts69(request_id, []),
    GetReceipts70: lambda request_id: Receipts70(request_id, False, []),
    GetBlockAccessLists: lambda request_id: BlockAccessLists(request_id, []),
    GetPooledTransactions: lambda request_id: PooledTransactions(request_id, []),
    GetCells: lambda request_id: Cells(request_id, [], [], bytes(16)),
}


def _check_start(start: object) -> None:
    wanted = "the number of a block, or its hash of 32 bytes"
    check_type("start", start, (int, bytes), wanted)
    if isinstance(start, bytes) and len(start) != 32:
        raise wrong("start", start, wanted)
    if isinstance(start, int):
        check_int("start", start, 0, MAX_UINT64, wanted)


def _hashes(headers: Sequence[Header], most: int) -> list[bytes]:
    wanted = f"1 to {most} headers"
    check_each("headers", headers, Header, wanted)
    if not 0 < len(headers) <= most:
        raise wrong("headers", headers, wanted)
    return [header.hash for header in headers]
