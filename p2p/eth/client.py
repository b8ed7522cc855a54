"""Calls to an Ethereum client: ask for headers, bodies, receipts, and get them checked.

Each call writes a request and reads until its response comes. Meanwhile it answers requests of the
remote as a node that has nothing, and hands other messages to the program. A program that serves
blocks itself, or asks from several threads, reads messages in a handler instead (`p2p.requests`).

Owns the requests of one connection; one thread at a time. The remote's data is checked against
the headers that were asked for, and these against each other; whether they are those of the network
only a consensus client knows (devp2p, caps/eth.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from p2p.errors import PeerDisconnected, Timeout
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
from p2p.requests import Request, Requests

#: Time for a response, in seconds.
RESPONSE_TIMEOUT_S = 30.0
#: Stands in a request for its id, which `Requests` sets.
_ID = 0

R = TypeVar("R")


class Client:
    """Calls to the client at the other end, after :func:`handshake`; one thread at a time::

        theirs = p2p.eth.handshake(rw, status, network.chain)
        client = p2p.eth.Client(rw, version)
        (header,) = client.get_block_headers(theirs.latest_hash, 1)
        (receipts,) = client.get_receipts([header])

    ``rw`` is the read-writer of ``eth`` in this ``version``. ``on_message`` gets other messages of
    the remote while a call waits, such as announcements, in the calling thread. ``timeout`` is the
    limit on each response in seconds, None for no limit. ``requests`` counts the requests, and
    responses that are late or unasked, which have no other effect.

    Every call raises Timeout when the response does not come in time, PeerDisconnected when the
    connection has ended, DecodeError, UnexpectedMessage or InvalidResponse for a response that is
    wrong, which end the connection if they leave its ``with`` block or handler, and ArgumentError
    for arguments out of range. ArgumentError also here, for a version without messages.
    """

    __slots__ = ("_on_message", "_rw", "_timeout_s", "messages", "requests")  # for mocks

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
        self.requests = Requests(self._rw)

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
        response = self._ask(GetBlockHeaders(_ID, query), BlockHeaders)
        self._check(BlockHeaders, check_headers, query, response.headers)
        return response.headers

    def get_block_bodies(self, headers: Sequence[Header]) -> list[BlockBody]:
        """Return the bodies of the blocks of at most 1,024 headers, checked against these.

        The remote may leave out the last ones, to bound its response or since it has none.
        """
        hashes = _hashes(headers, limits.MAX_BODIES)
        response = self._ask(GetBlockBodies(_ID, hashes), BlockBodies)
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
            lists = self._ask(GetReceipts69(_ID, hashes), Receipts69).receipts
        self._check(self.messages.classes[0x10], check_receipt_lists, headers, lists)
        return lists

    def get_block_access_lists(
        self, headers: Sequence[Header]
    ) -> list[list[AccountChanges] | None]:
        """Return the access lists of the blocks of at most 1,024 headers, checked (eth/71).

        None for one that the remote does not have; it may also leave out the last ones.
        """
        hashes = _hashes(headers, limits.MAX_ACCESS_LISTS)
        response = self._ask(GetBlockAccessLists(_ID, hashes), BlockAccessLists)
        lists = [None if isinstance(item, bytes) else item for item in response.access_lists]
        self._check(BlockAccessLists, check_access_lists, headers, lists)
        return lists

    def get_pooled_transactions(self, hashes: Sequence[bytes]) -> list[Transaction]:
        """Return transactions of the remote's pool, of at most 256 hashes; those that it has."""
        wanted = f"at most {limits.MAX_POOLED_TRANSACTIONS} hashes of 32 bytes"
        check_each("hashes", hashes, bytes, wanted)
        if len(hashes) > limits.MAX_POOLED_TRANSACTIONS:
            raise wrong("hashes", hashes, wanted)
        request = GetPooledTransactions(_ID, list(hashes))
        return self._ask(request, PooledTransactions).transactions

    def _receipts_in_parts(
        self, headers: Sequence[Header], hashes: list[bytes]
    ) -> list[list[Receipt]]:
        """Ask for the rest of the last list as long as it is incomplete."""
        lists: list[list[Receipt]] = []
        is_incomplete = True
        while is_incomplete:
            done, first = (len(lists) - 1, len(lists[-1])) if lists else (0, 0)
            request = GetReceipts70(_ID, first, hashes[done:])
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
        """Send a request, and read until its response has come."""
        asked = self.requests.start(request, expect=kind, timeout=self._timeout_s)
        try:
            self._read_until_done(asked)
            return self._response_of(asked, kind)
        except PeerDisconnected as ended:
            self.requests.close(ended)
            raise
        finally:
            asked.cancel()

    def _read_until_done(self, asked: Request[R]) -> None:
        """Handle messages until a request has its response, or its time is over.

        A remote that sends other messages without end does not extend the time.
        """
        deadline = Deadline(self._timeout_s)
        while not asked.is_done:
            try:
                message = self._rw.read(deadline.left_s)
            except Timeout:
                return
            self._handle(message)

    def _response_of(self, asked: Request[R], kind: type[R]) -> R:
        try:
            return asked.result(0)
        except Timeout:
            error = Timeout(f"no {kind.__name__} within {self._timeout_s:g} s")
            error.connection_id = self._rw.rw.connection_id
            raise error from None

    def _handle(self, message: Any) -> None:
        """Answer a request of the remote, take a response, or hand over any other message."""
        empty = EMPTY_RESPONSES.get(type(message))
        if empty is not None:
            self._rw.write(empty(message.request_id))
        elif hasattr(message, "request_id"):
            self.requests.deliver(message)
        elif self._on_message is not None:
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
