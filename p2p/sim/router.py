"""A home router: address translation for many nodes behind one address.

When a node behind it sends a datagram, the router opens a port of its own address for it.
Datagrams to that port are passed on to the node, if the kind of the router allows it (RFC 4787):

==================  ====================================================================
`FULL_CONE`         from every source
`RESTRICTED`        from addresses that the node has sent a datagram to
`PORT_RESTRICTED`   from such an address and the same port there
==================  ====================================================================

A port, and a permission of a source, expires when it was not used for ``idle_s`` seconds. A node
knows only its inner address, and learns the outer one from others.
"""

from __future__ import annotations

from enum import Enum

from p2p.netutil import Endpoint, IPAddress

_FIRST_PORT = 1025
_LAST_PORT = 0xFFFF
_PORTS = _LAST_PORT - _FIRST_PORT + 1


class RouterKind(Enum):
    """The kind of a router: the sources that it lets in."""

    FULL_CONE = "full cone"
    RESTRICTED = "restricted"
    PORT_RESTRICTED = "port restricted"


class Router:
    """The router at ``ip``. Times are those of the network, in seconds."""

    def __init__(
        self, ip: IPAddress, kind: RouterKind = RouterKind.FULL_CONE, idle_s: float = 120.0
    ) -> None:
        self.ip = ip
        self.kind = kind
        self.idle_s = idle_s
        self._ports: dict[Endpoint, int] = {}  # from inside
        self._inside: dict[int, Endpoint] = {}
        self._used: dict[int, float] = {}
        # By port: the addresses that the node has sent datagrams to, and the time of the last.
        self._contacts: dict[int, dict[tuple[IPAddress, int], float]] = {}

    def out(self, inside: Endpoint, to: Endpoint, now: float) -> Endpoint:
        """Pass a datagram from ``inside`` out. Returns the source address that others see."""
        port = self._ports.get(inside)
        if port is None or self._is_idle(port, now):
            port = self._open(inside, now)
        self._used[port] = now
        self._contacts[port][self._contact(to)] = now
        return Endpoint(self.ip, port)

    def admit(self, source: Endpoint, port: int, now: float) -> Endpoint | None:
        """Return the inner address for a datagram from ``source`` to ``port``; None refuses it."""
        inside = self._inside.get(port)
        if inside is None or self._is_idle(port, now):
            return None
        if self.kind is not RouterKind.FULL_CONE:
            since = self._contacts[port].get(self._contact(source))
            if since is None or now - since > self.idle_s:
                return None
        self._used[port] = now
        return inside

    def inside(self, port: int) -> Endpoint | None:
        """Return the inner address that has ``port``, or had it last; None if none."""
        return self._inside.get(port)

    def outside(self, inside: Endpoint, now: float) -> Endpoint | None:
        """Return the outer address of a node behind the router; None without a port in use."""
        port = self._ports.get(inside)
        return None if port is None or self._is_idle(port, now) else Endpoint(self.ip, port)

    def _contact(self, address: Endpoint) -> Endpoint:
        return address if self.kind is RouterKind.PORT_RESTRICTED else Endpoint(address[0], 0)

    def _is_idle(self, port: int, now: float) -> bool:
        return now - self._used[port] > self.idle_s

    def _open(self, inside: Endpoint, now: float) -> int:
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
