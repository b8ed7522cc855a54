"""Remedies: a sentence for each class of the library's errors. Pure.

It looks at the class and, for a Disconnect, at the reason; the error's text says what happened.
"""

from __future__ import annotations

from p2p import errors
from p2p.errors import DialStep, DiscReason

#: The remedy for a Disconnect, by its reason.
_OF_REASON: dict[DiscReason, str] = {
    DiscReason.TOO_MANY_PEERS: (
        "the node is full: try again later, or have its operator add yours as a trusted node"
    ),
    DiscReason.USELESS_PEER: (
        "offer a capability that the node has, with the same name and version"
    ),
    DiscReason.ALREADY_CONNECTED: (
        "a node with this key is connected to it already: stop that one, or use another key"
    ),
    DiscReason.INCOMPATIBLE_VERSION: "the node is too old or too new for version 5 of RLPx",
    DiscReason.UNEXPECTED_IDENTITY: "the key in the URL is not that of the node; get its new URL",
    DiscReason.SELF: "that is the node itself; give another one, or use another key",
    DiscReason.QUITTING: "the node is about to stop; try again when it runs",
    DiscReason.REQUESTED: "the node does not want this connection; wait 30 s and try again",
    DiscReason.READ_TIMEOUT: "the network loses packets, or this machine is too busy; try again",
}

#: The remedy for each class of errors; the first that fits counts.
_OF_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (errors.NameNotResolved, "check the host name, and the name server of this machine"),
    (errors.NoEndpoint, "give a URL or a record with address and port, or look it up: resolve"),
    (errors.NetRestricted, "allow the address in the list of networks, or use another node"),
    (errors.IsSelf, "that is this node itself; use another key"),
    (errors.Throttled, "wait half a minute: nodes close a second connection within 30 s"),
    (errors.RecentlyDialed, "wait half a minute, and try again"),
    (errors.DialRefused, "nothing listens there: start the node, or correct the port"),
    (errors.Unreachable, "check the route: whether this machine has IPv4 or IPv6, and a gateway"),
    (errors.WrongIdentity, "another node has this address now; get the new URL of the node"),
    (
        errors.ConnectionLost,
        "wait 30 s between attempts, and check the public key in the URL",
    ),
    (errors.HandshakeFailed, "it may not be an RLPx port; check the port, then --debug"),
    (errors.NoSharedCapability, _OF_REASON[DiscReason.USELESS_PEER]),
    (errors.TooManyPeers, "raise the maximum number of peers of this node"),
    (
        errors.NoResponse,
        "check address, UDP port and firewalls; the node may not speak this version",
    ),
    (errors.NodeNotFound, "the node is offline, or unknown to the network: check the bootnodes"),
    (errors.PacketError, "the node answers with broken packets; report it to its authors"),
    (errors.Timeout, "check the address and firewalls, or give more time with --timeout"),
)

_NO_ACK = (
    "something listens but does not speak RLPx, is too busy, or has another key: check port and URL"
)


def remedy_of(error: BaseException) -> str:
    """Return the remedy for ``error``, "" if nothing is known that its text does not say."""
    if isinstance(error, errors.RefusedByPeer):
        return _OF_REASON.get(error.reason, "look into the log of the node")
    if isinstance(error, errors.DialTimeout) and error.step in (DialStep.AUTH, DialStep.ACK):
        return _NO_ACK
    return next((remedy for kind, remedy in _OF_CLASS if isinstance(error, kind)), "")
