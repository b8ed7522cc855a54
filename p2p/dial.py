"""Whom to dial next, and whom not: the scheduler of outbound connections.

The scheduler knows which nodes are static or trusted, being dialed or connected, and which were
dialed within the last 35 s. From that it answers two questions: may this
node be dialed now (:meth:`DialScheduler.check_dial`), and which static nodes are to be dialed now
(:meth:`DialScheduler.poll`). It opens no connection and resolves no name; its owner does so and
reports back with ``dial_done``, ``peer_added`` and ``peer_removed``.

Unlike go-ethereum's, static nodes are not held back by the share of slots for dialed peers: a node
the user named is to be connected, even if discovery has filled that share. They are bounded by the
dials under way, and by ``max_peers`` unless trusted. And an inbound handshake keeps nobody from
being dialed: until it is complete, anybody may claim to be that node.

Pure; the server's I/O thread owns it. ``now`` is in monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, Protocol, TypeVar

from p2p.admission import INBOUND_WINDOW_S, is_allowed_address
from p2p.bag import Bag
from p2p.crowd import Crowd
from p2p.errors import (
    AlreadyConnected,
    AlreadyDialing,
    ConnectError,
    CrowdedNetwork,
    IsSelf,
    NetRestricted,
    NoEndpoint,
    RecentlyDialed,
    TooManyPeers,
)
from p2p.netutil import Netlist
from p2p.randomsource import RandomSource

#: Dials under way at most, when the configuration does not say.
DEFAULT_MAX_ACTIVE = 50

#: Seconds before a node is dialed again. A little more than the remote's inbound throttle, or in a
#: small network each second attempt would be closed without a word.
DIAL_HISTORY_S = INBOUND_WINDOW_S + 5.0

#: Nodes the history remembers at most. Only a program that dials by hand more than 250 nodes a
#: second gets there; the oldest is then free to be dialed a little early.
MAX_HISTORY = 10_000

#: Why a node is not dialed now, and will not be later either.
_LASTING = (IsSelf, NoEndpoint, NetRestricted)


class DialNode(Protocol):
    """What the scheduler asks of a node; ``p2p.enode.Node`` has it."""

    @property
    def id(self) -> bytes:
        """The node ID, 32 bytes."""

    @property
    def ip(self) -> IPv4Address | IPv6Address | None:
        """Its address, if one is known."""

    @property
    def tcp(self) -> int:
        """Its TCP port, or 0."""

    @property
    def hostname(self) -> str:
        """The name its address is to be looked up by, or ""."""


N = TypeVar("N", bound=DialNode)


class DialScheduler(Generic[N]):
    """Decides which nodes may be dialed, and which static nodes to dial next.

    ``max_dialed`` is how many peers may be dialed ones (it bounds :meth:`free_slots` only),
    ``max_active`` how many dials :meth:`poll` lets be under way, ``net_restrict`` the addresses
    that may be dialed (None: all), ``random`` picks the order of static nodes.
    """

    def __init__(
        self,
        self_id: bytes,
        max_dialed: int,
        max_active: int = DEFAULT_MAX_ACTIVE,
        net_restrict: Netlist | None = None,
        *,
        random: RandomSource,
    ) -> None:
        # fixed after __init__
        self._self_id = self_id
        self._max_dialed = max_dialed
        self._max_active = max_active
        self._net_restrict = net_restrict
        self._random = random
        # what the server has told
        self._static: dict[bytes, N] = {}
        self._trusted: set[bytes] = set()
        self._peers: set[bytes] = set()
        self._dialed_peers = 0
        self._full = False
        #: Whether discovery can be asked for static nodes that have no address.
        self.can_resolve = False
        # what was started
        self._dialing: set[bytes] = set()
        self._history: OrderedDict[bytes, float] = OrderedDict()  # ID -> expiry, earliest first
        self._crowd = Crowd()
        # Static nodes that may have become ready to dial. poll() takes a node out; whatever then
        # stands in its way puts it back when it ends, so that no call looks at all static nodes.
        # Those that may be dialed even while the server is full are kept apart.
        self._ready: Bag[bytes] = Bag()
        self._ready_trusted: Bag[bytes] = Bag()
        # Static nodes that cannot be dialed at all, and what is still to be told of them.
        self._hopeless: set[bytes] = set()
        self._refusals: list[tuple[N, ConnectError]] = []

    # Commands: what the user wants.

    def add_static(self, node: N) -> None:
        """Keep ``node`` connected from now on. A static node of the same ID is replaced."""
        self._static[node.id] = node
        self._hopeless.discard(node.id)
        self._reconsider(node.id)

    def remove_static(self, node_id: bytes) -> None:
        """Do not dial the node again; a dial under way goes on."""
        self._static.pop(node_id, None)
        self._hopeless.discard(node_id)
        self._ready.discard(node_id)
        self._ready_trusted.discard(node_id)

    def is_static(self, node_id: bytes) -> bool:
        """Whether the node is to be kept connected."""
        return node_id in self._static

    def set_trusted(self, node_id: bytes, trusted: bool) -> None:
        """Let the node be dialed even while the server is full, or no longer."""
        if trusted:
            self._trusted.add(node_id)
        else:
            self._trusted.discard(node_id)
        self._ready.discard(node_id)
        self._ready_trusted.discard(node_id)
        self._reconsider(node_id)

    # Input: what happened.

    def set_full(self, full: bool) -> None:
        """Say whether there are ``max_peers`` peers, so that only trusted nodes may be dialed."""
        self._full = full

    def peer_added(self, node_id: bytes, dialed: bool) -> None:
        """A node became a peer; ``dialed`` if we dialed it."""
        self._peers.add(node_id)
        self._dialed_peers += dialed

    def peer_removed(self, node_id: bytes, dialed: bool) -> None:
        """A peer left; ``dialed`` as it was given to :meth:`peer_added`."""
        self._peers.discard(node_id)
        self._dialed_peers -= dialed
        self._reconsider(node_id)

    def begin(self, node: N, now: float) -> None:
        """Mark ``node`` as being dialed, and as dialed at ``now``. For dials by hand as well."""
        self._dialing.add(node.id)
        self._history[node.id] = now + DIAL_HISTORY_S
        self._history.move_to_end(node.id)
        if len(self._history) > MAX_HISTORY:
            self._forget_oldest()

    def begin_candidate(self, node: N, now: float) -> None:
        """:meth:`begin` for a node that :meth:`check_candidate` has let pass."""
        self.begin(node, now)
        if node.ip is not None:
            self._crowd.add(node.ip, now)

    def dial_done(self, node_id: bytes) -> None:
        """A dial has ended: the node is a peer (say so first, by ``peer_added``), or it failed."""
        self._dialing.discard(node_id)
        self._reconsider(node_id)

    # Output.

    def check_dial(
        self, node: N, now: float, *, resolvable: bool = False
    ) -> ConnectError | None:
        """Return why ``node`` must not be dialed at ``now``, or None if it may be.

        The error is one of :class:`IsSelf`, :class:`NoEndpoint`, :class:`AlreadyDialing`,
        :class:`AlreadyConnected`, :class:`NetRestricted`, :class:`RecentlyDialed` (with
        ``retry_in_s``) and :class:`TooManyPeers`. A node with only a host name passes the check of
        its address: ask :meth:`check_address` when the name is resolved. So does one without any
        address if it is ``resolvable``, that is, if its owner will ask discovery for it.
        """
        return (
            self._check_identity(node)
            or self._check_endpoint(node, resolvable)
            or self._check_state(node.id)
            or (self.check_address(node.ip) if node.ip is not None else None)
            or self._check_history(node.id, now)
            or self.check_room(node.id)
        )

    def check_candidate(self, node: N, now: float) -> ConnectError | None:
        """:meth:`check_dial` for a node that was found, not named by the user.

        Such a node may be refused with :class:`CrowdedNetwork`, too.
        """
        error = self.check_dial(node, now)
        if error is None and node.ip is not None and self._crowd.is_full(node.ip, now):
            return CrowdedNetwork("enough nodes of its network were dialed lately")
        return error

    def check_address(self, ip: IPv4Address | IPv6Address) -> ConnectError | None:
        """Return :class:`NetRestricted` if ``net_restrict`` forbids the address, else None."""
        if is_allowed_address(ip, self._net_restrict):
            return None
        return NetRestricted(f"{ip} is outside net_restrict ({self._net_restrict})")

    def check_room(self, node_id: bytes) -> ConnectError | None:
        """Return :class:`TooManyPeers` if only trusted nodes may be dialed now, else None."""
        if not self._full or node_id in self._trusted:
            return None
        return TooManyPeers("max_peers is reached, and the node is not a trusted one")

    def poll(self, now: float) -> list[N]:
        """Begin the dials of static nodes that are due at ``now``, and return these nodes.

        They come in random order, and only as many as there may be dials under way. Ask again
        after every input, and at :meth:`next_deadline`.
        """
        self._expire(now)
        started: list[N] = []
        while len(self._dialing) < self._max_active and self._has_ready():
            node = self._static[self._take_ready()]
            error = self.check_dial(node, now, resolvable=self.can_resolve)
            if error is None:
                self.begin(node, now)
                started.append(node)
            elif isinstance(error, _LASTING) and node.id not in self._hopeless:
                self._hopeless.add(node.id)
                self._refusals.append((node, error))
        return started

    def poll_refusals(self) -> list[tuple[N, ConnectError]]:
        """The static nodes that :meth:`poll` has found to be such as are never dialed, with why.

        Each is given once, until it is added again.
        """
        refusals, self._refusals = self._refusals, []
        return refusals

    def next_deadline(self, now: float) -> float | None:
        """When :meth:`poll` may next start a dial without any input before, or None for never.

        It may turn out that there is nothing to start then. After a ``poll(now)`` the time lies
        after ``now``.
        """
        if len(self._dialing) >= self._max_active:
            return None  # the end of a dial comes first
        if self._has_ready():
            return now
        if not self._static or not self._history:
            return None
        return next(iter(self._history.values()))

    def free_slots(self) -> int:
        """How many dials to nodes that are not static may be begun; negative if there are too many.

        Twice the dialed peers that are missing, for not every dial makes a peer, and at most
        ``max_active``; less the dials under way.
        """
        wanted = (self._max_dialed - self._dialed_peers) * 2
        return min(wanted, self._max_active) - len(self._dialing)

    @property
    def is_full(self) -> bool:
        """Whether there are ``max_peers`` peers."""
        return self._full

    @property
    def dialed_peers(self) -> int:
        """How many peers are ones that we dialed."""
        return self._dialed_peers

    @property
    def wants_more(self) -> bool:
        """Whether fewer peers are dialed ones than there may be."""
        return self._dialed_peers < self._max_dialed

    @property
    def static_count(self) -> int:
        """How many nodes are static."""
        return len(self._static)

    # The checks, in their order.

    def _check_identity(self, node: N) -> ConnectError | None:
        return IsSelf("the node is this node itself") if node.id == self._self_id else None

    def _check_endpoint(self, node: N, resolvable: bool) -> ConnectError | None:
        if resolvable and not node.hostname and node.ip is None:
            return None
        if not node.hostname and (node.ip is None or node.ip.is_unspecified):
            return NoEndpoint("the node has no known address")
        return NoEndpoint("the node has no TCP port") if node.tcp == 0 else None

    def _check_state(self, node_id: bytes) -> ConnectError | None:
        if node_id in self._dialing:
            return AlreadyDialing("the node is being dialed already")
        if node_id in self._peers:
            return AlreadyConnected("the node is a peer already")
        return None

    def _check_history(self, node_id: bytes, now: float) -> ConnectError | None:
        retry_in_s = self._history.get(node_id, now) - now
        if retry_in_s <= 0:
            return None
        text = f"the node was dialed less than {DIAL_HISTORY_S:.0f} s ago"
        return RecentlyDialed(f"{text}, retry in {retry_in_s:.1f} s", retry_in_s)

    # The static nodes that may be ready.

    def _reconsider(self, node_id: bytes) -> None:
        if node_id not in self._static:
            return
        (self._ready_trusted if node_id in self._trusted else self._ready).add(node_id)

    def _has_ready(self) -> bool:
        return bool(self._ready_trusted) or (bool(self._ready) and not self._full)

    def _take_ready(self) -> bytes:
        untrusted = 0 if self._full else len(self._ready)
        index = self._random.randrange(untrusted + len(self._ready_trusted))
        if index < untrusted:
            return self._ready.take(index)
        return self._ready_trusted.take(index - untrusted)

    def _expire(self, now: float) -> None:
        while self._history and next(iter(self._history.values())) <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        node_id, _ = self._history.popitem(last=False)
        self._reconsider(node_id)
