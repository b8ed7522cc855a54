"""What lies between hosts: ways of different quality, routers, walls.

A :class:`Fabric` carries datagrams between the addresses that something is attached to. It knows
nothing of discovery; who is attached may be a node's engine or a function of a test that plays a
host by hand, and may send under any source address, as on the real Internet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from p2p.errors import ConfigError
from p2p.netutil import IPAddress
from p2p.sim.link import Chance, Link
from p2p.sim.router import Address, Router
from p2p.sim.timeline import Timeline
from p2p.sim.trace import Trace

Receive = Callable[[bytes, Address], object]


@dataclass(slots=True)
class Traffic:
    """What has become of datagrams, in numbers.

    ``lost`` were lost by chance or at a partition; ``refused`` came to a router that did not let
    them in, or to an address where nobody is.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    refused: int = 0


class Fabric(Timeline):
    """Hosts by their address, and the ways between them."""

    def __init__(self, seed: int, link: Link) -> None:
        super().__init__()
        #: The quality of all ways that :meth:`set_link` was not called for; may be replaced.
        self.link = link
        self.traffic = Traffic()
        #: Where everything that happens is written, if anywhere.
        self.trace: Trace | None = None
        self._chance = Chance(seed)
        self._hosts: dict[Address, Receive] = {}
        self._names: dict[Address, str] = {}
        self._routers: dict[IPAddress, Router] = {}
        self._behind: dict[Address, Router] = {}
        self._links: dict[tuple[IPAddress, IPAddress], Link] = {}
        self._sides: dict[IPAddress, int] = {}

    # Who is on it.

    def attach(
        self, name: str, address: Address, receive: Receive, router: Router | None = None
    ) -> None:
        """Have datagrams for ``address`` handed to ``receive(data, source)``.

        With ``router`` the address is an inner one. Raises ConfigError if it is taken.
        """
        if address in self._hosts:
            raise ConfigError(f"{address[0]}:{address[1]} is taken")
        self._hosts[address] = receive
        self._names[address] = name
        if router is not None:
            self._behind[address] = router

    def detach(self, address: Address) -> None:
        """Nobody is at ``address`` any more. What is on its way there is lost."""
        self._hosts.pop(address, None)

    def name_of(self, address: Address) -> str:
        """The name of who is, or was, at ``address``; else the address itself."""
        router = self._routers.get(address[0])
        if router is not None:
            address = router.inside(address[1]) or address
        return self._names.get(address) or f"{address[0]}:{address[1]}"

    # The ways.

    def set_link(self, a: IPAddress, b: IPAddress, **changes: Any) -> Link:
        """Make the way between two addresses better or worse; ``changes`` are fields of Link."""
        link = replace(self._links.get((a, b), self.link), **changes)
        self._links[a, b] = self._links[b, a] = link
        return link

    def split(self, sides: Sequence[Iterable[IPAddress]]) -> None:
        """Build walls between sets of addresses; those that are in no set are one more."""
        self._sides = {ip: number for number, side in enumerate(sides, 1) for ip in side}

    # Datagrams.

    def send(self, source: Address, target: Address, data: bytes) -> None:
        """Put a datagram on its way. ``source`` is whatever the sender says it is."""
        self.traffic.sent += 1
        way = self._through_router(source, target) if self._behind else source
        fate: list[float] | str = "no way there"
        if way is not None:
            fate = self._fate(way, target)
            for delay in fate if isinstance(fate, list) else ():
                self.at(self.time + delay, self._arrive, way, target, data)
        if not fate or isinstance(fate, str):
            self.traffic.lost += 1
        if self.trace is not None:
            self.trace.sent(self.time, source, target, data, fate)

    def _fate(self, source: Address, target: Address) -> list[float] | str:
        a, b = source[0], target[0]
        if self._sides and self._sides.get(a, 0) != self._sides.get(b, 0):
            return "stopped by the partition"
        link = self._links.get((a, b), self.link) if self._links else self.link
        return self._chance.delays(link, a, b)

    def _through_router(self, source: Address, target: Address) -> Address | None:
        """Where the datagram seems to come from; None if there is no way to the target."""
        router, others = self._behind.get(source), self._behind.get(target)
        if router is others:
            return source
        if others is not None:
            return None  # an inner address means something in its own network only
        return router.out(source, target, self.time) if router is not None else source

    def _arrive(self, source: Address, target: Address, data: bytes) -> None:
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

    def _why_refused(self, target: Address) -> str:
        return "refused by the router" if target[0] in self._routers else "nobody is there"
