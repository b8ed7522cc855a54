"""The search for the router of this network, by SSDP.

Requests go out where packets to the multicast group go out, mostly the interface of the default
route, and are repeated, since datagrams may be lost. The routers are tried as they answer: the
first one with a connection and an external address is taken. A router without them is taken if
there is no better one when the search ends: a mapping may be right behind a second router.

Any host of the network may answer. The number of datagrams, of descriptions in all and of one
host, and the time that one host takes are limited, so that a host cannot hide the router from us.

Runs on the thread of the search, ``p2p-nat-upnp``.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, InvalidAnswer, NatError
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.upnp.client import fetch
from p2p.nat.upnp.description import parse_description
from p2p.nat.upnp.igd import InternetGateway
from p2p.nat.upnp.ssdp import (
    GROUP,
    MAX_ANSWER_BYTES,
    SEARCH_TARGETS,
    parse_answer,
    search_request,
)
from p2p.nat.upnp.url import HttpURL
from p2p.netutil import is_lan, is_unspecified

#: Length of a search in seconds, and the times of its requests.
SEARCH_TIMEOUT_S = 3.0
SEND_TIMES_S = (0.0, 0.5, 1.5)
#: Datagrams that count in one search: three answers of 16 devices to each of five requests. Of one
#: host as many count as four devices send; the others are dropped.
MAX_DATAGRAMS = 256
MAX_DATAGRAMS_PER_HOST = 64
#: Descriptions that are read in one search, and of these of one host: some have one per version.
MAX_DESCRIPTIONS = 16
MAX_DESCRIPTIONS_PER_HOST = 3
#: Time for one host, in seconds.
HOST_TIMEOUT_S = 6.0
#: Hops of a request (UPnP Device Architecture 1.1, section 1.3.2).
_HOPS = 2
#: Routers in the text of an error.
_SHOWN = 3


def find(
    deadline: Deadline, stop: Stop, *, group: tuple[str, int] = GROUP
) -> Gateway | None:
    """Return the router of this network, or None if none has answered in time.

    Blocks for SEARCH_TIMEOUT_S, and longer if a router is slow, until the ``deadline`` at most.
    ``group`` is the address to which requests are sent. Raises NatError with the reasons if no
    router that has answered can be used, Interrupted if ``stop`` was set.
    """
    try:
        sock = _open(group)
    except OSError:
        return None  # no network
    with sock:
        return _Search(sock, group, deadline, stop).run()


def _open(group: tuple[str, int]) -> socket.socket:
    """Return a socket for requests, bound to our address on the way to the group."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(group)  # sends nothing
        local = probe.getsockname()[0]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        forks.in_child(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)
        sock.bind((local, 0))
    except BaseException:
        sock.close()
        raise
    return sock


class _Search:
    """One search, on the thread that called :func:`find`."""

    def __init__(
        self, sock: socket.socket, group: tuple[str, int], deadline: Deadline, stop: Stop
    ) -> None:
        self._socket = sock
        self._group = group
        self._deadline = deadline
        self._stop = stop
        self._tried: set[HttpURL] = set()
        self._per_host: Counter[IPv4Address] = Counter()
        self._received: Counter[IPv4Address] = Counter()
        self._host_deadlines: dict[IPv4Address, Deadline] = {}
        #: The first router with a connection, but without an external address.
        self._fallback: InternetGateway | None = None
        self._reasons: list[str] = []

    def run(self) -> InternetGateway | None:
        """Return the best router. Raises NatError, Interrupted."""
        for location in self._locations():
            with self._reasons_noted():
                found = self._try(location)
                if found is not None:
                    return found
        if self._fallback is None and self._reasons:
            raise NatError("no usable router: " + "; ".join(self._reasons[:_SHOWN]))
        return self._fallback

    def _locations(self) -> Iterator[HttpURL]:
        """The URLs of the descriptions to try, as answers come."""
        for data, sender in self._datagrams():
            try:
                location = parse_answer(data, sender)
            except InvalidAnswer as error:
                self._note(f"{sender}: {error}")
                continue
            if location in self._tried or self._per_host[sender] >= MAX_DESCRIPTIONS_PER_HOST:
                continue
            self._tried.add(location)
            self._per_host[sender] += 1
            yield location
            if len(self._tried) >= MAX_DESCRIPTIONS:
                return

    def _datagrams(self) -> Iterator[tuple[bytes, IPv4Address]]:
        """Send the requests, and yield what comes, also what came while a router was tried."""
        end = Deadline(SEARCH_TIMEOUT_S)
        sends = [Deadline(time_s) for time_s in SEND_TIMES_S]
        counted = 0
        while counted < MAX_DATAGRAMS and not self._deadline.is_over:
            if sends and sends[0].is_over:
                del sends[0]
                self._send()
            next_time = sends[0] if sends else end
            timeout_s = self._deadline.left_at_most(next_time.left_at_least(0.0))
            found = self._receive() if self._stop.wait(self._socket, timeout_s) else []
            counted += len(found)
            yield from found
            if end.is_over and not found:
                return

    def _send(self) -> None:
        for target in SEARCH_TARGETS:
            with suppress(OSError):  # one more datagram that is lost
                self._socket.sendto(search_request(target, self._group), self._group)

    def _receive(self) -> list[tuple[bytes, IPv4Address]]:
        """The datagram that is there, unless it is lost or one too many of its host."""
        try:
            data, (host, _) = self._socket.recvfrom(MAX_ANSWER_BYTES + 1)
        except OSError:
            return []
        sender = IPv4Address(host)
        self._received[sender] += 1
        return [(data, sender)] if self._received[sender] <= MAX_DATAGRAMS_PER_HOST else []

    def _try(self, location: HttpURL) -> InternetGateway | None:
        """Return a router with a connection and an external address. Raises NatError."""
        deadline = self._host_deadline(location.host)
        data = fetch(location, deadline, self._stop)
        try:
            services = parse_description(data, location)
        except InvalidAnswer as error:
            raise NatError(f"{location}: {error}") from error
        for service in services:
            with self._reasons_noted():
                gateway = InternetGateway(service, self._stop)
                if self._is_on_the_internet(gateway, deadline):
                    return gateway
        return None

    def _is_on_the_internet(self, gateway: InternetGateway, deadline: Deadline) -> bool:
        """Whether the router has a connection and an address; the fallback is set if only one."""
        if not gateway.is_connected(deadline):
            self._note(f"{gateway.name}: not connected")
            return False
        address = gateway.reported_address(deadline)
        if not is_lan(address) and not is_unspecified(address):
            return True
        self._fallback = self._fallback or gateway
        return False

    def _host_deadline(self, host: IPv4Address) -> Deadline:
        """The end of the time for a host, counted from its first answer."""
        if host not in self._host_deadlines:
            self._host_deadlines[host] = Deadline(self._deadline.left_at_most(HOST_TIMEOUT_S))
        return self._host_deadlines[host]

    @contextmanager
    def _reasons_noted(self) -> Iterator[None]:
        """Note why a router cannot be used, and go on."""
        try:
            yield
        except Interrupted:
            raise
        except NatError as error:
            self._note(str(error))

    def _note(self, reason: str) -> None:
        if len(self._reasons) < _SHOWN:
            self._reasons.append(reason)
