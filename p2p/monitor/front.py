"""The monitor: the thread that serves a page, and asks its source what to show.

It owns the loop ``p2p-monitor`` (:mod:`p2p.net`), which has the listening socket, the connections
of browsers and the timer, and the history. :meth:`Monitor.start` and :meth:`Monitor.stop` are for
any thread; everything else happens on the loop. The source is asked twice a second. A failure of
the loop ends the page and nothing else.
"""

from __future__ import annotations

import json
import logging
import platform
import socket
import time
from collections.abc import Callable

from p2p._version import __version__
from p2p.clock import SYSTEM_CLOCK, Deadline, finite_timeout
from p2p.errors import P2PError
from p2p.monitor.access import Access
from p2p.monitor.browser import Browser, Place, Site
from p2p.monitor.changes import difference
from p2p.monitor.files import page_files
from p2p.monitor.history import KEPT_S, History
from p2p.monitor.source import (
    DEFAULT_SAMPLES_PER_S,
    MAX_SAMPLES_PER_S,
    Happened,
    MonitorSource,
    Watch,
)
from p2p.monitor.websocket import check_installed
from p2p.net import Channel, Listener, Loop, StreamSocket, bind
from p2p.netutil import Endpoint
from p2p.optionchecks import monitor_endpoint_of

#: Seconds from one update to the next.
TICK_S = 0.5
#: Most pages that are open at a time, and most connections, with those for files.
MAX_PAGES, MAX_CONNECTIONS = 8, 40
#: Seconds between pings of a page, and without any answer until it is given up.
PING_S, SILENT_S = 20.0, 60.0
#: Limit on the wait of ``stop`` for the thread.
STOP_TIMEOUT_S = 5.0
#: Time for the loop to end after the connections.
_LAST_MOMENT_S = 0.5

_OPEN = (Place.HISTORY, Place.LIVE, Place.PAUSED)


class Monitor:
    """A live page of ``source`` at ``addr``, such as "127.0.0.1:0"; port 0 takes a free one.

    For a server there is the option ``monitor_addr``. ``public`` allows an address other than
    loopback. Use it in a ``with`` block, or call :meth:`start` and :meth:`stop`; it cannot be
    started again. Raises ArgumentError for a wrong address, ConfigError if websockets is not
    installed. Any thread may use it::

        with p2p.monitor.Monitor(source, "127.0.0.1:0") as monitor:
            print(monitor.url)
    """

    def __init__(
        self,
        source: MonitorSource,
        addr: str,
        *,
        public: bool = False,
        logger: logging.Logger | None = None,
    ) -> None:
        check_installed()
        logger = logger or logging.getLogger("p2p")
        # fixed after __init__
        self._wanted = monitor_endpoint_of(addr, public)
        self._source = source
        self._log = logger.getChild("monitor")
        self._loop = Loop("p2p-monitor", SYSTEM_CLOCK, self._ended, logger)
        self._access = Access(public)
        self._files = page_files()
        # fixed after start()
        self._address: Endpoint | None = None
        # owned by p2p-monitor
        self._history = History(0.0, ())
        self._site: Site
        self._listener: Listener | None = None
        self._browsers: dict[Browser, None] = {}
        self._watch: Watch | None = None
        self._is_stopping = False

    @property
    def url(self) -> str | None:
        """Address of the page, with its token; None before the start."""
        if self._address is None:
            return None
        return f"http://{self._address}/{self._access.token}/"

    def start(self) -> None:
        """Bind the address and begin to serve. Raises OSError if it cannot be bound."""
        sock = bind(*self._wanted)
        try:
            self._loop.start()
            self._loop.call(self._begin, sock)
        except BaseException:
            sock.close()
            self.stop()
            raise
        self._log.info("live page on %s; its address has a token, see monitor_url", self._address)

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """Close all pages and end the thread, within about ``timeout`` seconds.

        Returns the name of the thread if it has not ended by then. Idempotent.
        """
        deadline = Deadline(finite_timeout(timeout))
        if self._loop.can_start:
            self._loop.stop()
            return []
        self._loop.post(self._end)
        if not self._loop.join(deadline.left_s):
            self._loop.stop()
        return [] if self._loop.join(deadline.left_at_least(_LAST_MOMENT_S)) else [self._loop.name]

    def __enter__(self) -> Monitor:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = "not started" if self._address is None else f"at {self._address}"
        return f"<Monitor of a {self._source.kind}, {where}>"

    # p2p-monitor: start, ticks, end

    def _begin(self, sock: socket.socket) -> None:
        self._history = History(time.time(), self._source.state())
        self._site = Site(
            self._access, self._log, self._files, self._history, self._hello, self._has_room,
            self._update_watch, self._lost,
        )  # fmt: skip
        self._listener = Listener(self._loop, sock, self._accept)
        self._address = self._listener.address
        self._tick()
        self._loop.call_later(PING_S, self._ping)

    def _tick(self) -> None:
        if self._is_stopping:
            return
        self._loop.call_later(TICK_S, self._tick)
        try:
            state, happened = self._source.state(), self._source.happened()
        except P2PError as error:  # mostly the server has stopped
            self._log.debug("the page is not updated: %s", error)
            return
        update = {**difference(self._history.state, state), **_parts_of(happened)}
        if update:
            self._history.add(time.time(), update)
            for browser in list(self._browsers):
                browser.pump()

    def _ping(self) -> None:
        self._loop.call_later(PING_S, self._ping)
        silent_since = self._loop.now() - SILENT_S
        for browser in list(self._browsers):
            if browser.heard_at < silent_since:
                browser.abort()
            else:
                browser.ping()

    def _end(self) -> None:
        """Close everything; the loop ends when the browsers have closed, too."""
        self._is_stopping = True
        if self._listener is not None:
            self._listener.close()
        for browser in list(self._browsers):
            browser.close()
        if not self._browsers:
            self._loop.stop()

    def _ended(self, crash: BaseException | None) -> None:
        if self._listener is not None:
            self._listener.close()
        for browser in list(self._browsers):
            browser.abort()

    # p2p-monitor: connections

    def _accept(self, sock: StreamSocket, remote: Endpoint) -> None:
        browser = Browser(self._site, self._loop)
        self._browsers[browser] = None
        try:
            browser.begin(Channel(self._loop, sock, browser))
        except OSError:
            del self._browsers[browser]
            raise
        if len(self._browsers) > MAX_CONNECTIONS:
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        """End the oldest connection that is no open page: silent ones keep no page out."""
        closed = (one for one in self._browsers if one.place not in _OPEN)
        oldest = next(closed, None)
        if oldest is not None:
            del self._browsers[oldest]
            oldest.abort()

    def _lost(self, browser: Browser) -> None:
        self._browsers.pop(browser, None)
        self._update_watch()
        if self._is_stopping and not self._browsers:
            self._loop.stop()

    def _has_room(self) -> bool:
        return sum(browser.place in _OPEN for browser in self._browsers) < MAX_PAGES

    def _update_watch(self) -> None:
        """Let the source know what the open pages want."""
        wanted = [watch for browser in self._browsers if (watch := browser.watch) is not None]
        watch = _joined(wanted) if wanted else None
        if watch != self._watch:
            self._watch = watch
            self._source.watch(watch)

    def _hello(self) -> str:
        hello = {
            "type": "hello",
            "contract": 1,
            "kind": self._source.kind,
            "version": __version__,
            "python": platform.python_version(),
            "t": round(time.time(), 3),
            "tick_s": TICK_S,
            "history_s": KEPT_S,
            "alive_s": PING_S,
            "samples": {"per_s": DEFAULT_SAMPLES_PER_S, "most_per_s": MAX_SAMPLES_PER_S},
        }
        return json.dumps({**hello, **self._source.about()})


def _parts_of(happened: Happened) -> dict[str, object]:
    """Return the parts of an update that are not of a state; empty ones are left out."""
    parts: dict[str, object] = {
        "point": happened.point,
        "messages": happened.messages,
        "events": happened.events,
        "activity": happened.activity,
        "unseen": happened.unseen,
    }
    return {name: value for name, value in parts.items() if value}


def _joined(watches: list[Watch]) -> Watch:
    """Return what covers all wishes: the highest rate, and every protocol and peer."""

    def union(of: Callable[[Watch], frozenset[str] | None]) -> frozenset[str] | None:
        found = [of(watch) for watch in watches]
        chosen = [names for names in found if names is not None]
        return frozenset().union(*chosen) if len(chosen) == len(found) else None

    rate = max(watch.samples_per_s for watch in watches)
    return Watch(rate, union(lambda watch: watch.protocols), union(lambda watch: watch.peers))
