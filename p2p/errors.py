"""All exceptions of the package, in one tree.

Apart from the outcomes of a connection there are two families: the remote broke the protocol, or
the caller misused the library. The module uses no socket or thread; any module may import it.

Attributes of errors also have a value in the class, for ``Mock(spec=...)``. Two are enumerations:
:class:`DiscReason`, the reason for the end of a connection, and :class:`DialStep`.

::

    P2PError
    ├── RemoteProtocolError         the remote broke the protocol; carries a DiscReason
    │   ├── HandshakeError          auth or ack cannot be accepted (RLPx "Initial Handshake")
    │   ├── FrameError              bad MAC, impossible size, no message code (RLPx "Framing")
    │   ├── CompressionError        snappy data that is broken or too large (EIP-706)
    │   ├── HelloError              no hello, a second one, or one that breaks the rules
    │   │   ├── InvalidIdentity     the node key is not a public key
    │   │   └── UnexpectedIdentity  the node key is not the one of the handshake
    │   ├── RemoteTimeout           the remote was silent for too long (also a Timeout)
    │   ├── InvalidMessageCode      a code of no protocol of this connection
    │   ├── PacketError             an invalid discovery packet; carries the reason
    │   └── DecodeError             invalid RLP, or another type than wanted (also a ValueError)
    ├── LocalProtocolError          the caller misused the library
    │   ├── ArgumentError           a wrong argument of a call (also a ValueError)
    │   │   ├── ArgumentTypeError   an argument of the wrong type (also a TypeError)
    │   │   ├── ConfigError         a wrong or missing option
    │   │   │   └── ConfigTypeError an option of the wrong type (also an ArgumentTypeError)
    │   │   ├── EncodeError         a value has no RLP encoding
    │   │   ├── MessageTooLarge     more than 2**24 - 1 bytes
    │   │   ├── CodeOutOfRange      a code not below Protocol.length
    │   │   ├── InvalidKey          not a secp256k1 key, or not a key file
    │   │   ├── InvalidNode         not an enode URL or record
    │   │   └── InvalidTree         not an entry of a node list in DNS
    │   └── ServerStateError        the server is not running, or was already started
    │       └── WrongProcess        it belongs to the process that this one is a fork of
    ├── Disconnect                  raised by a handler to end its connection with a reason
    ├── PeerDisconnected            the connection has ended; carries reason and origin
    │   └── PipeClosed              one end of a message pipe was closed (also an EOFError)
    ├── Timeout                     a timeout has expired (also a TimeoutError)
    │   └── NoResponse              a node has not answered a discovery request
    ├── UnexpectedMessage           another message or reply than the expected one
    ├── RequestCancelled            the request was cancelled while the call waited
    ├── LoopCrashed                 an I/O thread died; __cause__ is the error
    ├── Closed                      a subscription or a simulated node was closed
    │   └── ServerStopped           the server stopped while the call waited
    ├── NodeNotFound                a lookup has ended without finding the node
    ├── NodeDBError                 the node database cannot be opened or written
    ├── LabError                    nodes of a lab cannot be started or connected; has the errors
    └── ConnectError                a dial that did not become a peer; carries the step
        ├── IsSelf                  the node is ourselves
        ├── AlreadyConnected        the node is a peer already
        ├── AlreadyDialing          the node is being dialed
        ├── NetRestricted           the address is outside net_restrict
        ├── NoEndpoint              no address or no TCP port is known
        ├── RecentlyDialed          dialed within the redial pause
        │   └── Throttled           the remote would close a connection this soon
        ├── CrowdedNetwork          enough recent dials to its network
        ├── TooManyPeers            max_peers is reached
        ├── NameNotResolved         the host name has no address
        ├── DialRefused             the TCP connection was refused
        ├── Unreachable             there is no route to the address
        ├── DialTimeout             no answer in time (also a Timeout)
        ├── ConnectionLost          the remote closed without a Disconnect
        ├── HandshakeFailed         the remote broke the protocol; __cause__ is the error
        ├── WrongIdentity           another node answered
        ├── NoSharedCapability      no protocol in common; carries both lists
        └── RefusedByPeer           the remote sent a Disconnect; carries the reason
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from p2p.discreason import DiscReason
from p2p.errorcopy import portable, restore

__all__ = [
    "AlreadyConnected", "AlreadyDialing", "ArgumentError", "ArgumentTypeError", "Closed",
    "CodeOutOfRange", "CompressionError", "ConfigError", "ConfigTypeError", "ConnectError",
    "ConnectionLost", "CrowdedNetwork", "DecodeError", "DialRefused", "DialStep", "DialTimeout",
    "DiscReason", "Disconnect", "EncodeError", "FrameError", "HandshakeError", "HandshakeFailed",
    "HelloError", "InvalidIdentity", "InvalidKey", "InvalidMessageCode", "InvalidNode",
    "InvalidTree", "IsSelf", "LabError", "LocalProtocolError", "LoopCrashed", "MessageTooLarge",
    "NameNotResolved", "NetRestricted", "NoEndpoint", "NoResponse", "NoSharedCapability",
    "NodeDBError", "NodeNotFound", "P2PError", "PacketError", "PeerDisconnected", "PipeClosed",
    "RecentlyDialed", "RefusedByPeer", "RemoteProtocolError", "RemoteTimeout", "RequestCancelled",
    "ServerStateError", "ServerStopped", "Throttled", "Timeout", "TooManyPeers",
    "UnexpectedIdentity", "UnexpectedMessage", "Unreachable", "WrongIdentity", "WrongProcess",
]  # fmt: skip


class P2PError(Exception):
    """The base of all exceptions of this package.

    ``disc_reason`` is the reason that a connection ends with when the exception leaves its handler,
    if the handler raised it or it is about this connection. Any other, such as the timeout of
    another node, is a failure of the handler (SUBPROTOCOL_ERROR).

    ``connection_id`` is the number of the connection that the exception is about, ``msg_code`` the
    code of the message. Read-writers, ``Msg.decode`` and ``expect_msg`` set them; otherwise None.

    Copies and pickles have its text and attributes, but no traceback. They keep its cause only if
    it is an error of this package, of the system, or of Python with plain arguments; other causes
    may contain objects that cannot be passed to another process.
    """

    disc_reason: DiscReason = DiscReason.SUBPROTOCOL_ERROR
    connection_id: int | None = None
    msg_code: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), self.args, vars(self), portable(self.__cause__))


# Timeouts.


class Timeout(P2PError, TimeoutError):
    """A timeout of the caller has expired or, in the subclasses, one of the protocol.

    The awaited event may still happen; a connection is not affected.
    """


class NoResponse(Timeout):
    """A node has not answered a discovery request. The request or the answer may be lost."""


# The remote broke the protocol.


class RemoteProtocolError(P2PError):
    """The remote broke the protocol; the connection cannot be used any more."""

    disc_reason = DiscReason.PROTOCOL_ERROR


class HandshakeError(RemoteProtocolError):
    """A rejected auth or ack; its text gives no reason, except a format from before EIP-8."""


class FrameError(RemoteProtocolError):
    """A frame with a bad MAC, an impossible size or no message code."""


class CompressionError(RemoteProtocolError):
    """Snappy data that is broken, or larger than 2**24 - 1 bytes when decompressed."""


class HelloError(RemoteProtocolError):
    """A missing hello, a second one, or one that breaks the rules."""


class InvalidIdentity(HelloError):
    """The hello's node key is not a public key."""

    disc_reason = DiscReason.INVALID_IDENTITY


class UnexpectedIdentity(HelloError):
    """The hello's node key is not the key of the handshake."""

    disc_reason = DiscReason.UNEXPECTED_IDENTITY


class RemoteTimeout(RemoteProtocolError, Timeout):
    """The remote was silent for longer than the protocol allows; its connection has ended."""

    disc_reason = DiscReason.READ_TIMEOUT


class InvalidMessageCode(RemoteProtocolError):
    """A message code that belongs to no protocol of the connection."""


class PacketError(RemoteProtocolError):
    """A datagram that is no valid discovery packet; ``reason`` is its key in the counters."""

    reason: str = ""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class DecodeError(RemoteProtocolError, ValueError):
    """A payload that is not canonical RLP, or not of the type to decode it as."""


# The caller misused the library.


class LocalProtocolError(P2PError):
    """The caller misused the library; nothing was sent."""


class ArgumentError(LocalProtocolError, ValueError):
    """An argument of a call is wrong: its value or, in the subclasses, its type."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument is of the wrong type."""


class ConfigError(ArgumentError):
    """An option of a server or of a protocol is wrong or missing."""


class ConfigTypeError(ConfigError, ArgumentTypeError):
    """An option is of the wrong type."""


class EncodeError(ArgumentError):
    """A value that has no RLP encoding."""


class MessageTooLarge(ArgumentError):
    """A message of more than 2**24 - 1 bytes, uncompressed or, with its code, in its frame."""


class CodeOutOfRange(ArgumentError):
    """A message code that is negative or not below the protocol's length."""


class InvalidKey(ArgumentError):
    """Bytes that are no secp256k1 key, or a file that is no key file."""


class InvalidNode(ArgumentError):
    """Text that is no enode URL or node record, or a record that is not valid."""


class InvalidTree(ArgumentError):
    """Text that is no entry of a node list in DNS, or an entry or a list that is not valid."""


class ServerStateError(LocalProtocolError):
    """The server is not running, or was started before."""


class WrongProcess(ServerStateError):
    """The server, or an object of it, belongs to the process that this one is a fork of.

    The server's threads run in that process. A child process must make its own server.
    """


def checked_reason(reason: object) -> DiscReason:
    """Return ``reason`` as a DiscReason. Raises ArgumentError unless it is an int from 0 up."""
    if isinstance(reason, int) and reason >= 0:
        return DiscReason(reason)
    error = ArgumentError if isinstance(reason, int) else ArgumentTypeError
    wanted = "a DiscReason or another number from 0 up"
    raise error(f"reason: wanted {wanted}; got {reason!r:.80} ({type(reason).__name__})")


# Ends of a conversation.


class Disconnect(P2PError):
    """Raised by a handler to end its connection with ``reason``."""

    def __init__(self, reason: int = DiscReason.REQUESTED, message: str = "") -> None:
        self.disc_reason = checked_reason(reason)
        super().__init__(message or str(self.disc_reason))


class PeerDisconnected(P2PError):
    """The connection has ended, by the peer or by us.

    ``reason`` is the DiscReason, ``by_remote`` is True if the remote sent it or closed the
    connection, and ``__cause__`` is the error behind it, if any.
    """

    reason: DiscReason = DiscReason.INVALID
    by_remote: bool = False

    def __init__(self, reason: int, by_remote: bool, message: str = "") -> None:
        self.reason = self.disc_reason = checked_reason(reason)
        self.by_remote = by_remote
        who = "remote" if by_remote else "local"
        super().__init__(message or f"{self.reason} ({who})")


class PipeClosed(PeerDisconnected, EOFError):
    """One end of a message pipe was closed, the other one if ``by_remote`` is True."""


class UnexpectedMessage(P2PError):
    """``expect_msg`` or a request got another message than the expected one."""

    disc_reason = DiscReason.PROTOCOL_ERROR


class RequestCancelled(P2PError):
    """The request was cancelled before or while the call waited for its reply."""


class LoopCrashed(P2PError):
    """An I/O thread died of a fault; ``__cause__`` is the fault."""


class Closed(P2PError):
    """A subscription was closed or a simulated node stopped; it returns nothing more."""


class ServerStopped(Closed):
    """The server, or its discovery, was stopped before the call or while it waited."""


class NodeDBError(P2PError):
    """The file of the node database cannot be opened or written; the text has path and cause."""


class LabError(P2PError):
    """Nodes of a lab cannot be started, connected or stopped.

    ``failures`` has a pair for each: the node "n3" or the edge "n3 - n7", and its error.
    """

    failures: tuple[tuple[str, Exception], ...] = ()

    def __init__(self, message: str, failures: Sequence[tuple[str, Exception]]) -> None:
        self.failures = tuple(failures)
        super().__init__(message)


class NodeNotFound(P2PError):
    """A lookup has ended without finding the node."""


# A dial that did not become a peer.


class DialStep(str, Enum):
    """The step that a dial has reached."""

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
    """A dial that did not become a peer; ``step`` is the step that it reached."""

    step = DialStep.CHECK

    def __init__(self, message: str, step: DialStep | None = None) -> None:
        self.step = step or self.step
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
    """The node was dialed within the redial pause; ``retry_in_s`` is the time left, in seconds."""

    retry_in_s: float = 0.0

    def __init__(self, message: str, retry_in_s: float) -> None:
        self.retry_in_s = retry_in_s
        super().__init__(message)


class Throttled(RecentlyDialed):
    """The remote would close a connection this soon after the last one from our address."""


class CrowdedNetwork(ConnectError):
    """The limit on recent dials to the node's network is reached; it is for candidates only."""


class TooManyPeers(ConnectError):
    """This node has as many peers as ``max_peers`` allows."""


class NameNotResolved(ConnectError):
    """The node's host name has no address."""

    step = DialStep.RESOLVE


class DialRefused(ConnectError):
    """The TCP connection was refused: nothing listens there."""

    step = DialStep.TCP


class Unreachable(ConnectError):
    """No route to the address, or a failure of the dialer."""

    step = DialStep.TCP


class DialTimeout(ConnectError, Timeout):
    """The remote did not answer in time; ``step`` is the step that was awaited."""

    step = DialStep.TCP


class ConnectionLost(ConnectError):
    """The remote closed the connection without a Disconnect."""

    step = DialStep.ACK


class HandshakeFailed(ConnectError):
    """The remote broke the protocol in its handshake; ``__cause__`` is the error."""

    step = DialStep.ACK


class WrongIdentity(ConnectError):
    """Another node than the dialed one answered."""

    step = DialStep.HELLO


class NoSharedCapability(ConnectError):
    """No capability in common, or not that of ``Peer.open``; ``ours`` and ``theirs`` list them."""

    step = DialStep.HELLO
    ours: tuple[object, ...] = ()
    theirs: tuple[object, ...] = ()

    def __init__(self, message: str, ours: Sequence[object], theirs: Sequence[object]) -> None:
        self.ours = tuple(ours)
        self.theirs = tuple(theirs)
        super().__init__(message)


class RefusedByPeer(ConnectError):
    """The remote sent a Disconnect, with ``reason``, before the connection was a peer."""

    step = DialStep.HELLO
    reason: DiscReason = DiscReason.INVALID

    def __init__(self, reason: int, step: DialStep | None = None) -> None:
        self.reason = checked_reason(reason)
        super().__init__(f"remote refused: {self.reason}", step)
