"""One interface, with zeroconf: what is announced there, and what others announce.

The only module that imports zeroconf, and only for a server with ``lan_discovery``. The library
runs asyncio in a thread of its own for each :class:`Link`, beside one for its browser; nothing of
that reaches the program. A link for each interface, since an address means something there only:
what is announced has the addresses of its interface, and no others.

:meth:`Link.open`, :meth:`Link.announce` and :meth:`Link.close` block for up to a second; one thread
calls them, ``p2p-lan``. A thread of the library calls ``on_change``, with the name and whether it
is still there.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from p2p import forks
from p2p.errors import ConfigError
from p2p.lan.adapters import check_multicast
from p2p.lan.announcement import Announcement
from p2p.lan.interfaces import Interface
from p2p.netutil import printable

#: DNS-SD type of RLPx over TCP (RFC 6763, section 7). docs/design/lan.md has the reasons.
SERVICE_TYPE = "_devp2p._tcp.local."
#: Lifetime of what we announce, in seconds: that of records with a host's name (RFC 6762, section
#: 10), for all of them. A laptop that was closed leaves without a goodbye.
TTL_S = 120
#: Random bytes of the names of instance and host, which tell nothing about the machine.
NAME_BYTES = 8
#: Limit on a name that is followed, in characters (RFC 1035, section 2.3.4).
MAX_NAME = 255
#: Characters of an error of the library that are shown.
MAX_SHOWN = 200
#: Class and types of the questions for what an announcement lacks (RFC 1035, RFC 2782, RFC 3596).
_IN, _TYPES, _ADDRESS_TYPES = 1, (33, 16), (1, 28)
#: A standard query, multicast (RFC 6762, section 18).
_QUERY = 0


def check_installed() -> None:
    """Raise ConfigError if zeroconf is not installed."""
    _library()


OnChange = Callable[["Link", str, bool], object]


class LinkFailed(Exception):
    """The library has failed; the text is fit for the log."""


class Link:
    """Announcements at one interface. Not opened yet."""

    def __init__(self, interface: Interface, on_change: OnChange) -> None:
        # fixed after __init__
        self.interface = interface
        self._on_change = on_change
        self._name = f"{secrets.token_hex(NAME_BYTES)}.{SERVICE_TYPE}"
        self._host = f"{secrets.token_hex(NAME_BYTES)}.local."
        # owned by the thread that opens it
        self._zeroconf: Any = None
        self._announced = b""
        # set by a thread of the library
        self._error: str | None = None

    # p2p-lan

    def check(self) -> None:
        """Raise LinkFailed if the library has failed since it was opened."""
        if self._error is None and not self._zeroconf.started:
            self._error = "zeroconf has ended"
        if self._error is not None:
            raise LinkFailed(f"{self.interface.name}: {printable(self._error, MAX_SHOWN)}")

    def open(self) -> None:
        """Join the multicast group and begin to look for announcements. Raises LinkFailed."""
        library = _library()
        interfaces = [str(ip) for ip in self.interface.ips]
        try:
            check_multicast(self.interface)
            self._zeroconf = library.Zeroconf(interfaces=interfaces)
            forks.in_child(self, Link._close_in_child)
            loop = self._zeroconf.loop
            loop.call_soon_threadsafe(loop.set_exception_handler, self._fail)
            self._zeroconf.add_service_listener(SERVICE_TYPE, _Listener(self))
        except Exception as error:  # whatever the library makes of the system's errors
            raise self._failure(error) from error

    def announce(self, txt: bytes, port: int) -> None:
        """Announce our node, if it is not yet announced like this. Raises LinkFailed."""
        if txt == self._announced:
            return
        info = _library().ServiceInfo(
            SERVICE_TYPE,
            self._name,
            port=port,
            properties=txt,
            server=self._host,
            host_ttl=TTL_S,
            other_ttl=TTL_S,
            addresses=[ip.packed for ip in self.interface.ips],
        )
        try:
            if self._announced:
                self._zeroconf.update_service(info)
            else:
                # The name is random: there is no need to ask for others with it first.
                self._zeroconf.register_service(info, cooperating_responders=True)
        except Exception as error:
            raise self._failure(error) from error
        self._announced = txt

    def close(self) -> None:
        """Withdraw what was announced, and end the library's threads. Raises LinkFailed."""
        library, self._zeroconf = self._zeroconf, None
        if library is None:
            return
        try:
            library.close()
        except Exception as error:
            raise self._failure(error) from error

    def look(self, name: str) -> Announcement | None:
        """Return what is known of a name; if that is not all, ask for the rest and return None.

        Raises LinkFailed for a name that the library refuses.
        """
        try:
            info = _library().ServiceInfo(SERVICE_TYPE, name)
            if info.load_from_cache(self._zeroconf):
                ips = tuple(ip_address(text) for text in info.parsed_addresses())
                return Announcement(info.text or b"", info.port or 0, ips)
            self._ask_for_rest(name, info.server)
        except Exception as error:  # whatever the library makes of a remote's bytes
            raise self._failure(error) from error
        return None

    def names(self) -> list[str]:
        """Return the names that are announced here, without ours."""
        pointers = self._zeroconf.cache.entries_with_name(SERVICE_TYPE)
        return [name for name in (one.alias for one in pointers) if self._is_followed(name)]

    def _ask_for_rest(self, name: str, server: str | None) -> None:
        library = _library()
        query = library.DNSOutgoing(_QUERY)
        asked, types = (name, _TYPES) if server is None else (server, _ADDRESS_TYPES)
        for kind in types:
            query.add_question(library.DNSQuestion(asked, kind, _IN))
        self._zeroconf.send(query)

    def _failure(self, error: Exception) -> LinkFailed:
        text = printable(str(error) or type(error).__name__, MAX_SHOWN)
        return LinkFailed(f"{self.interface.name}: {text}")

    # the library's threads

    def _changed(self, name: str, is_there: bool) -> None:
        if self._is_followed(name):
            self._on_change(self, name, is_there)

    def _is_followed(self, name: str) -> bool:
        return len(name) <= MAX_NAME and name.lower() != self._name

    def _fail(self, loop: Any, context: Mapping[str, Any]) -> None:
        """Take an error that nothing in the library has handled: a socket may be closed by it."""
        self._error = str(context.get("exception") or context.get("message"))

    # a forked child

    def _close_in_child(self) -> None:
        """Let go of the sockets, which are the parent's: their numbers lead nowhere from now on."""
        if self._zeroconf is None:
            return
        nowhere = os.open(os.devnull, os.O_RDWR)
        for ends in (self._zeroconf.engine.readers, self._zeroconf.engine.senders):
            for one in ends:
                os.dup2(nowhere, one.fileno)
        os.close(nowhere)


class _Listener:
    """The ``ServiceListener`` of zeroconf, which calls it on a thread of its own."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def add_service(self, zeroconf: Any, service_type: str, name: str) -> None:
        self._link._changed(name, True)

    def update_service(self, zeroconf: Any, service_type: str, name: str) -> None:
        self._link._changed(name, True)

    def remove_service(self, zeroconf: Any, service_type: str, name: str) -> None:
        self._link._changed(name, False)


def _library() -> Any:
    """Import zeroconf."""
    try:
        import zeroconf
    except ImportError as error:
        raise ConfigError(
            "lan_discovery needs zeroconf: pip install 'p2p-blocking[lan]'"
        ) from error
    return zeroconf
