"""Requests and their replies: over pipes, handlers and real connections, with several threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import p2p
from p2p import messages, testing
from p2p.errors import LocalProtocolError, RequestCancelled
from p2p.requests import RateEstimator, Request, Requests
from p2p.requests import front as module
from tests.kit import inspect
from tests.kit.waiting import PATIENCE_S, eventually

ASK, REPLY = 0, 1


class Ends:
    """Requests at one end of a pipe; the test is the remote, and calls deliver itself."""

    def __init__(self, **options: Any) -> None:
        self.rw, self.remote = testing.msg_pipe(length=2)
        self.clock = testing.SimulatedClock()
        self.requests = Requests(self.rw, clock=self.clock, **options)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def in_background(pool: ThreadPoolExecutor, request: Request[Any]) -> Any:
    """Begin to wait for a request in a thread; return its future when the thread waits."""
    future = pool.submit(request.result)
    eventually(lambda: request._settled._callbacks)
    return future


def test_request_is_a_list_of_id_and_items(ends: Ends) -> None:
    ends.requests.start(ASK, "key", [1, 2])
    assert ends.remote.read_msg(0).decode(tuple[int, str, list[int]]) == (1, "key", [1, 2])


def test_result_is_the_reply(ends: Ends) -> None:
    request = ends.requests.start(ASK, "key")
    assert not request.is_done
    assert ends.requests.deliver(request.id, "value")
    assert request.is_done
    assert request.result() == request.result(timeout=0) == "value"


def test_waiting_thread_gets_its_own_reply(ends: Ends, pool: ThreadPoolExecutor) -> None:
    requests = [ends.requests.start(ASK, number) for number in range(20)]
    futures = [in_background(pool, request) for request in requests]
    for request in reversed(requests):
        ends.requests.deliver(request.id, -request.id)
    assert [future.result(PATIENCE_S) for future in futures] == [-one.id for one in requests]
    assert ends.requests.counters.answered == 20


def test_several_threads_may_wait_for_one_request(ends: Ends, pool: ThreadPoolExecutor) -> None:
    request = ends.requests.start(ASK)
    futures = [pool.submit(request.result) for _ in range(3)]
    ends.requests.deliver(request.id, "value")
    assert [future.result(PATIENCE_S) for future in futures] == ["value"] * 3


def test_ask_waits_for_the_reply(ends: Ends, pool: ThreadPoolExecutor) -> None:
    future = pool.submit(ends.requests.ask, ASK, "key", expect=bytes)
    request_id, key = ends.remote.read_msg(PATIENCE_S).decode(tuple[int, str])
    ends.requests.deliver(request_id, b"value of " + key.encode())
    assert future.result(PATIENCE_S) == b"value of key"


# the time of a request


def test_time_of_a_request_is_that_of_the_clock(ends: Ends, pool: ThreadPoolExecutor) -> None:
    request = ends.requests.start(ASK, timeout=5)
    future = in_background(pool, request)
    ends.clock.advance(4.9)
    assert not request.is_done and not future.done()
    ends.clock.advance(0.1)
    with pytest.raises(p2p.Timeout, match="no reply to request 1 of code 0 within 5 s"):
        future.result(PATIENCE_S)
    assert request.is_done
    assert ends.requests.counters.timed_out == 1


def test_result_may_wait_for_less_than_the_request(ends: Ends) -> None:
    request = ends.requests.start(ASK)
    with pytest.raises(p2p.Timeout, match="within 0 s"):
        request.result(timeout=0)
    ends.requests.deliver(request.id, "value")
    assert request.result() == "value"


@pytest.mark.parametrize("timeout", [0, -1])
def test_request_without_time_is_over_at_once(ends: Ends, timeout: float) -> None:
    with pytest.raises(p2p.Timeout):
        ends.requests.ask(ASK, timeout=timeout)


@pytest.mark.parametrize("timeout", [None, math.inf])
def test_request_without_limit_does_not_expire(ends: Ends, timeout: float | None) -> None:
    request = ends.requests.start(ASK, timeout=timeout)
    ends.clock.advance(1e9)
    assert not request.is_done
    ends.requests.deliver(request.id, "value")
    assert request.result() == "value"


def test_time_passes_on_the_system_s_clock_by_default() -> None:
    rw, _ = testing.msg_pipe()
    with pytest.raises(p2p.Timeout):
        Requests(rw).ask(ASK, timeout=0.01)


def test_late_reply_is_counted_and_no_error(ends: Ends) -> None:
    request = ends.requests.start(ASK, timeout=5)
    ends.clock.advance(5)
    assert not ends.requests.deliver(request.id, "value")
    with pytest.raises(p2p.Timeout):
        request.result()
    assert (ends.requests.counters.late, ends.requests.counters.unasked) == (1, 0)


def test_unasked_reply_is_counted_and_no_error(ends: Ends) -> None:
    assert not ends.requests.deliver(7, "value")
    assert (ends.requests.counters.late, ends.requests.counters.unasked) == (0, 1)


def test_timeout_names_the_usual_mistakes(ends: Ends) -> None:
    with pytest.raises(p2p.Timeout, match=r"; no thread has called deliver\(\) yet"):
        ends.requests.ask(ASK, timeout=0)
    ends.requests.deliver(7, "value")
    with pytest.raises(p2p.Timeout, match=r"; this thread calls deliver\(\)"):
        ends.requests.ask(ASK, timeout=0)


# cancellation


def test_cancelled_request_is_raised_where_it_is_awaited(
    ends: Ends, pool: ThreadPoolExecutor
) -> None:
    request = ends.requests.start(ASK)
    future = in_background(pool, request)
    assert request.cancel()
    assert not request.cancel()
    with pytest.raises(RequestCancelled, match="request 1 of code 0 was cancelled"):
        future.result(PATIENCE_S)
    assert not ends.requests.deliver(request.id, "value")
    assert (ends.requests.counters.cancelled, ends.requests.counters.late) == (1, 1)


def test_answered_request_cannot_be_cancelled(ends: Ends) -> None:
    request = ends.requests.start(ASK)
    ends.requests.deliver(request.id, "value")
    assert not request.cancel()
    assert request.result() == "value"


# the class of the reply


def test_reply_of_another_class_is_an_error_of_the_peer(ends: Ends) -> None:
    request = ends.requests.start(ASK, expect=bytes)
    with pytest.raises(p2p.UnexpectedMessage, match="is a str, expected bytes$") as raised:
        ends.requests.deliver(request.id, "text")
    assert raised.value.disc_reason == p2p.DiscReason.PROTOCOL_ERROR
    assert not request.is_done
    ends.requests.close(raised.value)
    with pytest.raises(p2p.PeerDisconnected) as ended:
        request.result()
    assert ended.value.reason == p2p.DiscReason.PROTOCOL_ERROR
    assert ended.value.__cause__ is raised.value


# rates


def test_rates_learn_from_replies_and_timeouts() -> None:
    rates = RateEstimator()
    ends = Ends(rates=rates)
    request = ends.requests.start(ASK)
    ends.clock.advance(2)
    ends.requests.deliver(request.id, ["a"] * 10, items=10)
    assert ends.requests.rates is rates
    assert rates.rates == {ASK: 5.0}
    ends.requests.start(ASK, timeout=1)
    ends.clock.advance(1)
    assert rates.rates == {ASK: 0.0}
    counters = ends.requests.counters.by_code[ASK]
    assert counters.mean_round_trip_s == counters.max_round_trip_s == 2.0


# the end of the connection


def lost(future: Any) -> p2p.PeerDisconnected:
    with pytest.raises(p2p.PeerDisconnected) as raised:
        future.result(PATIENCE_S)
    return raised.value


def test_end_of_the_connection_ends_all_requests_with_its_reason(
    ends: Ends, pool: ThreadPoolExecutor
) -> None:
    futures = [in_background(pool, ends.requests.start(ASK)) for _ in range(3)]
    ends.remote.close(p2p.DiscReason.USELESS_PEER)
    with ends.requests:
        assert list(ends.rw) == []  # a handler's loop
    errors = [lost(future) for future in futures]
    assert {(one.reason, one.by_remote) for one in errors} == {(p2p.DiscReason.USELESS_PEER, True)}
    assert len({id(one) for one in errors}) == 3  # each thread adds a traceback to its own
    assert ends.requests.counters.lost == 3


def test_ended_requests_refuse_further_ones(ends: Ends) -> None:
    ends.remote.close(p2p.DiscReason.QUITTING)
    ends.requests.close()
    ends.requests.close()
    with pytest.raises(p2p.PeerDisconnected, match="quitting"):
        ends.requests.ask(ASK)
    assert ends.requests.counters.started == 0


def test_request_to_a_peer_that_has_left_raises_at_once(ends: Ends) -> None:
    ends.remote.close()
    with pytest.raises(p2p.PeerDisconnected):
        ends.requests.ask(ASK)
    assert ends.requests.counters.started == 0


@pytest.mark.parametrize(
    "error, reason",
    [
        (p2p.Disconnect(p2p.DiscReason.USELESS_PEER), p2p.DiscReason.USELESS_PEER),
        (p2p.DecodeError("bad"), p2p.DiscReason.PROTOCOL_ERROR),
        (KeyError("x"), p2p.DiscReason.SUBPROTOCOL_ERROR),
    ],
)
def test_error_of_the_handler_ends_requests_with_its_reason(
    ends: Ends, error: Exception, reason: p2p.DiscReason
) -> None:
    request = ends.requests.start(ASK)
    with pytest.raises(type(error)), ends.requests:
        raise error
    raised = lost(request)
    assert (raised.reason, raised.by_remote) == (reason, False)
    assert raised.__cause__ is error


def test_error_of_another_connection_is_a_failure_of_the_handler(ends: Ends) -> None:
    error = p2p.PeerDisconnected(p2p.DiscReason.TOO_MANY_PEERS, True)
    error.connection_id = 77
    request = ends.requests.start(ASK)
    ends.requests.close(error)
    raised = lost(request)
    assert (raised.reason, raised.by_remote) == (p2p.DiscReason.SUBPROTOCOL_ERROR, False)


def test_read_writer_that_cannot_tell_its_end() -> None:
    class Least(p2p.MsgReadWriter):
        def read_msg(self, timeout: float | None = None) -> p2p.Msg:
            raise p2p.Timeout

        def write_msg(self, msg: p2p.Msg) -> None:
            pass

    requests = Requests(Least())
    request = requests.start(ASK)
    requests.close()
    assert lost(request).reason == p2p.DiscReason.REQUESTED


class Counting(p2p.MsgReadWriter):
    """A read-writer of a program's own, around another; counts what is written."""

    def __init__(self, rw: p2p.MsgReadWriter) -> None:
        self.rw = rw
        self.written = 0

    @property
    def is_closed(self) -> bool:
        return self.rw.is_closed

    @property
    def disconnect_reason(self) -> p2p.PeerDisconnected | None:
        return self.rw.disconnect_reason

    def read_msg(self, timeout: float | None = None) -> p2p.Msg:
        return self.rw.read_msg(timeout)

    def write_msg(self, msg: p2p.Msg) -> None:
        self.written += 1
        self.rw.write_msg(msg)


def test_nothing_is_written_to_learn_of_the_end(ends: Ends) -> None:
    """A message was written to the closed read-writer, for the error that it raised."""
    rw = Counting(ends.rw)
    requests = Requests(rw)
    request = requests.start(ASK)
    ends.remote.close(p2p.DiscReason.USELESS_PEER)
    requests.close()
    raised = lost(request)
    assert (raised.reason, raised.by_remote) == (p2p.DiscReason.USELESS_PEER, True)
    assert rw.written == 1


def test_clock_does_not_keep_closed_requests(ends: Ends) -> None:
    ends.requests.close()
    assert ends.clock._wakers == []


# messages


@messages.message(ASK)
class Ask:
    id: int
    key: str


@messages.message(REPLY)
class Reply:
    id: int
    value: bytes


ALL: messages.Messages[Any] = messages.Messages("store", 1, [Ask, Reply])


def test_request_and_reply_may_be_messages() -> None:
    ours, theirs = (messages.TypedReadWriter(rw, ALL) for rw in testing.msg_pipe(length=2))
    requests = Requests(ours)
    asked = [requests.start(Ask(0, key), expect=Reply) for key in ("first", "second")]
    for _ in asked:
        wanted = theirs.expect(Ask, timeout=0)
        theirs.write(Reply(wanted.id, wanted.key.encode()))
    for _ in asked:
        assert requests.deliver(ours.read(timeout=0))
    assert [request.result().value for request in asked] == [b"first", b"second"]
    assert requests.counters.by_code[ASK].answered == 2
    assert not requests.deliver(Reply(9, b""))


def test_plain_codes_and_values_work_beside_messages() -> None:
    ours, theirs = (messages.TypedReadWriter(rw, ALL) for rw in testing.msg_pipe(length=2))
    requests = Requests(ours)
    request = requests.start(ASK, "key")
    assert theirs.read(timeout=0) == Ask(request.id, "key")
    requests.deliver(request.id, "value")
    assert request.result() == "value"


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda requests: requests.start("x"), "message: wanted a message whose first field"),
        (lambda requests: requests.start(Ask(0, "key"), 5), "items: wanted none"),
        (lambda requests: requests.deliver(Reply("x", b"")), "message: wanted a message whose"),  # type: ignore[arg-type]
        (lambda requests: requests.deliver(Ask), "message: wanted a message whose first field"),
    ],
)
def test_what_is_no_message_is_refused(call: Callable[[Requests], object], words: str) -> None:
    requests = Requests(messages.TypedReadWriter(testing.msg_pipe(length=2)[0], ALL))
    with pytest.raises(p2p.ArgumentError, match=words):
        call(requests)
    assert requests.counters.started == 0


def test_message_needs_a_read_writer_that_knows_it(ends: Ends) -> None:
    with pytest.raises(p2p.ArgumentError, match="code: wanted an int, or a message on a Typed"):
        ends.requests.start(Ask(0, "key"))


# refusals


def test_too_many_at_once_are_refused(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    first, _ = (ends.requests.start(ASK) for _ in range(2))
    with pytest.raises(LocalProtocolError, match="2 requests wait for replies already"):
        ends.requests.start(ASK)
    ends.requests.deliver(first.id, "value")
    ends.requests.start(ASK)


def test_request_that_cannot_be_sent_is_not_pending(ends: Ends) -> None:
    with pytest.raises(p2p.errors.CodeOutOfRange):
        ends.requests.start(2)
    with pytest.raises(p2p.EncodeError):
        ends.requests.start(ASK, 1.5)
    assert ends.requests.counters.started == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda requests: Requests(None),
        lambda requests: Requests(requests._rw, rates={}),
        lambda requests: Requests(requests._rw, clock=5),
        lambda requests: requests.ask("x"),
        lambda requests: requests.ask(ASK, expect=5),
        lambda requests: requests.ask(ASK, timeout="x"),
        lambda requests: requests.deliver("x", 1),
        lambda requests: requests.deliver(1, 1, items=-1),
        lambda requests: requests.start(ASK).result("x"),
    ],
)
def test_wrong_arguments_are_refused(ends: Ends, call: Callable[[Requests], object]) -> None:
    with pytest.raises(p2p.ArgumentError):
        call(ends.requests)


def test_reprs(ends: Ends) -> None:
    request = ends.requests.start(ASK)
    assert repr(request) == "<request 1 of code 0, pending>"
    assert repr(ends.requests) == "<Requests, open, 1 pending>"
    ends.requests.close()
    assert repr(request) == "<request 1 of code 0, done>"
    assert repr(ends.requests) == "<Requests, closed, 0 pending>"


# a real connection


class Doubler:
    """A protocol whose handler answers numbers with their doubles, and may ask as well."""

    def __init__(self) -> None:
        self.opened: dict[str, Requests] = {}
        self.is_open = threading.Semaphore(0)
        self.protocol = p2p.Protocol("double", 1, 2, self.handle)

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        with Requests(rw) as requests:
            self.opened[peer.name] = requests
            self.is_open.release()
            for msg in rw:
                request_id, number = msg.decode(tuple[int, int])
                if msg.code == ASK:
                    rw.send_items(REPLY, request_id, 2 * number)
                else:
                    requests.deliver(request_id, number)


def test_many_threads_ask_both_ways_over_a_connection(pool: ThreadPoolExecutor) -> None:
    doubler = Doubler()
    with testing.connected_servers(doubler.protocol) as (one, other):
        for _ in range(2):
            assert doubler.is_open.acquire(timeout=PATIENCE_S)
        ways = list(doubler.opened.values())
        numbers = range(200)
        futures = [
            pool.submit(requests.ask, ASK, number, expect=int)
            for number in numbers
            for requests in ways
        ]
        assert [future.result(PATIENCE_S) for future in futures] == [
            2 * number for number in numbers for _ in ways
        ]
        assert all(requests.counters.answered == 200 for requests in ways)
        waiting = ways[0].start(ASK, 1, timeout=None)
        waiting.result()
        testing.peer_of(other, one).disconnect(p2p.DiscReason.USELESS_PEER)
        ended = [lost_by(requests) for requests in ways]
        assert {one.reason for one in ended} == {p2p.DiscReason.USELESS_PEER}
        assert {one.by_remote for one in ended} == {True, False}
        assert len({one.connection_id for one in ended} - {None}) == 2


def test_requests_end_when_the_io_thread_dies() -> None:
    """Its error came out of close() before the requests had ended: their threads waited on."""
    fault = ZeroDivisionError("injected")

    def fail() -> None:
        raise fault

    with testing.connected_servers(p2p.Protocol("double", 1, 2)) as (one, _):
        rw = one.peers[0].open("double")
        with pytest.raises(p2p.LoopCrashed), Requests(rw) as requests:
            request = requests.start(ASK, 1, timeout=None)
            inspect.post(one, fail)
            rw.read_msg(PATIENCE_S)
        raised = lost(request)
    assert raised.reason == p2p.DiscReason.QUITTING
    assert raised.__cause__ is not None and raised.__cause__.__cause__ is fault


def test_requests_are_in_the_metrics_of_the_server() -> None:
    with testing.connected_servers(p2p.Protocol("double", 1, 2)) as (one, other):
        with Requests(one.peers[0].open("double")) as requests:
            pending, answered, cancelled = (requests.start(ASK, 1) for _ in range(3))
            requests.start(ASK, timeout=0)  # its time is over at once
            requests.deliver(answered.id, 2)
            requests.deliver(99, 2)
            cancelled.cancel()
            with pytest.raises(p2p.EncodeError):
                requests.start(ASK, 1.5)
            with pytest.raises(p2p.errors.CodeOutOfRange):
                requests.start(2)
            numbers = one.metrics.snapshot()
            assert numbers["p2p/tracked/double/1/0x00"] == 1
            assert numbers["p2p/tracked/double/1/0x02"] == 0
            assert numbers["p2p/lost/double/1/0x00"] == 1
            assert numbers["p2p/stale/double/1"] == 1
            assert numbers["p2p/wait/double/1/0x00"]["count"] == 1
        numbers = one.metrics.snapshot()
        assert (numbers["p2p/tracked/double/1/0x00"], pending.is_done) == (0, True)
        assert numbers["p2p/lost/double/1/0x00"] == 2
        assert not [name for name in other.metrics if "/lost/double" in name]


def lost_by(requests: Requests) -> p2p.PeerDisconnected:
    """Ask until the connection has ended."""
    while True:
        try:
            requests.ask(ASK, 1, timeout=PATIENCE_S)
        except p2p.PeerDisconnected as error:
            return error
