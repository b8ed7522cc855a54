"""A message pipe: two read-writers in one process, each reading what the other writes.

For tests of handlers, and for teaching: no server, no network. Any thread may use either end.
"""

from __future__ import annotations

import operator

from p2p.errors import CodeOutOfRange, PipeClosed
from p2p.mailbox import Mailbox
from p2p.message import Msg, MsgReadWriter


class MsgPipe(MsgReadWriter):
    """One end of a message pipe; made by :func:`msg_pipe`.

    A write waits only while the other end has a megabyte to read. Closing either end closes both:
    what was written before can still be read, then PipeClosed is raised.
    """

    def __init__(self, incoming: Mailbox, outgoing: Mailbox) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def read_msg(self, timeout: float | None = None) -> Msg:
        return Msg(*self._incoming.get(timeout))

    def write_msg(self, msg: Msg) -> None:
        code = operator.index(msg.code)
        if code < 0:
            raise CodeOutOfRange(f"message code is {code}")
        # bytes(5) would be five zero bytes; a memoryview is of bytes only.
        self._outgoing.put((code, bytes(memoryview(msg.payload))))

    def close(self) -> None:
        """Close both ends; harmless when closed."""
        self._incoming.close(_closed, discard=False)
        self._outgoing.close(_closed, discard=False)


def _closed() -> PipeClosed:
    return PipeClosed("message pipe is closed")


def msg_pipe() -> tuple[MsgPipe, MsgPipe]:
    """Make a message pipe and return its two ends."""
    one, other = Mailbox(), Mailbox()
    return MsgPipe(one, other), MsgPipe(other, one)
