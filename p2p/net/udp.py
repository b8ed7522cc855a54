"""UDP sockets: binding one, and its datagrams on a loop.

A :class:`Datagrams` belongs to its loop's thread; :func:`bind_udp` may be called in any thread and
waits for nothing. UDP promises nothing, and neither does this module: a datagram that the kernel
does not take is lost, counted and forgotten. Whoever sends asks again when no answer comes.

Reading is bounded per pass, so a flood cannot starve what else runs on the loop; what is not read
in time waits in the kernel's buffer, which is made large for that, and is dropped there when it is
full. A datagram longer than ``max_size_bytes`` is handed over one byte longer than that, never
whole, so that the receiver sees that it is too long and nobody pays for its length.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from p2p.net.address import Address, address_of, format_address
from p2p.net.binding import bound_socket
from p2p.net.loop import Loop
from p2p.net.poller import ERROR, READ
from p2p.net.timer import Timer

_logger = logging.getLogger("p2p.net")

#: What the kernel is asked to keep unread: a tenth of a second of a heavy flood. It may give less.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

#: Datagrams read in a pass.
READ_BUDGET = 64

# How long to wait when the kernel has nothing to read with (ENOBUFS, ENOMEM).
_BACK_OFF_S = 0.05
# Such a shortage lasts; one line in this time is enough to notice it.
_LOG_INTERVAL_S = 10.0
# The texts of addresses that are remembered as addresses; a stranger's flood pushes out others,
# which costs a few microseconds for each.
_KNOWN_TEXTS = 4096

# What became of a datagram sent before, told on reading by some platforms (ICMP errors).
_ABOUT_SENT = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "EMSGSIZE"),
        *("ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOPROTOOPT", "EPERM", "EACCES"),
    )
    if hasattr(errno, name)
)

#: What one datagram is handed over as.
Datagram = tuple[bytes, Address]


def bind_udp(
    host: str | None, port: int, receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES
) -> socket.socket:
    """A bound, non-blocking UDP socket.

    ``host`` is a numeric IPv4 or IPv6 address; ``None``, ``""`` and ``"::"`` mean all addresses of
    both families, or of IPv4 where there is no IPv6. ``port`` 0 takes a free one. The kernel is
    asked for a receive buffer of ``receive_buffer_bytes``; it may give less. Raises ``OSError``
    with the address in its text; so it refuses names, which it never looks up. Any thread.
    """

    def bind(sock: socket.socket, sockaddr: tuple[str, int]) -> None:
        _enlarge(sock, receive_buffer_bytes)
        sock.bind(sockaddr)

    return bound_socket(socket.SOCK_DGRAM, host, port, bind, "receive UDP")


def _enlarge(sock: socket.socket, receive_buffer_bytes: int) -> None:
    """Ask for a larger buffer. Linux gives what it may, others refuse what is too much."""
    while receive_buffer_bytes > sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            return
        except OSError:
            receive_buffer_bytes //= 2


class Datagrams:
    """The datagrams of ``sock``, which belongs to this object from now on.

    ``on_datagrams`` gets a list of ``(bytes, address of the sender)`` for each pass in which some
    have come: at most ``budget``, each of at most ``max_size_bytes + 1`` bytes. ``address`` is the
    local one, with the port that was really taken. ``lost`` counts the datagrams that could not be
    sent, and ``read_errors`` the errors that reading has met, by the name of the error
    ("ENETUNREACH"). Loop thread only; the counts may be read by any.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_datagrams: Callable[[list[Datagram]], None],
        *,
        max_size_bytes: int,
        budget: int = READ_BUDGET,
    ) -> None:
        sock.setblocking(False)
        self.address = address_of(sock.getsockname())
        # by errno, of which there are few
        self.lost: dict[str, int] = {}
        self.read_errors: dict[str, int] = {}
        self._loop = loop
        self._sock = sock
        self._is_ipv6 = sock.family == socket.AF_INET6
        self._on_datagrams = on_datagrams
        self._read_bytes = max_size_bytes + 1
        self._budget = budget
        self._closed = False
        self._back_off: Timer | None = None
        self._quiet_until = loop.now()
        loop.register(sock, READ, self._on_ready)

    def send(self, data: bytes, address: Address) -> bool:
        """Send one datagram, or lose it. Returns whether the kernel took it; never raises."""
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
            self._sock.sendto(data, (host, port))
        except OSError as error:
            # ENOBUFS, EAGAIN: the kernel is full. EPERM: a firewall. ENETUNREACH, EHOSTUNREACH: no
            # way there. EMSGSIZE: too long for it. ECONNREFUSED: an answer to an earlier one.
            # EINVAL, EACCES: an address that nobody can be at. None says a thing about the next.
            return self._lose(error.errno)
        except OverflowError:  # no such port
            return self._lose(errno.EINVAL)
        return True

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._back_off is not None:
            self._back_off.cancel()
        self._loop.unregister(self._sock)
        self._sock.close()

    def _lose(self, code: int | None) -> bool:
        _count(self.lost, code)
        return False

    def _on_ready(self, ready: int) -> None:
        if ready & ERROR:
            # Fetching the error clears it; the selector tells of it until somebody does.
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
        recvfrom, size_bytes = self._sock.recvfrom, self._read_bytes
        for _ in range(self._budget):
            try:
                data, sockaddr = recvfrom(size_bytes)
            except BlockingIOError:
                break
            except OSError as error:
                if not self._may_go_on(error):
                    break
                continue
            batch.append((data, (_ip_of(sockaddr[0]), sockaddr[1])))
        return batch

    def _may_go_on(self, error: OSError) -> bool:
        """Whether reading on makes sense after ``error``; if not, it goes on a little later."""
        _count(self.read_errors, error.errno)
        if error.errno in _ABOUT_SENT:
            return True
        now = self._loop.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_INTERVAL_S
            where = format_address(self.address)
            _logger.warning("cannot receive UDP on %s: %s", where, error)
        self._loop.set_interest(self._sock, 0)
        self._back_off = self._loop.call_later(_BACK_OFF_S, self._end_back_off)
        return False

    def _end_back_off(self) -> None:
        self._back_off = None
        if not self._closed:
            self._loop.set_interest(self._sock, READ)


@lru_cache(maxsize=_KNOWN_TEXTS)
def _ip_of(host: str) -> IPv4Address | IPv6Address:
    return address_of((host, 0))[0]


def _count(counts: dict[str, int], code: int | None) -> None:
    name = errno.errorcode.get(code or 0, str(code))
    counts[name] = counts.get(name, 0) + 1
