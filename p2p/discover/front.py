"""The public interface of discovery: start, stop and queries, from any thread.

A :class:`Discovery` is the front of one engine in a :class:`p2p.discover.service.Service`, which
has the thread and the socket. It makes no decisions and knows no protocol: the front of a protocol
makes the engine, and adds the methods of that protocol. The node database and the local node belong
to the caller, which closes them after :meth:`Discovery.stop`.

Calls that wait may be made from any thread but ``p2p-disc``, which must not block.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from p2p.arguments import BYTES, check_type, wrong
from p2p.clock import Clock, Deadline, checked_timeout
from p2p.crypto import PrivateKey, PublicKey
from p2p.discover.counters import Counters
from p2p.discover.engine import Engine
from p2p.discover.iterator import RandomNodes
from p2p.discover.local import LocalView
from p2p.discover.operations import Operations
from p2p.discover.runner import MakeEngine, OnDone, TableEvent
from p2p.discover.service import STOP_TIMEOUT_S, Service
from p2p.discover.table.snapshot import TableView
from p2p.discover.transport import KEY_SIZE, Target
from p2p.enode import LocalNode, Node, NodeDB
from p2p.enode.localnode import FALLBACK_IP
from p2p.enode.node import check_node
from p2p.errors import NetRestricted, NodeNotFound, NoEndpoint, NoResponse, P2PError
from p2p.feed import DEFAULT_CAPACITY, Subscription
from p2p.inputs import Now
from p2p.net import VirtualSocket, bind_udp
from p2p.netutil import Endpoint, Netlist, is_unspecified, split_listen_addr

_D = TypeVar("_D", bound="Discovery")


class Discovery:
    """A discovery protocol: runs the engine that ``make`` returns in ``service``.

    ``local`` is our own node. Use it in a ``with`` block, or call :meth:`start` and :meth:`stop`,
    also after a start that failed; it cannot be started again. In a forked child its calls raise
    WrongProcess.
    """

    def __init__(self, service: Service, make: MakeEngine, local: LocalView) -> None:
        # fixed after __init__
        self._service = service
        self._runner = service.add(make)
        self._local = local

    # start and stop; any thread

    def start(self) -> None:
        """Begin to answer, and to search for nodes.

        Raises ServerStateError if it was started before, OSError if the process has no file
        descriptors left.
        """
        self._service.start()

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """End the threads and close the socket; waiting calls raise ServerStopped.

        Takes at most about ``timeout`` seconds; returns the names of threads that have not ended
        by then (they are also logged). Idempotent; in a forked child it does nothing.
        """
        return self._service.stop(timeout)

    def __enter__(self: _D) -> _D:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # queries of the network; any thread but p2p-disc

    def ping(self, node: Node, timeout: float | None = None) -> int | None:
        """Ping ``node``. Return the sequence number of its record, None if it names none.

        As with all queries of the network, ``timeout`` is in real seconds and ends the wait with
        Timeout; without one the wait ends when the engine gives up. The name of a node is looked
        up. The addresses of a name, and those of a record in IPv4 and IPv6, are asked one after the
        other until one answers. Raises NoResponse if the node does not answer, NameNotResolved if
        its name has no address (or none is found within 15 s), NoEndpoint if it has no UDP address,
        NetRestricted if ``net_restrict`` forbids that, ArgumentError for an argument of a wrong
        type, ServerStateError before the start, ServerStopped after the end, LoopCrashed if an
        internal error ended discovery.
        """
        seq: int | None = self._ask_node(node, Operations.ping, timeout)
        return seq

    def lookup(self, target: PublicKey | bytes, timeout: float | None = None) -> list[Node]:
        """Look up the nodes closest to ``target``, a public key or any 64 bytes.

        Returns the closest nodes that answered, at most 16, nearest first. Raises as :meth:`ping`.
        """
        return self._lookup(target_of(target), timeout)

    def resolve(self, node: Node, timeout: float | None = None) -> Node:
        """Return the newest version of ``node``: from the node itself, or from a lookup.

        The returned node has answered. Raises NodeNotFound if it does not answer, even if others or
        the table have an address of it; else raises as :meth:`ping`.
        """
        found: Node = self._ask_node(node, Operations.resolve, timeout)
        return found

    def request_enr(self, node: Node, timeout: float | None = None) -> Node:
        """Ask ``node`` for its record, and return the node that the record describes.

        Raises NoResponse if it does not answer, PacketError for an invalid record, and else as
        :meth:`ping`.
        """
        found: Node = self._ask_node(node, Operations.request_enr, timeout)
        return found

    def _request_enr(self, node: Node, on_done: OnDone) -> None:
        """Do the same without waiting: ``on_done`` gets the node, or None and the error.

        It is called on ``p2p-disc``, must neither block nor raise, and is not called if discovery
        has ended before.
        """
        self._runner.request_record(node, on_done)

    def random_nodes(self) -> RandomNodes:
        """Return an endless iterator over nodes of the whole network; close it after use.

        Raises ServerStateError before the start, ServerStopped or LoopCrashed after the end.
        """
        return self._service.call(self._runner.random_nodes)

    # local state; any thread

    @property
    def self(self) -> Node:
        """Our own node, as other nodes may find it. Raises WrongProcess in a forked child."""
        self._service.check_process()
        return Node.from_record(self._local.record)

    @property
    def address(self) -> Endpoint:
        """The address and the UDP port of the socket."""
        return self._service.address

    def table(self) -> TableView:
        """Return a copy of the node table; ``str`` formats it. Raises as :meth:`random_nodes`."""
        return self._service.call(self._runner.table)

    def nodes(self) -> list[Node]:
        """Return the nodes of the table, nearest buckets first. Raises as :meth:`random_nodes`."""
        return self.table().nodes

    def counters(self) -> Counters:
        """Return the traffic counters since the start. Raises as :meth:`random_nodes`."""
        return self._service.call(self._runner.counters)

    @property
    def _running_engine(self) -> Engine | None:
        """The engine, for its counts, which any thread may read; None before the start."""
        return self._runner.engine_or_none

    @property
    def lost(self) -> dict[str, int]:
        """Numbers of datagrams that the kernel refused, by the name of its error ("ENOBUFS")."""
        return self._service.lost

    def subscribe_events(self, capacity: int = DEFAULT_CAPACITY) -> Subscription[TableEvent]:
        """Subscribe to additions to the table and removals from it.

        ``capacity`` is the number of events kept for the subscriber. Raises WrongProcess in a
        forked child.
        """
        self._service.check_process()
        return self._runner.events.subscribe(capacity)

    def _ask_node(
        self, node: Node, begin: Callable[[Any, Node, Now], int], timeout: float | None
    ) -> Any:
        """Ask a node with an operation, at each address of its name until one answers.

        If none does, the error is that of the last address that may be asked.
        """
        check_node(node)
        if not node.hostname:
            return self._service.ask(self._runner, partial(_begin_at, begin, node), timeout)
        deadline = Deadline(checked_timeout(timeout))
        failure: P2PError | None = None
        for at in self._service.at_each_address(node, deadline):
            start = partial(_begin_at, begin, at)
            try:
                return self._service.ask(self._runner, start, deadline.left_s)
            except (NoResponse, NodeNotFound) as error:
                failure = error
            except (NetRestricted, NoEndpoint) as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def _lookup(self, goal: Target, timeout: float | None) -> list[Node]:
        nodes: list[Node] = self._service.ask(
            self._runner, lambda operations, now: operations.lookup(goal, now), timeout
        )
        return nodes

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._service.state}, {self.address}>"


def _begin_at(
    begin: Callable[[Any, Node, Now], int], at: Node, operations: Operations, now: Now
) -> int:
    return begin(operations, at, now)


def service_on(
    sock: socket.socket | str | Discovery,
    *,
    clock: Clock | None,
    logger: logging.Logger | None,
    ntp_server: tuple[str, int] | None,
) -> Service:
    """Return the service of ``sock``: a new one on a socket or on "host:port", or another front's.

    Raises OSError if the address cannot be bound.
    """
    wanted = 'text such as ":30303", a UDP socket, or another Discovery'
    check_type("sock", sock, (str, socket.socket, VirtualSocket, Discovery), wanted)
    if isinstance(sock, Discovery):
        return sock._service
    if isinstance(sock, str):
        sock = bind_udp(*split_listen_addr(sock))
    return Service(sock, clock=clock, logger=logger, ntp_server=ntp_server)


def own_node(
    private_key: PrivateKey, address: Endpoint, clock: Clock, logger: logging.Logger | None
) -> LocalNode:
    """Return a local node at the address of a socket until others state a better one."""
    local = LocalNode(private_key, NodeDB(logger=logger), clock=clock, logger=logger)
    local.set_fallback_udp(address.port)
    local.set_fallback_ip(FALLBACK_IP if is_unspecified(address.ip) else address.ip)
    return local


def check_networks(net_restrict: Netlist | None, own_networks: Netlist | None) -> None:
    """Check the options that are lists of networks. Raises ArgumentTypeError."""
    for name, networks in (("net_restrict", net_restrict), ("own_networks", own_networks)):
        check_type(name, networks, (Netlist, type(None)), "a Netlist, or None")


def target_of(target: PublicKey | bytes) -> Target:
    """Return the target of a lookup. Raises ArgumentError."""
    if isinstance(target, PublicKey):
        return Target.of_key(target.to_bytes())
    check_type("target", target, BYTES, f"a PublicKey or {KEY_SIZE} bytes")
    key = bytes(target)
    if len(key) != KEY_SIZE:
        raise wrong("target", key, f"a PublicKey or {KEY_SIZE} bytes")
    return Target.of_key(key)
