"""Handlers under test: each runs in a thread, and the test is its remote.

The handler gets a real :class:`~p2p.Peer` and a real read-writer, over a message pipe in place of a
connection: limits, errors and the meaning of its end are as in a server. No socket is opened. The
handler's thread is ``p2p-testing-<protocol>``; any thread may be its remote.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from p2p.arguments import check_function, check_has_run, check_type
from p2p.clock import nonnegative_timeout
from p2p.errors import ArgumentError, DiscReason, PeerDisconnected, Timeout
from p2p.message import Msg, MsgReadWriter
from p2p.peers.endings import end_by
from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.pipe import MsgPipe, msg_pipe
from p2p.protocol import Protocol
from p2p.rlpx import BASE_LENGTH
from p2p.testing.failures import add_cause, of_whole, patience_after
from p2p.testing.peers import add_protocol, make_peer
from p2p.testing.readwriter import PATIENCE_S, ScriptedReadWriter, check_read_writer
from p2p.usercode import where_is


class HandlerRun(ScriptedReadWriter):
    """A running handler and the remote end of its conversation; made by :func:`run_handler`.

    Reads and writes are those of the remote. ``peer`` is the handler's peer. The end of the handler
    ends the conversation, as on a connection; the ``__cause__`` of the PeerDisconnected is then the
    handler's error. A write raises AssertionError, with the handler's current line, if the handler
    does not read within the timeout of :func:`run_handler`. Any thread may use it.
    """

    def __init__(
        self,
        protocol: Protocol,
        peer: Peer,
        rw: ProtocolReadWriter,
        pipe: MsgPipe,
        wrap: Callable[[MsgReadWriter], MsgReadWriter] | None,
        timeout: float,
    ) -> None:
        given: MsgReadWriter = rw if wrap is None else wrap(rw)
        check_read_writer("wrap", given)
        # fixed after __init__
        self.peer = peer
        self._protocol = protocol
        self._rw = rw
        self._given = given
        self._pipe = pipe
        self._timeout = timeout
        # set by the handler's thread before it opens _returned
        self._returned = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None
        # set by the test's thread: it has got the handler's error
        self._is_reported = False
        name = f"p2p-testing-{protocol.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def has_returned(self) -> bool:
        """Whether the handler has returned or raised."""
        return self._returned.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more; messages of the handler may still be read."""
        return self._pipe.is_closed

    def result(self, timeout: float = PATIENCE_S) -> Any:
        """Wait for the handler to return; return its value, or raise its error.

        Raises AssertionError if it has not returned after ``timeout`` seconds.
        """
        timeout = nonnegative_timeout(timeout)
        if not self.wait_returned(timeout):
            raise self._failure(timeout, "the handler has not returned")
        self._is_reported = True
        if self._error is not None:
            raise self._error
        return self._result

    def expect_end(
        self, reason: int | None = None, timeout: float = PATIENCE_S
    ) -> PeerDisconnected:
        """Wait for the end of the conversation, with ``reason`` unless it is None.

        The handler ends it when it returns (DiscReason.QUITTING), by an error, or by
        ``peer.disconnect``. An error of the handler then counts as expected. Returns and raises as
        :meth:`ScriptedReadWriter.expect_end`.
        """
        ended = super().expect_end(reason, timeout)
        self._is_reported = True
        return ended

    def read_msg(self, timeout: float | None = PATIENCE_S) -> Msg:
        try:
            msg = self._pipe.read_msg(timeout)
        except PeerDisconnected as ended:
            raise ended from self._cause_of(ended)
        return Msg(msg.code - BASE_LENGTH, msg.payload, msg.received_at)

    def write_msg(self, msg: Msg) -> None:
        try:
            self._pipe._write_within(msg, self._timeout)
        except Timeout:
            what = f"message {msg.code} was not taken"
            raise self._failure(self._timeout, what, "the handler does not read; it") from None
        except PeerDisconnected as ended:
            raise ended from self._cause_of(ended)

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the conversation with ``reason``, as a remote that leaves."""
        self._pipe.close(reason)

    def wait_returned(self, timeout: float = PATIENCE_S) -> bool:
        """Wait until the handler has returned or raised, and return whether it has.

        The wait is at most ``timeout`` seconds.
        """
        if not self._returned.wait(nonnegative_timeout(timeout)):
            return False
        self._thread.join()
        return True

    def _finish(self, timeout: float) -> BaseException | None:
        """End the conversation, wait for the handler, and return its failure if there is one."""
        self._pipe.close()
        if not self.wait_returned(timeout):
            what = "the conversation has ended, and the handler has not returned"
            return self._failure(timeout, what)
        error = self._error
        if error is None or self._is_reported or self._is_usual(error):
            return None
        return error

    def _run(self) -> None:
        """Run the handler, then end the conversation as a server does."""
        assert self._protocol.run is not None
        reason = DiscReason.QUITTING
        try:
            self._result = self._protocol.run(self.peer, self._given)
            check_has_run(f"the handler of {self._protocol.cap}", self._result)
        except SystemExit:  # ends the handler, as in any thread
            pass
        except BaseException as error:
            self._error = error
            reason = end_by(error, self._rw).reason
        finally:
            self._returned.set()
            self._rw.close(reason)

    def _failure(self, timeout: float, what: str, who: str = "it") -> AssertionError:
        place = where_is(self._thread)
        return AssertionError(f"{what} within {timeout:g} s; {who} is at {place}")

    def _is_usual(self, error: BaseException) -> bool:
        own = self._rw.connection_id
        return isinstance(error, PeerDisconnected) and error.connection_id == own

    def _cause_of(self, ended: PeerDisconnected) -> BaseException | None:
        return self._error if ended.by_remote else None

    @of_whole
    def __repr__(self) -> str:
        state = "returned" if self.has_returned else "running"
        return f"<handler of {self._protocol.cap} with {self.peer}, {state}>"


@contextmanager
def run_handler(
    protocol: Protocol,
    *,
    wrap: Callable[[MsgReadWriter], MsgReadWriter] | None = None,
    timeout: float = PATIENCE_S,
    logger: logging.Logger | None = None,
    **options: Any,
) -> Iterator[HandlerRun]:
    """Run the handler of ``protocol`` in a thread; the ``with`` block is its remote::

        with p2p.testing.run_handler(protocol) as remote:
            remote.send_items(0, "foo")
            remote.expect(0, ["bar"])

    ``options`` and ``logger`` are those of :func:`make_peer`, for the handler's peer. ``wrap``
    takes its read-writer and returns the one to use instead, such as a :class:`FaultyReadWriter`.

    At the end of the block the remote leaves, and the handler has ``timeout`` seconds to return.
    Its error is raised then, unless it is the PeerDisconnected of the end, or
    :meth:`HandlerRun.result` or :meth:`HandlerRun.expect_end` has reported it. If it still runs,
    AssertionError names its current line. If the block itself fails, its error has that one as a
    cause. Raises ArgumentError for a protocol without a handler, and for a wrong option.
    """
    check_type("protocol", protocol, Protocol, "a p2p.Protocol")
    if protocol.run is None:
        raise ArgumentError(f"protocol: wanted one with a handler; {protocol.cap} has none")
    timeout = nonnegative_timeout(timeout)
    if wrap is not None:
        check_function("wrap", wrap, "rw")
    ours, theirs = msg_pipe(protocol)
    options.setdefault("caps", [protocol.cap])
    peer = make_peer(theirs, logger=logger, **options)
    rw = add_protocol(peer, theirs, protocol)
    run = HandlerRun(protocol, peer, rw, ours, wrap, timeout)
    try:
        yield run
    except BaseException as error:
        add_cause(error, run._finish(patience_after(error, timeout)))
        raise
    failure = run._finish(timeout)
    if failure is not None:
        raise failure
