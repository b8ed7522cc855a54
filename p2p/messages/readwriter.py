"""A read-writer of messages that are objects: reads and decodes, encodes and writes.

Wraps the read-writer of a connection or of a pipe, and adds only the classes of a protocol's
messages. Any thread, as of the wrapped one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from p2p.arguments import check_type
from p2p.errors import (
    DecodeError,
    DiscReason,
    InvalidMessageCode,
    PeerDisconnected,
    UnexpectedMessage,
)
from p2p.message import Msg, MsgReadWriter
from p2p.messages.declaration import Messages

M = TypeVar("M")
T = TypeVar("T")


class TypedReadWriter(Generic[M]):
    """One end of a stream of messages that are instances of declared classes.

    ``rw`` is the read-writer to read from and to write to, ``messages`` the protocol's messages. A
    handler of :func:`p2p.messages.protocol` gets one; with a connection of the program's own::

        with p2p.connect(url, name="chat", version=1, length=CHAT.length) as rw:
            chat = messages.TypedReadWriter(rw, CHAT)
            chat.write(Hello("alice", 1))
            print(chat.expect(Hello, timeout=5).name)

    Iterate over it, or use it in a ``with`` block, as the read-writer itself. Raises
    ArgumentTypeError for arguments of other types. Any thread.
    """

    __slots__ = ("messages", "rw")

    def __init__(self, rw: MsgReadWriter, messages: Messages[M]) -> None:
        check_type("rw", rw, MsgReadWriter, "a read-writer")
        check_type("messages", messages, Messages, "the Messages of a protocol")
        # fixed after __init__
        self.rw = rw
        self.messages = messages

    @property
    def is_closed(self) -> bool:
        """Whether writing has ended; messages that have arrived before may still be read."""
        return self.rw.is_closed

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the end; None while open."""
        return self.rw.disconnect_reason

    def read(self, timeout: float | None = None) -> M:
        """Wait for the next message, at most ``timeout`` seconds, and return it decoded.

        Raises InvalidMessageCode if no class has its code and DecodeError if it is not of its
        class. Both are a breach of the protocol, which ends the connection when it leaves the
        handler. Raises also as :meth:`p2p.MsgReadWriter.read_msg` does.
        """
        return self._decode(self.rw.read_msg(timeout))

    def expect(self, kind: type[T], timeout: float | None = None) -> T:
        """Read the next message, which must be a ``kind``, and return it.

        Raises UnexpectedMessage for another one, ArgumentTypeError for a class that is none of the
        protocol, and as :meth:`read` does.
        """
        self.messages.code_of(kind)  # type: ignore[arg-type]  # refuses other classes
        msg = self.rw.read_msg(timeout)
        message = self._decode(msg)
        if isinstance(message, kind):
            return message
        text = f"message is {type(message).__name__}, expected {kind.__name__}"
        error = UnexpectedMessage(text)
        error.connection_id, error.msg_code = msg.connection_id, msg.code
        raise error

    def write(self, message: M) -> None:
        """Send a message; waits while the other side is slow.

        Raises EncodeError and ArgumentTypeError as :meth:`Messages.encode` does, and the errors of
        :meth:`p2p.MsgReadWriter.write_msg`.
        """
        self.rw.write_msg(Msg(*self.messages.encode(message)))

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the stream with ``reason``, as :meth:`p2p.MsgReadWriter.close`."""
        self.rw.close(reason)

    def _decode(self, msg: Msg) -> M:
        try:
            return self.messages.decode(msg.code, msg.payload)
        except (DecodeError, InvalidMessageCode) as error:
            error.connection_id = msg.connection_id
            raise

    def __iter__(self) -> Iterator[M]:
        """Yield the messages as they arrive, until there are no more."""
        try:
            while True:
                msg = self.rw.read_msg()
                yield self._decode(msg)
        except PeerDisconnected:
            return

    def __enter__(self) -> TypedReadWriter[M]:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.rw.__exit__(*exception)

    def __repr__(self) -> str:
        return f"<{self.messages.cap} on {self.rw!r}>"
