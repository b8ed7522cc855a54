"""Sockets of the kernel over loopback, with the quality of links on their sending side.

A stream gives its bytes to a pipe, as one in memory does; where they would arrive there, they are
given to the kernel, by the network's thread. What its link has no room for waits in the channel. A
datagram is sent when it would arrive. A partition holds back the request for a connection. So the
receiving side is that of the kernel, and a link without effect costs a comparison.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Any

from p2p import forks
from p2p.lab.underlay.deliveries import Deliveries
from p2p.lab.underlay.linked import LinkedNetwork
from p2p.lab.underlay.links import Links
from p2p.lab.underlay.memorysocket import os_error
from p2p.lab.underlay.pipe import Item, Mark, Pipe, segments_of
from p2p.net import WRITE, Underlay, VirtualSocket, bind, bind_udp, endpoint_of
from p2p.net.virtual import Watcher
from p2p.netutil import Endpoint, IPAddress, is_loopback
from p2p.sim.address import HashedIPv4

# The first address, and the distance of one host to the next: a /24 each.
_FIRST = int(IPv4Address("127.1.0.1"))
_NETWORK = 256


class LoopbackHost(Underlay):
    """A host of a :class:`p2p.lab.LoopbackNetwork`, for the option ``underlay`` of a server."""

    _is_public = False

    def __init__(self, ip: IPAddress, links: Links, deliveries: Deliveries) -> None:
        # fixed after __init__
        #: The address of the host.
        self.ip = ip
        self._links = links
        self._deliveries = deliveries

    def __repr__(self) -> str:
        return f"<LoopbackHost {self.ip}>"

    def _bind(self, host: str | None, port: int) -> LinkedListener:
        with bind(self._own(host), port) as sock:
            return LinkedListener(sock, self._links, self._deliveries)

    def _bind_udp(self, host: str | None, port: int) -> LinkedDatagrams:
        with bind_udp(self._own(host), port) as sock:
            return LinkedDatagrams(sock, self._links, self._deliveries)

    def _new_stream(self, address: Endpoint) -> LinkedStream:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.bind((str(self.ip), 0))
        except BaseException:
            sock.close()
            raise
        return LinkedStream(sock, self._links, self._deliveries)

    def _own(self, host: str | None) -> str:
        return str(self.ip) if host in (None, "", "0.0.0.0", "::") else str(host)


class LinkedListener(socket.socket):
    """A listening socket whose connections have links."""

    def __init__(self, sock: socket.socket, links: Links, deliveries: Deliveries) -> None:
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())
        self.setblocking(False)
        self._links, self._deliveries = links, deliveries

    def accept(self) -> tuple[Any, Any]:
        """Return the next connection, and its remote address."""
        sock, address = super().accept()
        return LinkedStream(sock, self._links, self._deliveries), address


class LinkedDatagrams(socket.socket):
    """A UDP socket whose datagrams are sent when they would arrive."""

    def __init__(self, sock: socket.socket, links: Links, deliveries: Deliveries) -> None:
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())
        self.setblocking(False)
        self._links, self._deliveries = links, deliveries
        self._source = endpoint_of(self.getsockname()).ip

    def sendto(self, data: Any, address: Any, /) -> int:  # type: ignore[override]
        """Send a datagram, by the quality of its link."""
        if self._links.are_ideal:
            return super().sendto(data, address)
        target, now = endpoint_of(address).ip, self._deliveries.now()
        for delay in self._links.datagram(self._source, target, len(data), now):
            self._deliveries.at(now + delay, self._arrive, target, bytes(data), address)
        return len(data)

    def _arrive(self, target: IPAddress, data: bytes, address: Any) -> None:
        if not self._links.is_cut(self._source, target):
            with suppress(OSError):  # closed, or the kernel has no room: it is lost
                super().sendto(data, address)


class LinkedStream(VirtualSocket):
    """A TCP connection of the kernel, behind the pipe of its link.

    Its loop watches the socket of the kernel, for writing only while the pipe has room.
    """

    def __init__(self, sock: socket.socket, links: Links, deliveries: Deliveries) -> None:
        super().__init__()
        forks.in_child(sock)
        sock.setblocking(False)
        # fixed after __init__
        self._sock = sock
        self._links = links
        self._deliveries = deliveries
        self.family = sock.family
        self.setblocking = sock.setblocking
        self.setsockopt = sock.setsockopt
        self.getsockopt = sock.getsockopt
        self.getsockname = sock.getsockname
        self.getpeername = sock.getpeername
        self.recv_into = sock.recv_into
        self.fileno = sock.fileno
        # owned by the loop's thread
        self._loop: Watcher | None = None
        self._wanted = 0
        self._is_cut_off = False  # its request for a connection does not arrive
        self._pipe: Pipe | None = None
        # guarded by _lock
        self._lock = threading.Lock()
        self._arrived: deque[memoryview | Mark] = deque()
        self._waits = False  # for the kernel to take more
        self._closed = False

    # methods of a socket, on the loop's thread

    def connect_ex(self, address: Any, /) -> int:
        """Begin to connect, unless the host is cut off: then nothing happens."""
        source, target = endpoint_of(self._sock.getsockname()).ip, endpoint_of(address).ip
        self._is_cut_off = self._links.is_cut(source, target)
        return errno.EINPROGRESS if self._is_cut_off else self._sock.connect_ex(address)

    def send(self, data: Any, /) -> int:
        """Send as much as there is room for. Raises BlockingIOError if there is none."""
        return self.sendmsg([data])

    def sendmsg(self, buffers: list[Any], /) -> int:
        """Send as :meth:`send` does, from several buffers."""
        if self._pipe is None:
            if self._links.are_ideal:
                return self._sock.sendmsg(buffers)
            self._pipe = self._new_pipe()
        pipe, data = self._pipe, b"".join(buffers)
        with self._lock:
            is_full = len(data) > pipe.room_bytes
            pipe.is_full |= is_full
            data = data[: pipe.room_bytes]
            times = pipe.put_locked(segments_of(data)) if data else []
        pipe.arrive_at(times)
        if is_full:
            self._refresh()
        if not data:
            raise os_error(errno.EAGAIN)
        return len(data)

    def shutdown(self, how: int, /) -> None:
        """End writing, after the bytes under way, and reading at once."""
        if self._pipe is None or how == socket.SHUT_RD:
            self._sock.shutdown(how)
        else:
            self._put(Mark.END)

    def close(self) -> None:
        """Close the socket, after the bytes under way. Idempotent."""
        with self._lock:
            is_closed, self._closed = self._closed, True
        if is_closed:
            return
        if self._pipe is None:
            self._sock.close()
        else:
            self._deliveries.adopt(self._sock)
            self._put(Mark.RESET)

    # watched by its loop

    def readiness(self) -> int:
        return 0  # the kernel tells it

    def watch(self, watcher: Watcher, interest: int, on_ready: Callable[[int], None]) -> None:
        self._loop, self._wanted = watcher, interest
        if not self._is_cut_off:
            watcher.register(self._sock, self._possible(), on_ready)

    def set_interest(self, interest: int) -> None:
        self._wanted = interest
        self._refresh()

    def unwatch(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.unregister(self._sock)

    def _refresh(self) -> None:
        if self._loop is not None and not self._is_cut_off:
            self._loop.set_interest(self._sock, self._possible())

    def _possible(self) -> int:
        is_full = self._pipe is not None and self._pipe.is_full
        return self._wanted & ~WRITE if is_full else self._wanted

    # the pipe

    def _new_pipe(self) -> Pipe:
        here, there = (endpoint_of(self.getsockname()).ip, endpoint_of(self.getpeername()).ip)
        return Pipe(
            self._links,
            self._deliveries,
            (here, there),
            self._lock,
            self._receive_locked,
            self._flush,
            self._has_room,
        )

    def _put(self, mark: Mark) -> None:
        pipe = self._pipe
        assert pipe is not None
        with self._lock:
            times = pipe.put_locked([mark])
        pipe.arrive_at(times)

    def _receive_locked(self, item: Item) -> None:
        self._arrived.append(memoryview(item) if isinstance(item, bytes) else item)

    def _has_room(self) -> None:
        """Let the loop write again. Any thread."""
        loop = self._loop
        if loop is not None:
            loop.post(self._refresh)

    def _flush(self) -> None:
        """Give the kernel what has arrived at the end of the link. Any thread."""
        assert self._pipe is not None
        with self._lock:
            size = self._write_locked()
            has_room = self._pipe.read_locked(size)
            must_wait, self._waits = bool(self._arrived) and not self._waits, bool(self._arrived)
        if has_room:
            self._has_room()
        if must_wait:
            self._deliveries.when_writable(self._sock, self._go_on)

    def _go_on(self) -> None:
        with self._lock:
            self._waits = False
        self._flush()

    def _write_locked(self) -> int:
        """Write until the kernel takes no more. Returns the number of bytes that are gone."""
        size = 0
        while self._arrived:
            item = self._arrived[0]
            try:
                if isinstance(item, Mark):
                    self._end(item)
                    sent = 0
                else:
                    sent = self._sock.send(item)
                    size += sent
                    if sent < len(item):
                        self._arrived[0] = item[sent:]
                        continue
            except BlockingIOError:
                break
            except OSError:  # the reader of the socket meets the error
                size += 0 if isinstance(item, Mark) else len(item)
            self._arrived.popleft()
        return size

    def _end(self, mark: Mark) -> None:
        if mark is Mark.END:
            self._sock.shutdown(socket.SHUT_WR)
        else:
            self._deliveries.release(self._sock)


class LoopbackNetwork(LinkedNetwork[LoopbackHost]):
    """A network over loopback for servers: each host has an address of its own in 127.0.0.0/8.

    Arguments and links are as for :class:`p2p.lab.MemoryNetwork`. Connections are made at once, and
    a host that is cut off is not reached; what else the links do, they do to what is sent. Only for
    systems where all of 127.0.0.0/8 is loopback, such as Linux: on others :meth:`Server.start`
    raises OSError.
    """

    _wanted_ip = "an address of 127.0.0.0/8"

    def _ip(self, number: int) -> IPAddress:
        return HashedIPv4(_FIRST + number * _NETWORK)

    def _may_be(self, ip: IPAddress) -> bool:
        return ip.version == 4 and is_loopback(ip)

    def _new_host(self, ip: IPAddress) -> LoopbackHost:
        return LoopbackHost(ip, self._links, self._deliveries)
