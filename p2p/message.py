"""Messages, read-writers of messages, and functions on them.

Any thread may use these functions. A read-writer is one end of a message stream: of a protocol on a
connection (:mod:`p2p.peers.peer`) or of a message pipe (:mod:`p2p.pipe`).
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeVar, overload

from p2p.arguments import wrong_type
from p2p.codec import decode, encode
from p2p.errors import (
    CodeOutOfRange,
    DecodeError,
    Disconnect,
    DiscReason,
    P2PError,
    PeerDisconnected,
    UnexpectedMessage,
)
from p2p.metrics.requests import RequestTotals
from p2p.rlpx import check_fits

E = TypeVar("E", bound=P2PError)
R = TypeVar("R", bound="MsgReadWriter")
T = TypeVar("T")


class Msg:
    """One message: a code below the protocol's length and a payload of bytes.

    ``received_at`` is its time of arrival, in seconds of the server's monotonic clock, and
    ``connection_id`` the number of its connection; both are None for a message made here. The
    payload is the RLP of the message by convention, but any bytes are allowed; a bytearray or a
    memoryview is copied. Raises ArgumentTypeError for a code that is not an int or a payload that
    is not bytes.
    """

    __slots__ = ("code", "connection_id", "payload", "received_at")

    def __init__(
        self,
        code: int,
        payload: bytes = b"",
        received_at: float | None = None,
        connection_id: int | None = None,
    ) -> None:
        self.code = code if type(code) is int else _as_int(code)
        self.payload = payload if type(payload) is bytes else _as_bytes(payload)
        self.received_at = received_at
        self.connection_id = connection_id

    @property
    def size(self) -> int:
        """Number of bytes of the payload."""
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
        (its fields in order), an RLP sedes, or None for nested lists of bytes; ``help(p2p.rlp)``
        has the whole list. RLP has no types: the bytes of a short text are also a number, if they
        are decoded as one. Raises DecodeError if the payload is not of that kind, or is not
        canonical.
        """
        try:
            return decode(self.payload, kind)
        except DecodeError as error:
            _about(self, error)
            raise

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Msg):
            return NotImplemented
        return self.code == other.code and self.payload == other.payload

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle with any protocol: those below 2 do not support slots."""
        return type(self), (self.code, self.payload, self.received_at, self.connection_id)

    def __repr__(self) -> str:
        shown = self.payload[:16].hex() + ("…" if len(self.payload) > 16 else "")
        return f"Msg(code={self.code}, payload={shown}, size={len(self.payload)})"


class MsgReadWriter(ABC):
    """One end of a message stream, for any number of threads.

    A subclass needs ``read_msg`` and ``write_msg`` only; ``is_closed``, ``close`` and a ``with``
    block raise NotImplementedError if it does not have the first two, and ``disconnect_reason`` is
    None. A ``with`` block closes it:
    with the reason of a Disconnect that leaves the block, or of an error about a message that was
    read from it; otherwise with DiscReason.REQUESTED. ``connection_id`` is the number of the
    connection, None in memory.
    """

    connection_id: int | None = None
    # Counts of requests for the metrics of a server; set before the read-writer is used.
    _request_totals: RequestTotals | None = None

    @abstractmethod
    def read_msg(self, timeout: float | None = None) -> Msg:
        """Wait for the next message, at most ``timeout`` seconds.

        None waits without limit, 0 does not wait. Raises Timeout, PeerDisconnected when there will
        be no more messages, and ArgumentError for a timeout that is not a number.
        """

    @abstractmethod
    def write_msg(self, msg: Msg) -> None:
        """Send a message; waits while the other side is slow.

        Raises PeerDisconnected, CodeOutOfRange, MessageTooLarge, and ArgumentTypeError for an
        object that is not a message.
        """

    @property
    def is_closed(self) -> bool:
        """Whether writing has ended; messages that have arrived before may still be read."""
        raise NotImplementedError(f"{type(self).__name__}.is_closed")

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the end, as ``Peer.disconnect_reason``; None while open."""
        return None

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the stream with ``reason``; returns at once, and does nothing when it has ended.

        Messages written before are still sent. Raises ArgumentError for a reason that is not a
        number.
        """
        raise NotImplementedError(f"{type(self).__name__}.close")

    def send(self, code: int, value: object) -> None:
        """Send ``value``, RLP-encoded, as message ``code``.

        ``help(p2p.rlp)`` lists the types that have an encoding. Raises EncodeError for any other,
        and the errors of :meth:`write_msg`::

            rw.send(0, "foo")  # read by msg.decode(str)
        """
        self.write_msg(Msg(code, encode(value)))

    def send_items(self, code: int, *items: object) -> None:
        """Send the RLP list of ``items`` as message ``code``. Raises as :meth:`send` does.

        ::

            rw.send_items(0, "foo", 5)  # read by msg.decode(tuple[str, int])
        """
        self.write_msg(Msg(code, encode(items)))

    def __enter__(self: R) -> R:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(self._closing_reason(error))

    def _closing_reason(self, error: BaseException | None) -> DiscReason:
        """Return the reason to close with when ``error`` leaves a ``with`` block."""
        if isinstance(error, Disconnect):
            return error.disc_reason
        if isinstance(error, P2PError) and error.msg_code is not None:
            if error.connection_id == self.connection_id:
                return error.disc_reason
        return DiscReason.REQUESTED

    def __iter__(self) -> Iterator[Msg]:
        """Yield the messages as they arrive, until there are no more."""
        read_msg = self.read_msg
        try:
            while True:
                yield read_msg()
        except PeerDisconnected:
            return

    def ReadMsg(self, timeout: float | None = None) -> Msg:
        """Alias of :meth:`read_msg`, under its name in Go."""
        return self.read_msg(timeout)

    def WriteMsg(self, msg: Msg) -> None:
        """Alias of :meth:`write_msg`, under its name in Go."""
        self.write_msg(msg)


def send(rw: MsgReadWriter, code: int, value: object) -> None:
    """Send ``value``, RLP-encoded, as message ``code``.

    Raises EncodeError if it has no encoding (``help(p2p.rlp)`` lists the types), ArgumentTypeError
    for an ``rw`` without ``write_msg``, and the errors of :meth:`MsgReadWriter.write_msg`. Any
    thread.
    """
    _method(rw, "write_msg")(Msg(code, encode(value)))


def send_items(rw: MsgReadWriter, code: int, *items: object) -> None:
    """Send the RLP list of ``items`` as message ``code``. Raises as :func:`send` does."""
    _method(rw, "write_msg")(Msg(code, encode(items)))


def expect_msg(
    rw: MsgReadWriter, code: int, content: object = None, timeout: float | None = None
) -> Msg:
    """Read a message and raise UnexpectedMessage unless it has this code and content.

    ``content`` is compared by its RLP encoding; None accepts any. ``timeout`` is in seconds, None
    without limit. Returns the message. Raises ArgumentTypeError for a code that is not an int, and
    as :func:`send` does, and the errors of :meth:`MsgReadWriter.read_msg`. Any thread.
    """
    code = _as_int(code)
    msg: Msg = _method(rw, "read_msg")(timeout)
    if msg.code != code:
        raise _about(msg, UnexpectedMessage(f"message code is {msg.code}, expected {code}"))
    if content is not None:
        expected = encode(content)
        if msg.payload != expected:
            text = f"message {code} has {_shown(msg.payload)}, expected {_shown(expected)}"
            raise _about(msg, UnexpectedMessage(text))
    return msg


def _about(msg: Msg, error: E) -> E:
    """Set in ``error`` the code of the message and the number of the connection."""
    error.connection_id, error.msg_code = msg.connection_id, msg.code
    return error


def outgoing(
    msg: Msg, length: int, owner: object, offset: int, compressed: bool
) -> tuple[int, bytes]:
    """Check a message that is to be written; return its code and its payload.

    ``owner`` is the protocol or pipe, for the text of errors; it has ``length`` codes, the first of
    which is ``offset`` on the connection. ``compressed`` is whether the connection compresses.
    Raises ArgumentTypeError, CodeOutOfRange and MessageTooLarge.
    """
    try:
        code, payload = msg.code, msg.payload
    except AttributeError:
        raise wrong_type("msg", msg, "a Msg, such as Msg(0, payload)") from None
    if type(code) is not int:
        code = _as_int(code)
    if type(payload) is not bytes:
        payload = _as_bytes(payload)
    if not 0 <= code < length:
        raise CodeOutOfRange(f"message code is {code}, {owner} has codes 0 to {length - 1}")
    check_fits(offset + code, payload, compressed)
    return code, payload


def _method(rw: object, name: str) -> Any:
    method = getattr(rw, name, None)
    if method is None:  # for a peer, for example
        raise wrong_type("rw", rw, f"a read-writer, with {name}")
    return method


def _as_int(code: object) -> int:
    try:
        return operator.index(code)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_type("code", code, "an int") from None


def _as_bytes(payload: object) -> bytes:
    try:
        return bytes(memoryview(payload))  # type: ignore[arg-type]  # bytes(5) would be five zeros
    except TypeError:
        raise wrong_type("payload", payload, "bytes (send() encodes other values)") from None


def _shown(payload: bytes) -> str:
    text = payload[:64].hex() + ("…" if len(payload) > 64 else "")
    return f"{len(payload)} bytes {text}"
