"""The built-in protocols of ``p2p node``: echo and chat.

The handlers run in threads of peers. They report what happens to a function of the node, which any
thread may call. On the wire they are the protocols of the programs ``examples/echo.py`` and
``examples/chat.py``::

    echo/1  code 0, any payload: the same message comes back
    chat/1  code 0, [text]: a line, for all peers
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

import p2p
from p2p.cli.shown import number_of, shown

#: Characters of a line of a chat that are shown, and sent at most.
MAX_LINE = 1000
Report: TypeAlias = Callable[[str], object]
Wake: TypeAlias = Callable[[], object]


class Echo:
    """The protocol echo: each message comes back."""

    def __init__(self, report: Report, _wake: Wake) -> None:
        self._report = report
        self.protocols = [p2p.Protocol(name="echo", version=1, length=1, run=self._handle)]

    def _handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        count = 0
        try:
            for msg in rw:
                rw.write_msg(msg)
                count += 1
        finally:
            self._report(f"{peer.name}: {number_of(count, 'message')} echoed")


class Chat:
    """The protocol chat: each line goes to all peers. Any thread may call any method.

    ``wake`` is called when a peer has come.
    """

    def __init__(self, report: Report, wake: Wake) -> None:
        # fixed after __init__
        self._report = report
        self._wake = wake
        self.protocols = [p2p.Protocol(name="chat", version=1, length=1, run=self._handle)]
        # guarded by _lock
        self._lock = threading.Lock()
        self._writers: dict[p2p.Peer, p2p.MsgReadWriter] = {}

    @property
    def has_peers(self) -> bool:
        """Whether a line reaches any peer."""
        return bool(self._writers)

    def say(self, line: str) -> None:
        """Send a line to all peers."""
        with self._lock:
            writers = list(self._writers.values())
        for rw in writers:  # not under the lock: a send waits while a peer is slow to read
            with suppress(p2p.PeerDisconnected):
                rw.send_items(0, line[:MAX_LINE])

    def _handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        with self._lock:
            self._writers[peer] = rw
        self._wake()
        try:
            for msg in rw:
                (line,) = msg.decode(tuple[str])
                self._report(f"{peer.name}: {shown(line, MAX_LINE)}")
        finally:
            with self._lock:
                del self._writers[peer]
