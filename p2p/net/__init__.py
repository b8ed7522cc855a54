"""Sockets on one thread: the selector loop, TCP channels, listener and connector, datagrams.

This layer moves bytes and has no knowledge of devp2p. A :class:`Loop` runs functions, timers and
socket handlers on its thread; a :class:`Channel` is one TCP connection on it, a :class:`Listener`
accepts such connections, a :class:`Connector` makes one; a :class:`Datagrams` is one UDP socket.
All of these belong to the loop's thread; other threads use :meth:`Loop.post`, :meth:`Loop.submit`
and :meth:`Loop.call`.
:class:`NameLookups` looks up host names on threads of its own. An :class:`Underlay` makes the
sockets: those of the system, or others that have the same methods.
"""

from p2p.net.binding import bind, bind_pair, bind_udp
from p2p.net.channel import Channel, Receiver
from p2p.net.connector import Connector
from p2p.net.limiter import Limiter
from p2p.net.listener import Listener
from p2p.net.lookups import Lookups, NameLookups
from p2p.net.loop import Loop
from p2p.net.poller import ERROR, READ, WRITE
from p2p.net.resolver import look_up
from p2p.net.sockaddr import (
    UNKNOWN_ENDPOINT,
    endpoint_of,
    ends_of,
    family_of,
    served_version,
    sockaddr_of,
)
from p2p.net.sockets import DatagramSocket, ListeningSocket, StreamSocket
from p2p.net.timer import Timer
from p2p.net.udp import Datagrams
from p2p.net.underlay import SYSTEM_UNDERLAY, Underlay, simulated_networks
from p2p.net.virtual import VirtualSocket

__all__ = [
    "ERROR",
    "READ",
    "SYSTEM_UNDERLAY",
    "UNKNOWN_ENDPOINT",
    "WRITE",
    "Channel",
    "Connector",
    "DatagramSocket",
    "Datagrams",
    "Limiter",
    "Listener",
    "ListeningSocket",
    "Loop",
    "Lookups",
    "NameLookups",
    "Receiver",
    "StreamSocket",
    "Timer",
    "Underlay",
    "VirtualSocket",
    "bind",
    "bind_pair",
    "bind_udp",
    "endpoint_of",
    "ends_of",
    "family_of",
    "look_up",
    "served_version",
    "simulated_networks",
    "sockaddr_of",
]
