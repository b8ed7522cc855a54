"""The options of a server: checked on construction, then fixed.

The error for a wrong option has its name, the given value and the wanted one, so that no thread
gets a wrong option later. Options with several forms are normalized: sequences become tuples,
``net_restrict`` a ``Netlist``, a 0 that means the default that default. The text of an error never
contains the private key, in any form.

The options are documented in :class:`p2p.Server`, which takes them by
:func:`p2p.options.takes_options`. This module opens and resolves nothing. Any thread may read a
configuration.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from typing import Protocol as Interface

from p2p.arguments import (
    NUMBER,
    check_function,
    check_int,
    check_type,
    of_options,
    wrong,
    wrong_type,
)
from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.dnsdisc.client import MAX_TREES
from p2p.dnsdisc.entry import parse_link
from p2p.dnsdisc.resolver import check_installed
from p2p.enode import Node
from p2p.enode.topic import topic_id
from p2p.enr import MAX_SEQ, Record
from p2p.errors import ArgumentError, ArgumentTypeError, ConfigError
from p2p.nat.spec import WANTED_NAT, NatSpec, parse_advertised, parse_nat
from p2p.netutil import Endpoint, IPNetwork, Netlist, OwnNetworks, split_listen_addr
from p2p.networkoptions import chain_entry, options_of
from p2p.networks import Network
from p2p.protocol import Protocol
from p2p.rlpx.messages import MAX_HELLO_SIZE, NODE_KEY_SIZE, VERSION, Hello, encode_hello

#: Limit on connections in their handshake, for inbound and for dialed ones each.
DEFAULT_MAX_PENDING_PEERS = 50

#: One of this many peers is dialed.
DEFAULT_DIAL_RATIO = 3

#: Seconds before a node is dialed again. A little more than the remote's inbound throttle: in a
#: small network every second attempt would otherwise be closed without a Disconnect.
DEFAULT_REDIAL_PAUSE_S = 35.0
#: Limits of ``redial_pause_s``: a host that refuses connections must not be dialed in a loop.
MIN_REDIAL_PAUSE_S = 0.1
MAX_REDIAL_PAUSE_S = 1e9

#: Prefix length of the largest network that can have one owner, by IP version. A larger one, such
#: as 0.0.0.0/0 in ``net_restrict`` for "IPv4 only", must not lift the limits for foreign nodes.
_LARGEST_OWN = {4: 8, 6: 7}

#: Entries of our record that the program must not set: identity and endpoints.
_OWN_ENTRIES = frozenset(("id", "secp256k1", "ip", "ip6", "tcp", "tcp6", "udp", "udp6"))

#: The methods of a clock, each with its arguments.
_CLOCK_METHODS: dict[str, tuple[str, ...]] = {
    "monotonic": (),
    "time_unix": (),
    "sleep_for": ("deadline",),
    "on_advance": ("wake",),
    "off_advance": ("wake",),
}


_G = TypeVar("_G")
_R = TypeVar("_R")


class Dialer(Interface):
    """Connector for outbound connections, in place of the server's own."""

    def dial(self, node: Node, timeout_s: float) -> socket.socket:
        """Return a connected stream socket to ``node``, or raise OSError.

        If the node has a ``hostname``, that was not looked up, and ``ip`` need not be known. It may
        block for up to ``timeout_s`` seconds. Each call runs in its own thread.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Options of a server, checked and fixed; :class:`p2p.Server` documents each of them.

    This is the only list of them: the server takes its keywords and their defaults from here.
    Raises ConfigError, which names the option, for a wrong one.
    """

    private_key: PrivateKey = field(repr=False)
    name: str
    max_peers: int
    max_pending_peers: int = DEFAULT_MAX_PENDING_PEERS
    dial_ratio: int = DEFAULT_DIAL_RATIO
    static_nodes: Sequence[Node] = ()
    trusted_nodes: Sequence[Node] = ()
    net_restrict: Netlist | str | None = None
    own_networks: Netlist | str | None = None
    redial_pause_s: float = DEFAULT_REDIAL_PAUSE_S
    protocols: Sequence[Protocol] = ()
    network: Network | None = None
    listen_addr: str | None = None
    discovery_v4: bool | None = None
    discovery_v5: bool | None = None
    discovery_topics: bool = False
    no_discovery: bool = False
    bootstrap_nodes: Sequence[Node] | None = None
    bootstrap_nodes_v5: Sequence[Node] | None = None
    dns_discovery: Sequence[str] | None = None
    node_database: str | os.PathLike[str] | None = None
    disc_addr: str | None = None
    nat: str = "none"
    advertise: str | Sequence[str] = ()
    discovery_version: int = 4
    dialer: Dialer | None = None
    no_dial: bool = False
    candidate_filter: Callable[[Node], bool] | None = None
    enable_msg_events: bool = False
    logger: logging.Logger | None = None
    clock: Clock = SYSTEM_CLOCK
    accept_pre_eip8: bool = False

    @of_options()
    def __post_init__(self) -> None:
        _check_private_key(self.private_key)
        self._check_name()
        self._check_numbers()
        self._fill_in_network()
        self._check_nodes()
        self._check_networks()
        self._check_protocols()
        check_type("discovery_topics", self.discovery_topics, bool, "True or False")
        self._check_discovery()
        self._check_dns()
        self._check_reachable()
        for option in ("no_dial", "no_discovery", "enable_msg_events", "accept_pre_eip8"):
            check_type(option, getattr(self, option), bool, "True or False")
        if self.logger is not None:
            check_type("logger", self.logger, logging.Logger, "a logging.Logger or None")
        self._check_clock()
        if self.candidate_filter is not None:
            check_function("candidate_filter", self.candidate_filter, "node")

    @property
    def netlist(self) -> Netlist | None:
        """``net_restrict`` as a Netlist, or None."""
        return None if isinstance(self.net_restrict, str) else self.net_restrict

    @property
    def _own(self) -> OwnNetworks:
        """The networks that limits do not apply to."""
        if isinstance(self.own_networks, Netlist):
            return OwnNetworks(self.own_networks)
        restricted = self.netlist or Netlist()
        return OwnNetworks(Netlist(tuple(filter(_is_of_one_owner, restricted.networks))))

    @property
    def _nat_spec(self) -> NatSpec:
        """``nat`` in its parts."""
        return parse_nat(self.nat)

    @property
    def _advertised(self) -> list[Endpoint]:
        """``advertise`` as endpoints, with port 0 for that of the server; one for each family."""
        return [parse_advertised(text) for text in self.advertise]

    @property
    def listen_endpoint(self) -> tuple[str | None, int] | None:
        """``listen_addr`` as host (None: every address) and port, or None: do not listen."""
        return None if self.listen_addr is None else split_listen_addr(self.listen_addr)

    @property
    def disc_endpoint(self) -> tuple[str | None, int] | None:
        """``disc_addr`` as host (None: every address) and port, or None."""
        return None if self.disc_addr is None else split_listen_addr(self.disc_addr)

    @property
    def runs_v4(self) -> bool:
        """Whether discovery v4 runs."""
        return self._runs(self.discovery_v4)

    @property
    def runs_v5(self) -> bool:
        """Whether discovery v5 runs."""
        return self._runs(self.discovery_v5)

    @property
    def discovers(self) -> bool:
        """Whether any discovery runs."""
        return self.runs_v4 or self.runs_v5

    @property
    def _has_port(self) -> bool:
        """Whether other nodes can reach a port of the server."""
        return self.listen_addr is not None or self.discovers

    def _runs(self, wanted: bool | None) -> bool:
        listens = self.listen_addr is not None
        return not self.no_discovery and (listens if wanted is None else wanted)

    @property
    def max_dialed_conns(self) -> int:
        """Maximum number of peers that the server dials on its own.

        ``max_peers / dial_ratio``, but at least one; 0 with ``no_dial`` or without any peers.
        """
        if self.no_dial or self.max_peers == 0:
            return 0
        return max(1, self.max_peers // self.dial_ratio)

    @property
    def max_inbound_conns(self) -> int:
        """Maximum number of inbound peers: the slots that :attr:`max_dialed_conns` leaves.

        A single slot is for both kinds, since either of two nodes may dial the other. A ratio of 1
        leaves none.
        """
        if self.max_peers == 1 and self.dial_ratio != 1:
            return 1
        return self.max_peers - self.max_dialed_conns

    def record_entries(self, time_unix: float) -> dict[str, Any]:
        """Return the entries of our record, without identity and endpoints, at this time.

        They are the fork identifier of ``network``, the attributes of the protocols, which have
        precedence, and the entry for topics.
        """
        entries: dict[str, Any] = {}
        if self.network is not None:
            entries["eth"] = chain_entry(self.network, time_unix)
        for protocol in self.protocols:
            entries.update(protocol.attributes)
        if self.discovery_topics:
            entries[TOPICS_ENTRY] = TOPICS_VERSION
        return entries

    @property
    def topics(self) -> list[bytes]:
        """The topics of the protocols, each once, if topics are on."""
        if not self.discovery_topics or not self.runs_v5:
            return []
        given = (protocol.topic for protocol in self.protocols if protocol.topic is not None)
        return list(dict.fromkeys(map(topic_id, given)))

    def _set(self, option: str, value: object) -> None:
        object.__setattr__(self, option, value)  # bypasses frozen, during construction only

    def _check_name(self) -> None:
        check_type("name", self.name, str, "a str")
        if not self.name or not self.name.isprintable():
            # rlpx.md, Hello: "a human-readable string".
            raise wrong("name", self.name, "printable text, the name of the node for people")

    def _check_numbers(self) -> None:
        for option in ("max_peers", "max_pending_peers", "dial_ratio"):
            check_int(option, getattr(self, option), 0, math.inf, "an int of at least 0")
        self._set("max_pending_peers", self.max_pending_peers or DEFAULT_MAX_PENDING_PEERS)
        self._set("dial_ratio", self.dial_ratio or DEFAULT_DIAL_RATIO)
        pause = self.redial_pause_s
        wanted = f"seconds, from {MIN_REDIAL_PAUSE_S} to {MAX_REDIAL_PAUSE_S:g}"
        check_type("redial_pause_s", pause, NUMBER, wanted)
        if not MIN_REDIAL_PAUSE_S <= pause <= MAX_REDIAL_PAUSE_S:
            raise wrong("redial_pause_s", pause, wanted)

    def _check_nodes(self) -> None:
        options = ["static_nodes", "trusted_nodes", "bootstrap_nodes"]
        if self.bootstrap_nodes is None:
            self._set("bootstrap_nodes", ())
        if self.bootstrap_nodes_v5 is not None:
            options.append("bootstrap_nodes_v5")
        for option in options:
            nodes = _as_tuple(option, getattr(self, option), "a list of nodes")
            for node in nodes:
                _check_node(option, node)
            self._set(option, nodes)

    def _fill_in_network(self) -> None:
        if self.network is not None:
            check_type("network", self.network, Network, "a p2p.networks.Network, or None")
            options = _named("network", partial(options_of, given=self), self.network)
            for option, value in options.items():
                self._set(option, value)
        elif self.dns_discovery is None:
            self._set("dns_discovery", ())

    def _check_networks(self) -> None:
        self._check_netlist("net_restrict", "at least one network, or None for all")
        self._check_netlist("own_networks", "at least one network, or None")
        if isinstance(self.own_networks, Netlist):
            for network in self.own_networks.networks:
                if not _is_of_one_owner(network):
                    wanted = "networks of one owner, each a /8 at most (IPv6: /7)"
                    raise wrong("own_networks", str(network), wanted)
        if self.listen_addr is not None:
            wanted = 'text such as ":30303" or "127.0.0.1:0", or None'
            check_type("listen_addr", self.listen_addr, str, wanted)
            _named("listen_addr", split_listen_addr, self.listen_addr)
        if self.dialer is not None:
            dial = getattr(self.dialer, "dial", None)
            if not callable(dial):
                wanted = "an object with dial(node, timeout_s), or None"
                raise wrong_type("dialer", self.dialer, wanted)
            check_function("dialer.dial", dial, "node", "timeout_s")

    def _check_netlist(self, option: str, wanted: str) -> None:
        value = getattr(self, option)
        if isinstance(value, str):
            if not value.strip(" ,"):  # perhaps from a variable that is not set
                raise wrong(option, value, wanted)
            self._set(option, _named(option, Netlist.parse, value))
        elif value is not None:
            wanted = 'a Netlist, text such as "10.0.0.0/8, fd00::/8", or None'
            check_type(option, value, Netlist, wanted)

    def _check_clock(self) -> None:
        lacking = [m for m in _CLOCK_METHODS if not callable(getattr(self.clock, m, None))]
        if lacking:
            wanted = f"a clock such as SystemClock(), with {', '.join(lacking)}"
            raise wrong_type("clock", self.clock, wanted)
        for method, arguments in _CLOCK_METHODS.items():
            check_function(f"clock.{method}", getattr(self.clock, method), *arguments)

    def _check_discovery(self) -> None:
        for option in ("discovery_v4", "discovery_v5"):
            check_type(option, getattr(self, option), (bool, type(None)), "True, False or None")
        if self.discovery_topics and not (self.runs_v5 or self.no_discovery):
            raise ConfigError(
                "discovery_topics: topics need discovery v5, which does not run: give "
                "discovery_v5=True, or listen_addr"
            )
        if self.disc_addr is not None:
            wanted = 'text such as ":30303" or "127.0.0.1:0", or None'
            check_type("disc_addr", self.disc_addr, str, wanted)
            _named("disc_addr", split_listen_addr, self.disc_addr)
        if self.node_database is not None:
            wanted = "a path, or None for memory"
            check_type("node_database", self.node_database, (str, os.PathLike), wanted)
        version = self.discovery_version
        check_int("discovery_version", version, 0, 2**32 - 1, "an int from 0 up")
        for option in ("bootstrap_nodes", "bootstrap_nodes_v5"):
            for node in getattr(self, option) or ():
                if node.udp == 0 or (node.udp_endpoint is None and not node.hostname):
                    raise ConfigError(
                        f"{option}: {node.id.short} has no address or no UDP port, so it "
                        "cannot be asked"
                    )

    def _check_dns(self) -> None:
        wanted = 'a list of URLs such as "enrtree://<key>@<domain>"'
        if self.dns_discovery is None:
            return
        urls = _as_tuple("dns_discovery", self.dns_discovery, wanted)
        for url in urls:
            check_type("dns_discovery", url, str, wanted)
            _named("dns_discovery", parse_link, url)
        if len(urls) > MAX_TREES:
            raise wrong("dns_discovery", len(urls), f"at most {MAX_TREES} lists")
        if urls:
            check_installed()
        self._set("dns_discovery", urls)

    def _check_reachable(self) -> None:
        check_type("nat", self.nat, str, WANTED_NAT)
        parse_nat(self.nat)
        wanted = 'text such as "203.0.113.7:30303", or a list of them, one for each IP version'
        given = (self.advertise,) if isinstance(self.advertise, str) else self.advertise
        texts = _as_tuple("advertise", given, wanted)
        for text in texts:
            check_type("advertise", text, str, wanted)
        versions = [parse_advertised(text).ip.version for text in texts]
        if len(set(versions)) < len(versions):
            raise wrong("advertise", list(texts), wanted)
        self._set("advertise", texts)

    def _check_protocols(self) -> None:
        protocols = _as_tuple("protocols", self.protocols, "a list of p2p.Protocol")
        for protocol in protocols:
            check_type("protocols", protocol, Protocol, "a list of p2p.Protocol")
        self._set("protocols", protocols)
        _check_duplicates(protocols)
        _check_hello(self.name, protocols)
        _check_record(self.private_key, protocols, self.record_entries(0))


def checked_entry_key(key: str) -> str:
    """Return the key of an entry of our record, if the program may set it.

    Raises ArgumentError for an entry that the server itself makes.
    """
    check_type("key", key, str, 'text such as "eth"')
    if key in _OWN_ENTRIES:
        raise wrong("key", key, "an entry that the server does not make itself")
    return key


def _is_of_one_owner(network: IPNetwork) -> bool:
    return network.prefixlen >= _LARGEST_OWN[network.version]


def _check_private_key(key: object) -> None:
    if isinstance(key, PrivateKey):
        return
    wanted = "a PrivateKey; generate_key() makes a new one"
    if isinstance(key, (bytes, bytearray, memoryview)):
        wanted = "a PrivateKey; PrivateKey.from_bytes(data) makes one of 32 bytes"
    elif isinstance(key, str):
        wanted = (
            "a PrivateKey; load_key(path) reads a key file, and "
            "PrivateKey.from_bytes(bytes.fromhex(text)) makes one of hex digits"
        )
    # Without the value, which is a secret.
    raise ArgumentTypeError(f"private_key: wanted {wanted}; got {type(key).__name__}")


def _check_node(option: str, node: object) -> None:
    if isinstance(node, (str, bytes)):
        raise wrong_type(option, node, "a list of nodes; parse_node(text) makes a node of a URL")
    check_type(option, node, Node, "a list of nodes")


def _check_duplicates(protocols: Iterable[Protocol]) -> None:
    seen = set()
    for protocol in protocols:
        capability = (protocol.name, protocol.version)
        if capability in seen:
            raise ConfigError(f"protocols: {protocol.name}/{protocol.version} is listed twice")
        seen.add(capability)


def _check_hello(name: str, protocols: Iterable[Protocol]) -> None:
    """Check the size of the largest hello: RLPx, "Hello (0x00)".

    This also keeps message codes within 64 bits: a hello has no room for the number of protocols,
    with at most 2**32 codes each, that would exceed them.
    """
    caps = [protocol.cap for protocol in protocols]
    largest = Hello(VERSION, name, caps, 0xFFFF, bytes(NODE_KEY_SIZE))
    size_bytes = len(encode_hello(largest))
    if size_bytes > MAX_HELLO_SIZE:
        raise ConfigError(
            f"name, protocols: the hello would take {size_bytes} bytes (the name alone takes "
            f"{len(name.encode())}), but go-ethereum and this library refuse one of more than "
            f"{MAX_HELLO_SIZE}"
        )


def _check_record(
    private_key: PrivateKey, protocols: Iterable[Protocol], entries: Mapping[str, Any]
) -> None:
    """Check the size of our largest record by signing it: EIP-778 allows 300 bytes."""
    ports = dict.fromkeys(("tcp", "udp", "tcp6", "udp6"), 0xFFFF)
    largest = {"ip": "127.0.0.1", "ip6": "::1", **ports, **entries}
    for protocol in protocols:
        own = sorted(_OWN_ENTRIES.intersection(protocol.attributes))
        if own:
            raise ConfigError(
                f"protocols: attributes of {protocol.name}: {own[0]!r} is an entry of our node "
                "record that the server itself makes"
            )
    try:
        Record.sign(private_key, MAX_SEQ, largest)
    except (ArgumentError, TypeError) as error:
        raise ConfigError(f"protocols: attributes for our node record: {error}") from error


def _as_tuple(option: str, value: object, wanted: str) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        hint = "; parse_node(text) makes a node of a URL" if "nodes" in option else ""
        raise wrong_type(option, value, wanted + hint)
    return tuple(value)


def _named(option: str, parse: Callable[[_G], _R], given: _G) -> _R:
    try:
        return parse(given)
    except ArgumentError as error:
        raise ConfigError(f"{option}: {error}") from error
