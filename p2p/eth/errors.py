"""The errors of ``eth`` and ``snap``: a remote that is of another chain, or that answers wrongly.

All are RemoteProtocolErrors: one that leaves a handler ends the connection with SUBPROTOCOL_ERROR,
as go-ethereum does. Pure.

::

    RemoteProtocolError
    ├── NoStatus                    the first message is no Status
    ├── StatusRejected              the remote's Status does not fit ours
    │   ├── VersionMismatch         another version than the one that was negotiated
    │   ├── NetworkMismatch         another network id
    │   ├── GenesisMismatch         another genesis block
    │   ├── ForkIDRejected          another chain, or one side needs an update (EIP-2124)
    │   └── InvalidBlockRange       a range of blocks that cannot be
    └── InvalidResponse             an answer that does not fit its request
"""

from __future__ import annotations

from p2p.errors import DiscReason, RemoteProtocolError


class NoStatus(RemoteProtocolError):
    """The first message of the remote is no Status."""

    disc_reason = DiscReason.SUBPROTOCOL_ERROR


class StatusRejected(RemoteProtocolError):
    """The remote's Status does not fit ours; it cannot be a peer of this chain."""

    disc_reason = DiscReason.SUBPROTOCOL_ERROR


class VersionMismatch(StatusRejected):
    """The remote states another version of the protocol than the one that was negotiated."""


class NetworkMismatch(StatusRejected):
    """The remote is in another network, by its id."""


class GenesisMismatch(StatusRejected):
    """The remote's chain begins with another block."""


class ForkIDRejected(StatusRejected):
    """The remote follows other forks, by the rules of EIP-2124."""


class InvalidBlockRange(StatusRejected):
    """The remote states a range of blocks that ends before it begins, or without a hash."""


class InvalidResponse(RemoteProtocolError):
    """An answer that does not fit its request or the block header, such as a header too many."""

    disc_reason = DiscReason.SUBPROTOCOL_ERROR
