"""Discovery nodes of ours, alone or many in a process (roles of :mod:`benchmarks.node`).

They are like those of a server: the service on its own thread and UDP socket, a signed record that
is updated by the statements of others, and a node database, here in memory. They never ask a time
server.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import p2p
from p2p.clock import SystemClock
from p2p.crypto import PrivateKey
from p2p.discover.front import Discovery
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.udpv5 import UDPv5
from p2p.enode import LocalNode, Node, NodeDB
from p2p.net import bind_udp

HOST = "127.0.0.1"
FRONTS: dict[str, type[UDPv4] | type[UDPv5]] = {"v4": UDPv4, "v5": UDPv5}
TARGET_SIZE = 64
#: Lookups until most nodes are known and proven to each other.
WARM_UP_LOOKUPS = 1


def start_service(stack: ExitStack, *bootnodes: Node, protocol: str = "v4") -> Discovery:
    """Start a node on a free port; ``stack`` stops it."""
    key = PrivateKey.generate(os.urandom)
    database = stack.enter_context(NodeDB())
    local = LocalNode(key, database, clock=SystemClock())
    sock = bind_udp(HOST, 0)
    local.set_fallback_ip(HOST)
    local.set_fallback_udp(sock.getsockname()[1])
    service = FRONTS[protocol](
        key, sock, local=local, store=database, bootnodes=bootnodes, ntp_server=None
    )
    return stack.enter_context(service)


class Service:
    """One node; ``bootnode`` is the URL or the record of its bootnode, if it has one."""

    protocol = "v4"

    def __init__(self, *bootnode: str) -> None:
        self._stack = ExitStack()
        nodes = [p2p.parse_node(url) for url in bootnode]
        self._service = start_service(self._stack, *nodes, protocol=self.protocol)
        self.greeting = {"url": url_of(self._service)}
        for _ in range(WARM_UP_LOOKUPS if nodes else 0):
            self._service.lookup(os.urandom(TARGET_SIZE))

    def close(self) -> None:
        self._stack.close()

    def look_up(self, count: int) -> dict[str, Any]:
        """Look up random targets. Return the seconds of CPU of this process, and the packets."""
        before = self._packets()
        start = time.process_time()
        for _ in range(count):
            self._service.lookup(os.urandom(TARGET_SIZE))
        seconds = time.process_time() - start
        received, sent = (now - then for now, then in zip(self._packets(), before, strict=True))
        return {"cpu_s": seconds, "received": received, "sent": sent}

    def cpu(self) -> dict[str, Any]:
        """Return the seconds of CPU of this process until now."""
        return {"cpu_s": time.process_time()}

    def _packets(self) -> tuple[int, int]:
        counters = self._service.counters()
        return counters.packets_in.total(), counters.packets_out.total()


class ServiceV5(Service):
    """One node of discovery v5."""

    protocol = "v5"


class Network:
    """Many nodes that know each other."""

    protocol = "v4"

    def __init__(self, count: str) -> None:
        self._stack = ExitStack()
        first = start_service(self._stack, protocol=self.protocol)
        self.greeting = {"url": url_of(first)}
        rest = [
            start_service(self._stack, first.self, protocol=self.protocol)
            for _ in range(int(count) - 1)
        ]
        with ThreadPoolExecutor(len(rest)) as pool:
            list(pool.map(lambda service: service.lookup(os.urandom(TARGET_SIZE)), rest))

    def close(self) -> None:
        self._stack.close()

    def cpu(self) -> dict[str, Any]:
        """Return the seconds of CPU of this process until now."""
        return {"cpu_s": time.process_time()}


class NetworkV5(Network):
    """Many nodes of discovery v5."""

    protocol = "v5"


def url_of(service: Discovery) -> str:
    """Return what others need to know of a node: its URL, for v5 its record."""
    return str(service.self) if isinstance(service, UDPv5) else service.self.url
