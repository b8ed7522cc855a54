"""A network in memory: it connects streams and delivers datagrams. Any thread.
"""

from __future__ import annotations

import errno
import logging
from functools import partial
from typing import Any

from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.lab.underlay.host import MemoryHost
from p2p.lab.underlay.linked import LinkedNetwork
from p2p.lab.underlay.links import IDEAL
from p2p.lab.underlay.pipe import Pipe
from p2p.lab.underlay.stream import MemoryStream, connect
from p2p.net import endpoint_of
from p2p.netutil import Endpoint, IPAddress, Scope, scope_of
from p2p.sim import Link, Traffic
from p2p.sim.address import SIMULATED, outside_ip

#: Time after which a request for a connection is sent again to a listener that was full.
_AGAIN_S = 1.0


class MemoryNetwork(LinkedNetwork[MemoryHost]):
    """A network in memory for servers, without sockets of the system::

        with MemoryNetwork(seed=1, link=Link(0.05, loss=0.01)) as network:
            host = network.host()
            server = p2p.Server(listen_addr=":30303", underlay=host, ...)

    ``link`` is the quality of all links that have none of their own; without it they have no
    effect. ``clock`` must be that of the servers, ``logger`` is as for them. All random numbers are
    by ``seed``. Close it, or use a ``with`` block, after its servers have stopped. Any
    thread.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        link: Link = IDEAL,
        clock: Clock = SYSTEM_CLOCK,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(seed, link=link, clock=clock, logger=logger)
        # guarded by _lock
        self._traffic = Traffic()

    def reset(self, a: MemoryHost, b: MemoryHost) -> int:
        """Reset the connections between two hosts at both ends, now. Returns their number."""
        ends = (*a.streams_to(b.ip), *b.streams_to(a.ip))
        for stream in ends:
            stream.fail(errno.ECONNRESET)
        return len(ends) // 2

    @property
    def traffic(self) -> Traffic:
        """Numbers of datagrams by outcome. Those on a full queue count as lost."""
        with self._lock:
            counts = self._traffic
            return Traffic(counts.sent, counts.delivered, counts.lost, counts.refused)

    # for hosts

    def connect(self, stream: MemoryStream, address: Any) -> int:
        stream.remote = endpoint_of(address)
        self._request(stream)
        return errno.EINPROGRESS

    def send(self, source: Endpoint, data: bytes, address: Any) -> None:
        target = endpoint_of(address)
        now = self._deliveries.now()
        delays = self._links.datagram(source.ip, target.ip, len(data), now)
        self._count(sent=1, lost=not delays)
        for delay in delays:
            self._deliveries.at(now + delay, self._deliver, source, target, data)

    # inside

    _wanted_ip = f"an IPv4 address, not of the Internet, such as one of {SIMULATED},"

    def _ip(self, number: int) -> IPAddress:
        return outside_ip(number)

    def _may_be(self, ip: IPAddress) -> bool:
        # The system of a program that is given such a node would send to the Internet.
        return ip.version == 4 and scope_of(ip) is not Scope.GLOBAL

    def _new_host(self, ip: IPAddress) -> MemoryHost:
        return MemoryHost(ip, self)

    def _ends(self, stream: MemoryStream) -> tuple[IPAddress, IPAddress]:
        assert stream.local is not None and stream.remote is not None
        return stream.local.ip, stream.remote.ip

    def _request(self, stream: MemoryStream) -> None:
        """Send the request for a connection."""
        now = self._deliveries.now()
        delay = self._links.segment(*self._ends(stream), 0, now)
        self._deliveries.at(now + delay, self._requested, stream)

    def _requested(self, stream: MemoryStream) -> None:
        """Answer a request for a connection. An address without a host does not."""
        if stream.is_over or self._links.wait_if_cut(
            *self._ends(stream), partial(self._request, stream)
        ):
            return
        assert stream.remote is not None
        host, port = self._hosts.get(stream.remote.ip), stream.remote.port
        if host is None:
            return
        listener, now = host.listener(port), self._deliveries.now()
        if listener is None:
            source, target = self._ends(stream)
            delay = self._links.segment(target, source, 0, now)
            self._deliveries.at(now + delay, self._refused, stream)
        elif listener.is_full:
            self._deliveries.at(now + _AGAIN_S, self._requested, stream)
        else:
            called = host.new_inbound(port, stream)
            if connect(stream, called, self._new_pipe):
                listener.add(called)
            else:
                called.close()

    def _refused(self, stream: MemoryStream) -> None:
        source, target = self._ends(stream)
        if not self._links.is_cut(target, source):
            stream.fail(errno.ECONNREFUSED)

    def _new_pipe(self, source: MemoryStream, target: MemoryStream) -> Pipe:
        return Pipe(
            self._links,
            self._deliveries,
            self._ends(source),
            source._lock,
            target.receive_locked,
            target.received,
            source.changed,
        )

    def _deliver(self, source: Endpoint, target: Endpoint, data: bytes) -> None:
        if self._links.is_cut(source.ip, target.ip):
            self._count(lost=1)
            return
        host = self._hosts.get(target.ip)
        sock = None if host is None else host.datagrams(target.port)
        if sock is None:
            self._count(refused=1)
        elif sock.deliver(data, (str(source.ip), source.port)):
            self._count(delivered=1)
        else:
            self._count(lost=1)

    def _count(self, **outcomes: int) -> None:
        with self._lock:
            for name, number in outcomes.items():
                setattr(self._traffic, name, getattr(self._traffic, name) + number)
