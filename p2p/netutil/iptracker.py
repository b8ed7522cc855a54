"""Prediction of our own endpoint from the statements of other hosts.

Pure. Behind a router we do not know the address that others see. Each of them states it in its
pongs; a host may lie or err, so an endpoint counts once enough hosts agree on it within a time
window. A host has one vote, its latest. All of an IPv6 /64 count as one host, since the owner of
one of its addresses has all. A host votes only on our endpoint of the IP version over which it sees
us: it has not seen the other, and votes that are cheap in one version must not decide about the
other.

A host that makes a statement without being contacted first has reached us all the same: the router
lets every host in (full-cone NAT), and the endpoint may be published. Whether a host was contacted
is stored with its statement. go-ethereum compares the times later, so that a host that we contact
again looks uncontacted to it until its next statement.

Not thread-safe; its owner is the local node. Times are monotonic seconds and must not decrease.
"""

from __future__ import annotations

from typing import NamedTuple

from p2p.netutil.address import IPAddress, unmap
from p2p.netutil.endpoint import Endpoint
from p2p.netutil.network import Network, host_of

#: Limit on the hosts that are kept, for statements and for contacts each: the latest. More add no
#: information, and an attacker with many addresses must not cost us memory (about 300 bytes each).
MAX_HOSTS = 1000


class _Statement(NamedTuple):
    endpoint: Endpoint
    stated_at: float
    contacted: bool  # before it was made


class IPTracker:
    """Statements of other hosts about our endpoint, and the hosts that we have contacted.

    A statement counts for ``window_s`` seconds, a contact for ``contact_window_s``; an endpoint is
    predicted when at least ``min_statements`` hosts state it.
    """

    def __init__(self, window_s: float, contact_window_s: float, min_statements: int) -> None:
        self._window_s = window_s
        self._contact_window_s = contact_window_s
        self._min_statements = min_statements
        # Both are in the order of time, so that the oldest entry is the first.
        self._statements: dict[Network, _Statement] = {}
        self._contacts: dict[Network, float] = {}
        self._counts: dict[Endpoint, int] = {}

    def add_statement(
        self, from_host: IPAddress, stated: tuple[IPAddress, int], now: float
    ) -> None:
        """Record that ``from_host`` states ``stated`` as the source of our packets.

        Does nothing when ``stated`` is of another IP version than ``from_host``.
        """
        host, endpoint = host_of(from_host), Endpoint(unmap(stated[0]), stated[1])
        self._expire(now)
        if host[0] != endpoint.ip.version:
            return
        if host in self._statements:
            self._drop_statement(host)
        elif len(self._statements) >= MAX_HOSTS:
            self._drop_statement(next(iter(self._statements)))
        self._statements[host] = _Statement(endpoint, now, host in self._contacts)
        self._counts[endpoint] = self._counts.get(endpoint, 0) + 1

    def add_contact(self, host: IPAddress, now: float) -> None:
        """Record that we send a packet to ``host``."""
        key = host_of(host)
        self._expire(now)
        self._contacts.pop(key, None)
        if len(self._contacts) >= MAX_HOSTS:
            del self._contacts[next(iter(self._contacts))]
        self._contacts[key] = now

    def predict_endpoint(self, now: float) -> Endpoint | None:
        """Return the endpoint that most hosts state, None unless ``min_statements`` do."""
        self._expire(now)
        if not self._counts:
            return None
        endpoint = max(self._counts, key=self._counts.__getitem__)
        return endpoint if self._counts[endpoint] >= self._min_statements else None

    def predict_full_cone_nat(self, now: float) -> bool:
        """Whether a host has made its statement before we contacted it."""
        self._expire(now)
        return not all(statement.contacted for statement in self._statements.values())

    def _expire(self, now: float) -> None:
        """Drop the entries that are too old; the work is once for each entry."""
        while self._statements:
            host, statement = next(iter(self._statements.items()))
            if statement.stated_at >= now - self._window_s:
                break
            self._drop_statement(host)
        while self._contacts:
            host, contacted_at = next(iter(self._contacts.items()))
            if contacted_at >= now - self._contact_window_s:
                break
            del self._contacts[host]

    def _drop_statement(self, host: Network) -> None:
        endpoint = self._statements.pop(host).endpoint
        self._counts[endpoint] -= 1
        if not self._counts[endpoint]:
            del self._counts[endpoint]
