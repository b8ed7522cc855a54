"""Services of a server besides its peers: sockets, node database, discovery, and others.

:class:`Services` starts them in order, each with the use of those before it, and stops them in
reverse under one deadline. A new one is a :class:`Service` and an entry in its list. Their work is
not done here: each entry opens and closes a part of another module, by the server's options.

``start`` and ``stop`` run in the threads that start and stop the server; :meth:`Services.resolve`
is for any thread that may wait, the rest for any thread.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from p2p.clock import Deadline
from p2p.config import Config
from p2p.discover.clockcheck import NTP_SERVER
from p2p.discover.front import Discovery
from p2p.discover.iterator import TopicNodes
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.runner import Restored
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.udpv5 import UDPv5
from p2p.dnsdisc.front import NodeLists
from p2p.enode import LocalNode, Node, NodeDB
from p2p.enode.localnode import FALLBACK_IP
from p2p.errors import NodeNotFound
from p2p.exporter import Exporter
from p2p.keylog.writer import KeyLog
from p2p.lan.front import LanNodes
from p2p.metrics import Metrics
from p2p.monitorservice import MonitorService
from p2p.nat.finders import finders
from p2p.nat.front import PortMappings
from p2p.nat.mapping import NatStatus
from p2p.nat.routersearch import Find
from p2p.nat.spec import NatKind
from p2p.net import DatagramSocket, ListeningSocket, NameLookups, bind_pair, endpoint_of
from p2p.net.binding import BindAddress, bind_first
from p2p.netutil import IPAddress, is_name, is_unspecified
from p2p.nodesources import LAST_MOMENT_S, LanService, NodeListService
from p2p.observe import Observer
from p2p.observerguard import ObserverGuard

if TYPE_CHECKING:
    from p2p.monitor.serversource import ServerSource

#: Limit on the search for a node whose address is stale or unknown.
RESOLVE_TIMEOUT_S = 15.0
#: Limit on the look-ups of the names in ``listen_addr`` and ``disc_addr``: those of our own host,
#: which the system mostly knows without a name server.
OWN_NAME_TIMEOUT_S = 5.0
#: Time for the started services to end when another one has failed to start.
GIVE_UP_S = 15.0


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

    Code that takes one over sets it to None. The addresses of names are looked up first, within
    ``OWN_NAME_TIMEOUT_S``; a stop of ``lookups`` ends that. The first address of a name that is one
    of this machine is bound.
    """

    config: Config
    lookups: NameLookups
    tcp: ListeningSocket | None = None
    udp: DatagramSocket | None = None

    def start(self) -> None:
        config, deadline = self.config, Deadline(OWN_NAME_TIMEOUT_S)
        tcp = self._addresses_of(config.listen_endpoint, deadline)
        udp = self._addresses_of(config.disc_endpoint, deadline)
        bind, bind_udp = config.sockets._bind, config.sockets._bind_udp
        if tcp and config.discovers and not udp:
            both = partial(bind_pair, bind_tcp=bind, bind_datagrams=bind_udp)
            self.tcp, self.udp = bind_first(both, tcp)
            return
        if tcp:
            self.tcp = bind_first(bind, tcp)
        if config.discovers:
            self.udp = bind_first(bind_udp, udp or [(None, 0)])

    def stop(self, deadline: Deadline) -> list[str]:
        for sock in (self.tcp, self.udp):
            if sock is not None:
                sock.close()
        return []

    def _addresses_of(
        self, endpoint: BindAddress | None, deadline: Deadline
    ) -> list[BindAddress]:
        """Return the endpoints to bind to, with the present addresses of a host name, if any."""
        if endpoint is None:
            return []
        host, port = endpoint
        if host is None or not is_name(host):
            return [endpoint]
        found = self.lookups.wait(host, deadline.left_at_least(0.0))
        return [(str(ip), port) for ip in found]


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
class NatService(Service):
    """Our address and ports outside: those advertised, or else those that a router tells."""

    config: Config
    logger: logging.Logger
    sockets: Sockets
    own_node: OwnNode
    mappings: PortMappings | None = None
    _ports: dict[str, int] = field(default_factory=dict)  # our ports, by their protocol

    def start(self) -> None:
        for protocol, sock in (("tcp", self.sockets.tcp), ("udp", self.sockets.udp)):
            if sock is not None:
                self._ports[protocol] = endpoint_of(sock.getsockname()).port
        if not self._ports:
            return
        config, ports = self.config, self._ports
        for ip, port in config._advertised:
            self._publish(ip, port or ports.get("udp", 0), port or ports.get("tcp", 0))
        spec = config._nat_spec
        if spec.kind is NatKind.EXTIP:
            assert spec.ip is not None
            self.publish(spec.ip, ports.get("udp"), ports.get("tcp"))
        searches = finders(spec, config.private_key)
        if searches:
            mapped = () if spec.kind is NatKind.STUN else ports.items()
            self.mappings = self._make_mappings(searches, mapped)
            self.mappings.start()

    def _make_mappings(
        self, searches: dict[str, Find], ports: Iterable[tuple[str, int]]
    ) -> PortMappings:
        config = self.config
        return PortMappings(
            searches,
            ports,
            self,
            may_publish=config._own.is_named,
            clock=config.clock,
            logger=self.logger,
        )

    def stop(self, deadline: Deadline) -> list[str]:
        mappings = self.mappings
        return [] if mappings is None else mappings.stop(deadline.left_at_least(LAST_MOMENT_S))

    def publish(self, ip: IPAddress, udp: int | None, tcp: int | None) -> None:
        """Publish an address with its ports, unless another one is advertised."""
        if not self._is_advertised(ip.version):
            self._publish(ip, udp or 0, tcp or 0)

    def retract(self, version: int) -> None:
        """Stop publishing the address of this IP version, unless it is advertised."""
        if not self._is_advertised(version):
            self._local.clear_static_ip(version)

    def _publish(self, ip: IPAddress, udp: int, tcp: int) -> None:
        ports = self._ports
        self._local.set_static_endpoint(
            ip, udp if "udp" in ports else 0, tcp if "tcp" in ports else 0
        )

    @property
    def _local(self) -> LocalNode:
        assert self.own_node.local is not None
        return self.own_node.local

    def _is_advertised(self, version: int) -> bool:
        return any(endpoint.ip.version == version for endpoint in self.config._advertised)


@dataclass
class DiscoveryService(Service):
    """Discovery v5 and v4 on the UDP socket, if there is one."""

    config: Config
    logger: logging.Logger
    sockets: Sockets
    database: Database
    own_node: OwnNode
    observers: Sequence[Observer]
    restored: Restored | None
    v4: UDPv4 | None = None
    v5: UDPv5 | None = None

    def start(self) -> None:
        sock = self.sockets.udp
        if sock is None:
            return
        self.sockets.udp = None
        theirs = cast(socket.socket, sock)  # public types name no other kind
        # v5 comes first: its header tells at once whether a datagram is its own.
        if self.config.runs_v5:
            self.v5 = self._make_v5(theirs)
        if self.config.runs_v4:
            self.v4 = self._make_v4(self.v5 or theirs)
        for front in filter(None, (self.v5, self.v4)):
            front._runner.restored = self.restored
        first = self.v5 or self.v4
        assert first is not None
        first.start()
        if self.v5 is not None and self.config.listen_addr is not None:
            for topic in self.config.topics:
                self.v5.advertise(topic)

    def _make_v5(self, sock: socket.socket) -> UDPv5:
        config = self.config
        given = config.bootstrap_nodes_v5
        bootnodes = (config.bootstrap_nodes or ()) if given is None else given
        # Nodes that are given for both may speak one of them only: v4 alone warns of them.
        watched = () if given is None and config.runs_v4 else bootnodes
        return UDPv5(
            config.private_key,
            sock,
            bootnodes=bootnodes,
            watched=watched,
            logger=self.logger,
            observer=self._observer("v5"),
            topics=config.discovery_topics,
            **self._shared(),
        )

    def _make_v4(self, on: socket.socket | Discovery) -> UDPv4:
        config = self.config
        return UDPv4(
            config.private_key,
            on,
            bootnodes=config.bootstrap_nodes or (),
            ping_version=config.discovery_version,
            logger=self.logger,
            observer=self._observer("v4"),
            **self._shared(),
        )

    def _observer(self, protocol: str) -> DiscoveryObserver | None:
        # one guard for each: it is used on p2p-disc later
        guard = ObserverGuard(self.config.clock, self.logger.getChild("discover"))
        factories = [observer.discovery for observer in self.observers]
        return guard.make_all(factories, protocol)

    def _shared(self) -> dict[str, Any]:
        """The arguments of both."""
        return {
            "local": self.own_node.local,
            "store": self.database.db,
            "net_restrict": self.config.netlist,
            "own_networks": self.config._own.named,
            "clock": self.config.clock,
            "ntp_server": NTP_SERVER if self.config.sockets._is_public else None,
        }

    def stop(self, deadline: Deadline) -> list[str]:
        left: dict[str, None] = {}
        for front in (self.v5, self.v4):
            if front is not None:
                left |= dict.fromkeys(front.stop(deadline.left_at_least(LAST_MOMENT_S)))
        return list(left)


class Services:
    """All services of a server, and the access of other parts to them.

    ``restored`` is the state of an earlier run that discovery begins with, in a laboratory.
    """

    def __init__(
        self,
        config: Config,
        logger: logging.Logger,
        lookups: NameLookups,
        metrics: Metrics,
        observers: Sequence[Observer] = (),
        key_log: KeyLog | None = None,
        source: ServerSource | None = None,
        restored: Restored | None = None,
    ) -> None:
        # fixed after __init__
        self.sockets = Sockets(config, lookups)
        self.database = Database(config, logger)
        self.own_node = OwnNode(config, logger, self.sockets, self.database)
        self._discovery = DiscoveryService(
            config, logger, self.sockets, self.database, self.own_node, observers, restored
        )
        self._nat = NatService(config, logger, self.sockets, self.own_node)
        self._node_lists = NodeListService(config, logger)
        self._lan = LanService(
            config,
            logger,
            tcp=lambda: self.sockets.tcp,
            local=lambda: self.local,
            discoveries=lambda: self.discoveries,
        )
        self.exporter = Exporter(config.metrics_endpoint, metrics, logger)
        self.monitor = MonitorService(config, logger, source)
        self._in_order: tuple[Service, ...] = (
            *filter(None, [key_log]),
            self._node_lists,
            self.sockets,
            self.database,
            self.own_node,
            self._nat,
            self._discovery,
            self._lan,
            self.exporter,
            self.monitor,
        )

    def start(self) -> None:
        """Start all services. Waits for the look-up of a name in an address to bind, and no other.

        Raises OSError if an address cannot be bound, NodeDBError if the database cannot be opened,
        and ServerStopped after a stop of ``lookups``; nothing is left open then.
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

    @property
    def nat_status(self) -> NatStatus | None:
        """The state of the port mappings, None if none are wanted."""
        mappings = self._nat.mappings
        return None if mappings is None else mappings.status()

    def find_topics(self) -> list[TopicNodes]:
        """Return iterators over the nodes of the protocols' topics, to be dialed."""
        v5, config = self.discovery_v5, self._discovery.config
        return [] if v5 is None or config.no_dial else [v5.find(each) for each in config.topics]

    @property
    def node_lists(self) -> NodeLists | None:
        """The node lists in DNS, if they are used or were."""
        return self._node_lists.lists

    @property
    def lan_nodes(self) -> LanNodes | None:
        """The nodes of the local network, if they are looked for or were."""
        return self._lan.nodes

    @property
    def handler_threads(self) -> list[threading.Thread]:
        """The threads that run handlers of talk requests."""
        return [] if self.discovery_v5 is None else self.discovery_v5._talk.threads

    def resolve(self, node: Node) -> Node | None:
        """Return ``node`` as found by discovery, or None. Waits up to ``RESOLVE_TIMEOUT_S``."""
        deadline = Deadline(RESOLVE_TIMEOUT_S)
        for discovery in reversed(self.discoveries):  # v4 first: most nodes speak it
            try:
                return discovery.resolve(node, deadline.left_s)
            except NodeNotFound:
                continue
        return None
