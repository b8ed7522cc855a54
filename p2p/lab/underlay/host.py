"""A host of a network in memory: its address, its ports, and the sockets that a server asks for.

It knows its ports; connections and datagrams are the network's. Any thread.
"""

from __future__ import annotations

import errno
import os
import threading
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar

from p2p.lab.underlay.datagrams import MemoryDatagrams
from p2p.lab.underlay.listening import MemoryListener
from p2p.lab.underlay.memorysocket import MemorySocket
from p2p.lab.underlay.stream import MemoryStream
from p2p.net import Underlay
from p2p.netutil import Endpoint, IPAddress, is_unspecified, join_host_port
from p2p.sim.address import SIMULATED

#: Ports that the host takes itself, as on Linux.
FIRST_PORT, LAST_PORT = 32_768, 60_999

_S = TypeVar("_S", bound=MemorySocket)


class Carrier(Protocol):
    """The network, as its hosts use it."""

    def connect(self, stream: MemoryStream, address: Any) -> int:
        """Begin to connect a stream of a host; return an ``errno``."""

    def send(self, source: Endpoint, data: bytes, address: Any) -> None:
        """Send a datagram."""


class MemoryHost(Underlay):
    """A host of a :class:`p2p.lab.MemoryNetwork`, for the option ``underlay`` of a server.

    Several servers may be on one host, each with ports of its own.
    """

    _is_public = False
    _simulated = SIMULATED

    def __init__(self, ip: IPAddress, carrier: Carrier) -> None:
        # fixed after __init__
        #: The address of the host.
        self.ip = ip
        self._carrier = carrier
        # guarded by _lock
        self._lock = threading.Lock()
        self._next_port = FIRST_PORT
        self._listeners: dict[int, MemoryListener] = {}
        self._datagrams: dict[int, MemoryDatagrams] = {}
        self._streams: dict[MemoryStream, None] = {}

    def __repr__(self) -> str:
        return f"<MemoryHost {self.ip}>"

    # Underlay

    def _bind(self, host: str | None, port: int) -> MemoryListener:
        self._check_address(host, port, "listen")
        with self._lock:
            local = self._local_locked(port, self._listeners, "listen")
            sock = MemoryListener(local, partial(self._free, self._listeners, local.port))
            self._listeners[local.port] = sock
        return sock

    def _bind_udp(self, host: str | None, port: int) -> MemoryDatagrams:
        self._check_address(host, port, "receive UDP")
        with self._lock:
            local = self._local_locked(port, self._datagrams, "receive UDP")
            free = partial(self._free, self._datagrams, local.port)
            sock = MemoryDatagrams(local, self._carrier.send, free)
            self._datagrams[local.port] = sock
        return sock

    def _new_stream(self, address: Endpoint) -> MemoryStream:
        if address.ip.version != self.ip.version:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        stream = MemoryStream(self._carrier.connect, self._drop)
        with self._lock:
            taken = {one.local.port: one for one in self._streams if one.local is not None}
            stream.local = self._local_locked(0, taken, "connect")
            self._streams[stream] = None
        return stream

    # for the network

    def new_inbound(self, port: int, caller: MemoryStream) -> MemoryStream:
        """Return the end at ``port`` of a connection from ``caller``."""
        stream = MemoryStream(self._carrier.connect, self._drop, caller._lock)
        stream.local, stream.remote = Endpoint(self.ip, port), caller.local
        with self._lock:
            self._streams[stream] = None
        return stream

    def listener(self, port: int) -> MemoryListener | None:
        """Return the listener at ``port``."""
        return self._listeners.get(port)

    def datagrams(self, port: int) -> MemoryDatagrams | None:
        """Return the datagram socket at ``port``."""
        return self._datagrams.get(port)

    def streams_to(self, ip: IPAddress) -> list[MemoryStream]:
        """Return the streams to another host."""
        with self._lock:
            streams = list(self._streams)
        return [one for one in streams if one.remote is not None and one.remote.ip == ip]

    # inside

    def _check_address(self, host: str | None, port: int, purpose: str) -> None:
        try:
            ip = ip_address(host or "0.0.0.0")
        except ValueError:
            raise self._error(errno.EINVAL, purpose, host or "", port) from None
        if not is_unspecified(ip) and ip != self.ip:
            raise self._error(errno.EADDRNOTAVAIL, purpose, host or "", port)
        if not 0 <= port <= 65535:
            raise self._error(errno.EINVAL, purpose, host or "", port)

    def _local_locked(self, port: int, taken: dict[int, _S], purpose: str) -> Endpoint:
        """Return the endpoint of ``port``, or of a free one for 0."""
        if port:
            if port in taken:
                raise self._error(errno.EADDRINUSE, purpose, self.ip, port)
            return Endpoint(self.ip, port)
        for _ in range(FIRST_PORT, LAST_PORT + 1):
            port, self._next_port = self._next_port, self._next_port + 1
            if self._next_port > LAST_PORT:
                self._next_port = FIRST_PORT
            if port not in taken:
                return Endpoint(self.ip, port)
        raise self._error(errno.EADDRINUSE, purpose, self.ip, 0)

    def _error(self, code: int, purpose: str, host: IPAddress | str, port: int) -> OSError:
        where = join_host_port(host, port)
        text = f"cannot {purpose} on {where}: {os.strerror(code)}; the host is {self.ip}"
        return OSError(code, text)

    def _free(self, taken: dict[int, _S], port: int) -> None:
        with self._lock:
            taken.pop(port, None)

    def _drop(self, stream: MemoryStream) -> None:
        with self._lock:
            self._streams.pop(stream, None)
