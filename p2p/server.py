"""The server: a node of the network, with its start, its queries and its stop.

Any thread may call any public method. The server starts the I/O thread ``p2p-io``, which owns the
listener, the peer set (:mod:`p2p.peers.peerset`) and the dials (:mod:`p2p.dial.dials`), and the
launcher of workers (:mod:`p2p.threads`). It posts commands to that thread and does not access its
state. :mod:`p2p.parts` has the order of the shutdown.
"""

from __future__ import annotations

import logging
import weakref
from typing import Any

from p2p.clock import Deadline, checked_timeout, finite_timeout, nonnegative_timeout
from p2p.collector import Collector
from p2p.config import Config
from p2p.dial.attempts import DialAttempt
from p2p.dial.limits import DIAL_TIMEOUT_S
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.udpv5 import UDPv5
from p2p.enode import Node
from p2p.enode.node import check_node
from p2p.errors import ConfigError, ServerStopped, Timeout
from p2p.feed import DEFAULT_CAPACITY, Subscription
from p2p.leaks import stop_if_leaked
from p2p.lifecycle import Lifecycle
from p2p.metrics import Metrics
from p2p.nat.mapping import NatStatus
from p2p.netutil import Endpoint
from p2p.nodeinfo import node_info
from p2p.optionchecks import checked_entry_key
from p2p.options import takes_options
from p2p.parts import STOP_TIMEOUT_S, Parts
from p2p.peers.event import PeerEvent
from p2p.peers.peer import Peer
from p2p.services import Services


class Server:
    """A node of the network: use a ``with`` block, or :meth:`start` and :meth:`stop`.

    A stopped server cannot be started again. Any thread may use it. Calls that need a running
    server raise ServerStateError if it does not run, LoopCrashed if its I/O thread died, and
    WrongProcess in a forked child.

    Options are keywords; ``private_key``, ``name`` and ``max_peers`` are required. A wrong value
    raises ConfigError, which names the option; an unknown or missing option raises TypeError.

    **Identity**

    ``private_key``
        The node's key, a PrivateKey; ``generate_key()`` makes one. No error text shows it.
    ``name``
        Name of the node in its hello: printable text, up to about 2 KiB.
    ``protocols``
        Sub-protocols to offer, a list of :class:`Protocol`, each name and version once. Default:
        none.

    **Peers**

    ``max_peers``
        Maximum number of peers, from 0 up; only trusted nodes may exceed it.
    ``max_pending_peers``
        Maximum number of connections in their handshake, for inbound and for dialed ones each.
        Default, and meaning of 0: 50.
    ``dial_ratio``
        One of this many peers is dialed, the others are inbound. Default, and meaning of 0: 3.
    ``static_nodes``
        Nodes to keep connected: each is dialed until it is a peer, and again after it has left.
        A host name is looked up at each dial, and its addresses are tried in turn. Default: none.
    ``trusted_nodes``
        Nodes that may connect beyond ``max_peers``. Default: none.

    ``max_upload``
        Maximum of bytes sent to all peers together, in bytes a second from 1024 up. Each peer gets
        the same share of it; messages wait, and none is lost. A message should take less than 20 s
        at the rate of its peer, or the remote may time out. None, the default: no limit.
    ``max_download``
        The same for bytes received: more stay with the remotes. None, the default: no limit.
    ``max_upload_per_peer``
        Maximum of bytes sent to each peer, in the same unit. None, the default: no limit.
    ``max_download_per_peer``
        Maximum of bytes received from each peer. None, the default: no limit.

    **Network**

    ``network``
        A :class:`p2p.networks.Network`: ``p2p.networks.SEPOLIA``, another one, or your own. It sets
        options that are not given: ``bootstrap_nodes`` and ``bootstrap_nodes_v5`` if discovery
        runs, ``dns_discovery`` if the server dials and dnspython is installed (if not,
        :meth:`start` logs a warning), ``candidate_filter`` for nodes of its chain. It adds the
        entry ``eth`` to our record, the fork identifier of a node in sync at the start, unless
        ``attributes`` of a protocol have one; :meth:`set_entry` replaces it. None, the default:
        no network.
    ``underlay``
        The network beneath: a host of a :class:`p2p.lab.MemoryNetwork` or
        :class:`p2p.lab.LoopbackNetwork`, on which the server then listens, dials and runs
        discovery. Names, ``nat``, ``dns_discovery`` and ``metrics_addr`` stay on the system's, and
        the time is not checked. None, the default: that of the system.
    ``listen_addr``
        TCP address to listen on, "host:port" or ":port"; port 0 takes a free one. ":port" is all
        addresses of IPv4 and IPv6; a link-local address has its interface, "[fe80::1%eth0]:30303".
        :meth:`start` looks up a host name, for at most 5 s, and raises OSError if the address
        cannot be used. None, the default: do not listen.
    ``net_restrict``
        Networks to talk to: a :class:`Netlist`, or text such as "10.0.0.0/8, fd00::/8". None, the
        default: all.
    ``own_networks``
        Networks whose hosts all belong to you, in the form of ``net_restrict``, each at most a /8,
        for IPv6 a /7. As on a LAN, per-network limits and the throttle of 30 s do not apply there.
        None, the default: those of ``net_restrict`` that are no larger. ``Netlist()``: LANs only.

    **Dialing**

    ``no_dial``
        Dial no node except by :meth:`connect`. Default: False.
    ``candidate_filter``
        Function ``(node) -> bool`` that chooses among the nodes of discovery and ``dns_discovery``,
        such as :func:`p2p.eth.node_filter` for those of one chain. Each has its record: a node that
        discovery v4 finds is asked for it, and not dialed without an answer. The calls come one at
        a time on the thread ``p2p-filter``, which may block; a verdict counts for a minute or until
        the node has a newer record. An error is logged and refuses the node. Not asked about
        ``static_nodes``, ``connect``, ``dial_candidates`` and inbound connections. None, the
        default: nodes of the chain of ``network``, or, without it, all.
    ``redial_pause_s``
        Seconds before a node is dialed again, from 0.1 to 1e9, plus up to 10 % at random. Nodes
        close a second connection from one address within 30 s, except on a LAN or in their own
        networks. Default: 35.
    ``dialer``
        A :class:`Dialer` that opens the outbound TCP connections, such as through a SOCKS proxy. A
        node with a host name is passed on as it is: the name is not looked up, and with
        ``net_restrict`` the dial is refused, as no address can be checked. Discovery, with the
        names of its bootnodes, does not use it. None, the default: the server opens them.

    **Discovery**

    ``discovery_v4``
        Run discovery v4, to find nodes and be found. None, the default: if the server listens.
    ``discovery_v5``
        Run discovery v5, on the same UDP port. None, the default: if the server listens.
    ``discovery_topics``
        Turn topics on, with discovery v5: nodes of a protocol find each other on a network of many
        others. Our record says so, ads of other nodes are kept and given out, ``topic`` of the
        protocols is advertised and searched for, and ``discovery_v5.advertise`` and
        ``discovery_v5.find`` work. Other implementations do not have it yet. Default: False.
    ``no_discovery``
        Run no discovery, even with ``discovery_v4`` or ``discovery_v5``. Default: False.
    ``bootstrap_nodes``
        Entry points to the network, nodes with a UDP port and an address or a host name. A name is
        looked up in the background: again when its node does not answer, and at least every 10
        minutes. None, the default: those of ``network``.
    ``bootstrap_nodes_v5``
        Entry points for discovery v5. None, the default: ``bootstrap_nodes``, or, if they are None
        as well, those of ``network``.
    ``dns_discovery``
        Node lists in DNS to dial nodes of, URLs "enrtree://...", at most 64; also with
        ``no_discovery``. Needs dnspython (``pip install 'p2p-blocking[dns]'``), whose default
        resolver is asked only when a node is wanted. As discovery, it is not used for dials if a
        protocol has ``dial_candidates``. None, the default: those of ``network``.
    ``lan_discovery``
        Find the nodes of the local network to dial, and be found, by DNS-SD over multicast DNS;
        also with ``no_discovery``. Only addresses of a LAN, or of ``own_networks``, are announced
        and used. Needs zeroconf (``pip install 'p2p-blocking[lan]'``). As discovery, it is not used
        for dials if a protocol has ``dial_candidates``. Default: False.
    ``disc_addr``
        UDP address of discovery, in the form of ``listen_addr``. None, the default: that one.
    ``nat``
        Way through a router, in go-ethereum's spelling: "upnp", "pmp" (NAT-PMP, then PCP), or
        "any" of them map the ports while the server runs; "pmp:ADDRESS" asks that router. "stun",
        or "stun:host:port", only asks a server for our address, "extip:ADDRESS" states it.
        :meth:`start` waits for none of them. Default: "none".
    ``advertise``
        Address to publish, such as "203.0.113.7", or "203.0.113.7:31303" with the port, TCP and
        UDP, if it is not ours; text, or a list of one for each IP version ("[2001:db8::7]:30303").
        It has precedence over everything learned. Default: none.
    ``discovery_version``
        Version in discovery pings, from 0 up; some networks have their own number. Default: 4.

    **Files**

    ``node_database``
        Path of the file that keeps known nodes and the sequence number of our record over
        restarts; one for each server. :meth:`start` raises NodeDBError if it cannot be used.
        None, the default: memory only.

    **Events, metrics, log and time**

    ``key_log``
        Path of a file to append the secrets of all connections and discovery v5 sessions to, for
        ``p2p decode`` and other tools that decrypt captures. It is made with mode 0600, and a
        warning is logged: its reader can read all messages. :meth:`start` raises OSError if it
        cannot be opened. None, the default: the path in the environment variable P2P_KEYLOGFILE,
        or no key log.
    ``observer``
        A :class:`p2p.observe.Observer`, or a list of them: what connections and discovery receive,
        send and do inside is reported to them, with keys and contents. None, the default: none.
    ``enable_msg_events``
        Publish an event for each message to :meth:`subscribe_events`. Default: False.
    ``metrics_addr``
        Address of loopback to serve :attr:`metrics` to Prometheus at, "127.0.0.1:6060"; port 0
        takes a free one, which the property ``metrics_addr`` has. :meth:`start` raises OSError if
        it is taken. Needs prometheus-client (``pip install 'p2p-blocking[metrics]'``). None, the
        default: do not serve them.
    ``monitor_addr``
        Address to serve a live page of the server at, "127.0.0.1:0"; port 0 takes a free one. The
        page is at :attr:`monitor_url`, which has a secret token, and shows peers, contents of
        messages, discovery and handlers. :meth:`start` raises OSError if it is taken. Needs
        websockets (``pip install 'p2p-blocking[monitor]'``). None, the default: no page.
    ``monitor_public``
        Let ``monitor_addr`` be an address other than loopback. There is no encryption: who reads
        the traffic on the way sees the token and the page. Default: False.
    ``logger``
        A ``logging.Logger``; all log lines go to its children, such as ``net`` and ``server``. With
        one for each server, the lines show their server. None, the default: the logger "p2p".
    ``clock``
        Source of the time, a :class:`p2p.testing.Clock`. Default: the clocks of the system.

    **Compatibility**

    ``accept_pre_eip8``
        Accept handshakes in the format from before EIP-8 (2016), inbound and in answer to our
        dials. Default: False; they are refused at once, which the log at DEBUG and
        :meth:`dial_attempts` show.
    """

    @takes_options(Config)
    def __init__(self, config: Config) -> None:
        # fixed after __init__
        self._config = config
        logger = config.logger or logging.getLogger("p2p")
        self._log = logger.getChild("server")
        # The running parts do not refer to the server, which the program may lose (p2p.leaks).
        self._parts = Parts(config, logger)
        self._lifecycle = Lifecycle(self._parts.loop)
        self._metrics = Metrics(Collector(self._parts).collect)
        # fixed after start()
        self._finalizer: weakref.finalize[..., object] | None = None

    # start and stop

    def start(self) -> None:
        """Begin to listen and to dial.

        Waits for no look-up of a name, except that of ``listen_addr`` and ``disc_addr``: 5 s at
        most. Raises ServerStateError if the server was started before; OSError if it cannot listen
        on an address or the process has no descriptors left, NodeDBError if the node database
        cannot be used, and any error of a protocol's ``dial_candidates`` (the server can then be
        started again); RuntimeError if the system has no threads left, and ServerStopped if another
        thread has called ``stop`` (it is stopped then).
        """
        self._lifecycle.begin_start()
        self._parts.events.begin()
        services = self._parts.new_services(self._metrics, weakref.ref(self))
        try:
            self._open(services)
        except BaseException:
            self._abandon_start(services)
            raise

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """Disconnect all peers, wait for their handlers to return, and end all threads.

        Takes at most about ``timeout`` seconds; returns the names of threads that have not ended
        by then (they are logged, each with its current line). Called again, it waits for those. A
        server that was not started cannot be started afterwards. May be called from a handler; it
        does not wait for that thread. Ctrl-C ends the wait early. In a forked child it does
        nothing.
        """
        deadline = Deadline(finite_timeout(timeout))
        if self._lifecycle.is_elsewhere:
            return []
        if self._lifecycle.begin_stop():
            return self._end(deadline)
        if self._parts.is_current():
            return []
        # Another thread stops it, or is in start(), which then stops it.
        self._parts.lookups.stop()
        self._parts.stopped.wait(deadline.left_at_least(0.0))
        return self._parts.join(deadline)

    def wait(self) -> None:
        """Wait until the server is stopped, or until Ctrl-C is pressed in the main thread.

        Raises LoopCrashed if the I/O thread dies, ServerStateError if the server was not started.
        """
        self._lifecycle.check_started()
        try:
            self._parts.stopped.wait()
        except KeyboardInterrupt:
            return
        self._lifecycle.check_crash()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # peers

    @property
    def peers(self) -> list[Peer]:
        """All connected peers."""
        self._lifecycle.check_process()
        return list(self._parts.peer_set.peers)

    @property
    def peer_count(self) -> int:
        """Number of connected peers."""
        self._lifecycle.check_process()
        return len(self._parts.peer_set.peers)

    def add_peer(self, node: Node) -> None:
        """Make ``node`` a static node: dialed until it is a peer, and again when it leaves."""
        self._check_node(node)
        self._lifecycle.post(self._parts.dials.add_static, node)

    def remove_peer(self, node: Node, timeout: float | None = None) -> None:
        """Remove ``node`` from the static nodes, disconnect it, and wait for its handlers.

        On return they have returned. Raises Timeout after ``timeout`` seconds (None: never),
        ServerStopped or LoopCrashed if the server ends meanwhile. Handlers must call
        ``Peer.disconnect`` instead.
        """
        self._check_node(node)
        timeout = checked_timeout(timeout)
        deadline = Deadline(timeout)
        for peer in self._parts.loop.call(self._parts.remove_static, node.id):
            if not peer._handlers_returned.wait(deadline.left_s):
                raise Timeout(f"handlers of {peer} have not returned within {timeout:g} s")
            self._lifecycle.check_crash()  # a crash also opens the latch, as stop() does
            if any(rw._thread is not None for rw in peer._running):
                raise ServerStopped(f"the server stopped before handlers of {peer} had returned")

    def add_trusted_peer(self, node: Node) -> None:
        """Let ``node`` connect even beyond ``max_peers``. This does not dial it."""
        self._check_node(node)
        self._lifecycle.post(self._parts.dials.set_trusted, node.id, True)

    def remove_trusted_peer(self, node: Node) -> None:
        """Remove ``node`` from the trusted nodes; an existing connection stays open."""
        self._check_node(node)
        self._lifecycle.post(self._parts.dials.set_trusted, node.id, False)

    def connect(self, node: Node, timeout: float = DIAL_TIMEOUT_S) -> Peer:
        """Dial ``node`` now and return the running peer, for its handlers or for :meth:`Peer.open`.

        On return the peer is in :attr:`peers`, its "add" event is published and our handlers run;
        those of the remote may start later. If the node dials us at the same time, one of the two
        connections stays open, and the peer may be inbound. The call waits for handlers of the
        node's previous connection to return, and closes the new connection at the timeout.

        ``timeout`` is in seconds from 0 up, for all steps and addresses together. Raises the
        ConnectError for the cause of a failure, ServerStopped, or LoopCrashed.
        """
        self._check_node(node)
        timeout = nonnegative_timeout(timeout)
        waiter = self._parts.dials.ask(node, timeout)
        try:
            return waiter.result()
        except ServerStopped:
            self._lifecycle.check_crash()
            raise

    def accept(self, timeout: float | None = None) -> Peer:
        """Wait for the next peer that :meth:`connect` did not make, for :meth:`Peer.open`::

            with server.accept().open("MyProtocol") as rw:
                rw.send_items(0, "welcome")

        It is inbound, or dialed by the server on its own, and has a protocol without a handler; no
        thread has opened any. It may have left; its messages can still be read. Peers that are not
        accepted stay connected; of those that have left, the latest ``max_peers`` (at least
        ``max_pending_peers``) are kept. Any number of threads may wait. Raises Timeout after
        ``timeout`` seconds (None: never), ServerStopped or LoopCrashed when the server ends,
        ServerStateError before it starts, ConfigError if all protocols have handlers.
        """
        timeout = checked_timeout(timeout)
        self._lifecycle.check_not_ended()
        self._lifecycle.check_running()
        if all(protocol.run is not None for protocol in self.config.protocols):
            raise ConfigError("accept: wanted a protocol without a handler; each has one")
        return self._parts.peer_set.backlog.get(timeout)

    def dial_attempts(self, node: Node) -> list[DialAttempt]:
        """Return the latest attempts to dial ``node``, oldest first: time, step and outcome."""
        self._check_node(node)
        return self._parts.loop.call(self._parts.dials.attempts.of, node.id)

    def subscribe_events(self, capacity: int = DEFAULT_CAPACITY) -> Subscription[PeerEvent]:
        """Subscribe to peers that come and go and, with ``enable_msg_events``, to messages.

        ``capacity`` is the number of events kept for the subscriber. Raises WrongProcess in a
        forked child.
        """
        self._lifecycle.check_process()
        return self._parts.events.subscribe(capacity)

    @property
    def metrics(self) -> Metrics:
        """The metrics, by go-ethereum's names: ``server.metrics["p2p/peers"].value``."""
        self._lifecycle.check_process()
        return self._metrics

    @property
    def metrics_addr(self) -> Endpoint | None:
        """Endpoint that serves the metrics; None before the start, or without the option."""
        return None if self._parts.services is None else self._parts.services.exporter.address

    @property
    def monitor_url(self) -> str | None:
        """Address of the live page, for a browser; None before the start, or without the option."""
        return None if self._parts.services is None else self._parts.services.monitor.url

    # our own node

    @property
    def nat(self) -> NatStatus | None:
        """Port mappings and our address outside; None without ``nat``, and before the start."""
        return None if self._parts.services is None else self._parts.services.nat_status

    @property
    def config(self) -> Config:
        """The options, given or default."""
        return self._config

    @property
    def listen_addr(self) -> Endpoint | None:
        """Endpoint of the listening socket; None before the start, or without a socket."""
        return None if self._parts.listener is None else self._parts.listener.address

    @property
    def self(self) -> Node:
        """Our own node, as other nodes may dial it."""
        self._lifecycle.check_process()
        if self._parts.services is None:
            return Node.from_parts(self.config.private_key.public_key, "0.0.0.0")
        return self._parts.services.local.node()

    def set_entry(self, key: str, value: object) -> None:
        """Set an entry of our node record (EIP-778), for discovery and the node database, too.

        ``value`` is any value with an RLP encoding; that of "eth" is made by
        :func:`p2p.eth.eth_entry`. The sequence number of the record grows if it changes. Raises
        EncodeError for a value without an encoding and for a record of more than 300 bytes,
        ArgumentError for the entries of our identity and addresses.
        """
        self._lifecycle.check_running()
        self._parts.own_node().set(checked_entry_key(key), value)

    def delete_entry(self, key: str) -> None:
        """Remove an entry from our node record, if present. Raises ArgumentError likewise."""
        self._lifecycle.check_running()
        self._parts.own_node().delete(checked_entry_key(key))

    @property
    def discovery_v4(self) -> UDPv4 | None:
        """Discovery v4, for queries of the network; None if it is off, and before the start."""
        return None if self._parts.services is None else self._parts.services.discovery_v4

    @property
    def discovery_v5(self) -> UDPv5 | None:
        """Discovery v5: the same, and talk requests. None if it is off, and before the start."""
        return None if self._parts.services is None else self._parts.services.discovery_v5

    @property
    def lan_nodes(self) -> list[Node]:
        """The nodes of the local network that ``lan_discovery`` knows at present, without ours."""
        self._lifecycle.check_process()
        lan = None if self._parts.services is None else self._parts.services.lan_nodes
        return [] if lan is None else lan.nodes

    @property
    def max_dialed_conns(self) -> int:
        """Maximum number of peers that the server dials on its own."""
        return self.config.max_dialed_conns

    @property
    def max_inbound_conns(self) -> int:
        """Maximum number of inbound peers."""
        return self.config.max_inbound_conns

    def node_info(self) -> dict[str, Any]:
        """Return information about this node, under the keys of go-ethereum's ``NodeInfo``."""
        return node_info(self.config, self.self, self.listen_addr)

    def peers_info(self) -> list[dict[str, Any]]:
        """Return ``Peer.info()`` of all peers, sorted by id."""
        return sorted((peer.info() for peer in self.peers), key=lambda info: str(info["id"]))

    def __repr__(self) -> str:
        state = str(self._lifecycle)
        peers = f", {len(self._parts.peer_set.peers)} peers" if state == "running" else ""
        where = self.listen_addr or self.config.listen_addr or "does not listen"
        name, node_id = self.config.name, Node.from_parts(self.config.private_key.public_key).id
        return f"<Server {name!r} {node_id.short}, {state}, {where}{peers}>"

    # inside

    def _open(self, services: Services) -> None:
        """Start all parts, in order."""
        for text in self.config._warnings:
            self._log.warning(text)
        self._parts.open(services)
        text = f"server {self.config.name!r} ({services.local.node().url})"
        self._finalizer = stop_if_leaked(self, text, self._parts.stop_leaked)
        self._parts.loop.call(self._parts.begin, self._lifecycle.end_start)
        self._log.info("started as %s", services.local.node().url)

    def _abandon_start(self, services: Services) -> None:
        """Close all open parts. Before the I/O thread has started, the start can be repeated."""
        deadline = Deadline(STOP_TIMEOUT_S)
        if not self._parts.abandon(services, deadline) or not self._lifecycle.undo_start():
            self._end(deadline)

    def _check_node(self, node: Node) -> None:
        check_node(node)
        self._lifecycle.check_running()

    # shutdown

    def _end(self, deadline: Deadline) -> list[str]:
        """Stop all parts; the state is STOPPED afterwards, even after an error such as Ctrl-C."""
        if self._finalizer is not None:
            self._finalizer.detach()
        try:
            left = self._parts.stop(deadline)
        finally:
            self._lifecycle.end_stop()
            self._parts.wake_waiters()
        self._log.info("stopped")
        return left
