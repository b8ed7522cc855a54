"""Requests for programs: send one, wait for its reply, cancel it.

Any thread may call any method. A thread of the program reads the connection and hands each reply
to :meth:`Requests.deliver`; the threads that ask wait for it. No thread of its own runs here: a
request whose time is over is ended by the thread that waits for it, or by the next call of any.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

from p2p.arguments import check_int, check_type, wrong_type
from p2p.clock import SYSTEM_CLOCK, Clock, Deadline, checked_timeout
from p2p.codec import encode
from p2p.errors import (
    ArgumentTypeError,
    DiscReason,
    LocalProtocolError,
    P2PError,
    PeerDisconnected,
    RequestCancelled,
    Timeout,
    UnexpectedMessage,
)
from p2p.message import Msg, MsgReadWriter
from p2p.messages import TypedReadWriter
from p2p.metrics.requests import RequestTotals
from p2p.requests.ids import id_of, with_id
from p2p.requests.pending import Entry, Pending, RequestCounters
from p2p.requests.rates import RateEstimator
from p2p.requests.request import Request

E = TypeVar("E", bound=P2PError)
T = TypeVar("T")

#: Default time for a reply, in seconds.
TIMEOUT_S = 30.0
#: Limit on the requests under way on a connection, as in go-ethereum: more is a fault of the
#: program, which would fill the memory.
MAX_PENDING = 10_000


class Requests:
    """Requests to one peer, and their replies. Any thread, many at once.

    A request is a message whose first item is an id; its reply is a message with the same id
    first, in any order. One thread reads the connection, usually the handler's, and hands the
    replies over; all others may ask::

        def run(peer, rw):
            with p2p.requests.Requests(rw) as requests:
                share(requests)  # with the threads that ask
                for msg in rw:
                    if msg.code == GET:
                        request_id, key = msg.decode(tuple[int, str])
                        rw.send_items(VALUE, request_id, STORE[key])
                    elif msg.code == VALUE:
                        requests.deliver(*msg.decode(tuple[int, bytes]))

        value = requests.ask(GET, "key", timeout=5)  # in another thread

    ``rw`` is the read-writer. With a :class:`p2p.messages.TypedReadWriter` requests and replies may
    be messages, whose first field is the id; :meth:`start` sets that of a request, whatever it is::

        value = requests.ask(Get(0, "key"), expect=Value, timeout=5).value
        requests.deliver(msg)  # in the thread that reads, for a message that is a reply

    ``rates`` learns from the replies how much the peer delivers, by default a new
    :class:`RateEstimator`. ``clock`` measures the time of requests. The end of the ``with`` block
    ends all requests under way with a PeerDisconnected, which has the reason of the connection's
    end. One connection has one object of this class for each protocol, or ids are used twice.
    Raises ArgumentTypeError for arguments of another type.
    """

    __slots__ = ("rates", "__dict__")  # as in Request

    def __init__(
        self,
        rw: MsgReadWriter | TypedReadWriter[Any],
        *,
        rates: RateEstimator | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        check_type("rw", rw, (MsgReadWriter, TypedReadWriter), "a read-writer")
        check_type("rates", rates, (RateEstimator, type(None)), "a RateEstimator, or None")
        if not hasattr(clock, "on_advance"):
            raise wrong_type("clock", clock, "a clock, such as p2p.testing.SimulatedClock()")
        # fixed after __init__
        self.rates: RateEstimator = rates or RateEstimator()
        self._messages = rw.messages if isinstance(rw, TypedReadWriter) else None
        self._rw = rw.rw if isinstance(rw, TypedReadWriter) else rw
        self._totals = self._rw._request_totals or RequestTotals()
        self._clock = clock
        # guarded by _lock
        self._lock = threading.Lock()
        self._pending: Pending[Request[Any]] = Pending()
        self._make_error: Callable[[], P2PError] | None = None
        self._reader: int | None = None  # the thread that has delivered last
        clock.on_advance(self._expire)

    @property
    def counters(self) -> RequestCounters:
        """Numbers of requests and how they ended, of late and unasked replies, so far."""
        self._expire()
        with self._lock:
            return self._pending.counters()

    @overload
    def ask(self, code: object, *items: object, timeout: float | None = TIMEOUT_S) -> Any: ...

    @overload
    def ask(
        self, code: object, *items: object, expect: type[T], timeout: float | None = TIMEOUT_S
    ) -> T: ...

    def ask(
        self,
        code: object,
        *items: object,
        expect: Any = object,
        timeout: float | None = TIMEOUT_S,
    ) -> Any:
        """Send a request, wait for its reply and return it: :meth:`start` and then ``result``::

            value = requests.ask(GET, "key", expect=bytes, timeout=5)

        Raises as both do. A Ctrl-C while it waits cancels the request.
        """
        request = self.start(code, *items, expect=expect, timeout=timeout)
        try:
            return request.result()
        finally:
            request.cancel()

    @overload
    def start(
        self, code: object, *items: object, timeout: float | None = TIMEOUT_S
    ) -> Request[Any]: ...

    @overload
    def start(
        self, code: object, *items: object, expect: type[T], timeout: float | None = TIMEOUT_S
    ) -> Request[T]: ...

    def start(
        self,
        code: object,
        *items: object,
        expect: Any = object,
        timeout: float | None = TIMEOUT_S,
    ) -> Request[Any]:
        """Send a request and return it; waits only while the peer is slow to read.

        The message is the RLP list of the request id and ``items``; or, in place of a code, a
        message with its first field as the id. The reply must be of the class ``expect``, any by
        default. It must come within ``timeout`` seconds, None for no limit.

        Raises PeerDisconnected when the connection has ended, LocalProtocolError for the 10,001st
        request at once, ArgumentError for other arguments, and the errors of
        :meth:`p2p.MsgReadWriter.send_items`.
        """
        check_type("expect", expect, type, "a class, such as bytes")
        limit_s = checked_timeout(timeout)
        with self._lock:
            request_id = self._pending.next_id()
        msg = self._message(request_id, code, items)
        request: Request[Any] = self._begin(request_id, msg.code, limit_s, expect)
        try:
            self._rw.write_msg(msg)
        except BaseException:
            with self._lock:
                was_pending = self._pending.withdraw(request_id)
            if was_pending:
                self._totals.ended(msg.code)
            raise
        return request

    def deliver(self, request_id: object, reply: object = None, items: int = 1) -> bool:
        """Hand over the reply to a request; the thread that reads the connection calls this.

        In place of an id and the reply, it takes a message with its first field as the id.
        ``items`` is how much it has, in the unit of ``rates``. Returns False for a reply that is
        late or unasked, which is counted and otherwise without effect; the program may end the
        connection for it. Raises UnexpectedMessage for a reply of another class than the request
        expects, and ArgumentError for other arguments.
        """
        if self._messages is not None and not isinstance(request_id, int):
            request_id, reply = id_of(request_id), request_id
        check_type("request_id", request_id, int, "an int")
        assert isinstance(request_id, int)
        check_int("items", items, 0, math.inf, "an int from 0 up")
        self._expire()
        now = self._clock.monotonic()
        with self._lock:
            self._reader = threading.get_ident()
            waiting = self._pending.entries.get(request_id)
            is_fit = waiting is None or isinstance(reply, waiting.owner._expect)
            entry = self._pending.answer(request_id, now) if is_fit else None
        if not is_fit:
            assert waiting is not None
            raise self._unexpected(waiting.owner, reply)
        if entry is None:
            self._totals.strayed()
            return False
        self._totals.answered(entry.code, now - entry.begun_at)
        self.rates.update(entry.code, items, now - entry.begun_at)
        entry.owner._settle(reply)
        return True

    def close(self, error: BaseException | None = None) -> None:
        """End all requests under way, and refuse further ones, with a PeerDisconnected.

        It has the reason of the connection's end if that has ended, else that of ``error``, an
        error that is about to end it, else DiscReason.REQUESTED. Does nothing when closed. The end
        of a ``with`` block calls this. The connection itself is not ended. Raises
        ArgumentTypeError for anything else in place of the error.
        """
        wanted = "an error that ends the connection, or None"
        check_type("error", error, (BaseException, type(None)), wanted)
        make_error = self._ending(error)
        with self._lock:
            if self._make_error is not None:
                return
            self._make_error = make_error
            ended = self._pending.end()
        self._clock.off_advance(self._expire)
        for entry in ended:
            self._totals.gave_up(entry.code)
            entry.owner._settle(make_error=make_error)

    def __enter__(self) -> Requests:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close(error)

    def __repr__(self) -> str:
        state = "open" if self._make_error is None else "closed"
        return f"<Requests, {state}, {len(self._pending.entries)} pending>"

    # for a Request

    def _wait(self, request: Request[Any], patience: Deadline) -> bool:
        """Wait until a request is done; returns False if ``patience`` is over before."""
        settled = request._settled
        while not settled.is_open:
            settled.wait(self._sleep_s(request, patience))
            self._expire()
            if patience.is_over and not settled.is_open:
                return False
        return True

    def _cancel(self, request: Request[Any]) -> bool:
        with self._lock:
            was_pending = self._pending.cancel(request.id)
        if was_pending:
            self._totals.ended(request.code)
            text = f"request {request.id} of code {request.code} was cancelled"
            request._settle(make_error=lambda: self._about(RequestCancelled(text)))
        return was_pending

    def _no_reply(self, request: Request[Any], seconds: float) -> Timeout:
        """Return the error for a request without a reply; its text names the usual mistake."""
        text = f"no reply to request {request.id} of code {request.code} within {seconds:g} s"
        if self._reader is None:
            text += "; no thread has called deliver() yet"
        elif self._reader == threading.get_ident():
            text += "; this thread calls deliver(), so it must not wait for a reply"
        return self._about(Timeout(text))

    # inside

    def _message(self, request_id: int, code: object, items: tuple[object, ...]) -> Msg:
        if self._messages is not None and not isinstance(code, int):
            if items:
                raise ArgumentTypeError("items: wanted none besides a message, which has its own")
            return Msg(*self._messages.encode(with_id(code, request_id)))
        check_type("code", code, int, "an int, or a message on a TypedReadWriter")
        assert isinstance(code, int)
        return Msg(code, encode([request_id, *items]))

    def _begin(
        self, request_id: int, code: int, limit_s: float | None, expect: Any
    ) -> Request[Any]:
        self._expire()
        now = self._clock.monotonic()
        deadline = math.inf if limit_s is None else now + max(0.0, limit_s)
        request: Request[Any] = Request(self, request_id, code, deadline, expect)
        with self._lock:
            make_error, is_full = self._make_error, len(self._pending.entries) >= MAX_PENDING
            if make_error is None and not is_full:
                self._totals.begun(code)  # before any thread can end it
                self._pending.begin(request_id, request, code, now, deadline)
        if make_error is not None:
            raise make_error()
        if is_full:
            raise LocalProtocolError(f"{MAX_PENDING} requests wait for replies already")
        return request

    def _sleep_s(self, request: Request[Any], patience: Deadline) -> float | None:
        """Return the real seconds to wait; None until the reply comes or a clock is moved."""
        if request._deadline == math.inf:
            return patience.left_s
        left_s = self._clock.sleep_for(request._deadline)
        return patience.left_s if left_s is None else patience.left_at_most(left_s)

    def _expire(self) -> None:
        """End the requests whose time is over."""
        now = self._clock.monotonic()
        with self._lock:
            expired = self._pending.expire(now)
        for entry in expired:
            self._time_out(entry)

    def _time_out(self, entry: Entry[Request[Any]]) -> None:
        request, limit_s = entry.owner, entry.deadline - entry.begun_at
        self._totals.gave_up(entry.code)
        self.rates.update(entry.code, 0, limit_s)
        request._settle(make_error=lambda: self._no_reply(request, limit_s))

    def _unexpected(self, request: Request[Any], reply: object) -> UnexpectedMessage:
        wanted = request._expect.__name__
        what = type(reply).__name__  # not its content, which is the remote's
        text = f"reply to request {request.id} of code {request.code} is a {what}"
        error = self._about(UnexpectedMessage(f"{text}, expected {wanted}"))
        if self._messages is not None and type(reply) in self._messages.classes.values():
            error.msg_code = self._messages.code_of(type(reply))
        return error

    def _ending(self, error: BaseException | None) -> Callable[[], PeerDisconnected]:
        """Return a function that makes the error of requests that have lost their connection."""
        ended = self._ended(error)
        cause = ended.__cause__ if ended is error else ended.__cause__ or error

        def make() -> PeerDisconnected:
            made = PeerDisconnected(ended.reason, ended.by_remote, str(ended))
            made.__cause__ = cause
            return self._about(made)

        return make

    def _ended(self, error: BaseException | None) -> PeerDisconnected:
        is_ours = isinstance(error, P2PError) and error.connection_id == self._rw.connection_id
        if is_ours and isinstance(error, PeerDisconnected):
            return error
        ended = self._rw.disconnect_reason
        return ended or PeerDisconnected(self._reason_of(error), by_remote=False)

    def _reason_of(self, error: BaseException | None) -> DiscReason:
        """Return the reason that the connection ends with if its handler raises ``error``."""
        if error is None:
            return DiscReason.REQUESTED
        if isinstance(error, P2PError):
            if error.connection_id in (None, self._rw.connection_id):
                return error.disc_reason
        return DiscReason.SUBPROTOCOL_ERROR

    def _about(self, error: E) -> E:
        error.connection_id = self._rw.connection_id
        return error
