"""Every exception of the package, and the reasons a connection can end with.

One tree, two families besides the outcomes of a connection: the remote broke the protocol, or the
caller misused us. Nothing here knows a socket or a thread; any module may import it.

::

    P2PError
    ├── RemoteProtocolError         the remote broke the protocol; carries a DiscReason
    │   ├── HandshakeError          auth or ack cannot be accepted (RLPx "Initial Handshake")
    │   ├── FrameError              bad MAC, impossible size, no message code (RLPx "Framing")
    │   ├── CompressionError        snappy data that is broken or too large (EIP-706)
    │   ├── HelloError              no hello, a second one, or one that breaks the rules
    │   │   ├── InvalidIdentity     its node key is not a public key
    │   │   └── UnexpectedIdentity  its node key is not the one of the handshake
    │   ├── RemoteTimeout           the remote said nothing for too long (also a TimeoutError)
    │   ├── InvalidMessageCode      a code that belongs to no protocol of this connection
    │   ├── PacketError             a datagram that is no discovery packet; carries the reason
    │   └── DecodeError             a payload is not what was asked for (also a ValueError)
    ├── LocalProtocolError          the caller misused us
    │   ├── ConfigError             a wrong or missing option (also a ValueError)
    │   ├── EncodeError             a value has no RLP encoding (also a ValueError)
    │   ├── MessageTooLarge         more than 2**24 - 1 bytes (also a ValueError)
    │   ├── CodeOutOfRange          a code not below Protocol.length (also a ValueError)
    │   ├── InvalidKey              not a secp256k1 key, or not a key file (also a ValueError)
    │   ├── InvalidNode             not an enode URL or record (also a ValueError)
    │   └── ServerStateError        the server is not running, or was already started
    ├── Disconnect                  raised by a handler to end its connection with a reason
    ├── PeerDisconnected            the peer has left; carries the reason and who gave it
    ├── PipeClosed                  the other end of a message pipe is closed (also an EOFError)
    ├── ReadTimeout                 read_msg(timeout=...) ran out (also a TimeoutError)
    ├── UnexpectedMessage           expect_msg met another message
    ├── LoopCrashed                 an I/O thread died; __cause__ tells why
    ├── ServerStopped               the server stopped while the call waited
    ├── NodeNotFound                a lookup has ended without the node that was looked for
    ├── NodeDBError                 the node database cannot be opened or written
    └── ConnectError                a dial that did not become a peer; carries the step
        ├── IsSelf                  the node is ourselves
        ├── AlreadyConnected        the node is a peer already
        ├── AlreadyDialing          the node is being dialed
        ├── NetRestricted           the address is outside net_restrict
        ├── NoEndpoint              no address or no TCP port is known
        ├── RecentlyDialed          dialed less than 35 s ago
        │   └── Throttled           the remote would close a connection this soon
        ├── CrowdedNetwork          enough nodes of its network were dialed lately
        ├── TooManyPeers            max_peers is reached
        ├── NameNotResolved         the host name has no address
        ├── DialRefused             the TCP connection was refused
        ├── Unreachable             there is no way to the address
        ├── DialTimeout             no answer in time (also a TimeoutError)
        ├── ConnectionLost          the remote closed without a word
        ├── HandshakeFailed         the remote broke the protocol; __cause__ tells how
        ├── WrongIdentity           another node answered
        ├── NoSharedCapability      no protocol in common; carries both lists
        └── RefusedByPeer           the remote said why in a Disconnect
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum


class DiscReason(IntEnum):
    """Why a connection ends, as sent in Disconnect (RLPx, "Disconnect (0x01)").

    Numbers that the specification does not name are kept: ``DiscReason(0x42)`` is a member called
    ``UNKNOWN_66``.
    """

    REQUESTED = 0x00
    NETWORK_ERROR = 0x01
    PROTOCOL_ERROR = 0x02
    USELESS_PEER = 0x03
    TOO_MANY_PEERS = 0x04
    ALREADY_CONNECTED = 0x05
    INCOMPATIBLE_VERSION = 0x06
    INVALID_IDENTITY = 0x07
    QUITTING = 0x08
    UNEXPECTED_IDENTITY = 0x09
    SELF = 0x0A
    READ_TIMEOUT = 0x0B
    SUBPROTOCOL_ERROR = 0x10
    #: What a Disconnect that cannot be decoded counts as. Never sent.
    INVALID = 0xFF

    @classmethod
    def _missing_(cls, value: object) -> DiscReason | None:
        if not isinstance(value, int) or value < 0:
            return None
        unknown = int.__new__(cls, value)
        unknown._name_ = f"UNKNOWN_{value}"
        unknown._value_ = value
        return unknown

    def __str__(self) -> str:
        """The words go-ethereum uses for the reason."""
        return _REASON_TEXT.get(int(self)) or f"unknown disconnect reason {int(self)}"


_REASON_TEXT = {
    0x00: "disconnect requested",
    0x01: "network error",
    0x02: "breach of protocol",
    0x03: "useless peer",
    0x04: "too many peers",
    0x05: "already connected",
    0x06: "incompatible p2p protocol version",
    0x07: "invalid node identity",
    0x08: "client quitting",
    0x09: "unexpected identity",
    0x0A: "connected to self",
    0x0B: "read timeout",
    0x10: "subprotocol error",
    0xFF: "invalid disconnect reason",
}


class P2PError(Exception):
    """The base of every exception this package raises.

    ``disc_reason`` is the reason a connection ends with when a handler lets the exception out.
    """

    disc_reason: DiscReason = DiscReason.SUBPROTOCOL_ERROR


# The remote broke the protocol.


class RemoteProtocolError(P2PError):
    """The remote broke the protocol; the connection is of no further use."""

    disc_reason = DiscReason.PROTOCOL_ERROR


class HandshakeError(RemoteProtocolError):
    """An auth or ack that cannot be accepted. The text never tells which check failed."""


class FrameError(RemoteProtocolError):
    """A frame with a bad MAC, an impossible size or no message code."""


class CompressionError(RemoteProtocolError):
    """Snappy data that is broken, or larger than 2**24 - 1 bytes when decompressed."""


class HelloError(RemoteProtocolError):
    """No hello where one must stand, a second one, or one that breaks the rules."""


class InvalidIdentity(HelloError):
    """The hello's node key is not a public key."""

    disc_reason = DiscReason.INVALID_IDENTITY


class UnexpectedIdentity(HelloError):
    """The hello's node key is not the key that the handshake was made with."""

    disc_reason = DiscReason.UNEXPECTED_IDENTITY


class RemoteTimeout(RemoteProtocolError, TimeoutError):
    """The remote said nothing for longer than the protocol allows."""

    disc_reason = DiscReason.READ_TIMEOUT


class InvalidMessageCode(RemoteProtocolError):
    """A message code that belongs to no protocol of the connection."""


class PacketError(RemoteProtocolError):
    """A datagram that is no valid discovery packet; ``reason`` is one word, for counting."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class DecodeError(RemoteProtocolError, ValueError):
    """A payload is not canonical RLP, or not of the type it was to be decoded as."""


# The caller misused us.


class LocalProtocolError(P2PError):
    """The caller misused the library; nothing was sent."""


class ConfigError(LocalProtocolError, ValueError):
    """An option of the server or of a protocol is wrong or missing."""


class EncodeError(LocalProtocolError, ValueError):
    """A value that has no RLP encoding."""


class MessageTooLarge(LocalProtocolError, ValueError):
    """A message of more than 2**24 - 1 bytes."""


class CodeOutOfRange(LocalProtocolError, ValueError):
    """A message code that is negative or not below the protocol's length."""


class InvalidKey(LocalProtocolError, ValueError):
    """Bytes that are no secp256k1 key, or a file that is no key file."""


class InvalidNode(LocalProtocolError, ValueError):
    """Text that is no enode URL or node record, or a record that is not valid."""


class ServerStateError(LocalProtocolError):
    """The server is not running, or was started before."""


# How a conversation ends.


class Disconnect(P2PError):
    """Raised by a handler to end its connection with a reason of its choice."""

    def __init__(self, reason: int = DiscReason.REQUESTED, message: str = "") -> None:
        self.disc_reason = DiscReason(reason)
        super().__init__(message or str(self.disc_reason))


class PeerDisconnected(P2PError):
    """The peer has left, or we have left it.

    ``reason`` is the DiscReason given, ``by_remote`` says whether the remote gave it (or closed the
    connection), and ``__cause__`` holds the error behind it when there is one.
    """

    def __init__(self, reason: int, by_remote: bool, message: str = "") -> None:
        self.reason = self.disc_reason = DiscReason(reason)
        self.by_remote = by_remote
        who = "remote" if by_remote else "local"
        super().__init__(message or f"{self.reason} ({who})")


class PipeClosed(P2PError, EOFError):
    """The other end of a message pipe is closed."""


class ReadTimeout(P2PError, TimeoutError):
    """``read_msg(timeout=...)`` ran out; the connection is unharmed."""


class UnexpectedMessage(P2PError):
    """``expect_msg`` met another message than it was to expect."""

    disc_reason = DiscReason.PROTOCOL_ERROR


class LoopCrashed(P2PError):
    """An I/O thread died of a fault; ``__cause__`` is the fault."""


class ServerStopped(P2PError):
    """The server stopped while the call was waiting."""


class NodeDBError(P2PError):
    """The file of the node database cannot be opened or written; the text names it and says why."""


class NodeNotFound(P2PError):
    """A lookup has ended without finding the node that was looked for."""


# A dial that did not become a peer.


class DialStep(str, Enum):
    """How far a dial has come."""

    CHECK = "check"
    RESOLVE = "resolve"
    TCP = "tcp"
    AUTH = "auth"
    ACK = "ack"
    HELLO = "hello"
    CONNECTED = "connected"

    def __str__(self) -> str:
        return self.value


class ConnectError(P2PError):
    """A dial that did not become a peer; ``step`` is how far it came."""

    default_step = DialStep.CHECK

    def __init__(self, message: str, step: DialStep | None = None) -> None:
        self.step = step or self.default_step
        super().__init__(message)


class IsSelf(ConnectError):
    """The node to dial is this node."""


class AlreadyConnected(ConnectError):
    """The node is a peer already."""


class AlreadyDialing(ConnectError):
    """The node is being dialed already."""


class NetRestricted(ConnectError):
    """The node's address is outside ``net_restrict``."""


class NoEndpoint(ConnectError):
    """The node has no known address or no TCP port."""


class RecentlyDialed(ConnectError):
    """The node was dialed less than 35 s ago; ``retry_in_s`` tells how long to wait."""

    def __init__(self, message: str, retry_in_s: float) -> None:
        self.retry_in_s = retry_in_s
        super().__init__(message)


class Throttled(RecentlyDialed):
    """The remote would close a connection this soon after the last one from our address."""


class CrowdedNetwork(ConnectError):
    """Enough nodes of the node's network were dialed lately; only candidates meet this."""


class TooManyPeers(ConnectError):
    """This node has as many peers as ``max_peers`` allows."""


class NameNotResolved(ConnectError):
    """The node's host name has no address."""

    default_step = DialStep.RESOLVE


class DialRefused(ConnectError):
    """The TCP connection was refused: nothing listens there."""

    default_step = DialStep.TCP


class Unreachable(ConnectError):
    """There is no way to the address, or the dialer failed."""

    default_step = DialStep.TCP


class DialTimeout(ConnectError, TimeoutError):
    """The remote did not answer in time; ``step`` is what was waited for."""

    default_step = DialStep.TCP


class ConnectionLost(ConnectError):
    """The remote closed the connection without a word."""

    default_step = DialStep.ACK


class HandshakeFailed(ConnectError):
    """The remote broke the protocol in its handshake; ``__cause__`` tells how."""

    default_step = DialStep.ACK


class WrongIdentity(ConnectError):
    """Another node than the one that was dialed answered."""

    default_step = DialStep.HELLO


class NoSharedCapability(ConnectError):
    """No protocol in common; ``ours`` and ``theirs`` list the capabilities."""

    default_step = DialStep.HELLO

    def __init__(self, message: str, ours: Sequence[object], theirs: Sequence[object]) -> None:
        self.ours = tuple(ours)
        self.theirs = tuple(theirs)
        super().__init__(message)


class RefusedByPeer(ConnectError):
    """The remote sent a Disconnect before the connection was a peer; ``reason`` tells why."""

    default_step = DialStep.HELLO

    def __init__(self, reason: int, step: DialStep | None = None) -> None:
        self.reason = DiscReason(reason)
        super().__init__(f"remote refused: {self.reason}", step)
