"""Calls to a client, over a pipe to a Python node: what it returns, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest

import p2p
from p2p.errors import ArgumentError
from p2p.eth import (
    BlockBodies,
    BlockHeaders,
    BlockRangeUpdate,
    Client,
    GetBlockBodies,
    GetBlockHeaders,
    GetCells,
    GetPooledTransactions,
    GetReceipts69,
    GetReceipts70,
    HeadersQuery,
    InvalidResponse,
    Receipts70,
    transaction_hash,
)
from p2p.eth.client import EMPTY_RESPONSES
from p2p.eth.versions import messages_of
from p2p.message import MsgReadWriter
from p2p.messages import TypedReadWriter
from p2p.testing import MsgPipe, msg_pipe
from tests.eth.chain import EthNode, make_chain
from tests.eth.vectors import RECEIPTS, TYPED, hash_of
from tests.kit.waiting import PATIENCE_S

BLOCKS = make_chain(6)
HEADERS = [block.header for block in BLOCKS]

Connect = Callable[..., Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects to a node that serves in a thread, until the test ends."""
    started: list[tuple[MsgPipe, Thread]] = []

    def start(version: int, node: EthNode | None = None) -> Client:
        ours, theirs = msg_pipe(length=messages_of(version).length)
        thread = Thread(target=(node or EthNode(BLOCKS)).serve, args=(theirs, version))
        thread.start()
        started.append((ours, thread))
        return Client(ours, version, timeout=PATIENCE_S)

    yield start
    for pipe, thread in started:
        pipe.close()
        thread.join()


@pytest.mark.parametrize("version", [69, 70, 71, 72])
def test_headers_bodies_and_receipts_come(connect: Connect, version: int) -> None:
    client = connect(version)
    assert client.get_block_headers(2, 10) == HEADERS[2:]
    assert client.get_block_headers(HEADERS[3].hash) == HEADERS[3:4]
    assert client.get_block_headers(5, 2, skip=1, reverse=True) == [HEADERS[5], HEADERS[3]]
    assert client.get_block_headers(100) == []
    assert client.get_block_bodies(HEADERS[1:3]) == [block.body for block in BLOCKS[1:3]]
    assert client.get_receipts(HEADERS) == [block.receipts for block in BLOCKS]
    hashes = [hash_of(1), transaction_hash(TYPED)]
    assert client.get_pooled_transactions(hashes) == [TYPED]


@pytest.mark.parametrize("most", [1, 2, 4, 7])
def test_receipts_in_parts_are_put_together(connect: Connect, most: int) -> None:
    client = connect(70, EthNode(BLOCKS, most))
    assert client.get_receipts(HEADERS) == [block.receipts for block in BLOCKS]


class Endless(MsgReadWriter):
    """A remote that has always another message, made by a function of the last one written."""

    connection_id = 7

    def __init__(self, version: int, make: Callable[[Any], Any]) -> None:
        self.messages, self.make = messages_of(version), make
        self.asked: list[Any] = []
        self.read = 0

    def read_msg(self, timeout: float | None = None) -> p2p.Msg:
        self.read += 1
        assert self.read < 10_000, "it reads on"
        return p2p.Msg(*self.messages.encode(self.make(self.asked[-1])))

    def write_msg(self, msg: p2p.Msg) -> None:
        self.asked.append(self.messages.decode(msg.code, msg.payload))


def test_other_messages_do_not_extend_the_time_of_a_call() -> None:
    """A remote that sent them without end held the call."""
    remote = Endless(69, lambda _: BlockRangeUpdate(1, 2, hash_of(1)))
    with pytest.raises(p2p.Timeout, match="no BlockHeaders within 0 s") as timeout:
        Client(remote, 69, timeout=0).get_block_headers(0)
    assert timeout.value.connection_id == 7


def test_a_block_has_no_more_receipts_than_its_gas_pays_for() -> None:
    """A remote that sent one after the other, and promised more, was asked without end."""
    remote = Endless(
        70, lambda asked: Receipts70(asked.request_id, True, [BLOCKS[1].receipts[:1]])
    )
    with pytest.raises(InvalidResponse, match="22 receipts and more of block 1.*pays for 21"):
        Client(remote, 70).get_receipts(HEADERS[1:2])
    assert len(remote.asked) == 22


def test_access_lists_come_from_eth_71_on(connect: Connect) -> None:
    client = connect(71)
    lists = client.get_block_access_lists(HEADERS[:2])
    assert lists == [None, BLOCKS[1].access_list]
    with pytest.raises(ArgumentError, match="eth/70"):
        connect(70).get_block_access_lists(HEADERS[:2])


class Script:
    """A client, and what its remote has written before: no thread is needed."""

    def __init__(self, version: int, *messages: Any, timeout: float = PATIENCE_S) -> None:
        self.messages = messages_of(version)
        self.ours, theirs = msg_pipe(length=self.messages.length)
        self.theirs = TypedReadWriter(theirs, self.messages)
        self.heard: list[Any] = []
        self.client = Client(self.ours, version, on_message=self.heard.append, timeout=timeout)
        for message in messages:
            self.theirs.write(message)

    def written(self) -> list[Any]:
        """The messages that the client has written."""
        self.ours.close()
        return [*self.theirs]


def test_other_messages_are_handed_over_while_a_call_waits() -> None:
    update = BlockRangeUpdate(0, 5, hash_of(1))
    script = Script(69, update, BlockHeaders(1, HEADERS[:1]))
    assert script.client.get_block_headers(0) == HEADERS[:1]
    assert script.heard == [update]


def test_a_late_response_is_no_response_to_the_next_request() -> None:
    late = Script(69, timeout=0)
    with pytest.raises(p2p.Timeout, match="no BlockHeaders within 0 s"):
        late.client.get_block_headers(0)
    late.client._timeout_s = PATIENCE_S
    for message in (BlockHeaders(1, HEADERS[:1]), BlockHeaders(2, HEADERS[1:2])):
        late.theirs.write(message)
    assert late.client.get_block_headers(1) == HEADERS[1:2]
    assert late.heard == []
    counters = late.client.requests.counters
    assert (counters.late, counters.timed_out, counters.answered) == (1, 1, 1)


def test_a_response_of_another_kind_is_an_error_about_its_message() -> None:
    script = Script(69, BlockBodies(1, []))
    with pytest.raises(p2p.UnexpectedMessage, match="is a BlockBodies, expected") as raised:
        script.client.get_block_headers(0)
    assert raised.value.msg_code == 0x06
    assert script.client.requests.counters.pending == 0


def test_a_time_out_of_the_program_is_its_own() -> None:
    def fail(message: Any) -> None:
        raise p2p.Timeout("of the program")

    script = Script(69, BlockRangeUpdate(0, 5, hash_of(1)))
    with pytest.raises(p2p.Timeout, match="of the program"):
        Client(script.ours, 69, on_message=fail).get_block_headers(0)


REQUESTS: list[tuple[int, Any]] = [
    (69, GetBlockHeaders(7, HeadersQuery(0, 1, 0, False))),
    (69, GetBlockBodies(7, [hash_of(1)])),
    (69, GetReceipts69(7, [hash_of(1)])),
    (70, GetReceipts70(7, 0, [hash_of(1)])),
    (71, p2p.eth.GetBlockAccessLists(7, [hash_of(1)])),
    (69, GetPooledTransactions(7, [hash_of(1)])),
    (72, GetCells(7, [hash_of(1)], bytes(16))),
]


def test_every_request_has_an_empty_response() -> None:
    assert EMPTY_RESPONSES.keys() == {type(request) for _, request in REQUESTS}


@pytest.mark.parametrize("version, request_", REQUESTS)
def test_a_request_of_the_remote_is_answered_that_we_have_nothing(
    version: int, request_: Any
) -> None:
    script = Script(version, request_, BlockHeaders(1, HEADERS[:1]))
    script.client.get_block_headers(0)
    _, response = script.written()
    assert response == EMPTY_RESPONSES[type(request_)](7)
    assert script.heard == []


def test_a_wrong_response_is_an_error_about_its_message() -> None:
    script = Script(69, BlockHeaders(1, HEADERS[1:2]))
    with pytest.raises(InvalidResponse) as refusal:
        script.client.get_block_headers(0)
    assert refusal.value.msg_code == 0x04


def test_bodies_of_other_blocks_are_an_error() -> None:
    script = Script(69, BlockBodies(1, [BLOCKS[2].body]))
    with pytest.raises(InvalidResponse, match="not those of block 1"):
        script.client.get_block_bodies(HEADERS[1:2])


def test_a_part_without_receipts_is_an_error_and_no_loop() -> None:
    script = Script(70, Receipts70(1, True, [RECEIPTS[:1]]), Receipts70(2, True, [[]]))
    with pytest.raises(InvalidResponse, match="without any"):
        script.client.get_receipts(HEADERS[1:2])


def test_a_part_that_adds_blocks_without_end_is_an_error() -> None:
    script = Script(70, Receipts70(1, True, [[], RECEIPTS]), Receipts70(2, True, [RECEIPTS] * 2))
    with pytest.raises(InvalidResponse, match="2 items, at most 1"):
        script.client.get_receipts(HEADERS[:2])


def test_requests_beyond_the_limits_are_refused_before_they_are_sent() -> None:
    script = Script(71)
    calls: list[Callable[[], object]] = [
        lambda: script.client.get_block_headers(0, 1025),
        lambda: script.client.get_block_headers(0, 0),
        lambda: script.client.get_block_bodies(HEADERS[:1] * 1025),
        lambda: script.client.get_block_bodies([]),
        lambda: script.client.get_receipts(HEADERS[:1] * 1025),
        lambda: script.client.get_block_access_lists(HEADERS[:1] * 1025),
        lambda: script.client.get_pooled_transactions([hash_of(1)] * 257),
    ]
    for call in calls:
        with pytest.raises(ArgumentError):
            call()
    assert script.written() == []


def test_a_remote_that_left_ends_a_call() -> None:
    script = Script(69)
    script.theirs.close(p2p.DiscReason.USELESS_PEER)
    with pytest.raises(p2p.PeerDisconnected) as raised:
        script.client.get_block_headers(0)
    assert raised.value.reason == p2p.DiscReason.USELESS_PEER


def test_a_remote_that_leaves_during_a_call_has_lost_its_request() -> None:
    script = Script(69)
    ours = Leaving(script.ours, script.theirs)
    client = Client(ours, 69)
    for _ in range(2):
        with pytest.raises(p2p.PeerDisconnected) as raised:
            client.get_block_headers(0)
        assert raised.value.reason == p2p.DiscReason.USELESS_PEER
    counters = client.requests.counters
    assert (counters.started, counters.lost, counters.cancelled) == (1, 1, 0)


class Leaving(MsgReadWriter):
    """A read-writer whose remote leaves as soon as it has been asked."""

    def __init__(self, rw: MsgPipe, theirs: TypedReadWriter[Any]) -> None:
        self.rw, self.theirs = rw, theirs

    def read_msg(self, timeout: float | None = None) -> p2p.Msg:
        return self.rw.read_msg(timeout)

    def write_msg(self, msg: p2p.Msg) -> None:
        self.rw.write_msg(msg)
        self.theirs.close(p2p.DiscReason.USELESS_PEER)
