"""Our external address from STUN servers, as a gateway without mappings.

One thread at a time; calls block. The servers are asked one after the other, in random order, so
that no single one decides for long.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Sequence

from p2p.clock import Deadline
from p2p.nat import stun
from p2p.nat.errors import Interrupted, NatError, NoAnswer
from p2p.nat.exchange import ask
from p2p.nat.gateway import Stop
from p2p.nat.mapping import Mapped, PortMapping
from p2p.nat.names import addresses_of
from p2p.nat.request import Request
from p2p.net import NameLookups
from p2p.netutil import Endpoint, IPAddress, join_host_port

#: Servers that are asked at a time, and the time for each in seconds.
MAX_TRIES = 5
TRY_S = 2.5

#: Some servers of go-ethereum's list, p2p/nat/stun-list.txt of 2025-01-24. They are addresses: no
#: name server learns what this node does.
SERVERS = tuple(
    (host, stun.PORT)
    for host in (
        *("3.132.228.249", "3.78.237.53", "5.161.52.174", "18.185.125.152", "20.93.239.167"),
        *("23.21.199.62", "31.184.236.23", "34.74.124.204", "51.68.112.203", "51.83.201.84"),
    )
)
#: Servers that must agree, if several are known: a single one could move the node anywhere.
MIN_AGREEING = 2


class StunServers:
    """The STUN ``servers``, each an address or a host name with its port."""

    def __init__(self, servers: Sequence[tuple[str, int]], stop: Stop) -> None:
        # fixed after __init__
        first = join_host_port(*servers[0])
        self.name = f"STUN {first}" if len(servers) == 1 else "STUN"
        self._servers = servers
        self._stop = stop
        self._lookups = NameLookups()
        self._needed = min(MIN_AGREEING, len(servers))

    def external_ip(self, deadline: Deadline) -> IPAddress:
        """Return our address, as enough servers state it.

        Looks up host names. Raises as :class:`~p2p.nat.gateway.Gateway` says.
        """
        stated: Counter[IPAddress] = Counter()
        failures: list[str] = []
        for host, port in random.sample(self._servers, min(MAX_TRIES, len(self._servers))):
            try:
                ip = self._ask(host, port, deadline)
            except Interrupted:
                raise
            except NatError as error:
                failures.append(f"{join_host_port(host, port)}: {error}")
                continue
            stated[ip] += 1
            if stated[ip] == self._needed:
                return ip
        if self._needed == 1:
            raise NatError(", ".join(failures))
        answers = [f"{ip} by {count}" for ip, count in stated.items()]
        few = f"fewer than {self._needed} STUN servers answer"
        problem = "STUN servers do not agree" if len(stated) > 1 else few
        raise NatError(f"{problem}: " + ", ".join(answers + failures))

    def map(self, mapping: PortMapping, deadline: Deadline) -> Mapped:
        """Raise NatError: a STUN server maps no ports."""
        raise NatError(f"{self.name} maps no ports")

    def unmap(self, mapping: PortMapping, deadline: Deadline) -> None:
        """Raise NatError: a STUN server maps no ports."""
        raise NatError(f"{self.name} maps no ports")

    def _ask(self, host: str, port: int, deadline: Deadline) -> IPAddress:
        """Ask a server at its addresses in turn, each for the same part of its time."""
        share = Deadline(deadline.left_at_most(TRY_S))
        untried = addresses_of(host, share, self._stop, self._lookups)
        while True:
            part = share.part(1 / len(untried))
            try:
                return self._ask_at(Endpoint(untried.pop(0), port), part)
            except NoAnswer:
                if not untried:
                    raise

    def _ask_at(self, to: Endpoint, deadline: Deadline) -> IPAddress:
        transaction_id = secrets.token_bytes(stun.ID_SIZE)

        def request(ours: IPAddress, now: float) -> Request[Endpoint]:
            return stun.binding_request(transaction_id, now)

        return ask(to, request, deadline, self._stop, stun.MAX_SIZE).ip
