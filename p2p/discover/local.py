"""The engine's interface to the local node.

Pure. Two classes implement :class:`LocalView`: ``p2p.enode.LocalNode``, for any thread and with its
sequence number in a database, and ``p2p.enode.localrecord.LocalRecord``, without lock and database.
"""

from __future__ import annotations

from typing import Protocol

from p2p.enr import Record
from p2p.inputs import Now
from p2p.netutil import IPAddress, NodeEndpoint


class LocalView(Protocol):
    """Interface of our own node. Called on the engine's thread; no method may block.

    With a :class:`p2p.discover.front.Discovery`, any thread may read the record.
    """

    @property
    def record(self) -> Record:
        """Our current, signed record."""

    @property
    def endpoint(self) -> NodeEndpoint:
        """Our endpoint for the ``from`` field of our pings."""

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Now, /
    ) -> None:
        """Note the statement of a node proven at ``from_ip`` that we are at ``stated``."""

    def contact(self, to: tuple[IPAddress, int], now: Now, /) -> None:
        """Note that we send a ping to the address ``to``."""
