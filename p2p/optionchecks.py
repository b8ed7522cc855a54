"""Checks of the values of single options, and their normal forms.

A function whose name begins with ``check`` raises an error that names the option, the given value
and the wanted one; one that ends in ``_of`` also returns the value in the form that the server
uses. :class:`p2p.config.Config` calls them and owns the values. They open and resolve nothing, and
no text of an error contains the private key. Any thread.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any, TypeVar

from p2p.arguments import NUMBER, check_function, check_int, check_type, wrong, wrong_type
from p2p.crypto import PrivateKey
from p2p.dnsdisc.client import MAX_TREES
from p2p.dnsdisc.entry import parse_link
from p2p.dnsdisc.resolver import check_installed
from p2p.enode import Node
from p2p.enr import MAX_SEQ, Record
from p2p.errors import ArgumentError, ArgumentTypeError, ConfigError
from p2p.keylog.writer import VARIABLE, path_from_environment
from p2p.lan.link import check_installed as check_installed_zeroconf
from p2p.metrics.prometheus import check_installed as check_installed_prometheus
from p2p.nat.spec import parse_advertised
from p2p.netutil import IPNetwork, Netlist, is_loopback, is_name, split_listen_addr
from p2p.observe import Observer
from p2p.protocol import Protocol
from p2p.rlpx.messages import MAX_HELLO_SIZE, NODE_KEY_SIZE, VERSION, Hello, encode_hello

#: Limits of ``redial_pause_s``: a host that refuses connections must not be dialed in a loop.
MIN_REDIAL_PAUSE_S = 0.1
MAX_REDIAL_PAUSE_S = 1e9

#: Smallest limit on bytes a second: a ping and its answer in time, and little else.
MIN_BANDWIDTH = 1024
#: Largest limit: times are floats, which are exact up to it.
MAX_BANDWIDTH = 2**53

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


# identity


def check_private_key(key: object) -> None:
    """Raise ArgumentTypeError, without the value, unless ``private_key`` is a PrivateKey."""
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
    raise ArgumentTypeError(f"private_key: wanted {wanted}; got {type(key).__name__}")


def check_name(name: object) -> None:
    """Check ``name``: rlpx.md, Hello, has "a human-readable string"."""
    check_type("name", name, str, "a str")
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise wrong("name", name, "printable text, the name of the node for people")


def protocols_of(value: object) -> tuple[Protocol, ...]:
    """Return ``protocols`` as a tuple, with no name and version twice."""
    wanted = "a list of p2p.Protocol"
    protocols = _as_tuple("protocols", value, wanted)
    for protocol in protocols:
        check_type("protocols", protocol, Protocol, wanted)
    seen = set()
    for protocol in protocols:
        capability = (protocol.name, protocol.version)
        if capability in seen:
            raise ConfigError(f"protocols: {protocol.name}/{protocol.version} is listed twice")
        seen.add(capability)
    return protocols


def check_hello(name: str, protocols: Iterable[Protocol]) -> None:
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


def check_record(
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


def checked_entry_key(key: str) -> str:
    """Return the key of an entry of our record, if the program may set it.

    Raises ArgumentError for an entry that the server itself makes.
    """
    check_type("key", key, str, 'text such as "eth"')
    if key in _OWN_ENTRIES:
        raise wrong("key", key, "an entry that the server does not make itself")
    return key


# peers and dials


def check_count(option: str, value: object) -> None:
    """Check a number of peers, from 0 up."""
    check_int(option, value, 0, math.inf, "an int of at least 0")


def check_redial_pause(pause_s: float) -> None:
    """Check ``redial_pause_s``."""
    wanted = f"seconds, from {MIN_REDIAL_PAUSE_S} to {MAX_REDIAL_PAUSE_S:g}"
    check_type("redial_pause_s", pause_s, NUMBER, wanted)
    if not MIN_REDIAL_PAUSE_S <= pause_s <= MAX_REDIAL_PAUSE_S:
        raise wrong("redial_pause_s", pause_s, wanted)


def check_bandwidth(option: str, rate: object) -> None:
    """Check a limit on bytes a second, or None."""
    if rate is not None:
        wanted = f"bytes a second, an int of at least {MIN_BANDWIDTH}, or None"
        check_int(option, rate, MIN_BANDWIDTH, MAX_BANDWIDTH, wanted)


def nodes_of(option: str, value: object) -> tuple[Node, ...]:
    """Return a list of nodes as a tuple."""
    nodes = _as_tuple(option, value, "a list of nodes")
    for node in nodes:
        if isinstance(node, (str, bytes)):
            wanted = "a list of nodes; parse_node(text) makes a node of a URL"
            raise wrong_type(option, node, wanted)
        check_type(option, node, Node, "a list of nodes")
    return nodes


def check_dialer(dialer: object) -> None:
    """Check ``dialer``, None or an object with ``dial(node, timeout_s)``."""
    if dialer is None:
        return
    dial = getattr(dialer, "dial", None)
    if not callable(dial):
        raise wrong_type("dialer", dialer, "an object with dial(node, timeout_s), or None")
    check_function("dialer.dial", dial, "node", "timeout_s")


# networks and addresses


def netlist_of(option: str, value: object, wanted: str) -> Netlist | None:
    """Return a list of networks, given as one or as text; None for None."""
    if value is None:
        return None
    if not isinstance(value, str):
        text = 'a Netlist, text such as "10.0.0.0/8, fd00::/8", or None'
        check_type(option, value, Netlist, text)
        assert isinstance(value, Netlist)
        return value
    if not value.strip(" ,"):  # perhaps from a variable that is not set
        raise wrong(option, value, wanted)
    return named(option, Netlist.parse, value)


def check_one_owner(networks: Iterable[IPNetwork]) -> None:
    """Check the size of the networks of ``own_networks``."""
    for network in networks:
        if not is_of_one_owner(network):
            wanted = "networks of one owner, each a /8 at most (IPv6: /7)"
            raise wrong("own_networks", str(network), wanted)


def is_of_one_owner(network: IPNetwork) -> bool:
    """Whether a network is small enough to have one owner."""
    return network.prefixlen >= _LARGEST_OWN[network.version]


def check_listen_addr(option: str, value: str | None) -> None:
    """Check an address to bind, or None."""
    if value is not None:
        check_type(option, value, str, 'text such as ":30303" or "127.0.0.1:0", or None')
        named(option, split_listen_addr, value)


def metrics_endpoint_of(value: str | None) -> tuple[str, int] | None:
    """Return ``metrics_addr`` as host and port; None for None.

    It must be an address of loopback: every host that can connect reads all metrics.
    """
    if value is None:
        return None
    instead = "p2p.metrics.prometheus_collector is for a program that serves others"
    endpoint = _endpoint_to_serve_at("metrics_addr", value, instead)
    check_installed_prometheus()
    return endpoint


def monitor_endpoint_of(value: str, public: bool) -> tuple[str, int]:
    """Return ``monitor_addr`` as host and port.

    It must be an address of loopback unless ``public`` is set: there is no encryption.
    """
    check_type("monitor_public", public, bool, "True or False")
    instead = "ssh -L makes it one of another host; monitor_public=True allows any, unencrypted"
    return _endpoint_to_serve_at("monitor_addr", value, instead, public)


def _endpoint_to_serve_at(
    option: str, value: str, instead: str, public: bool = False
) -> tuple[str, int]:
    """Return the host and port of text such as "localhost:6060", of loopback unless ``public``.

    ``instead`` is the remedy for other addresses.
    """
    check_type(option, value, str, 'text such as "127.0.0.1:6060", or None')
    host, port = named(option, split_listen_addr, value)
    host = "127.0.0.1" if host == "localhost" else host
    if host is not None and not is_name(host) and (public or is_loopback(ip_address(host))):
        return host, port
    wanted = f'an address of loopback, such as "127.0.0.1:6060"; {instead}'
    raise wrong(option, value, "a numeric address and a port" if public else wanted)


def advertised_of(value: object) -> tuple[str, ...]:
    """Return ``advertise``, a text or a list of texts, as a tuple."""
    wanted = 'text such as "203.0.113.7:30303", or a list of them, one for each IP version'
    texts = _as_tuple("advertise", (value,) if isinstance(value, str) else value, wanted)
    for text in texts:
        check_type("advertise", text, str, wanted)
    versions = [parse_advertised(text).ip.version for text in texts]
    if len(set(versions)) < len(versions):
        raise wrong("advertise", list(texts), wanted)
    return texts


# discovery


def check_can_be_asked(option: str, nodes: Iterable[Node]) -> None:
    """Check that each bootstrap node has a UDP port, and an address or a name."""
    for node in nodes:
        if node.udp == 0 or (node.udp_endpoint is None and not node.hostname):
            raise ConfigError(
                f"{option}: {node.id.short} has no address or no UDP port, so it cannot be asked"
            )


def check_node_database(value: object) -> None:
    """Check ``node_database``, a path or None."""
    wanted = "a path, or None for memory"
    check_type("node_database", value, (str, os.PathLike, type(None)), wanted)
    _check_nul("node_database", value, wanted)


def tree_urls_of(value: object) -> tuple[str, ...]:
    """Return ``dns_discovery`` as a tuple."""
    option = "dns_discovery"
    wanted = 'a list of URLs such as "enrtree://<key>@<domain>"'
    urls = _as_tuple(option, value, wanted)
    for url in urls:
        check_type(option, url, str, wanted)
        named(option, parse_link, url)
    if len(urls) > MAX_TREES:
        raise wrong(option, len(urls), f"at most {MAX_TREES} lists")
    if urls:
        check_installed()
    return urls


def check_lan(lan_discovery: object) -> None:
    """Check the option, and that its library is there."""
    check_type("lan_discovery", lan_discovery, bool, "True or False")
    if lan_discovery:
        check_installed_zeroconf()


def check_topics(discovery_topics: object, may_run: bool) -> None:
    """Check the option; ``may_run`` tells whether discovery v5 runs, or no discovery at all."""
    check_type("discovery_topics", discovery_topics, bool, "True or False")
    if discovery_topics and not may_run:
        raise ConfigError(
            "discovery_topics: topics need discovery v5, which does not run: give "
            "discovery_v5=True, or listen_addr"
        )


# the rest


def key_log_of(value: object) -> str | os.PathLike[str] | None:
    """Return ``key_log``, a path, or the one in P2P_KEYLOGFILE, or None."""
    wanted = f"a path, or None for the one in {VARIABLE}, if any"
    check_type("key_log", value, (str, os.PathLike, type(None)), wanted)
    if value == "":
        raise wrong("key_log", value, wanted)
    _check_nul("key_log", value, wanted)
    assert value is None or isinstance(value, (str, os.PathLike))
    return path_from_environment() if value is None else value


def _check_nul(option: str, path: object, wanted: str) -> None:
    """Refuse a path that no system call takes."""
    if isinstance(path, (str, os.PathLike)) and "\0" in os.fsdecode(path):
        raise wrong(option, path, f"{wanted}, without a NUL byte")


def check_flags(values: Mapping[str, object]) -> None:
    """Check options that are True or False."""
    for option, value in values.items():
        check_type(option, value, bool, "True or False")


def observers_of(value: object) -> tuple[Observer, ...]:
    """Return ``observer``, None, an observer or a list of them, as a tuple."""
    wanted = "a p2p.observe.Observer, a list of them, or None"
    if value is None or isinstance(value, Observer):
        return () if value is None else (value,)
    observers = _as_tuple("observer", value, wanted)
    for observer in observers:
        check_type("observer", observer, Observer, wanted)
    return observers


def check_clock(clock: object) -> None:
    """Check that ``clock`` has the methods of a clock."""
    lacking = [method for method in _CLOCK_METHODS if not callable(getattr(clock, method, None))]
    if lacking:
        wanted = f"a clock such as SystemClock(), with {', '.join(lacking)}"
        raise wrong_type("clock", clock, wanted)
    for method, arguments in _CLOCK_METHODS.items():
        check_function(f"clock.{method}", getattr(clock, method), *arguments)


def named(option: str, parse: Callable[[_G], _R], given: _G) -> _R:
    """Return ``parse(given)``; an ArgumentError becomes a ConfigError that names the option."""
    try:
        return parse(given)
    except ArgumentError as error:
        raise ConfigError(f"{option}: {error}") from error


def _as_tuple(option: str, value: object, wanted: str) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        hint = "; parse_node(text) makes a node of a URL" if "nodes" in option else ""
        raise wrong_type(option, value, wanted + hint)
    return tuple(value)
