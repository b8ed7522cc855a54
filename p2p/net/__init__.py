"""Sockets on one thread: the selector loop, TCP channels, listener and connector, datagrams.

This layer moves bytes and knows nothing of devp2p. A :class:`Loop` runs functions, timers and
socket handlers on its thread; a :class:`Channel` is one TCP connection on it, a :class:`Listener`
accepts such connections, a :class:`Connecting` makes one; a :class:`Datagrams` is one UDP socket.
All of these belong to the loop's thread; :meth:`Loop.post` and :meth:`Loop.call` are the way in
from any other.
"""

from p2p.net.address import (
    UNKNOWN_ADDRESS,
    Address,
    address_of,
    family_of,
    format_address,
    sockaddr_of,
)
from p2p.net.channel import Channel, Receiver
from p2p.net.connector import Connecting
from p2p.net.listener import Listener, bind
from p2p.net.loop import Loop, Request
from p2p.net.poller import ERROR, READ, WRITE
from p2p.net.timer import Timer
from p2p.net.udp import Datagrams, bind_udp

__all__ = [
    "ERROR",
    "READ",
    "UNKNOWN_ADDRESS",
    "WRITE",
    "Address",
    "Channel",
    "Connecting",
    "Datagrams",
    "Listener",
    "Loop",
    "Receiver",
    "Request",
    "Timer",
    "address_of",
    "bind",
    "bind_udp",
    "family_of",
    "format_address",
    "sockaddr_of",
]
