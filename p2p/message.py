"""Messages, and what can be done with anything that reads and writes them.

Any thread may use these functions. A read-writer is one end of a conversation: a protocol's on a
connection (:mod:`p2p.peer`) or one end of a message pipe (:mod:`p2p.pipe`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar, overload

from p2p.codec import decode, encode
from p2p.errors import PeerDisconnected, PipeClosed, UnexpectedMessage

T = TypeVar("T")


class Msg:
    """One message: a code below the protocol's length and a payload of bytes.

    ``received_at`` is when it arrived, in seconds of the server's monotonic clock; None for a
    message made here. The payload is the RLP of the message by convention, but any bytes may pass.
    """

    __slots__ = ("code", "payload", "received_at")

    def __init__(self, code: int, payload: bytes = b"", received_at: float | None = None) -> None:
        self.code = code
        self.payload = payload
        self.received_at = received_at

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return len(self.payload)

    @overload
    def decode(self) -> Any: ...

    @overload
    def decode(self, kind: type[T]) -> T: ...

    @overload
    def decode(self, kind: Any) -> Any: ...

    def decode(self, kind: Any = None) -> Any:
        """Decode the payload as ``kind``.

        A kind is ``str``, ``int``, ``bytes``, ``bool``, ``list[T]``, ``tuple[A, B]``, a dataclass
        (its fields in order), an RLP sedes, or nothing for nested lists of bytes. Raises
        DecodeError if the payload is anything else, or is not canonical.
        """
        return decode(self.payload, kind)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Msg):
            return NotImplemented
        return self.code == other.code and self.payload == other.payload

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = self.payload[:16].hex() + ("…" if len(self.payload) > 16 else "")
        return f"Msg(code={self.code}, payload={shown}, size={len(self.payload)})"


class MsgReadWriter(ABC):
    """Something that messages are read from and written to, by any number of threads."""

    @abstractmethod
    def read_msg(self, timeout: float | None = None) -> Msg:
        """Wait for the next message, at most ``timeout`` seconds.

        None waits without end, 0 takes only what is there. Raises ReadTimeout, and
        PeerDisconnected or PipeClosed when there will be no more.
        """

    @abstractmethod
    def write_msg(self, msg: Msg) -> None:
        """Send a message; waits while the other side is slow.

        Raises PeerDisconnected or PipeClosed, CodeOutOfRange, MessageTooLarge, and TypeError for a
        code that is no int or a payload that is no bytes.
        """

    def __iter__(self) -> Iterator[Msg]:
        """The messages as they come, until there are no more."""
        read_msg = self.read_msg
        try:
            while True:
                yield read_msg()
        except (PeerDisconnected, PipeClosed):
            return

    def ReadMsg(self, timeout: float | None = None) -> Msg:
        """:meth:`read_msg`, as Go spells it."""
        return self.read_msg(timeout)

    def WriteMsg(self, msg: Msg) -> None:
        """:meth:`write_msg`, as Go spells it."""
        self.write_msg(msg)


def send(rw: MsgReadWriter, code: int, value: object) -> None:
    """Send ``value``, RLP-encoded, as message ``code``.

    Raises EncodeError if it has no encoding, and what :meth:`MsgReadWriter.write_msg` raises.
    """
    rw.write_msg(Msg(code, encode(value)))


def send_items(rw: MsgReadWriter, code: int, *items: object) -> None:
    """Send the RLP list of ``items`` as message ``code``; raises what :func:`send` does."""
    rw.write_msg(Msg(code, encode(items)))


def expect_msg(
    rw: MsgReadWriter, code: int, content: object = None, timeout: float | None = None
) -> Msg:
    """Read a message and raise UnexpectedMessage unless it has this code and content.

    ``content`` is compared by its RLP encoding; None accepts any. Returns the message.
    """
    msg = rw.read_msg(timeout)
    if msg.code != code:
        raise UnexpectedMessage(f"message code is {msg.code}, expected {code}")
    if content is not None:
        expected = encode(content)
        if msg.payload != expected:
            raise UnexpectedMessage(
                f"message {code} has {_shown(msg.payload)}, expected {_shown(expected)}"
            )
    return msg


def _shown(payload: bytes) -> str:
    text = payload[:64].hex() + ("…" if len(payload) > 64 else "")
    return f"{len(payload)} bytes {text}"
