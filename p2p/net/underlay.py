"""The network beneath a server: the maker of its sockets.

A server is on one :class:`Underlay`, by default that of the system. :mod:`p2p.lab` has others,
whose sockets are in memory or have links of some quality. The seam is at the level of sockets, as
non-blocking code uses them: channels, listeners, connectors and datagrams of :mod:`p2p.net` work on
any of them, and a message costs no call more (``docs/design/lab-network.md``).

Any thread may make sockets; a socket belongs to the thread of its loop.
"""

from __future__ import annotations

import socket

from p2p.net.binding import bind, bind_udp
from p2p.net.sockaddr import family_of
from p2p.net.sockets import DatagramSocket, ListeningSocket, StreamSocket
from p2p.netutil import Endpoint, Netlist


class Underlay:
    """The network that a server is on, for its option ``underlay``; this one is the system's.

    Those of :mod:`p2p.lab` are subclasses. Programs do not write their own.
    """

    #: Whether the servers of the Internet, such as those for the time, are on it.
    _is_public = True
    #: Special networks whose addresses are here as those of the Internet are elsewhere.
    _simulated = Netlist()

    def _bind(self, host: str | None, port: int) -> ListeningSocket:
        """Return a listening socket. Raises OSError, as :func:`p2p.net.bind`."""
        return bind(host, port)

    def _bind_udp(self, host: str | None, port: int) -> DatagramSocket:
        """Return a UDP socket. Raises OSError, as :func:`p2p.net.bind_udp`."""
        return bind_udp(host, port)

    def _new_stream(self, address: Endpoint) -> StreamSocket:
        """Return a socket that can be connected to ``address``. Raises OSError."""
        return socket.socket(family_of(address), socket.SOCK_STREAM)


def simulated_networks(sock: DatagramSocket) -> Netlist:
    """Return the special networks that stand for the Internet where ``sock`` sends to."""
    found: Netlist = getattr(sock, "simulated", Underlay._simulated)  # the kernel's have none
    return found


#: The default of servers; it has no state.
SYSTEM_UNDERLAY = Underlay()
