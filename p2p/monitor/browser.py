"""One connection of a browser: the file that it asks for, or the socket that gets the updates.

It owns its channel and its place in the history, and no queue: what a slow browser has not taken
waits in the history, which all share, and is skipped when it is too old. ``p2p-monitor`` only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from p2p.monitor.access import Access, headers_of
from p2p.monitor.files import File
from p2p.monitor.history import History
from p2p.monitor.source import DEFAULT_SAMPLES_PER_S, MAX_SAMPLES_PER_S, Watch
from p2p.monitor.websocket import (
    GOING_AWAY,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Asked,
    WebSocket,
)
from p2p.net import Channel, Loop, Timer

#: Limit on the time of a request and its answer.
REQUEST_TIMEOUT_S = 5.0
#: Time that a browser has to take what was sent, and to close after us; less when we stop.
LINGER_S, STOP_LINGER_S = 5.0, 0.5
#: Bytes that wait for the kernel before nothing more is given to it, and before the connection is
#: ended: only one that asks without reading gets there.
HIGH_BYTES, MOST_BYTES = 256 * 1024, 4 * 1024 * 1024
#: Updates that a page may be late before it gets the present state in place of them.
MAX_LATE = 20
#: Most protocols or peers in a filter.
_MAX_FILTER = 64

#: The name of the socket, beside the files.
SOCKET = "socket"


class Place(Enum):
    """The next thing that a page gets."""

    REQUEST = "request"  #: Its request has not come yet, or is a file's.
    HISTORY = "history"  #: The updates of the last minutes, as fast as it takes them.
    LIVE = "live"  #: Each update when it comes.
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Site:
    """The things that all connections share."""

    access: Access
    logger: logging.Logger
    files: Mapping[str, File]
    history: History
    hello: Callable[[], str]
    has_room: Callable[[], bool]
    changed: Callable[[], object]
    lost: Callable[[Browser], object]


class Browser:
    """A connection; ``watch`` is what its page wants to see, None if it shows nothing now."""

    def __init__(self, site: Site, loop: Loop) -> None:
        self._site = site
        self._loop = loop
        self._socket = WebSocket(site.logger)
        self._channel: Channel | None = None
        self._timer: Timer | None = None
        self._after = 0  # number of the last update that was sent
        self._watch = Watch()
        self.place = Place.REQUEST
        #: Time of the last bytes from it, on the loop's clock.
        self.heard_at = loop.now()

    def begin(self, channel: Channel) -> None:
        """Wait for the request; the channel has this object as its receiver."""
        self._channel = channel
        self._timer = self._loop.call_later(REQUEST_TIMEOUT_S, self.abort)

    @property
    def watch(self) -> Watch | None:
        """The wishes of the page; None before it is open, and while it is paused."""
        return self._watch if self.place in (Place.HISTORY, Place.LIVE) else None

    def pump(self) -> None:
        """Send what the page can take now."""
        channel, history = self._channel, self._site.history
        if channel is None or self.place not in (Place.HISTORY, Place.LIVE):
            return
        self._catch_up(history)
        while self._after < history.last_n and channel.unsent_bytes < HIGH_BYTES:
            self._send(history.update_after(self._after))
            self._after += 1
        if self.place is Place.HISTORY and self._after == history.last_n:
            self.place = Place.LIVE
            self._send_live()

    def ping(self) -> None:
        """Ask the page for a sign of life, if it is open, and give it one: it sees no pings."""
        self._socket.ping()
        if self.place is Place.LIVE and self._after == self._site.history.last_n:
            self._send_live()
        self._flush()

    def close(self) -> None:
        """End the connection in order, soon."""
        self._socket.close(GOING_AWAY)
        if self._channel is not None:
            self._channel.send(self._socket.to_send()[0])
            self._channel.close(STOP_LINGER_S)

    def abort(self) -> None:
        """End the connection at once."""
        if self._channel is not None:
            self._channel.abort()

    # calls of the channel

    def data_received(self, data: memoryview) -> None:
        self.heard_at = self._loop.now()
        self._take(bytes(data))

    def eof_received(self) -> None:
        self._take(b"")
        self.abort()

    def send_buffer_empty(self) -> None:
        self.pump()

    def sending_failed(self, error: OSError) -> None:
        self.abort()

    def connection_lost(self, error: OSError | None) -> None:
        self._cancel_timer()
        self._channel = None
        self.place = Place.ENDED
        self._site.lost(self)

    # the request

    def _take(self, data: bytes) -> None:
        for event in self._socket.receive(data):
            if isinstance(event, Asked):
                self._answer(event)
            else:
                self._take_text(event)
        self._flush()
        if self._channel is not None and self._channel.unsent_bytes > MOST_BYTES:
            self.abort()

    def _answer(self, asked: Asked) -> None:
        access = self._site.access
        host = access.host_of(asked.hosts)
        rest = access.rest_of(asked.path)
        if host is None:
            self._refuse(HTTPStatus.FORBIDDEN, "the Host is not an address of this server")
        elif rest is None:
            self._refuse(HTTPStatus.NOT_FOUND, "no such page; its address has a token")
        elif not asked.is_get:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "GET only", [("Allow", "GET")])
        elif rest == SOCKET:
            self._open(asked, host)
        elif asked.origins and not access.is_own_origin(asked.origins, host):
            self._refuse(HTTPStatus.FORBIDDEN, "the Origin is not that of the page")
        elif (file := self._site.files.get(rest)) is None:
            self._refuse(HTTPStatus.NOT_FOUND, "no such file")
        else:
            self._socket.respond(HTTPStatus.OK, headers_of(host), file.data, file.kind)

    def _open(self, asked: Asked, host: str) -> None:
        if not self._site.access.is_own_origin(asked.origins, host):
            self._refuse(HTTPStatus.FORBIDDEN, "the Origin is not that of the page")
        elif not self._socket.accept():
            return
        elif not self._site.has_room():
            self._socket.close(TRY_AGAIN_LATER)  # a script sees no status of HTTP
        else:
            self._cancel_timer()
            self.place = Place.HISTORY
            self._after = self._site.history.base_n
            self._socket.send(self._site.hello())
            self._send(self._site.history.base())
            self._site.changed()
            self.pump()

    def _refuse(
        self, status: HTTPStatus, text: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        body, headers = f"{text}\n".encode(), [*headers_of("localhost"), *headers]
        self._socket.respond(status, headers, body, "text/plain; charset=utf-8")

    # requests of the page

    def _take_text(self, text: str) -> None:
        try:
            asked = json.loads(text)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            self._socket.close(POLICY_VIOLATION)
            return
        try:
            self._do(asked)
        except (KeyError, TypeError, ValueError):
            self._send_json({"type": "error", "text": "a request that is not of the contract"})
        self._site.changed()

    def _do(self, asked: dict[str, Any]) -> None:
        kind = asked["type"]
        if kind == "watch":
            self._watch = _watch_of(asked)
        elif kind == "pause":
            self.place = Place.PAUSED
        elif kind == "resume":
            self.place = Place.HISTORY
            self.pump()
        else:
            raise ValueError(kind)

    # inside

    def _catch_up(self, history: History) -> None:
        """Send the present state in place of updates that are gone, or too many."""
        is_late = self.place is Place.LIVE and history.last_n - self._after > MAX_LATE
        assert self._channel is not None
        if not is_late and self._after >= history.base_n:
            return
        if self._channel.unsent_bytes < HIGH_BYTES:
            self._send(history.present(history.last_n - self._after))
            self._after = history.last_n

    def _send_live(self) -> None:
        self._send_json({"type": "live", "n": self._after})

    def _send_json(self, value: dict[str, Any]) -> None:
        self._send(json.dumps(value))

    def _send(self, text: str) -> None:
        self._socket.send(text)
        self._flush()

    def _flush(self) -> None:
        buffers, is_over = self._socket.to_send()
        if self._channel is not None:
            self._channel.send(buffers)
            if is_over:
                self.place = Place.ENDED
                self._channel.close(LINGER_S)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _watch_of(asked: dict[str, Any]) -> Watch:
    """Read a request for samples. Raises ValueError or TypeError."""
    rate, protocols = asked.get("samples_per_s", DEFAULT_SAMPLES_PER_S), asked.get("protocols")
    peer = asked.get("peer")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise TypeError("samples_per_s")
    if protocols is not None and not (
        isinstance(protocols, list)
        and len(protocols) <= _MAX_FILTER
        and all(isinstance(name, str) for name in protocols)
    ):
        raise TypeError("protocols")
    if peer is not None and not isinstance(peer, str):
        raise TypeError("peer")
    return Watch(
        round(min(max(rate, 0), MAX_SAMPLES_PER_S)),
        None if protocols is None else frozenset(protocols),
        None if peer is None else frozenset([peer]),
    )
