"""Scheduler of outbound connections: the choice of nodes to dial.

The scheduler knows which nodes are static or trusted, being dialed or connected, and which were
dialed within the redial pause. From that it answers two questions: may this node be dialed now
(:meth:`DialScheduler.check_dial`), and which static nodes are to be dialed now
(:meth:`DialScheduler.poll`). It opens no connection and resolves no name; its owner does so and
reports back with ``dial_done``, ``peer_added`` and ``peer_removed``.

Two rules differ from go-ethereum. Static nodes do not count against the share of slots for dialed
peers: a node the user named is to be connected, even if discovery has filled that share. They are
bounded by the dials under way, and by ``max_peers`` unless trusted. And an inbound handshake does
not prevent a dial of its node: until it is complete, any remote may claim to be that node.

Pure; the server's I/O thread owns it. ``now`` is in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from p2p.dial.history import REMOTE_WINDOW_S, DialHistory
from p2p.dial.limits import NetworkLimit
from p2p.enode.node import Node
from p2p.errors import (
    AlreadyConnected,
    AlreadyDialing,
    ConnectError,
    CrowdedNetwork,
    IsSelf,
    NetRestricted,
    NoEndpoint,
    Throttled,
    TooManyPeers,
)
from p2p.inputs import RandomSource
from p2p.netutil import (
    LAN,
    IPAddress,
    Netlist,
    OwnNetworks,
    Scope,
    check_relay_addr,
    is_name,
    is_unspecified,
)
from p2p.peers.admission import is_allowed_address

#: Reasons not to dial a node that time does not change.
_PERMANENT = (IsSelf, NoEndpoint, NetRestricted)

_K = TypeVar("_K", bound=Hashable)


class DialScheduler:
    """Rules about which nodes may be dialed, and which static nodes are dialed next.

    ``max_dialed`` is the largest number of dialed peers (it bounds :meth:`free_slots` only),
    ``max_active`` the largest number of dials under way for :meth:`poll`, ``net_restrict`` the
    addresses that may be dialed (None: all), ``own`` the networks without limits,
    ``redial_pause_s`` the pause in seconds before a node is dialed again. ``looks_up_names`` says
    whether the address of a name is known before it is dialed. ``random`` picks the order of static
    nodes.
    """

    def __init__(
        self,
        self_id: bytes,
        max_dialed: int,
        max_active: int,
        net_restrict: Netlist | None = None,
        *,
        own: OwnNetworks = LAN,
        redial_pause_s: float = REMOTE_WINDOW_S,
        looks_up_names: bool = True,
        random: RandomSource,
    ) -> None:
        # fixed after __init__
        self._self_id = self_id
        self._max_dialed = max_dialed
        self._max_active = max_active
        self._net_restrict = net_restrict
        self._own = own
        self._looks_up_names = looks_up_names
        self._random = random
        # set by the server
        self._static: dict[bytes, Node] = {}
        self._trusted: set[bytes] = set()
        self._peers: set[bytes] = set()
        self._dialed_peers = 0
        self._full = False
        #: Whether discovery can be asked for static nodes that have no address.
        self.can_resolve = False
        # dials begun
        self._dialing: set[bytes] = set()
        self._history = DialHistory(redial_pause_s, own, random)
        self._network_limit = NetworkLimit(own)
        # candidates, each with its address; None while that is being looked up
        self._candidates: dict[bytes, IPAddress | None] = {}
        # Static nodes that may have become ready to dial. poll() takes a node out. If something
        # prevents its dial, the end of that puts it back, so that no call looks at all static
        # nodes. Those that may be dialed even while the server is full are kept apart.
        self._ready: _Bag[bytes] = _Bag()
        self._ready_trusted: _Bag[bytes] = _Bag()
        # Static nodes that can never be dialed, and those not yet reported, with the error.
        self._undialable: set[bytes] = set()
        self._refusals: list[tuple[Node, ConnectError]] = []

    # Commands

    def add_static(self, node: Node) -> None:
        """Keep ``node`` connected from now on. A static node of the same ID is replaced."""
        self._static[node.id] = node
        self._undialable.discard(node.id)
        self._reconsider(node.id)

    def remove_static(self, node_id: bytes) -> None:
        """Do not dial the node again; a dial under way continues."""
        self._static.pop(node_id, None)
        self._undialable.discard(node_id)
        self._ready.discard(node_id)
        self._ready_trusted.discard(node_id)

    def is_static(self, node_id: bytes) -> bool:
        """Whether the node is to be kept connected."""
        return node_id in self._static

    def set_trusted(self, node_id: bytes, trusted: bool) -> None:
        """Set whether the node may be dialed even while the server is full."""
        if trusted:
            self._trusted.add(node_id)
        else:
            self._trusted.discard(node_id)
        self._ready.discard(node_id)
        self._ready_trusted.discard(node_id)
        self._reconsider(node_id)

    # Input: events

    def set_full(self, full: bool) -> None:
        """Set whether there are ``max_peers`` peers, so that only trusted nodes may be dialed."""
        self._full = full

    def peer_added(self, node_id: bytes, dialed: bool) -> None:
        """Note that a node became a peer; ``dialed`` if we dialed it."""
        self._peers.add(node_id)
        self._dialed_peers += dialed

    def peer_removed(self, node_id: bytes, dialed: bool) -> None:
        """Note that a peer left; ``dialed`` as it was given to :meth:`peer_added`."""
        self._peers.discard(node_id)
        self._dialed_peers -= dialed
        self._reconsider(node_id)

    def begin(self, node: Node, now: float) -> None:
        """Mark ``node`` as being dialed, and as dialed at ``now``; also for ``connect``."""
        self._dialing.add(node.id)
        self._reconsider_all(self._history.dial_begun(node.id, now))

    def begin_candidate(self, node: Node, now: float) -> None:
        """Do :meth:`begin` for a node that has passed :meth:`check_candidate`."""
        self.begin(node, now)
        ip = None if node.hostname else node.ip
        self._candidates[node.id] = ip
        if ip is not None:
            self._network_limit.add(ip, now)

    def connection_opened(self, node_id: bytes, ip: IPAddress, now: float) -> None:
        """Note that a dial has opened a connection: the remote's throttle counts from now."""
        self._reconsider_all(self._history.connection_opened(node_id, ip, now))

    def dial_done(self, node_id: bytes) -> None:
        """Note the end of a dial: it failed, or the node is a peer (call ``peer_added`` first)."""
        self._dialing.discard(node_id)
        self._candidates.pop(node_id, None)
        self._reconsider(node_id)

    # Output.

    def check_dial(
        self, node: Node, now: float, *, resolvable: bool = False
    ) -> ConnectError | None:
        """Return the reason why ``node`` must not be dialed at ``now``, or None if it may be.

        The error is one of :class:`IsSelf`, :class:`NoEndpoint`, :class:`AlreadyDialing`,
        :class:`AlreadyConnected`, :class:`NetRestricted`, :class:`RecentlyDialed` (with
        ``retry_in_s``) and :class:`TooManyPeers`. A node with only a host name passes the check of
        its address: call :meth:`admit_found` when the name is resolved. So does a node without any
        address if it is ``resolvable``, that is, if the caller will ask discovery for it.
        """
        return (
            self._check_identity(node)
            or self._check_endpoint(node, resolvable)
            or self._check_state(node.id)
            or self._check_name(node.hostname)
            or (self.check_address(node.ip) if node.ip is not None else None)
            or self._history.check(node.id, now)
            or self.check_room(node.id)
        )

    def check_candidate(self, node: Node, now: float) -> ConnectError | None:
        """Do :meth:`check_dial` for a node that was found, not named by the user.

        Such a node may also be refused with :class:`CrowdedNetwork`. If its address is one that no
        node can have, the error is :class:`NoEndpoint`.
        """
        error = self.check_dial(node, now)
        if error is not None or node.hostname or node.ip is None:
            return error
        return self._check_network(node.ip, now)

    def admit_found(self, node_id: bytes, ip: IPAddress, now: float) -> ConnectError | None:
        """Check an address that a dial under way has found: by name, by search, or a second one.

        Return the reason why it must not be dialed, or None. Each address of a candidate that
        passes counts for the limit of its network. A second one must be an address that a host at
        the first may name: a record must not lead into our own network.
        """
        error = self.check_address(ip) or self.check_throttle(node_id, ip, now)
        if error is not None or node_id not in self._candidates:
            return error
        first = self._candidates[node_id]
        if ip == first:
            return None  # checked and counted at the begin
        error = self._check_named(first, ip) or self._check_network(ip, now)
        if error is None:
            self._network_limit.add(ip, now)
        return error

    def check_throttle(self, node_id: bytes, ip: IPAddress, now: float) -> Throttled | None:
        """Return :class:`Throttled` if the node would close a connection to ``ip``, else None.

        Nodes take one connection in 30 s from an address outside their own networks. A dial that
        opened no connection does not count.
        """
        return self._history.check_throttle(node_id, ip, now)

    def check_address(self, ip: IPAddress) -> ConnectError | None:
        """Return :class:`NetRestricted` if ``net_restrict`` forbids the address, else None."""
        if is_allowed_address(ip, self._net_restrict):
            return None
        return NetRestricted(f"{ip} is outside net_restrict ({self._net_restrict})")

    def check_room(self, node_id: bytes) -> ConnectError | None:
        """Return :class:`TooManyPeers` if only trusted nodes may be dialed now, else None."""
        if not self._full or node_id in self._trusted:
            return None
        return TooManyPeers("max_peers is reached, and the node is not a trusted one")

    def poll(self, now: float) -> list[Node]:
        """Begin the dials of static nodes that are due at ``now``, and return these nodes.

        They come in random order, at most as many as keep the dials under way at ``max_active``.
        Call it again after every input, and at :meth:`next_deadline`.
        """
        self._reconsider_all(self._history.expire(now))
        started: list[Node] = []
        while len(self._dialing) < self._max_active and self._has_ready():
            node = self._static[self._take_ready()]
            error = self.check_dial(node, now, resolvable=self.can_resolve)
            if error is None:
                self.begin(node, now)
                started.append(node)
            elif isinstance(error, _PERMANENT) and node.id not in self._undialable:
                self._undialable.add(node.id)
                self._refusals.append((node, error))
        return started

    def poll_refusals(self) -> list[tuple[Node, ConnectError]]:
        """Return the static nodes that :meth:`poll` found can never be dialed, with the reason.

        Each is returned once, until it is added again.
        """
        refusals, self._refusals = self._refusals, []
        return refusals

    def next_deadline(self, now: float) -> float | None:
        """Return the time at which :meth:`poll` may next start a dial without input; None: never.

        There may be nothing to start then. After a ``poll(now)`` the time is later than ``now``.
        """
        if len(self._dialing) >= self._max_active:
            return None  # a dial must end first
        if self._has_ready():
            return now
        return self._history.next_free_at if self._static else None

    def free_slots(self) -> int:
        """Return the number of dials to non-static nodes that may begin; negative if too many run.

        It is twice the number of missing dialed peers, because not every dial makes a peer, at most
        ``max_active``, minus the dials under way.
        """
        wanted = (self._max_dialed - self._dialed_peers) * 2
        return min(wanted, self._max_active) - len(self._dialing)

    @property
    def is_full(self) -> bool:
        """Whether there are ``max_peers`` peers."""
        return self._full

    @property
    def dialed_peers(self) -> int:
        """Number of peers that we dialed."""
        return self._dialed_peers

    @property
    def wants_more(self) -> bool:
        """Whether there are fewer than ``max_dialed`` dialed peers."""
        return self._dialed_peers < self._max_dialed

    @property
    def static_count(self) -> int:
        """Number of static nodes."""
        return len(self._static)

    # The checks, in their order.

    def _check_identity(self, node: Node) -> ConnectError | None:
        return IsSelf("the node is this node itself") if node.id == self._self_id else None

    def _check_endpoint(self, node: Node, resolvable: bool) -> ConnectError | None:
        if resolvable and not node.hostname and node.ip is None:
            return None
        if not node.hostname and (node.ip is None or is_unspecified(node.ip)):
            return NoEndpoint("the node has no known address")
        return NoEndpoint("the node has no TCP port") if node.tcp == 0 else None

    def _check_state(self, node_id: bytes) -> ConnectError | None:
        if node_id in self._dialing:
            return AlreadyDialing("the node is being dialed already")
        if node_id in self._peers:
            return AlreadyConnected("the node is a peer already")
        return None

    def _check_name(self, hostname: str) -> ConnectError | None:
        """Return NetRestricted for a name whose address only the program's dialer will know."""
        if self._looks_up_names or self._net_restrict is None or not is_name(hostname):
            return None
        text = f"the dialer looks up {hostname}, so that net_restrict cannot be checked"
        return NetRestricted(text)

    def _check_named(self, first: IPAddress | None, ip: IPAddress) -> ConnectError | None:
        problem = None if first is None else check_relay_addr(first, ip, self._own)
        return None if problem is None else NoEndpoint(f"{ip} is not dialed: {problem}")

    def _check_network(self, ip: IPAddress, now: float) -> ConnectError | None:
        if self._own.scope_of(ip) is Scope.NONE and not self._own.is_named(ip):
            return NoEndpoint(f"no node can be at {ip}")
        if self._network_limit.is_full(ip, now):
            return CrowdedNetwork("enough nodes of its network were dialed lately")
        return None

    # The static nodes that may be ready.

    def _reconsider(self, node_id: bytes) -> None:
        if node_id not in self._static:
            return
        (self._ready_trusted if node_id in self._trusted else self._ready).add(node_id)

    def _reconsider_all(self, node_ids: Iterable[bytes]) -> None:
        for node_id in node_ids:
            self._reconsider(node_id)

    def _has_ready(self) -> bool:
        return bool(self._ready_trusted) or (bool(self._ready) and not self._full)

    def _take_ready(self) -> bytes:
        untrusted = 0 if self._full else len(self._ready)
        index = self._random.randrange(untrusted + len(self._ready_trusted))
        if index < untrusted:
            return self._ready.take(index)
        return self._ready_trusted.take(index - untrusted)


class _Bag(Generic[_K]):
    """A set from which the item at any index can be taken, each operation in O(1)."""

    def __init__(self) -> None:
        self._items: list[_K] = []
        self._index: dict[_K, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: _K) -> None:
        """Add an item; no effect if it is there."""
        if item not in self._index:
            self._index[item] = len(self._items)
            self._items.append(item)

    def discard(self, item: _K) -> None:
        """Remove an item; no effect if it is not there."""
        if item in self._index:
            self.take(self._index[item])

    def take(self, index: int) -> _K:
        """Remove and return the item at ``index``; the last item moves there."""
        item = self._items[index]
        last = self._items.pop()
        if last is not item:
            self._items[index] = last
            self._index[last] = index
        del self._index[item]
        return item
