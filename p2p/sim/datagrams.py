"""The network between hosts: links of different quality, routers, partitions.

A :class:`DatagramNetwork` carries datagrams between the addresses of the hosts attached to it. It
has no knowledge of discovery: a host may be the engine of a node, or a function of a test. A host
may send under any source address, as on the real Internet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from p2p.arguments import wrong
from p2p.netutil import Endpoint, IPAddress
from p2p.sim.link import Link, LinkModel
from p2p.sim.router import Router
from p2p.sim.timeline import Timeline
from p2p.sim.trace import Trace

Receive = Callable[[bytes, Endpoint], object]


@dataclass(slots=True)
class Traffic:
    """Numbers of datagrams by outcome.

    ``lost`` were lost at random or at a partition; ``refused`` came to a router that did not let
    them in, or to an address without a host.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    refused: int = 0


class DatagramNetwork(Timeline):
    """Hosts by their address, and the links between them.

    ``seed`` determines all randomness; ``link`` is the quality of all links, unless another is set.
    """

    def __init__(self, seed: int, link: Link) -> None:
        super().__init__()
        #: Quality of all links that :meth:`set_address_link` was not called for; may be replaced.
        self.link = link
        self.traffic = Traffic()
        #: The trace that events are written to, if any.
        self.trace: Trace | None = None
        self._link_model = LinkModel(seed)
        self._hosts: dict[Endpoint, Receive] = {}
        self._names: dict[Endpoint, str] = {}
        self._routers: dict[IPAddress, Router] = {}
        self._behind: dict[Endpoint, Router] = {}
        self._links: dict[tuple[IPAddress, IPAddress], Link] = {}
        self._sides: dict[IPAddress, int] = {}

    # hosts

    def attach(
        self, name: str, address: Endpoint, receive: Receive, router: Router | None = None
    ) -> None:
        """Attach a host: call ``receive(data, source)`` for each datagram to ``address``.

        With ``router`` the address is an inner one. Raises ArgumentError if it is taken.
        """
        if address in self._hosts:
            raise wrong("address", str(address), "an address that is not taken")
        self._hosts[address] = receive
        self._names[address] = name
        if router is not None:
            self._behind[address] = router

    def detach(self, address: Endpoint) -> None:
        """Remove the host at ``address``, if any. Datagrams on their way to it are refused."""
        self._hosts.pop(address, None)

    def name_of(self, address: Endpoint) -> str:
        """Return the name of the present or last host at ``address``, or else the address."""
        router = self._routers.get(address[0])
        if router is not None:
            address = router.inside(address[1]) or address
        return self._names.get(address) or f"{address[0]}:{address[1]}"

    # links

    def set_address_link(self, a: IPAddress, b: IPAddress, **changes: Any) -> Link:
        """Change the link between two addresses; ``changes`` are fields of Link."""
        link = replace(self._links.get((a, b), self.link), **changes)
        self._links[a, b] = self._links[b, a] = link
        return link

    def split(self, sides: Sequence[Iterable[IPAddress]]) -> None:
        """Partition the network into sets of addresses; all other addresses are one more set."""
        self._sides = {ip: number for number, side in enumerate(sides, 1) for ip in side}

    # datagrams

    def send(self, source: Endpoint, target: Endpoint, data: bytes) -> None:
        """Send a datagram. ``source`` is the address that the sender claims."""
        self.traffic.sent += 1
        outer = self._through_router(source, target) if self._behind else source
        outcome: list[float] | str = "no route"
        if outer is not None:
            outcome = self._outcome(outer, target, len(data))
            for delay in outcome if isinstance(outcome, list) else ():
                self.at(self.time + delay, self._arrive, outer, target, data)
        if not outcome or isinstance(outcome, str):
            self.traffic.lost += 1
        if self.trace is not None:
            self.trace.sent(self.time, source, target, data, outcome)

    def _outcome(self, source: Endpoint, target: Endpoint, size: int) -> list[float] | str:
        """Return the latencies of a datagram, one for each copy, or the reason of its loss."""
        a, b = source[0], target[0]
        if self._sides and self._sides.get(a, 0) != self._sides.get(b, 0):
            return "stopped by the partition"
        link = self._links.get((a, b), self.link) if self._links else self.link
        return self._link_model.delays(link, a, b, size, self.time)

    def _through_router(self, source: Endpoint, target: Endpoint) -> Endpoint | None:
        """Return the source address that the target sees; None if there is no route to it."""
        router, others = self._behind.get(source), self._behind.get(target)
        if router is others:
            return source
        if others is not None:
            return None  # an inner address is valid in its own network only
        return router.out(source, target, self.time) if router is not None else source

    def _arrive(self, source: Endpoint, target: Endpoint, data: bytes) -> None:
        receive = self._hosts.get(target)
        if receive is None and self._routers:
            router = self._routers.get(target[0])
            inside = router and router.admit(source, target[1], self.time)
            receive = self._hosts.get(inside) if inside else None
        if receive is None:
            self.traffic.refused += 1
            if self.trace is not None:
                self.trace.refused(self.time, source, target, self._why_refused(target))
            return
        self.traffic.delivered += 1
        receive(data, source)

    def _why_refused(self, target: Endpoint) -> str:
        return "refused by the router" if target[0] in self._routers else "no host there"
