"""UDP sockets: their datagrams on a loop.

A :class:`Datagrams` belongs to its loop's thread; :mod:`p2p.net.binding` makes its socket. Delivery
is not guaranteed: a datagram that the kernel does not take is counted and dropped. The sender asks
again when no answer comes.

Reading is bounded per pass, so a flood cannot starve the other work of the loop; datagrams that are
not read in time wait in the kernel's buffer, which is made large for that, and are dropped there
when it is full. A datagram longer than ``max_size_bytes`` is cut to one byte more than that, so
that the receiver sees that it is too long and its full length costs no time or memory.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from p2p.net import pktinfo
from p2p.net.loop import Loop
from p2p.net.poller import ERROR, READ
from p2p.net.sockaddr import endpoint_of, scope_of_zone
from p2p.net.sockets import DatagramSocket
from p2p.net.timer import Timer
from p2p.netutil import Endpoint, IPAddress, canonical, is_unspecified

#: Datagrams read in a pass.
READ_BUDGET = 64
#: Link-local addresses whose interface is kept; the program names them, so there are few.
MAX_ZONES = 256

# Pause when the kernel has no resources to read with (ENOBUFS, ENOMEM), in seconds.
_BACK_OFF_S = 0.05
# Such a shortage lasts; one line in this time is enough to notice it.
_LOG_INTERVAL_S = 10.0

# Errors of a datagram sent earlier, which some platforms report on reading (ICMP errors).
_ABOUT_SENT = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "EMSGSIZE"),
        *("ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOPROTOOPT", "EPERM", "EACCES"),
    )
    if hasattr(errno, name)
)

# Errors of a datagram that is to leave from an address that the machine no longer has, or that no
# host can have, such as the broadcast address.
_NOT_OUR_ADDRESS = frozenset(
    (errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENETUNREACH, errno.EHOSTUNREACH)
)

#: A datagram: its bytes, and the endpoint of its sender.
Datagram = tuple[bytes, Endpoint]


class Datagrams:
    """The datagrams of ``sock``, which belongs to this object from now on.

    ``on_datagrams`` gets a list of ``(bytes, address of the sender)`` in each pass in which some
    have arrived: at most ``budget``, each of at most ``max_size_bytes + 1`` bytes. ``address`` is
    the local one, with the actual port. ``lost`` counts the datagrams that could not be sent, and
    ``read_errors`` the errors of reading, by the name of the error ("ENETUNREACH"). Loop thread
    only; the counts may be read by any.
    """

    def __init__(
        self,
        loop: Loop,
        sock: DatagramSocket,
        on_datagrams: Callable[[list[Datagram]], None],
        *,
        max_size_bytes: int,
        budget: int = READ_BUDGET,
    ) -> None:
        sock.setblocking(False)
        self.address = endpoint_of(sock.getsockname())
        # by errno, of which there are few
        self.lost: dict[str, int] = {}
        self.read_errors: dict[str, int] = {}
        self._loop = loop
        self._sock: Any = sock  # its control messages exist only in the kernel's
        self._is_ipv6 = sock.family == socket.AF_INET6
        is_for_all = is_unspecified(self.address.ip)
        self._local_addresses = pktinfo.enable(self._sock) if is_for_all else None
        self._scopes: dict[str, int] = {}  # interfaces of link-local addresses
        self._on_datagrams = on_datagrams
        self._read_bytes = max_size_bytes + 1
        self._budget = budget
        self._closed = False
        self._back_off: Timer | None = None
        self._quiet_until = loop.now()
        loop.register(sock, READ, self._on_ready)

    def send(self, data: bytes, address: tuple[IPAddress, int]) -> bool:
        """Send one datagram, or drop it. Returns whether the kernel took it; never raises."""
        if self._closed:
            return False
        ip, port = address
        if self._is_ipv6:
            host = f"::ffff:{ip}" if ip.version == 4 else str(ip)
        elif ip.version == 4:
            host = str(ip)
        else:
            return self._lose(errno.EAFNOSUPPORT)
        try:
            self._send(data, (host, port))
        except OSError as error:
            # ENOBUFS, EAGAIN: the kernel is full. EPERM: a firewall. ENETUNREACH, EHOSTUNREACH: no
            # route. EMSGSIZE: too long. ECONNREFUSED: an answer to an earlier one. EINVAL, EACCES:
            # an address that no host can have. None of them concerns the next one.
            return self._lose(error.errno)
        except OverflowError:  # no such port
            return self._lose(errno.EINVAL)
        return True

    def use_zone(self, ip: IPAddress) -> None:
        """Send to this link-local address by the interface that its zone names.

        No effect without a zone that is an interface of this machine.
        """
        with suppress(OSError):
            scope, host = scope_of_zone(ip), str(canonical(ip))
            if scope and (host in self._scopes or len(self._scopes) < MAX_ZONES):
                self._scopes[host] = scope

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._back_off is not None:
            self._back_off.cancel()
        self._loop.unregister(self._sock)
        self._sock.close()

    def _send(self, data: bytes, remote: tuple[str, int]) -> None:
        known = self._local_addresses
        option = None if known is None else known.option(remote)
        scope = self._scopes.get(remote[0]) if self._scopes else None
        to = remote if scope is None else (*remote, 0, scope)
        if known is None or option is None:
            self._sock.sendto(data, to)
            return
        try:
            self._sock.sendmsg((data,), option, 0, to)
        except OSError as error:
            if error.errno not in _NOT_OUR_ADDRESS:
                raise
            known.drop(remote)
            self._sock.sendto(data, to)

    def _lose(self, code: int | None) -> bool:
        _count(self.lost, code)
        return False

    def _on_ready(self, ready: int) -> None:
        if ready & ERROR:
            # Fetching the error clears it; until then the selector reports it in every pass.
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                _count(self.read_errors, code)
        if self._back_off is not None:
            return
        batch = self._read()
        if batch:
            self._on_datagrams(batch)

    def _read(self) -> list[Datagram]:
        batch: list[Datagram] = []
        receive = self._sock.recvfrom if self._local_addresses is None else self._receive
        size_bytes = self._read_bytes
        for _ in range(self._budget):
            try:
                data, sockaddr = receive(size_bytes)
            except BlockingIOError:
                break
            except OSError as error:
                if not self._may_go_on(error):
                    break
                continue
            batch.append((data, endpoint_of(sockaddr)))
        return batch

    def _receive(self, size_bytes: int) -> tuple[bytes, Any]:
        """Do as ``recvfrom``, and note the local address that the datagram came to."""
        known = self._local_addresses
        assert known is not None
        data, ancillary, _, sockaddr = self._sock.recvmsg(size_bytes, known.buffer_bytes)
        known.note(ancillary, sockaddr)
        return data, sockaddr

    def _may_go_on(self, error: OSError) -> bool:
        """Whether to go on reading after ``error``; if not, reading resumes after a pause."""
        _count(self.read_errors, error.errno)
        if error.errno in _ABOUT_SENT:
            return True
        now = self._loop.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_INTERVAL_S
            self._loop.log.warning("cannot receive UDP on %s: %s", self.address, error)
        self._loop.set_interest(self._sock, 0)
        self._back_off = self._loop.call_later(_BACK_OFF_S, self._end_back_off)
        return False

    def _end_back_off(self) -> None:
        self._back_off = None
        if not self._closed:
            self._loop.set_interest(self._sock, READ)


def _count(counts: dict[str, int], code: int | None) -> None:
    name = errno.errorcode.get(code or 0, str(code))
    counts[name] = counts.get(name, 0) + 1
