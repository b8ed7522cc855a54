"""Driver of a UDP socket on ``p2p-disc``: each datagram is passed to the engine it belongs to.

A :class:`Driver` owns the socket, and only the loop's thread uses it. It passes a datagram to
the engines in turn until one accepts it, since several discovery protocols may share a port. The
rest of the work with engines is in :mod:`p2p.discover.runner`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from p2p.discover.engine import MAX_DATAGRAM_SIZE
from p2p.discover.runner import Runner, log_datagram
from p2p.net import Datagrams, DatagramSocket, Loop
from p2p.net.udp import Datagram
from p2p.netutil import IPAddress


class Driver:
    """Driver of the engines of ``runners`` on ``loop`` with ``sock``; it owns both from now on.

    ``unclaimed`` counts the datagrams that no engine accepted. Loop thread only, except for
    :attr:`lost`.
    """

    def __init__(
        self, loop: Loop, sock: DatagramSocket, runners: Sequence[Runner], logger: logging.Logger
    ) -> None:
        self.unclaimed = 0
        self._runners = tuple(runners)
        self._log = logger
        self._datagrams = Datagrams(loop, sock, self._receive, max_size_bytes=MAX_DATAGRAM_SIZE)
        for runner in self._runners:
            runner.open(self._datagrams.send, self._datagrams.use_zone)

    @property
    def lost(self) -> dict[str, int]:
        """Numbers of datagrams that the kernel refused, by the name of its error. Any thread."""
        return dict(self._datagrams.lost)

    def use_zones(self, ips: Sequence[IPAddress]) -> None:
        """Send to these addresses by the interfaces that their zones name, if they have any."""
        for ip in ips:
            self._datagrams.use_zone(ip)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._datagrams.close()

    def _receive(self, batch: list[Datagram]) -> None:
        if self._log.isEnabledFor(logging.DEBUG):
            for data, address in batch:
                log_datagram(self._log, self._kind_of(data), len(data), "from", address)
        for data, address in batch:
            if not any(runner.receive(data, address) for runner in self._runners):
                self.unclaimed += 1
        for runner in self._runners:
            runner.after_input()

    def _kind_of(self, data: bytes) -> str | None:
        kinds = (runner.engine.kind_of(data) for runner in self._runners)
        return next((kind for kind in kinds if kind is not None), None)
