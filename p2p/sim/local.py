"""A simulated node's view of itself when it sits behind a router.

It starts with its inner address, and publishes the outer one as soon as enough others state it,
with a record of a higher sequence number. The rules are those of ``p2p.enode.LocalNode``; this one
needs no database, so its sequence numbers live as long as the simulated node.
"""

from __future__ import annotations

from p2p.crypto import PrivateKey
from p2p.discover.now import Now
from p2p.discover.v4wire import Endpoint
from p2p.enr import Record
from p2p.netutil import IPAddress, IPTracker

#: Statements that must agree, and how long statements and contacts count, in seconds.
MIN_STATEMENTS = 10
STATEMENT_WINDOW_S = 5 * 60.0
CONTACT_WINDOW_S = 10 * 60.0


class LearningLocal:
    """What a node says of itself while it learns where it is. A ``LocalView``."""

    def __init__(self, private_key: PrivateKey, inside: Endpoint) -> None:
        self._private_key = private_key
        self._tcp = inside.tcp
        self._tracker = IPTracker(STATEMENT_WINDOW_S, CONTACT_WINDOW_S, MIN_STATEMENTS)
        self.endpoint = inside
        self.record = Record.sign(private_key, 1, {"udp": inside.udp, "tcp": inside.tcp})

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Now, /
    ) -> None:
        """Somebody says where we are."""
        self._tracker.add_statement(from_ip, stated, now.monotonic)
        self._learn(self._tracker.predict_endpoint(now.monotonic))

    def contact(self, to: tuple[IPAddress, int], now: Now, /) -> None:
        """We are sending a ping."""
        self._tracker.add_contact(to[0], now.monotonic)

    def _learn(self, outside: tuple[IPAddress, int] | None) -> None:
        if outside is None or outside == self.endpoint[:2]:
            return
        ip, udp = outside
        self.endpoint = Endpoint(ip, udp, self._tcp)
        entries = {"ip" if ip.version == 4 else "ip6": ip, "udp": udp, "tcp": self._tcp}
        self.record = Record.sign(self._private_key, self.record.seq + 1, entries)
