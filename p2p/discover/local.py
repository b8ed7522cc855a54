"""What the engine asks of the node it speaks for.

Pure. :class:`LocalView` is the seam; ``p2p.enode.LocalNode`` keeps a record that follows what
others say of our address, :class:`FixedLocal` one that never changes, for tests and simulations.
"""

from __future__ import annotations

from typing import Protocol

from p2p.crypto import PrivateKey
from p2p.discover.now import Now
from p2p.discover.v4wire import Endpoint
from p2p.enr import Record
from p2p.netutil import IPAddress


class LocalView(Protocol):
    """The node we speak for. Called on the engine's thread; no method may wait."""

    @property
    def record(self) -> Record:
        """Our record, signed, as it stands now."""

    @property
    def endpoint(self) -> tuple[IPAddress | None, int, int]:
        """Where we are, as our pings say it."""

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Now, /
    ) -> None:
        """A node that has proved to be at ``from_ip`` says that we are at ``stated``."""

    def contact(self, to: tuple[IPAddress, int], now: Now, /) -> None:
        """We are sending a ping to that address."""


class FixedLocal:
    """A node whose record and endpoint stay as they were made."""

    def __init__(self, private_key: PrivateKey, endpoint: Endpoint, seq: int = 1) -> None:
        ip, udp, tcp = endpoint
        entries: dict[str, object] = {}
        if ip is not None:
            name = "ip" if ip.version == 4 else "ip6"
            entries = {name: ip, "udp": udp, **({"tcp": tcp} if tcp else {})}
        self.record = Record.sign(private_key, seq, entries)
        self.endpoint = endpoint

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Now, /
    ) -> None:
        """Nothing: what others say changes nothing here."""

    def contact(self, to: tuple[IPAddress, int], now: Now, /) -> None:
        """Nothing: see :meth:`endpoint_statement`."""
