"""How a server finds nodes and is found: its record, discovery, and the candidates for dials.

A :class:`Finder` opens and closes, in order, the node database, the local node, discovery
(:mod:`p2p.discover`) and the mix of all sources of candidates. A thread ``p2p-dial-feed`` takes
candidates out of the mix, one whenever the dial scheduler wants one, and hands them to ``p2p-io``.

The server starts and stops it; :meth:`Finder.want` is for ``p2p-io``; the rest any thread may call.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from p2p.config import Config
from p2p.discover.service import UDPv4
from p2p.enode import FairMix, LocalNode, Node, NodeDB
from p2p.errors import NodeNotFound, ServerStateError
from p2p.net import address_of, bind, bind_udp
from p2p.netutil import IPAddress, IPTracker

#: How long each source of candidates is waited for at its turn; Go waits as long.
SOURCE_TIMEOUT_S = 5.0
#: What our record says while nobody has told us better, as go-ethereum's does.
FALLBACK_IP: IPAddress = IPv4Address("127.0.0.1")
#: How often another TCP port is tried when the kernel chose one whose UDP port is taken.
PORT_TRIES = 20
#: How long to look for a static node whose address is stale or unknown.
RESOLVE_TIMEOUT_S = 15.0


class Finder:
    """What a server knows of the network around it. ``deliver`` gets each wanted candidate."""

    def __init__(
        self, config: Config, logger: logging.Logger, deliver: Callable[[Node], object]
    ) -> None:
        # fixed after __init__
        self._config = config
        self._logger = logger
        self._deliver = deliver
        # fixed after start()
        self.discovery: UDPv4 | None = None
        self._db: NodeDB | None = None
        self._local: LocalNode | None = None
        self._mix: FairMix | None = None
        self._feed: threading.Thread | None = None
        # guarded by _wanted
        self._wanted = threading.Condition()
        self._want = False
        self._stopping = False

    # life

    def start(self) -> socket.socket | None:
        """Open everything; returns the listening socket, if the server is to listen.

        Raises OSError if an address cannot be bound, NodeDBError if the database cannot be
        opened; nothing is left open then.
        """
        config = self._config
        tcp, udp = self._bind()
        try:
            self._db = NodeDB(config.node_database, self._logger)
            self._db.start()
            self._local = self._make_local_node(self._db, tcp, udp)
            if udp is not None:
                self.discovery = UDPv4(
                    config.private_key,
                    self._local,
                    udp,
                    store=self._db,
                    bootnodes=config.bootstrap_nodes,
                    net_restrict=config.netlist,
                    ping_version=config.discovery_version,
                    clock=config.clock,
                    logger=self._logger,
                )
                self.discovery.start()
            self._start_feed()
        except BaseException:
            for sock in (tcp, udp):
                if sock is not None:
                    sock.close()
            self.stop(time.monotonic())
            raise
        return tcp

    def stop(self, deadline: float) -> list[str]:
        """Close everything; returns the names of threads that have not ended by ``deadline``."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify_all()
        if self._mix is not None:
            self._mix.close()
        left = []
        if self._feed is not None:
            self._feed.join(max(0.0, deadline - time.monotonic()))
            left += [self._feed.name] if self._feed.is_alive() else []
        if self.discovery is not None:
            left += self.discovery.stop(max(0.1, deadline - time.monotonic()))
        if self._db is not None and not self._db.close(max(0.1, deadline - time.monotonic())):
            left.append("p2p-db")
        return left

    # what we are and what can be asked

    def node(self) -> Node:
        """Our own node. Raises ServerStateError before the start."""
        if self._local is None:
            raise ServerStateError("the server is not started")
        return self._local.node()

    @property
    def is_searching(self) -> bool:
        """Whether there is any source of candidates."""
        return self._feed is not None

    @property
    def can_resolve(self) -> bool:
        """Whether :meth:`resolve` may find anything."""
        return self.discovery is not None

    def resolve(self, node: Node) -> Node | None:
        """Where the network says that ``node`` is, or None. Waits, so it is not for ``p2p-io``."""
        if self.discovery is None:
            return None
        try:
            return self.discovery.resolve(node, RESOLVE_TIMEOUT_S)
        except NodeNotFound:
            return None

    # p2p-io

    def want(self, wanted: bool) -> None:
        """Say whether a candidate is wanted; one is delivered for each time it is."""
        with self._wanted:
            if wanted and not self._want:
                self._wanted.notify_all()
            self._want = wanted

    # inside

    def _bind(self) -> tuple[socket.socket | None, socket.socket | None]:
        """The TCP and the UDP socket, as far as there are to be any; on one port if possible."""
        config = self._config
        listen = config.listen_endpoint
        if listen is None or not config.discovers or config.disc_endpoint is not None:
            tcp = None if listen is None else bind(*listen)
            try:
                udp = bind_udp(*(config.disc_endpoint or (None, 0))) if config.discovers else None
            except OSError:
                if tcp is not None:
                    tcp.close()
                raise
            return tcp, udp
        host, port = listen
        for tries_left in reversed(range(PORT_TRIES)):
            tcp = bind(host, port)
            try:
                return tcp, bind_udp(host, address_of(tcp.getsockname())[1])
            except OSError:
                tcp.close()
                if port or not tries_left:
                    raise
        raise AssertionError("unreachable")

    def _make_local_node(
        self, db: NodeDB, tcp: socket.socket | None, udp: socket.socket | None
    ) -> LocalNode:
        local = LocalNode(
            self._config.private_key,
            db,
            clock=self._config.clock,
            new_tracker=IPTracker,
            logger=self._logger,
        )
        for protocol in self._config.protocols:
            for key, value in protocol.attributes.items():
                local.set(key, value)
        # An address that we listen on is a better guess than none; others will tell us.
        fallback = FALLBACK_IP
        if udp is not None:
            ip, port = address_of(udp.getsockname())
            local.set_fallback_udp(port)
            fallback = ip if not ip.is_unspecified else fallback
        if tcp is not None:
            ip, port = address_of(tcp.getsockname())
            local.set("tcp", port)
            fallback = ip if not ip.is_unspecified else fallback
        local.set_fallback_ip(fallback)
        return local

    def _start_feed(self) -> None:
        """Mix the sources. Protocols that name their own do not want just any node."""
        if self._config.no_dial:
            return
        sources: dict[str, Iterator[Node]] = {}
        for protocol in self._config.protocols:
            if protocol.dial_candidates is not None and protocol.name not in sources:
                sources[protocol.name] = iter(protocol.dial_candidates)
        if not sources and self.discovery is not None:
            sources["discovery"] = self.discovery.random_nodes()
        if not sources:
            return
        self._mix = FairMix(SOURCE_TIMEOUT_S, clock=self._config.clock)
        for source in sources.values():
            self._mix.add_source(source)
        self._feed = threading.Thread(target=self._run_feed, name="p2p-dial-feed", daemon=True)
        self._feed.start()

    def _run_feed(self) -> None:
        """The thread ``p2p-dial-feed``."""
        assert self._mix is not None
        while self._wait_until_wanted():
            try:
                node = next(self._mix)
            except StopIteration:
                return
            self._deliver(node)

    def _wait_until_wanted(self) -> bool:
        with self._wanted:
            self._wanted.wait_for(lambda: self._want or self._stopping)
            self._want = False
            return not self._stopping
