"""The options of a server, checked when they are given and fixed from then on.

Each wrong option is refused here, by name, with what was given and what is wanted, so that no
thread meets it later. What may be written in several ways is brought into one form: sequences
become tuples, ``net_restrict`` a ``Netlist``, a 0 that stands for a default that default. The text
of an error never holds the private key, whatever it was given as.

It does not own what the options do; see :class:`p2p.Server`. Nothing is opened or resolved. Any
thread may read a configuration.
"""

from __future__ import annotations

import logging
import os
import reprlib
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Interface

from p2p.admission import DEFAULT_DIAL_RATIO, max_dialed_conns, max_inbound_conns
from p2p.clock import Clock, SystemClock
from p2p.crypto import PrivateKey
from p2p.enode import Node
from p2p.enr import Record
from p2p.errors import ConfigError, EncodeError, InvalidNode
from p2p.netutil import Netlist, split_listen_addr
from p2p.protocol import Protocol
from p2p.rlpx.base import MAX_HELLO_SIZE, NODE_KEY_SIZE, VERSION, Hello, encode_hello

#: Connections that may be in their handshake, inbound and dialed ones each.
DEFAULT_MAX_PENDING_PEERS = 50

#: What stands for the option nobody gave.
_MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()

#: Entries of our record that are not for protocols: what we are, and where.
_OWN_ENTRIES = frozenset(("id", "secp256k1", "ip", "ip6", "tcp", "tcp6", "udp", "udp6"))

#: What is asked of a clock.
_CLOCK_METHODS = ("monotonic", "time_unix", "sleep_for", "on_advance", "off_advance")

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


class Dialer(Interface):
    """What opens outbound connections in place of the server's own connector."""

    def dial(self, node: Node, timeout_s: float) -> socket.socket:
        """Return a connected stream socket to ``node``, or raise OSError.

        It may block, but not longer than ``timeout_s`` seconds. It runs in a thread of its own.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All options of a server. Raises :class:`ConfigError` for each one that is wrong or missing.

    ``private_key``
        The node's key; ``generate_key()`` makes one.
    ``name``
        What the node calls itself in its hello.
    ``max_peers``
        Peers at most; trusted nodes come on top.
    ``max_pending_peers``
        Connections in their handshake at most, inbound and dialed ones each; 0 stands for 50.
    ``dial_ratio``
        One of this many peers is dialed, the rest is for inbound; 0 stands for 3.
    ``static_nodes``
        Nodes to keep connected.
    ``trusted_nodes``
        Nodes that may connect although there are ``max_peers`` peers.
    ``net_restrict``
        The networks to talk to, as a ``Netlist`` or as text ("10.0.0.0/8, fd00::/8"); None: all.
    ``protocols``
        The sub-protocols to offer, no name and version twice.
    ``listen_addr``
        "host:port" or ":port" to listen on, port 0 for any; None: do not listen. A host name is
        looked up by ``start``.
    ``discovery_v4``
        Find and be found by discovery v4; None: if the server listens.
    ``no_discovery``
        Neither look for nodes nor answer those who do, whatever ``discovery_v4`` says.
    ``bootstrap_nodes``
        Nodes to begin with when no others are known. Host names are looked up by ``start``.
    ``node_database``
        The file in which known nodes are kept over restarts, and the number of our record; one
        for each server. None: in memory.
    ``disc_addr``
        "host:port" or ":port" for discovery's UDP, if not that of ``listen_addr``; as there.
    ``discovery_version``
        The version in discovery pings: 4, but some networks use numbers of their own.
    ``dialer``
        Opens outbound connections in place of the server's own connector.
    ``no_dial``
        Dial no node.
    ``enable_msg_events``
        Tell subscribers of peer events of each message, too.
    ``logger``
        Where the server logs; None: the loggers below "p2p".
    ``clock``
        What the server reads the time from.
    ``accept_pre_eip8``
        Accept inbound handshakes in the form that was used before EIP-8.
    """

    private_key: PrivateKey = field(default=_MISSING, repr=False)
    name: str = _MISSING
    max_peers: int = _MISSING
    max_pending_peers: int = DEFAULT_MAX_PENDING_PEERS
    dial_ratio: int = DEFAULT_DIAL_RATIO
    static_nodes: Sequence[Node] = ()
    trusted_nodes: Sequence[Node] = ()
    net_restrict: Netlist | str | None = None
    protocols: Sequence[Protocol] = ()
    listen_addr: str | None = None
    discovery_v4: bool | None = None
    no_discovery: bool = False
    bootstrap_nodes: Sequence[Node] = ()
    node_database: str | os.PathLike[str] | None = None
    disc_addr: str | None = None
    discovery_version: int = 4
    dialer: Dialer | None = None
    no_dial: bool = False
    enable_msg_events: bool = False
    logger: logging.Logger | None = None
    clock: Clock = field(default_factory=SystemClock)
    accept_pre_eip8: bool = False

    def __post_init__(self) -> None:
        _check_private_key(self.private_key)
        _check_type("name", self.name, str, "a str")
        self._check_numbers()
        self._check_nodes()
        self._check_network()
        self._check_protocols()
        self._check_discovery()
        for option in ("no_dial", "no_discovery", "enable_msg_events", "accept_pre_eip8"):
            _check_type(option, getattr(self, option), bool, "True or False")
        if self.logger is not None:
            _check_type("logger", self.logger, logging.Logger, "a logging.Logger or None")
        self._check_clock()

    @property
    def netlist(self) -> Netlist | None:
        """``net_restrict`` in its one form."""
        return None if isinstance(self.net_restrict, str) else self.net_restrict

    @property
    def listen_endpoint(self) -> tuple[str | None, int] | None:
        """``listen_addr`` as host (None: every address) and port, or None for not to listen."""
        return None if self.listen_addr is None else split_listen_addr(self.listen_addr)

    @property
    def disc_endpoint(self) -> tuple[str | None, int] | None:
        """``disc_addr`` as host (None: every address) and port, or None."""
        return None if self.disc_addr is None else split_listen_addr(self.disc_addr)

    @property
    def discovers(self) -> bool:
        """Whether discovery is to run."""
        wanted = self.listen_addr is not None if self.discovery_v4 is None else self.discovery_v4
        return wanted and not self.no_discovery

    @property
    def max_dialed_conns(self) -> int:
        """How many peers may be ones that the server found and dialed by itself."""
        return max_dialed_conns(self.max_peers, self.dial_ratio, self.no_dial)

    @property
    def max_inbound_conns(self) -> int:
        """How many peers may be ones that dialed us."""
        return max_inbound_conns(self.max_peers, self.dial_ratio, self.no_dial)

    def _set(self, option: str, value: object) -> None:
        object.__setattr__(self, option, value)  # the way around frozen; only before anyone reads

    def _check_numbers(self) -> None:
        for option in ("max_peers", "max_pending_peers", "dial_ratio"):
            value = getattr(self, option)
            if type(value) is not int or value < 0:
                raise _wrong(option, value, "an int of at least 0")
        self._set("max_pending_peers", self.max_pending_peers or DEFAULT_MAX_PENDING_PEERS)
        self._set("dial_ratio", self.dial_ratio or DEFAULT_DIAL_RATIO)

    def _check_nodes(self) -> None:
        for option in ("static_nodes", "trusted_nodes", "bootstrap_nodes"):
            nodes = _as_tuple(option, getattr(self, option), "a list of nodes")
            for node in nodes:
                _check_node(option, node)
            self._set(option, nodes)
        for option in ("static_nodes", "bootstrap_nodes"):
            for node in getattr(self, option):
                check_has_key(option, node)

    def _check_network(self) -> None:
        if isinstance(self.net_restrict, str):
            if not self.net_restrict.strip(" ,"):  # of a variable that is not set, perhaps
                wanted = "at least one network, or None for all"
                raise _wrong("net_restrict", self.net_restrict, wanted)
            self._set("net_restrict", _named("net_restrict", Netlist.parse, self.net_restrict))
        elif self.net_restrict is not None:
            wanted = 'a Netlist, text such as "10.0.0.0/8, fd00::/8", or None'
            _check_type("net_restrict", self.net_restrict, Netlist, wanted)
        if self.listen_addr is not None:
            wanted = 'text such as ":30303" or "127.0.0.1:0", or None'
            _check_type("listen_addr", self.listen_addr, str, wanted)
            _named("listen_addr", split_listen_addr, self.listen_addr)
        if self.dialer is not None and not callable(getattr(self.dialer, "dial", None)):
            raise _wrong("dialer", self.dialer, "an object with dial(node, timeout_s), or None")

    def _check_clock(self) -> None:
        lacking = [m for m in _CLOCK_METHODS if not callable(getattr(self.clock, m, None))]
        if lacking:
            wanted = f"a clock such as SystemClock(), with {', '.join(lacking)}"
            raise _wrong("clock", self.clock, wanted)

    def _check_discovery(self) -> None:
        if self.discovery_v4 is not None:
            _check_type("discovery_v4", self.discovery_v4, bool, "True, False or None")
        if self.disc_addr is not None:
            wanted = 'text such as ":30303" or "127.0.0.1:0", or None'
            _check_type("disc_addr", self.disc_addr, str, wanted)
            _named("disc_addr", split_listen_addr, self.disc_addr)
        if self.node_database is not None:
            wanted = "a path, or None for memory"
            _check_type("node_database", self.node_database, (str, os.PathLike), wanted)
        version = self.discovery_version
        if type(version) is not int or not 0 <= version < 2**32:
            raise _wrong("discovery_version", version, "an int from 0 up")
        for node in self.bootstrap_nodes:
            if node.udp == 0 or (node.udp_endpoint is None and not node.hostname):
                raise ConfigError(
                    f"bootstrap_nodes: {node.id.short} has no address or no UDP port, so nobody "
                    "can ask it"
                )

    def _check_protocols(self) -> None:
        protocols = _as_tuple("protocols", self.protocols, "a list of p2p.Protocol")
        for protocol in protocols:
            _check_type("protocols", protocol, Protocol, "a list of p2p.Protocol")
        self._set("protocols", protocols)
        _check_duplicates(protocols)
        _check_hello(self.name, protocols)
        _check_record(self.private_key, protocols)


def check_has_key(option: str, node: Node) -> None:
    """Raise ConfigError for a node that cannot be dialed because it has no public key."""
    try:
        _ = node.public_key
    except InvalidNode as error:
        raise ConfigError(
            f"{option}: {error}, and without it the handshake cannot be encrypted; wanted an "
            "enode URL or a signed record"
        ) from None


def _check_private_key(key: object) -> None:
    if isinstance(key, PrivateKey):
        return
    wanted = "a PrivateKey; generate_key() makes a new one"
    if isinstance(key, (bytes, bytearray, memoryview)):
        wanted = "a PrivateKey; PrivateKey.from_bytes(data) makes one of 32 bytes"
    elif isinstance(key, str):
        wanted = "a PrivateKey; PrivateKey.from_bytes(bytes.fromhex(text)) makes one of hex digits"
    given = "nothing" if key is _MISSING else type(key).__name__  # never the value: it is a secret
    raise ConfigError(f"private_key: wanted {wanted}; got {given}")


def _check_node(option: str, node: object) -> None:
    if isinstance(node, (str, bytes)):
        raise _wrong(option, node, "a list of nodes; parse_node(text) makes a node of a URL")
    _check_type(option, node, Node, "a list of nodes")


def _check_duplicates(protocols: Iterable[Protocol]) -> None:
    seen = set()
    for protocol in protocols:
        capability = (protocol.name, protocol.version)
        if capability in seen:
            raise ConfigError(f"protocols: {protocol.name}/{protocol.version} is there twice")
        seen.add(capability)


def _check_hello(name: str, protocols: Iterable[Protocol]) -> None:
    """Measure the hello at its largest: RLPx, "Hello (0x00)".

    This also keeps the message codes within 64 bits: no hello has room for as many protocols, of
    at most 2**32 codes each, as it takes to exceed them.
    """
    caps = [protocol.cap for protocol in protocols]
    largest = Hello(VERSION, name, caps, 0xFFFF, bytes(NODE_KEY_SIZE))
    try:
        size_bytes = len(encode_hello(largest))
    except EncodeError as error:
        raise ConfigError(f"name: {error}") from error
    if size_bytes > MAX_HELLO_SIZE:
        raise ConfigError(
            f"name, protocols: the hello would take {size_bytes} bytes (the name alone takes "
            f"{len(name.encode())}), but other nodes accept at most {MAX_HELLO_SIZE}"
        )


def _check_record(private_key: PrivateKey, protocols: Iterable[Protocol]) -> None:
    """Sign our record at its largest: EIP-778 allows 300 bytes."""
    ports = dict.fromkeys(("tcp", "udp", "udp6"), 0xFFFF)
    entries: dict[str, Any] = {"ip": "127.0.0.1", "ip6": "::1", **ports}
    for protocol in protocols:
        own = sorted(_OWN_ENTRIES.intersection(protocol.attributes))
        if own:
            raise ConfigError(
                f"protocols: attributes of {protocol.name}: {own[0]!r} is an entry of our node "
                "record that the server itself makes"
            )
        entries.update(protocol.attributes)
    try:
        Record.sign(private_key, 2**64 - 1, entries)
    except (EncodeError, TypeError) as error:
        raise ConfigError(f"protocols: attributes for our node record: {error}") from error


def _as_tuple(option: str, value: object, wanted: str) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        hint = "; parse_node(text) makes a node of a URL" if "nodes" in option else ""
        raise _wrong(option, value, wanted + hint)
    return tuple(value)


def _named(option: str, parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from error


def _check_type(
    option: str, value: object, kind: type | tuple[type, ...], wanted: str
) -> None:
    if not isinstance(value, kind):
        raise _wrong(option, value, wanted)


def _wrong(option: str, value: object, wanted: str) -> ConfigError:
    if value is _MISSING:
        return ConfigError(f"{option}: missing; wanted {wanted}")
    return ConfigError(
        f"{option}: wanted {wanted}; got {_repr.repr(value)} ({type(value).__name__})"
    )
