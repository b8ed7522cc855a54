"""A router that maps ports by UPnP, as a gateway. Used by the thread of port mappings.

Follows WANIPConnection:1 and :2 (sections "Actions" and "Error codes"); WANPPPConnection:1 has the
same actions. A mapping is always to the address that our requests come from.

- Error 725: the router has permanent mappings only. They are made without an end, and renewed like
  others, since a router may lose them when it restarts.
- Error 718 or 729: the port is taken. WANIPConnection:2 chooses another one, for version 1 some are
  tried at random.
- Error 724: the external port must be the internal one.
- An uptime that is shorter than before means that the router has restarted, and lost its mappings.
- The granted lease is read back, if the router has the action. It may be shorter than wanted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import TypeAlias, TypeVar

from p2p.clock import Deadline
from p2p.inputs import RandomSource
from p2p.nat.errors import Interrupted, InvalidAnswer, NatError, Restarted
from p2p.nat.gateway import Stop
from p2p.nat.mapping import Mapped, PortMapping
from p2p.nat.upnp import soap
from p2p.nat.upnp.client import HttpConnection
from p2p.nat.upnp.description import IP_CONNECTION_2, WANService
from p2p.nat.upnp.soap import Action, Fault, MappingEntry
from p2p.netutil import is_multicast, is_unspecified

#: External ports that are tried after the wanted one; as in go-ethereum.
RANDOM_PORTS = 3
#: The ports to choose from, as in go-ethereum: services of the router itself have lower ones.
_PORTS = range(10_000, 65_536)
#: Characters of a name, for logs.
_MAX_NAME = 80

#: A function that makes the action from protocol, external port, internal port, client, lease.
MakeAction: TypeAlias = Callable[[str, int, int, IPv4Address, int], Action]
T = TypeVar("T")

_CONFLICTS = (soap.CONFLICT_IN_MAPPING, soap.CONFLICT_WITH_OTHER_MECHANISMS)


class RouterFault(NatError):
    """The router refuses a request; ``code`` is its error code."""

    code: int = 0

    def __init__(self, message: str, code: int) -> None:
        self.code = code
        super().__init__(message)


class InternetGateway:
    """A service of a router; see :class:`p2p.nat.gateway.Gateway`. One thread at a time."""

    def __init__(self, service: WANService, stop: Stop, ports: RandomSource | None = None) -> None:
        """``ports`` chooses external ports if the wanted one is taken."""
        # fixed after __init__
        # With the place of the service, since a router may have another one after a restart.
        self.name = f"UPnP {service.control_url.authority}{service.control_url.target}"[:_MAX_NAME]
        self.service = service
        self._stop = stop
        self._ports = ports or random.SystemRandom()
        # owned by the thread
        self._is_permanent = False
        self._uptime_s = 0
        #: Protocols and external ports of the mappings that the router has confirmed.
        self._made: set[tuple[str, int]] = set()

    def is_connected(self, deadline: Deadline) -> bool:
        """Whether the router has a connection, or does not say. Raises NatError, Interrupted."""
        try:
            return soap.read_connected(self._call(soap.GET_STATUS, deadline))
        except RouterFault:
            return True  # the address decides

    def reported_address(self, deadline: Deadline) -> IPv4Address:
        """Return the address on the router's other side, of whatever scope; zero for none."""
        results = self._call(soap.GET_ADDRESS, deadline)
        return self._read(soap.read_address, results)

    def external_ip(self, deadline: Deadline) -> IPv4Address:
        """Return the router's address on its other side.

        It is a local one behind a second router. Raises NatError if there is none: the connection
        is down, or the router does not show an address that is not of the Internet (miniupnpd).
        """
        self._check_uptime(deadline)
        address = self.reported_address(deadline)
        if is_unspecified(address) or is_multicast(address):
            raise NatError(
                f"{self.name}: no external address: the router is not connected, or behind another"
                " router (double NAT)"
            )
        return address

    def map(self, mapping: PortMapping, deadline: Deadline) -> Mapped:
        """Create or renew a mapping; the port and the lease may be others than the wanted ones."""
        error: RouterFault | None = None
        for external_port in self._ports_for(mapping):
            try:
                granted = self._add(mapping, external_port, deadline)
                return self._mapped(mapping, granted, deadline)
            except RouterFault as fault:
                if fault.code not in _CONFLICTS:
                    raise
                error = fault
        assert error is not None
        raise error

    def unmap(self, mapping: PortMapping, deadline: Deadline) -> None:
        """Delete a mapping; it is no error if there is none.

        A mapping that the router has not confirmed is deleted only if it leads to us: the port may
        be that of another host.
        """
        key = mapping.protocol, mapping.external_port
        if key not in self._made and not self._has(mapping, deadline):
            return
        self._made.discard(key)
        try:
            self._call(soap.delete_mapping(*key), deadline)
        except RouterFault as fault:
            if fault.code != soap.NO_SUCH_ENTRY:
                raise

    def _has(self, mapping: PortMapping, deadline: Deadline) -> bool:
        """Whether the router has the mapping, and it leads to us."""
        try:
            self._verified(self._entry(mapping, mapping.external_port, deadline), mapping)
        except NatError:
            return False
        return True

    def _check_uptime(self, deadline: Deadline) -> None:
        """Raise Restarted if the connection is younger than it was."""
        try:
            uptime_s = self._read(soap.read_uptime, self._call(soap.GET_STATUS, deadline))
        except Interrupted:
            raise
        except NatError:
            return  # the router does not say
        before, self._uptime_s = self._uptime_s, uptime_s
        if uptime_s < before:
            raise Restarted(f"{self.name} has restarted")

    def _ports_for(self, mapping: PortMapping) -> Iterator[int]:
        """The external ports to try: the wanted one, then some at random."""
        yield mapping.external_port or mapping.internal_port
        for _ in range(RANDOM_PORTS):
            yield _PORTS[self._ports.randrange(len(_PORTS))]

    def _add(self, mapping: PortMapping, external_port: int, deadline: Deadline) -> int:
        """Ask for a mapping, and return its external port."""
        try:
            return self._add_port(mapping, external_port, deadline)
        except RouterFault as fault:
            if fault.code == soap.SAME_PORTS_REQUIRED and external_port != mapping.internal_port:
                return self._add_port(mapping, mapping.internal_port, deadline)
            if fault.code in _CONFLICTS and self.service.type == IP_CONNECTION_2:
                return self._add_any(mapping, external_port, deadline)
            raise

    def _add_port(self, mapping: PortMapping, external_port: int, deadline: Deadline) -> int:
        """Ask for a mapping of this very port."""
        try:
            results = self._request(soap.add_mapping, mapping, external_port, deadline)
        except RouterFault as fault:
            if fault.code != soap.ONLY_PERMANENT_LEASES or self._is_permanent:
                raise
            self._is_permanent = True
            results = self._request(soap.add_mapping, mapping, external_port, deadline)
        if results is not None:
            self._made.add((mapping.protocol, external_port))
        return external_port  # also after an interruption, so that the mapping is deleted

    def _add_any(self, mapping: PortMapping, external_port: int, deadline: Deadline) -> int:
        """Ask for a mapping of any port, and return the port."""
        results = self._request(soap.add_any_mapping, mapping, external_port, deadline)
        if results is None:
            raise Interrupted("stopped")
        port = self._read(soap.read_reserved_port, results)
        self._made.add((mapping.protocol, port))
        return port

    def _mapped(self, mapping: PortMapping, external_port: int, deadline: Deadline) -> Mapped:
        """Read a new mapping back. Raises NatError if it leads elsewhere.

        Every failure is ignored, an interruption too: the mapping is there, and must become known
        to be deleted.
        """
        try:
            found = self._entry(mapping, external_port, deadline)
        except NatError:
            return Mapped(external_port, mapping.lifetime_s)
        lease_s = self._verified(found, mapping).lease_s or mapping.lifetime_s
        return Mapped(external_port, min(lease_s, mapping.lifetime_s))

    def _entry(
        self, mapping: PortMapping, external_port: int, deadline: Deadline
    ) -> tuple[MappingEntry, IPv4Address]:
        """Return the mapping that the router has, and our address. Raises NatError."""
        action = soap.get_mapping(mapping.protocol, external_port)
        with self._connect(deadline) as connection:
            client = connection.local_address
            return self._read(soap.read_entry, self._results(connection, action)), client

    def _verified(
        self, found: tuple[MappingEntry, IPv4Address], mapping: PortMapping
    ) -> MappingEntry:
        """Return the entry. Raises NatError unless it leads to us."""
        entry, client = found
        if (entry.internal_client, entry.internal_port) != (client, mapping.internal_port):
            raise NatError(
                f"{self.name}: the external port leads to"
                f" {entry.internal_client}:{entry.internal_port}"
            )
        return entry

    def _request(
        self, make: MakeAction, mapping: PortMapping, external_port: int, deadline: Deadline
    ) -> dict[str, str] | None:
        """Call an action that creates a mapping to our address.

        Returns None if it was interrupted: the router may have made the mapping or not.
        """
        lease_s = 0 if self._is_permanent else min(mapping.lifetime_s, soap.MAX_LEASE_S)
        with self._connect(deadline) as connection:
            ports = external_port, mapping.internal_port
            action = make(mapping.protocol, *ports, connection.local_address, lease_s)
            try:
                return self._results(connection, action)
            except Interrupted:
                return None

    def _call(self, action: Action, deadline: Deadline) -> dict[str, str]:
        with self._connect(deadline) as connection:
            return self._results(connection, action)

    def _connect(self, deadline: Deadline) -> HttpConnection:
        return HttpConnection(self.service.control_url, deadline, self._stop)

    def _results(self, connection: HttpConnection, action: Action) -> dict[str, str]:
        """Return the results of an action. Raises RouterFault if the router refuses it."""
        results = connection.call(self.service.type, action)
        if isinstance(results, Fault):
            raise RouterFault(f"{self.name}: {action.name}: {results}", results.code)
        return results

    def _read(self, read: Callable[[dict[str, str]], T], results: dict[str, str]) -> T:
        try:
            return read(results)
        except InvalidAnswer as error:
            raise NatError(f"{self.name}: {error}") from error
