"""A network in memory: hosts, the links between them, partitions, and what is under way.

:class:`MemoryNetwork` is for programs. It connects streams and delivers datagrams; their quality is
in :mod:`p2p.lab.underlay.links`, their time in :mod:`p2p.lab.underlay.deliveries`. Any thread.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from p2p.arguments import check_type, wrong
from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.lab.underlay.deliveries import Deliveries
from p2p.lab.underlay.host import MemoryHost
from p2p.lab.underlay.links import IDEAL, Links
from p2p.lab.underlay.pipe import Pipe
from p2p.lab.underlay.stream import MemoryStream, connect
from p2p.net import endpoint_of
from p2p.netutil import Endpoint, IPAddress
from p2p.sim import Link, Traffic
from p2p.sim.address import HashedIPv4, outside_ip

#: Time after which a request for a connection is sent again to a listener that was full.
_AGAIN_S = 1.0


class MemoryNetwork:
    """A network in memory for servers, without sockets of the system::

        with MemoryNetwork(seed=1, link=Link(0.05, loss=0.01)) as network:
            host = network.host()
            server = p2p.Server(listen_addr=":30303", underlay=host, ...)

    ``link`` is the quality of all links that have none of their own; without it they have no
    effect. ``clock`` must be that of the servers, ``logger`` is as for them. All random numbers are
    by ``seed``. :meth:`close` it, or use a ``with`` block, after its servers have stopped. Any
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
        check_type("link", link, Link, "a Link")
        check_type("seed", seed, int, "an int")
        # fixed after __init__
        self._links = Links(seed, link)
        self._deliveries = Deliveries(clock, logger)
        # guarded by _lock
        self._lock = threading.Lock()
        self._hosts: dict[IPAddress, MemoryHost] = {}
        self._traffic = Traffic()

    def __enter__(self) -> MemoryNetwork:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what is under way, and end the network's thread. Idempotent."""
        self._deliveries.close()

    # hosts

    def host(self, ip: IPAddress | str | None = None) -> MemoryHost:
        """Add a host and return it; without ``ip``, in a network (/24) of its own.

        Raises ArgumentError if the address is taken, or is not one of IPv4.
        """
        with self._lock:
            address = self._free_ip_locked() if ip is None else HashedIPv4.of(ip)
            if address in self._hosts or address.version != 4:
                raise wrong("ip", str(address), "an IPv4 address that no other host has")
            host = self._hosts[address] = MemoryHost(address, self)
        return host

    @property
    def hosts(self) -> list[MemoryHost]:
        """All hosts, in the order in which they were added."""
        with self._lock:
            return list(self._hosts.values())

    # links

    @property
    def link(self) -> Link:
        """The quality of all links that have none of their own; it may be replaced."""
        return self._links.link

    @link.setter
    def link(self, link: Link) -> None:
        check_type("link", link, Link, "a Link")
        self._links.link = link

    def link_of(self, a: MemoryHost, b: MemoryHost) -> Link:
        """Return the quality of the link from ``a`` to ``b``."""
        return self._links.between(a.ip, b.ip)

    def set_link(
        self, a: MemoryHost, b: MemoryHost, *, one_way: bool = False, **changes: Any
    ) -> Link:
        """Change the link between two hosts, or only from ``a`` to ``b``, and return it.

        ``changes`` are fields of Link. Raises TypeError for unknown fields, and ArgumentError for
        values out of range.
        """
        pairs = [(a.ip, b.ip)] if one_way else [(a.ip, b.ip), (b.ip, a.ip)]
        self._links.change(pairs, changes)
        return self.link_of(a, b)

    def partition(self, *sides: Iterable[MemoryHost]) -> None:
        """Partition the network into groups of hosts; all other hosts are one more group.

        Between them nothing arrives until :meth:`heal`: dials time out, streams wait, datagrams are
        lost, those under way as well.
        """
        self._links.split([{host.ip for host in side} for side in sides])

    def heal(self) -> None:
        """End the partition. Streams go on after a retransmission."""
        self._links.split(())

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

    def _free_ip_locked(self) -> IPAddress:
        number = len(self._hosts) + 1
        while outside_ip(number) in self._hosts:
            number += 1
        return outside_ip(number)

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
