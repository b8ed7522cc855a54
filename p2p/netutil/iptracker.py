"""Finding out our own address from what others say.

Pure. Behind a router we do not know the address that others see. Each of them tells us, in its
pongs; one may lie or err, so an endpoint counts once enough hosts agree on it within a time window.
A host has one voice, its latest. All of an IPv6 /64 count as one host, since who has one of its
addresses has all. A host is heard about our address of the IP version over which it sees us: of the
other it knows nothing, and voices that are cheap in one version must not decide about the other.

Who has made a statement without being contacted first could reach us all the same: then the router
lets everybody in (full-cone address translation), and the endpoint is good for publishing. Whether
a host was contacted is noted with its statement. go-ethereum compares the times later, so that to
it a host that we contact again looks uncontacted until its next statement.

Not thread-safe; its owner is the local node. Times are monotonic seconds and must not decrease.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import NamedTuple, TypeAlias

from p2p.netutil.address import IPAddress, unmap

#: Most hosts that are remembered, of either kind: the latest. More tell nothing new, and who has
#: many addresses must not cost us memory (about 300 bytes for each).
MAX_HOSTS = 1000

IPEndpoint: TypeAlias = tuple[IPAddress, int]


class _Statement(NamedTuple):
    endpoint: IPEndpoint
    stated_at: float
    contacted: bool  # before it was made


class IPTracker:
    """What other hosts say our endpoint is, and which of them we have contacted.

    ``window_s`` is how long a statement counts, ``contact_window_s`` how long a contact does;
    an endpoint is predicted when at least ``min_statements`` hosts state it.
    """

    def __init__(self, window_s: float, contact_window_s: float, min_statements: int) -> None:
        self._window_s = window_s
        self._contact_window_s = contact_window_s
        self._min_statements = min_statements
        # Both are in the order of time, so that what is too old stands in front.
        self._statements: dict[IPAddress, _Statement] = {}
        self._contacts: dict[IPAddress, float] = {}
        self._counts: dict[IPEndpoint, int] = {}

    def add_statement(self, from_host: IPAddress, stated: IPEndpoint, now: float) -> None:
        """A host says that ``stated`` is where our packets come from.

        Nothing happens when ``stated`` is of another IP version than ``from_host``.
        """
        host, endpoint = _host(from_host), (unmap(stated[0]), stated[1])
        self._expire(now)
        if host.version != endpoint[0].version:
            return
        if host in self._statements:
            self._drop_statement(host)
        elif len(self._statements) >= MAX_HOSTS:
            self._drop_statement(next(iter(self._statements)))
        self._statements[host] = _Statement(endpoint, now, host in self._contacts)
        self._counts[endpoint] = self._counts.get(endpoint, 0) + 1

    def add_contact(self, host: IPAddress, now: float) -> None:
        """We send a packet to a host."""
        host = _host(host)
        self._expire(now)
        self._contacts.pop(host, None)
        if len(self._contacts) >= MAX_HOSTS:
            del self._contacts[next(iter(self._contacts))]
        self._contacts[host] = now

    def predict_endpoint(self, now: float) -> IPEndpoint | None:
        """The endpoint that most hosts state; None unless enough do."""
        self._expire(now)
        if not self._counts:
            return None
        endpoint = max(self._counts, key=self._counts.__getitem__)
        return endpoint if self._counts[endpoint] >= self._min_statements else None

    def predict_full_cone_nat(self, now: float) -> bool:
        """Whether a host has made a statement before we contacted it."""
        self._expire(now)
        return not all(statement.contacted for statement in self._statements.values())

    def _expire(self, now: float) -> None:
        """Drop what is too old; each entry costs this once."""
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

    def _drop_statement(self, host: IPAddress) -> None:
        endpoint = self._statements.pop(host).endpoint
        self._counts[endpoint] -= 1
        if not self._counts[endpoint]:
            del self._counts[endpoint]


def _host(ip: IPAddress) -> IPAddress:
    """What counts as one host: an IPv4 address, or the first one of an IPv6 /64."""
    ip = unmap(ip)
    return IPv6Address(int(ip) >> 64 << 64) if isinstance(ip, IPv6Address) else ip
