"""Talk requests: the handlers of a program, and the threads that run them.

A handler may take its time, so it does not run on ``p2p-disc`` but on one of a few threads. A
request for which no thread is free waits in a short queue; beyond that a flood is met with silence,
and counted. A protocol without a handler gets the empty response (discv5-wire, "TALKREQ"), and so
does a request whose handler fails. A remote decides how often that is, so the log lines about it
are limited.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import TypeAlias

from p2p import forks
from p2p.arguments import BYTES, check_has_run
from p2p.clock import Clock, Deadline
from p2p.discover.event import TalkReceived
from p2p.enode.nodeid import NodeID
from p2p.loglimit import LogLimit, log_limited
from p2p.netutil import Endpoint
from p2p.threads import join_threads

#: Threads that run handlers.
THREADS = 4
#: Requests that wait for one of them; the remote waits for some 0.7 s.
MAX_QUEUED = 64
#: Bytes of a talk request, its protocol included, and of a response: what fits a packet.
MAX_TALK_SIZE = 1150

#: A program's handler: gets the ID and the endpoint of the requester and the request, returns the
#: response.
TalkHandler: TypeAlias = Callable[[NodeID, Endpoint, bytes], bytes]
#: Sends a response; any thread.
Respond: TypeAlias = Callable[[TalkReceived, bytes], None]


class TalkHandlers:
    """Handlers by protocol."""

    def __init__(self, respond: Respond, clock: Clock, logger: logging.Logger) -> None:
        # fixed after __init__
        self._respond = respond
        self._log = logger
        self._limit = LogLimit(clock)  # a remote may ask again and again
        self._queue: Queue[TalkReceived | None] = Queue(MAX_QUEUED)
        # guarded by _lock
        self._lock = threading.Lock()
        self._handlers: dict[bytes, TalkHandler] = {}
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def set(self, protocol: bytes, handler: TalkHandler | None) -> None:
        """Have requests of ``protocol`` handled; None ends that. Any thread.

        Raises RuntimeError if the system has no more threads.
        """
        with self._lock:
            if handler is None:
                self._handlers.pop(protocol, None)
                return
            self._start_threads_locked()
            self._handlers[protocol] = handler

    def receive(self, request: TalkReceived) -> bool:
        """Hand a request to a thread. Returns False if it is lost. On ``p2p-disc``."""
        if request.protocol not in self._handlers:
            self._respond(request, b"")
            return True
        try:
            self._queue.put_nowait(request)
        except Full:
            return False
        return True

    def close(self) -> None:
        """Drop what waits, and let the threads end. Any thread; idempotent."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._empty_queue()
            for _ in self._threads:
                self._queue.put_nowait(None)

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for the threads after :meth:`close`; returns the names of those that run on."""
        return join_threads(self.threads, deadline)

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that run handlers."""
        with self._lock:
            return list(self._threads)

    def _start_threads_locked(self) -> None:
        while len(self._threads) < THREADS and not self._stopped:
            thread = threading.Thread(target=self._run, name="p2p-talk", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _empty_queue(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            pass

    # p2p-talk

    def _run(self) -> None:
        process = forks.here
        while (request := self._queue.get()) is not None:
            response = b""
            try:
                response = self._response_to(request)
            except BaseException:  # raised by the program's log; the thread must go on
                thread = threading.current_thread()
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), thread)))
            finally:
                self._respond(request, response)
            if not process.is_here:
                return  # the handler has forked, and this is the child

    def _response_to(self, request: TalkReceived) -> bytes:
        """Return the response of a handler; the empty one if it fails."""
        handler, protocol = self._handlers.get(request.protocol), request.protocol
        if handler is None:
            return b""
        try:
            response: object = handler(request.node_id, request.address, request.request)
            check_has_run("handler", response)
        except BaseException as error:  # any error of the program: the thread must go on
            self._report(request, type(error), "the handler of %r raised", protocol, error=error)
            return b""
        if not isinstance(response, BYTES):
            kind = type(response)
            text = "the handler of %r returned %s, not bytes"
            self._report(request, kind, text, protocol, kind.__name__)
            return b""
        data = bytes(response)
        if len(data) > MAX_TALK_SIZE:
            text = "the handler of %r returned %d bytes, more than %d"
            self._report(request, bytes, text, protocol, len(data), MAX_TALK_SIZE)
            return b""
        return data

    def _report(
        self,
        request: TalkReceived,
        kind: type,
        text: str,
        *args: object,
        error: BaseException | None = None,
    ) -> None:
        """Log a failure of a handler, at DEBUG if there were many of that kind."""
        left_out = self._limit.admit((request.protocol, kind), request.node_id)
        text = f"empty response to a talk request: {text}"
        log_limited(self._log, logging.ERROR, left_out, text, *args, error=error)
