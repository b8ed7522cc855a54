"""Resolution of TXT records, by dnspython (the extra ``p2p-blocking[dns]``).

The only module that imports dnspython, and only for a program that has node lists. Look-ups block,
so they are not for the threads of other parts. A truncated answer is asked for again over TCP, by
dnspython itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from p2p.arguments import text_of, wrong
from p2p.errors import ConfigError
from p2p.netutil import printable, read_ip, split_host_port

#: Limit on a look-up with all its tries, in seconds; as in go-ethereum.
LOOKUP_TIMEOUT_S = 5.0
#: Characters of an error of dnspython, which has all tries, that are shown.
MAX_SHOWN = 300
#: Port of name servers (RFC 1035).
DNS_PORT = 53


#: Errors of dnspython by the names of their classes: it is not imported before it is used.
_WORDS = {
    "LifetimeTimeout": "no name server answers within {:g} s",
    "Timeout": "no name server answers within {:g} s",
    "NXDOMAIN": "the name does not exist",
    "NoAnswer": "the name has no TXT records",
}


class Resolver(Protocol):
    """A resolver of names, such as a ``dns.resolver.Resolver`` of dnspython.

    It is used by one thread at a time.
    """

    def resolve(self, qname: str, rdtype: str, *, lifetime: float, search: bool) -> Iterable[Any]:
        """Return the records of the type ``rdtype`` ("TXT"), each with its ``strings``.

        Returns or raises within ``lifetime`` seconds. ``qname`` is absolute, ``search`` False.
        """


def check_installed() -> None:
    """Raise ConfigError if dnspython is not installed."""
    _dns_resolver()


def is_installed() -> bool:
    """Return whether dnspython is installed."""
    try:
        check_installed()
    except ConfigError:
        return False
    return True


def resolver_of(server: str) -> Resolver:
    """Return a resolver that asks one name server only.

    ``server`` is its IP address, or address and port: "192.0.2.53", "127.0.0.1:5353",
    "[::1]:5353". Raises ArgumentError for another text, ConfigError if dnspython is not installed.
    Any thread; the resolver is for one at a time.
    """
    host, port = _endpoint_of(server)
    resolver: Any = _dns_resolver().Resolver(configure=False)
    resolver.nameservers, resolver.port = [host], port
    made: Resolver = resolver
    return made


class TextResolver:
    """Look-ups of TXT records by ``resolver``; None is dnspython's default resolver.

    That one asks the name servers of the system, unless the program has replaced it
    (``dns.resolver.default_resolver``). One thread at a time may use it.
    """

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._given = resolver

    def check(self) -> None:
        """Raise OSError if the system has no configuration of name servers."""
        self._resolver()

    def look_up(self, name: str) -> list[str]:
        """Return the TXT records of a name, each with its strings joined.

        Bytes that are not ASCII become U+FFFD. Raises OSError, if there are none, too; after
        LOOKUP_TIMEOUT_S at the latest.
        """
        resolver = self._resolver()
        try:
            answer = resolver.resolve(f"{name}.", "TXT", lifetime=LOOKUP_TIMEOUT_S, search=False)
            return [_text_of(record) for record in answer]
        except Exception as error:  # whatever the library makes of a remote's bytes
            raise OSError(f"cannot look up {name}: {_plain(error)}") from error

    def _resolver(self) -> Resolver:
        """Return the resolver. The file that names its servers may come later."""
        if self._given is not None:
            return self._given
        module = _dns_resolver()
        try:
            default: Resolver = module.get_default_resolver()
        except module.NoResolverConfiguration as error:
            raise OSError(f"no name server is configured: {error}") from error
        return default


def _endpoint_of(server: str) -> tuple[str, int]:
    """Return address and port of a name server."""
    text = text_of(server, "name server")
    wanted = 'an IP address, or "127.0.0.1:5353" with its port'
    try:
        if (ip := read_ip(text)) is not None:
            return str(ip), DNS_PORT
        host, port = split_host_port(text)
        if host is None or read_ip(host) is None or port == 0:
            raise ValueError
    except ValueError:
        raise wrong("server", text, wanted) from None
    return host, port


def _plain(error: Exception) -> str:
    """Return an error of the library in plain words: by its class, else its own text."""
    names = [kind.__name__ for kind in type(error).__mro__]
    words = next((_WORDS[name] for name in names if name in _WORDS), None)
    own = str(error) or type(error).__name__
    return words.format(LOOKUP_TIMEOUT_S) if words is not None else printable(own, MAX_SHOWN)


def _text_of(record: Any) -> str:
    return b"".join(record.strings).decode("ascii", "replace")


def _dns_resolver() -> Any:
    """Import ``dns.resolver``."""
    try:
        import dns.resolver
    except ImportError as error:
        raise ConfigError(
            "node lists in DNS (dns_discovery) need dnspython: pip install 'p2p-blocking[dns]'"
        ) from error
    return dns.resolver
