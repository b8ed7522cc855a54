"""Services of a server besides its peers: sockets, node database, discovery, node lists.

:class:`Services` starts them in order, each with the use of those before it, and stops them in
reverse under one deadline. A new one is a :class:`Service` and an entry in its list. Their work is
not done here: each entry opens and closes a part of another module, by the server's options.

``start`` and ``stop`` run in the threads that start and stop the server; :meth:`Services.resolve`
is for any thread that may wait, the rest for any thread.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol

from p2p.clock import Deadline
from p2p.config import Config
from p2p.discover.front import Discovery
from p2p.discover.iterator import TopicNodes
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.udpv5 import UDPv5
from p2p.dnsdisc.front import NodeLists
from p2p.enode import LocalNode, Node, NodeDB
from p2p.enode.localnode import FALLBACK_IP
from p2p.errors import NodeNotFound
from p2p.net import bind, bind_pair, bind_udp, endpoint_of, look_up
from p2p.netutil import is_unspecified

#: Limit on the search for a node whose address is stale or unknown.
RESOLVE_TIMEOUT_S = 15.0
#: Time for the started services to end when another one has failed to start.
GIVE_UP_S = 15.0
#: Time for a service to end when the deadline has passed.
LAST_MOMENT_S = 0.1


class Service(Protocol):
    """Interface of a service. It is started at most once."""

    def start(self) -> None:
        """Open the service. If this raises, :meth:`stop` must still be called."""

    def stop(self, deadline: Deadline) -> list[str]:
        """Close everything open. Returns the names of threads that still run at ``deadline``.

        The time is that of ``time.monotonic()``. Does no harm if the service was not started, or
        only in part, or was stopped before.
        """
        return []


@dataclass
class Sockets(Service):
    """The TCP and the UDP socket, each if the options ask for it; on one port if possible.

    Code that takes one over sets it to None.
    """

    config: Config
    tcp: socket.socket | None = None
    udp: socket.socket | None = None

    def start(self) -> None:
        config = self.config
        tcp, udp = _with_number(config.listen_endpoint), _with_number(config.disc_endpoint)
        if tcp is not None and config.discovers and udp is None:
            self.tcp, self.udp = bind_pair(*tcp)
            return
        if tcp is not None:
            self.tcp = bind(*tcp)
        if config.discovers:
            self.udp = bind_udp(*(udp or (None, 0)))

    def stop(self, deadline: Deadline) -> list[str]:
        for sock in (self.tcp, self.udp):
            if sock is not None:
                sock.close()
        return []


@dataclass
class Database(Service):
    """The node database: a file, or memory."""

    config: Config
    logger: logging.Logger
    db: NodeDB | None = None

    def start(self) -> None:
        self.db = NodeDB(
            self.config.node_database, self.logger, own_networks=self.config._own.named
        )
        self.db.start()

    def stop(self, deadline: Deadline) -> list[str]:
        is_closed = self.db is None or self.db.close(deadline.left_at_least(LAST_MOMENT_S))
        return [] if is_closed else ["p2p-db"]


@dataclass
class OwnNode(Service):
    """Our node and its record, with the ports of the sockets and the protocols' attributes."""

    config: Config
    logger: logging.Logger
    sockets: Sockets
    database: Database
    local: LocalNode | None = None

    def start(self) -> None:
        assert self.database.db is not None
        local = LocalNode(
            self.config.private_key,
            self.database.db,
            clock=self.config.clock,
            logger=self.logger,
        )
        for key, value in self.config.record_entries(self.config.clock.time_unix()).items():
            local.set(key, value)
        # The address that we listen on is the best guess until other nodes state our address.
        fallback = FALLBACK_IP
        if self.sockets.udp is not None:
            ip, port = endpoint_of(self.sockets.udp.getsockname())
            local.set_fallback_udp(port)
            fallback = fallback if is_unspecified(ip) else ip
        if self.sockets.tcp is not None:
            ip, port = endpoint_of(self.sockets.tcp.getsockname())
            local.set("tcp", port)
            fallback = fallback if is_unspecified(ip) else ip
        local.set_fallback_ip(fallback)
        self.local = local


@dataclass
class DiscoveryService(Service):
    """Discovery v5 and v4 on the UDP socket, if there is one."""

    config: Config
    logger: logging.Logger
    sockets: Sockets
    database: Database
    own_node: OwnNode
    v4: UDPv4 | None = None
    v5: UDPv5 | None = None

    def start(self) -> None:
        config, sock = self.config, self.sockets.udp
        if sock is None:
            return
        self.sockets.udp = None
        shared: dict[str, Any] = {
            "local": self.own_node.local,
            "store": self.database.db,
            "net_restrict": config.netlist,
            "own_networks": config._own.named,
            "clock": config.clock,
        }
        known = [self._with_address(node) for node in config.bootstrap_nodes or ()]
        key = config.private_key
        on: socket.socket | Discovery = sock
        # v5 comes first: its header tells at once whether a datagram is its own.
        if config.runs_v5:
            given = config.bootstrap_nodes_v5
            # Nodes that are given for both may speak one of them only: no warning about silence.
            watched = () if given is None else [self._with_address(node) for node in given]
            bootnodes = known if given is None else watched
            topics = config.discovery_topics
            options = {"watched": watched, "topics": topics, "logger": self.logger, **shared}
            self.v5 = UDPv5(key, on, bootnodes=bootnodes, **options)
            on = self.v5
        if config.runs_v4:
            version = config.discovery_version
            self.v4 = UDPv4(
                key, on, bootnodes=known, ping_version=version, logger=self.logger, **shared
            )
        first = self.v5 or self.v4
        assert first is not None
        first.start()
        if self.v5 is not None and config.listen_addr is not None:
            for topic in config.topics:
                self.v5.advertise(topic)

    def stop(self, deadline: Deadline) -> list[str]:
        left: dict[str, None] = {}
        for front in (self.v5, self.v4):
            if front is not None:
                left |= dict.fromkeys(front.stop(deadline.left_at_least(LAST_MOMENT_S)))
        return list(left)

    def _with_address(self, node: Node) -> Node:
        """Return a bootnode with the present address of its host name, if it has one.

        Logs a warning about a bootnode that discovery will not ask.
        """
        netlist = self.config.netlist
        try:
            if node.hostname:
                node = node.with_ip(look_up(node.hostname)).with_hostname("")
            node = node.within(netlist)
            if netlist is not None and node.ip is not None and not netlist.contains(node.ip):
                raise OSError(f"{node.ip} is outside net_restrict")
        except OSError as error:
            self.logger.getChild("server").warning(
                "bootnode %s is left out: %s", node.id.short, error
            )
        return node


@dataclass
class NodeListService(Service):
    """Node lists in DNS, if there are any, and nodes are dialed."""

    config: Config
    logger: logging.Logger
    lists: NodeLists | None = None

    def start(self) -> None:
        config = self.config
        if config.dns_discovery and not config.no_dial:
            self.lists = NodeLists(config.dns_discovery, config.clock, self.logger)
            self.lists.start()

    def stop(self, deadline: Deadline) -> list[str]:
        lists = self.lists
        return [] if lists is None else lists.stop(deadline.left_at_least(LAST_MOMENT_S))


class Services:
    """All services of a server, and the access of other parts to them."""

    def __init__(self, config: Config, logger: logging.Logger) -> None:
        # fixed after __init__
        self.sockets = Sockets(config)
        self.database = Database(config, logger)
        self.own_node = OwnNode(config, logger, self.sockets, self.database)
        self._discovery = DiscoveryService(
            config, logger, self.sockets, self.database, self.own_node
        )
        self._node_lists = NodeListService(config, logger)
        # The lists stop last: a look-up may hang, and all others end at once.
        self._in_order: tuple[Service, ...] = (
            self._node_lists,
            self.sockets,
            self.database,
            self.own_node,
            self._discovery,
        )

    def start(self) -> None:
        """Start all services. Resolves host names, which may take seconds.

        Raises OSError if an address cannot be bound, and NodeDBError if the database cannot be
        opened; nothing is left open then.
        """
        try:
            for service in self._in_order:
                service.start()
        except BaseException:
            self.stop(Deadline(GIVE_UP_S))
            raise

    def stop(self, deadline: Deadline) -> list[str]:
        """Stop all services. Returns the names of threads that still run at ``deadline``."""
        return [name for service in reversed(self._in_order) for name in service.stop(deadline)]

    @property
    def local(self) -> LocalNode:
        """Our node, which signs its record; there is none before the start."""
        assert self.own_node.local is not None
        return self.own_node.local

    @property
    def discovery_v4(self) -> UDPv4 | None:
        """Discovery v4, if it runs or has run."""
        return self._discovery.v4

    @property
    def discovery_v5(self) -> UDPv5 | None:
        """Discovery v5, if it runs or has run."""
        return self._discovery.v5

    @property
    def discoveries(self) -> list[Discovery]:
        """The protocols of discovery that run or have run."""
        return [front for front in (self.discovery_v5, self.discovery_v4) if front is not None]

    def find_topics(self) -> list[TopicNodes]:
        """Return iterators over the nodes of the protocols' topics, to be dialed."""
        v5, config = self.discovery_v5, self._discovery.config
        return [] if v5 is None or config.no_dial else [v5.find(each) for each in config.topics]

    @property
    def node_lists(self) -> NodeLists | None:
        """The node lists in DNS, if they are used or were."""
        return self._node_lists.lists

    def resolve(self, node: Node) -> Node | None:
        """Return ``node`` as found by discovery, or None. Waits up to ``RESOLVE_TIMEOUT_S``."""
        deadline = Deadline(RESOLVE_TIMEOUT_S)
        for discovery in reversed(self.discoveries):  # v4 first: most nodes speak it
            try:
                return discovery.resolve(node, deadline.left_s)
            except NodeNotFound:
                continue
        return None


def _with_number(endpoint: tuple[str | None, int] | None) -> tuple[str | None, int] | None:
    """Return an endpoint to bind to, with the present address of its host name, if it has one."""
    host, port = endpoint or (None, 0)
    if host is None:
        return endpoint
    try:
        ip_address(host)
    except ValueError:
        return str(look_up(host)), port
    return endpoint
