"""How a server finds nodes and is found: its record, discovery, and the candidates for dials.

A :class:`Finder` opens and closes, in order, the node database, the local node, discovery
(:mod:`p2p.discover`) and the mix of all sources of candidates. A thread ``p2p-dial-feed`` takes
candidates out of the mix, one whenever the dial scheduler wants one, and hands them to ``p2p-io``.
Sources may be the program's own code, so each is read by a thread of its own (``p2p-source-<n>``),
what it says is checked there, and it can neither hold up another one nor the end of the server.

The server starts and stops it; :meth:`Finder.want` is for ``p2p-io``; the rest any thread may call.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv4Address, ip_address

from p2p.config import Config
from p2p.discover.service import UDPv4
from p2p.enode import FairMix, LocalNode, Node, NodeDB, cycle_nodes
from p2p.enode.iterator import ClosableNodes, close_nodes
from p2p.errors import ConfigError, NodeNotFound, ServerStateError, ServerStopped
from p2p.net import address_of, bind, bind_udp
from p2p.netutil import IPAddress, IPTracker
from p2p.protocol import Protocol

#: How long each source of candidates is waited for at its turn. A lookup takes a second or two.
SOURCE_TIMEOUT_S = 5.0
#: What our record says while nobody has told us better, as go-ethereum's does.
FALLBACK_IP: IPAddress = IPv4Address("127.0.0.1")
#: How often another TCP port is tried when the kernel chose one whose UDP port is taken.
PORT_TRIES = 20
#: How long to look for a node whose address is stale or unknown.
RESOLVE_TIMEOUT_S = 15.0
#: What all that is here gets to end with when the time is used up.
LAST_MOMENT_S = 0.1


class Candidates(ClosableNodes):
    """The nodes that a protocol names: an iterator's once, those of a collection over and over.

    ``reader`` is the thread that reads it, once one has. Raises ConfigError for what is no node.
    """

    def __init__(self, protocol: Protocol) -> None:
        given = protocol.dial_candidates
        assert given is not None
        self._name = protocol.name
        self._nodes = cycle_nodes(given) if isinstance(given, Collection) else iter(given)
        self.reader: threading.Thread | None = None

    def __next__(self) -> Node:
        self.reader = threading.current_thread()
        try:
            node = next(self._nodes)
        except ServerStopped:  # it asked discovery
            raise StopIteration from None
        if not isinstance(node, Node):
            raise ConfigError(
                f"dial_candidates of {self._name}: want a Node, not {node!r:.80}; "
                "parse_node(text) makes one of a URL"
            )
        return node

    def close(self) -> None:
        close_nodes(self._nodes)


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
        self._candidates: list[Candidates] = []
        # fixed after start_feed()
        self._mix: FairMix | None = None
        self._feed: threading.Thread | None = None
        # guarded by _wanted
        self._wanted = threading.Condition()
        self._want = False
        self._stopping = False

    # life

    def start(self) -> socket.socket | None:
        """Open everything but the feed; returns the listening socket, if the server is to listen.

        Looks up the names of bootnodes and of our own addresses, which may take a while. Raises
        OSError if an address cannot be bound, NodeDBError if the database cannot be opened, and
        what a protocol's ``dial_candidates`` raise when asked for an iterator; nothing is left
        open then.
        """
        config = self._config
        self._candidates = self._make_candidates()
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
                    bootnodes=[self._with_address(node) for node in config.bootstrap_nodes],
                    net_restrict=config.netlist,
                    ping_version=config.discovery_version,
                    clock=config.clock,
                    logger=self._logger,
                )
                self.discovery.start()
        except BaseException:
            self.stop(time.monotonic() + RESOLVE_TIMEOUT_S)
            for sock in (tcp, udp):
                if sock is not None:
                    sock.close()
            raise
        return tcp

    def start_feed(self) -> None:
        """Mix the sources, and begin to read them. Protocols with their own want no others.

        Raises RuntimeError if the system has no more threads; :meth:`stop` is to follow.
        """
        if self._config.no_dial:
            return
        sources: list[Iterator[Node]] = [*self._candidates]
        if not sources and self.discovery is not None:
            sources.append(self.discovery.random_nodes())
        if not sources:
            return
        self._mix = FairMix(SOURCE_TIMEOUT_S, clock=self._config.clock)
        try:
            while sources:
                self._mix.add_source(sources[0])
                del sources[0]
        except BaseException:  # the system has no more threads; what is not in the mix is ours
            for source in sources:
                close_nodes(source)
            raise
        feed = threading.Thread(target=self._run_feed, name="p2p-dial-feed", daemon=True)
        feed.start()
        self._feed = feed

    def stop(self, deadline: float) -> list[str]:
        """Close everything; returns the names of threads that have not ended by ``deadline``."""
        threads = self._stop_feed(deadline)
        left = []
        if self.discovery is not None:
            left += self.discovery.stop(_time_left(deadline))
        if self._db is not None and not self._db.close(_time_left(deadline)):
            left.append("p2p-db")
        for thread in threads:
            thread.join(_time_left(deadline))
        readers = [source.reader for source in self._candidates if source.reader is not None]
        return left + [thread.name for thread in [*threads, *readers] if thread.is_alive()]

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

    def want(self) -> None:
        """Have one candidate delivered, as soon as there is one."""
        with self._wanted:
            self._want = True
            self._wanted.notify_all()

    # inside

    def _make_candidates(self) -> list[Candidates]:
        """The protocols' own sources, one for each name. This is the program's code."""
        named: dict[str, Protocol] = {}
        for protocol in () if self._config.no_dial else self._config.protocols:
            if protocol.dial_candidates is not None:
                named.setdefault(protocol.name, protocol)
        return [Candidates(protocol) for protocol in named.values()]

    def _bind(self) -> tuple[socket.socket | None, socket.socket | None]:
        """The TCP and the UDP socket, as far as there are to be any; on one port if possible."""
        config = self._config
        listen, disc = _with_number(config.listen_endpoint), _with_number(config.disc_endpoint)
        if listen is None or not config.discovers or disc is not None:
            tcp = None if listen is None else bind(*listen)
            try:
                udp = bind_udp(*(disc or (None, 0))) if config.discovers else None
            except OSError:
                if tcp is not None:
                    tcp.close()
                raise
            return tcp, udp
        return bind_pair(*listen)

    def _with_address(self, node: Node) -> Node:
        """A bootnode with the address that its name has now, if it has a name."""
        if not node.hostname:
            return node
        try:
            ip = _look_up(node.hostname)
        except OSError as error:
            self._logger.getChild("server").warning(
                "bootnode %s is left out: %s", node.id.short, error
            )
            return node
        return node.with_hostname("").with_ip(ip)

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

    def _stop_feed(self, deadline: float) -> list[threading.Thread]:
        """Tell the feed to end, and close its sources; returns the threads that are to end.

        Sources are closed in a thread, if there is one: those of the program may take their time.
        It gives up waiting for their readers a little before it is given up itself: it is late only
        if a source's ``close`` does not return.
        """
        with self._wanted:
            self._stopping = True
            self._wanted.notify_all()
        if self._mix is None:
            return []
        threads = [] if self._feed is None else [self._feed]
        patience_s = _time_left(deadline) - LAST_MOMENT_S / 2
        closing = threading.Thread(
            target=self._mix.close, args=(patience_s,), name="p2p-dial-close", daemon=True
        )
        try:
            closing.start()
        except RuntimeError:  # the system has no more threads
            self._mix.close(LAST_MOMENT_S)
            return threads
        return [*threads, closing]

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


def bind_pair(
    host: str | None,
    port: int,
    bind_tcp: Callable[[str | None, int], socket.socket] = bind,
) -> tuple[socket.socket, socket.socket]:
    """A listening TCP socket and a UDP socket on the same port; ``port`` 0 takes a free one.

    Raises OSError if either cannot be bound; both are closed then.
    """
    for tries_left in reversed(range(PORT_TRIES)):
        tcp = bind_tcp(host, port)
        try:
            return tcp, bind_udp(host, address_of(tcp.getsockname())[1])
        except OSError as error:
            tcp.close()
            if port or not tries_left or error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("unreachable")


def _with_number(endpoint: tuple[str | None, int] | None) -> tuple[str | None, int] | None:
    """An endpoint to bind to, with the address that its name has now, if it has a name."""
    host, port = endpoint or (None, 0)
    if host is None:
        return endpoint
    try:
        ip_address(host)
    except ValueError:
        return str(_look_up(host)), port
    return endpoint


def _look_up(name: str) -> IPAddress:
    """The address of a host, IPv4 if it has one. May take a while. Raises OSError."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        code = error.errno if isinstance(error, OSError) else None
        raise OSError(code or errno.EINVAL, f"cannot look up {name}: {error}") from error
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    return min(addresses, key=lambda ip: ip.version)


def _time_left(deadline: float) -> float:
    return max(LAST_MOMENT_S, deadline - time.monotonic())
