"""Observing a server: input, output and internal steps of its connections and of discovery.

A program gives an :class:`Observer` to the option ``observer`` of :class:`p2p.Server` or
:func:`p2p.connect`. It is asked for a :class:`ConnectionObserver` for each :class:`NewConnection`,
and for a :class:`DiscoveryObserver` for each discovery protocol, and it gets each dial. This
one prints the names of all packets that discovery receives::

    class Packets(p2p.observe.DiscoveryObserver):
        def packet_in(self, kind, packet, sender, addr):
            print(kind, addr)

    class MyObserver(p2p.observe.Observer):
        def discovery(self, protocol):
            return Packets()

    server = p2p.Server(..., observer=MyObserver())

Its :meth:`Observer.peer_event` is called for each :class:`p2p.PeerEvent` of a peer that was added
or has left.

The calls and their order are documented in the two base classes. What a connection reports has
these types: its arguments (:class:`ConnectionSetup`), its :class:`Secrets`, its :class:`State`, and
for ``events`` a ``ConnectionEvent``, one of :class:`IdentityKnown`, :class:`HelloReceived` (with
:class:`Hello` and :class:`SharedCap`), :class:`MessageWaiting`, :class:`MessagesReceived`,
:class:`DisconnectReceived` and :class:`ConnectionFailed`. Discovery has :class:`DiscoverySetup`,
:class:`NodeState`, and as ``DiscoveryEvent`` one of :class:`OperationDone`, :class:`NodeAdded`,
:class:`NodeRemoved`, :class:`ManyTimeouts`, :class:`BootnodeSilent`, :class:`BootnodeLeftOut`,
:class:`NameWanted`, :class:`ClockAhead` and :class:`TalkReceived`. ``Peer.handlers`` has the
:class:`HandlerState` of each handler, :func:`where_is` the line at which a thread stands.

Calls about connections come on the thread ``p2p-io``, those about discovery on ``p2p-disc``. They
must not block: nothing else happens meanwhile. An observer gets private keys and the contents of
messages. After its first error, which is logged, an observer is not called again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from p2p.discover import event as discovery_events
from p2p.discover.event import (
    BootnodeLeftOut,
    BootnodeSilent,
    ClockAhead,
    ManyTimeouts,
    NameWanted,
    NodeAdded,
    NodeRemoved,
    OperationDone,
    TalkReceived,
)
from p2p.discover.observer import DiscoveryObserver, DiscoverySetup
from p2p.discover.table.bucket import NodeState
from p2p.enode import Node
from p2p.netutil import Endpoint
from p2p.rlpx import (
    Cap,
    ConnectionFailed,
    ConnectionObserver,
    DisconnectReceived,
    Event,
    Hello,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    MessageWaiting,
    SharedCap,
    State,
)
from p2p.rlpx.handshake import Secrets
from p2p.rlpx.observer import ConnectionSetup
from p2p.usercode import where_is

if TYPE_CHECKING:
    from p2p.dial.attempts import DialAttempt
    from p2p.peers.event import PeerEvent

__all__ = [
    "BootnodeLeftOut",
    "BootnodeSilent",
    "ClockAhead",
    "ConnectionEvent",
    "ConnectionFailed",
    "ConnectionObserver",
    "ConnectionSetup",
    "DisconnectReceived",
    "DiscoveryEvent",
    "DiscoveryObserver",
    "DiscoverySetup",
    "HandlerState",
    "Hello",
    "HelloReceived",
    "IdentityKnown",
    "ManyTimeouts",
    "MessageWaiting",
    "MessagesReceived",
    "NameWanted",
    "NewConnection",
    "NodeAdded",
    "NodeRemoved",
    "NodeState",
    "Observer",
    "OperationDone",
    "Secrets",
    "SharedCap",
    "State",
    "TalkReceived",
    "where_is",
]

#: Event of a connection.
ConnectionEvent: TypeAlias = Event
#: Event of a discovery engine.
DiscoveryEvent: TypeAlias = discovery_events.Event


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A TCP connection before its handshake.

    ``local`` and ``remote`` are its endpoints, 0.0.0.0:0 if the remote has reset it already or it
    is not of TCP. ``node`` is the node that was dialed, None for an inbound connection.
    """

    local: Endpoint
    remote: Endpoint
    node: Node | None


@dataclass(frozen=True, slots=True)
class HandlerState:
    """A handler of a peer at one moment.

    ``reads`` is the number of messages that it has read, ``unread`` that of those which wait for
    it, ``unread_bytes`` their size in memory. ``is_waiting`` says whether it waits for a message.
    ``thread`` is its thread, for :func:`where_is`; None before its start and after its end.
    """

    cap: Cap
    reads: int
    unread: int
    unread_bytes: int
    is_waiting: bool
    thread: threading.Thread | None


class Observer:
    """Base class of observers of a server. A subclass defines what it wants; the default is None.

    A method that raises an error is not called again.
    """

    @property
    def _is_idle(self) -> bool:
        """Whether it wants no calls about open connections at present: some of the library's."""
        return False

    def connection(self, new: NewConnection) -> ConnectionObserver | None:
        """Return the observer of a connection, or None. Called on ``p2p-io``."""
        return None

    def dial_begun(self, node: Node) -> None:
        """Called on ``p2p-io`` when a dial of ``node`` begins."""

    def dial_ended(self, node: Node, attempt: DialAttempt) -> None:
        """Called on ``p2p-io`` with the outcome of a dial.

        A dial that is refused, such as one of a node that was dialed a moment ago, has not begun.
        """

    def discovery(self, protocol: str) -> DiscoveryObserver | None:
        """Return the observer of a discovery protocol, "v4" or "v5", or None.

        Called by the thread that starts the server.
        """
        return None

    def peer_event(self, event: PeerEvent) -> None:
        """Called on ``p2p-io`` when a peer was added or has left, as ``subscribe_events`` has it.

        Not called for messages; :meth:`ConnectionObserver.events` has them.
        """
