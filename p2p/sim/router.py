"""A home router: many nodes behind one address, and who gets through to them.

When a node behind it sends something out, the router gives it a port of its own address; what
comes to that port goes in to the node, if the router's kind allows it (RFC 4787):

==================  ====================================================================
`FULL_CONE`         from everybody
`RESTRICTED`        from addresses that the node has sent something to
`PORT_RESTRICTED`   from such an address and the same port there
==================  ====================================================================

What was not used for ``idle_s`` is forgotten. A node may know its inner address only; where it is
for others it hears from them.
"""

from __future__ import annotations

from enum import Enum

from p2p.netutil import IPAddress

Address = tuple[IPAddress, int]

_FIRST_PORT = 1025
_LAST_PORT = 0xFFFF
_PORTS = _LAST_PORT - _FIRST_PORT + 1


class RouterKind(Enum):
    """Whom a router lets in."""

    FULL_CONE = "full cone"
    RESTRICTED = "restricted"
    PORT_RESTRICTED = "port restricted"


class Router:
    """The router at ``ip``. Times are the network's, in seconds."""

    def __init__(
        self, ip: IPAddress, kind: RouterKind = RouterKind.FULL_CONE, idle_s: float = 120.0
    ) -> None:
        self.ip = ip
        self.kind = kind
        self.idle_s = idle_s
        self._ports: dict[Address, int] = {}  # from inside
        self._inside: dict[int, Address] = {}
        self._used: dict[int, float] = {}
        # By port: whom the node has sent something to, and when.
        self._contacts: dict[int, dict[tuple[IPAddress, int], float]] = {}

    def out(self, inside: Address, to: Address, now: float) -> Address:
        """A datagram leaves from ``inside``; returns where it seems to come from."""
        port = self._ports.get(inside)
        if port is None or self._is_idle(port, now):
            port = self._open(inside, now)
        self._used[port] = now
        self._contacts[port][self._contact(to)] = now
        return self.ip, port

    def admit(self, source: Address, port: int, now: float) -> Address | None:
        """A datagram has come to ``port``; returns the node it is for, None if it ends here."""
        inside = self._inside.get(port)
        if inside is None or self._is_idle(port, now):
            return None
        if self.kind is not RouterKind.FULL_CONE:
            since = self._contacts[port].get(self._contact(source))
            if since is None or now - since > self.idle_s:
                return None
        self._used[port] = now
        return inside

    def inside(self, port: int) -> Address | None:
        """Which node has that port, or had it last; None if none."""
        return self._inside.get(port)

    def outside(self, inside: Address, now: float) -> Address | None:
        """Where a node behind the router is for others; None before it has sent anything."""
        port = self._ports.get(inside)
        return None if port is None or self._is_idle(port, now) else (self.ip, port)

    def _contact(self, address: Address) -> Address:
        return address if self.kind is RouterKind.PORT_RESTRICTED else (address[0], 0)

    def _is_idle(self, port: int, now: float) -> bool:
        return now - self._used[port] > self.idle_s

    def _open(self, inside: Address, now: float) -> int:
        """Open a port for a node: its own number if that is free."""
        port = max(inside[1], _FIRST_PORT)
        for _ in range(_PORTS):
            if port not in self._inside or self._is_idle(port, now):
                break
            port = port + 1 if port < _LAST_PORT else _FIRST_PORT
        self._close(port)
        self._close(self._ports.get(inside))
        self._inside[port] = inside
        self._ports[inside] = port
        self._contacts[port] = {}
        return port

    def _close(self, port: int | None) -> None:
        if port is not None and port in self._inside:
            del self._ports[self._inside.pop(port)], self._contacts[port], self._used[port]
