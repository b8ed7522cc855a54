"""A message pipe: two read-writers in one process, each reading what the other writes.

For tests of handlers, and for teaching: no server, no network. Any thread may use either end. A
pipe behaves as a connection does: the same limits, the same errors, the same order of events at the
end, so that a handler that works here works there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from p2p.arguments import check_int, check_type, wrong
from p2p.errors import DiscReason, PipeClosed, checked_reason
from p2p.mailbox import Mailbox
from p2p.message import Msg, MsgReadWriter, outgoing
from p2p.protocol import MAX_LENGTH, Protocol
from p2p.rlpx.capability import BASE_LENGTH


class MsgPipe(MsgReadWriter):
    """One end of a message pipe; made by :func:`msg_pipe`.

    A write waits only while the other end has a megabyte or more to read.
    """

    def __init__(
        self,
        incoming: Mailbox,
        outgoing: Mailbox,
        endings: list[tuple[MsgPipe, DiscReason]],
        watchers: list[Callable[[], object]],
        owner: object,
        length: int,
    ) -> None:
        # fixed after __init__
        self._incoming = incoming
        self._outgoing = outgoing
        self._owner = owner
        self._length = length
        # shared by both ends, append-only: the ends that were closed, of which the first counts;
        # and the functions to call then
        self._endings = endings
        self._watchers = watchers

    @property
    def is_closed(self) -> bool:
        """Whether writing has ended; messages written before may still be read."""
        return self._outgoing.is_closed

    @property
    def disconnect_reason(self) -> PipeClosed | None:
        """The error with the reason of the end; None while open."""
        return self._error() if self._endings else None

    def read_msg(self, timeout: float | None = None) -> Msg:
        try:
            return Msg(*self._incoming.get(timeout))
        except PipeClosed:
            raise self._error() from None

    def write_msg(self, msg: Msg) -> None:
        self._write_within(msg, None)

    def _write_within(self, msg: Msg, timeout: float | None) -> None:
        """Write a message; raises Timeout if there is no room for it after ``timeout`` seconds."""
        code, payload = outgoing(msg, self._length, self._owner, BASE_LENGTH, compressed=True)
        try:
            self._outgoing.put((code, payload, time.monotonic()), timeout)
        except PipeClosed:
            raise self._error() from None

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """Close both ends, as ``Peer.disconnect`` ends a connection. Does nothing when closed.

        The other end can still read the messages written before; this one reads no more. Raises
        ArgumentError for a reason that is not a number.
        """
        ending = (self, checked_reason(reason))
        self._endings.append(ending)
        if self._endings[0][0] is self:
            self._incoming.close(self._error, discard=True)
            self._outgoing.close(self._error, discard=False)
        if self._endings[0] is ending:
            for watcher in self._watchers:
                watcher()

    def _on_closed(self, watcher: Callable[[], object]) -> None:
        """Have ``watcher`` called, once, when either end closes the pipe; before that."""
        self._watchers.append(watcher)

    def _error(self) -> PipeClosed:
        by, reason = self._endings[0]
        return PipeClosed(reason, by_remote=by is not self)

    def __repr__(self) -> str:
        state = "closed" if self._outgoing.is_closed else "open"
        return f"<MsgPipe, {state}, {len(self._incoming)} to read>"


def msg_pipe(
    protocol: Protocol | None = None, *, length: int | None = None
) -> tuple[MsgPipe, MsgPipe]:
    """Make a message pipe and return its two ends.

    ``protocol``, or ``length`` alone, gives the number of message codes, the only thing that the
    ends of a connection need from a protocol; without them any code from 0 up is allowed::

        ours, theirs = p2p.testing.msg_pipe(protocol)
        threading.Thread(target=protocol.run, args=(None, theirs)).start()
        p2p.send(ours, 0, "hello")

    Raises ArgumentError for other values, and for both at once.
    """
    owner: object = "the pipe"
    if protocol is not None:
        check_type("protocol", protocol, Protocol, "a p2p.Protocol")
        if length is not None:
            raise wrong("length", length, "none besides a protocol, which has its own")
        owner, length = protocol.cap, protocol.length
    elif length is None:
        length = MAX_LENGTH
    else:
        check_int("length", length, 1, MAX_LENGTH, f"an int from 1 to {MAX_LENGTH}")
    one, other = Mailbox(), Mailbox()
    endings: list[tuple[MsgPipe, DiscReason]] = []
    watchers: list[Callable[[], object]] = []
    return (
        MsgPipe(one, other, endings, watchers, owner, length),
        MsgPipe(other, one, endings, watchers, owner, length),
    )
