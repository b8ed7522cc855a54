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
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from typing import Protocol as Interface

from p2p import optionchecks as checks
from p2p.arguments import check_function, check_int, check_type, of_options
from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.enode import Node
from p2p.enode.topic import topic_id
from p2p.nat.spec import WANTED_NAT, NatKind, NatSpec, parse_advertised, parse_nat
from p2p.net import SYSTEM_UNDERLAY, Underlay
from p2p.netutil import Endpoint, Netlist, OwnNetworks, split_listen_addr
from p2p.networkoptions import chain_entry, options_of
from p2p.networks import Network
from p2p.observe import Observer
from p2p.protocol import Protocol

#: Limit on connections in their handshake, for inbound and for dialed ones each.
DEFAULT_MAX_PENDING_PEERS = 50

#: One of this many peers is dialed.
DEFAULT_DIAL_RATIO = 3

#: Seconds before a node is dialed again. A little more than the remote's inbound throttle: in a
#: small network every second attempt would otherwise be closed without a Disconnect.
DEFAULT_REDIAL_PAUSE_S = 35.0


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
    max_upload: int | None = None
    max_download: int | None = None
    max_upload_per_peer: int | None = None
    max_download_per_peer: int | None = None
    protocols: Sequence[Protocol] = ()
    network: Network | None = None
    underlay: Underlay | None = None
    listen_addr: str | None = None
    discovery_v4: bool | None = None
    discovery_v5: bool | None = None
    discovery_topics: bool = False
    no_discovery: bool = False
    bootstrap_nodes: Sequence[Node] | None = None
    bootstrap_nodes_v5: Sequence[Node] | None = None
    dns_discovery: Sequence[str] | None = None
    lan_discovery: bool = False
    node_database: str | os.PathLike[str] | None = None
    disc_addr: str | None = None
    nat: str = "none"
    advertise: str | Sequence[str] = ()
    discovery_version: int = 4
    dialer: Dialer | None = None
    no_dial: bool = False
    candidate_filter: Callable[[Node], bool] | None = None
    key_log: str | os.PathLike[str] | None = None
    observer: Observer | Sequence[Observer] | None = None
    enable_msg_events: bool = False
    metrics_addr: str | None = None
    monitor_addr: str | None = None
    monitor_public: bool = False
    logger: logging.Logger | None = None
    clock: Clock = SYSTEM_CLOCK
    accept_pre_eip8: bool = False

    @of_options()
    def __post_init__(self) -> None:
        checks.check_private_key(self.private_key)
        checks.check_name(self.name)
        self._check_numbers()
        self._fill_in_network()
        self._check_nodes()
        self._check_networks()
        self._check_protocols()
        self._check_discovery()
        self._check_reachable()
        checks.metrics_endpoint_of(self.metrics_addr)
        if self.monitor_addr is not None:
            checks.monitor_endpoint_of(self.monitor_addr, self.monitor_public)
        flags = (
            *("no_dial", "no_discovery", "enable_msg_events", "monitor_public"),
            "accept_pre_eip8",
        )
        checks.check_flags({option: getattr(self, option) for option in flags})
        if self.logger is not None:
            check_type("logger", self.logger, logging.Logger, "a logging.Logger or None")
        checks.check_clock(self.clock)
        self._set("observer", self._observers)
        self._set("key_log", checks.key_log_of(self.key_log))
        if self.candidate_filter is not None:
            check_function("candidate_filter", self.candidate_filter, "node")

    @property
    def sockets(self) -> Underlay:
        """The maker of the server's sockets: ``underlay``, or that of the system."""
        return self.underlay or SYSTEM_UNDERLAY

    @property
    def netlist(self) -> Netlist | None:
        """``net_restrict`` as a Netlist, or None."""
        return None if isinstance(self.net_restrict, str) else self.net_restrict

    @property
    def _own(self) -> OwnNetworks:
        """The networks that limits do not apply to."""
        if isinstance(self.own_networks, Netlist):
            return OwnNetworks(self.own_networks, self.sockets._simulated)
        restricted = self.netlist or Netlist()
        own = Netlist(tuple(filter(checks.is_of_one_owner, restricted.networks)))
        return OwnNetworks(own, self.sockets._simulated)

    @property
    def _nat_spec(self) -> NatSpec:
        """``nat`` in its parts."""
        return parse_nat(self.nat)

    @property
    def _advertised(self) -> list[Endpoint]:
        """``advertise`` as endpoints, with port 0 for that of the server; one for each family."""
        return [parse_advertised(text) for text in self.advertise]

    @property
    def _observers(self) -> tuple[Observer, ...]:
        """``observer`` as a tuple."""
        return checks.observers_of(self.observer)

    @property
    def listen_endpoint(self) -> tuple[str | None, int] | None:
        """``listen_addr`` as host (None: every address) and port, or None: do not listen."""
        return None if self.listen_addr is None else split_listen_addr(self.listen_addr)

    @property
    def disc_endpoint(self) -> tuple[str | None, int] | None:
        """``disc_addr`` as host (None: every address) and port, or None."""
        return None if self.disc_addr is None else split_listen_addr(self.disc_addr)

    @property
    def metrics_endpoint(self) -> tuple[str, int] | None:
        """``metrics_addr`` as host and port, or None: do not serve metrics."""
        return checks.metrics_endpoint_of(self.metrics_addr)

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

    @property
    def _warnings(self) -> list[str]:
        """Log lines about options without an effect."""
        without_port = "is ignored: the server neither listens nor runs discovery"
        lines = {
            "server is useless: it neither dials nor listens": (
                self.no_dial and self.listen_addr is None
            ),
            "bootstrap_nodes are ignored: discovery is off": (
                self.bootstrap_nodes and not self.discovers
            ),
            "the node lists of network are not used: dnspython is not installed": (
                self.dns_discovery is None
            ),
            "dns_discovery is ignored: no_dial is set": self.dns_discovery and self.no_dial,
            f"nat {without_port}": (
                self._nat_spec.kind is not NatKind.NONE and not self._has_port
            ),
            f"advertise {without_port}": self.advertise and not self._has_port,
        }
        return [line for line, applies in lines.items() if applies]

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

    def _check_numbers(self) -> None:
        for option in ("max_peers", "max_pending_peers", "dial_ratio"):
            checks.check_count(option, getattr(self, option))
        self._set("max_pending_peers", self.max_pending_peers or DEFAULT_MAX_PENDING_PEERS)
        self._set("dial_ratio", self.dial_ratio or DEFAULT_DIAL_RATIO)
        checks.check_redial_pause(self.redial_pause_s)
        for way in ("upload", "download"):
            for option in (f"max_{way}", f"max_{way}_per_peer"):
                checks.check_bandwidth(option, getattr(self, option))

    def _check_nodes(self) -> None:
        if self.bootstrap_nodes is None:
            self._set("bootstrap_nodes", ())
        options = ["static_nodes", "trusted_nodes", "bootstrap_nodes"]
        if self.bootstrap_nodes_v5 is not None:
            options.append("bootstrap_nodes_v5")
        for option in options:
            self._set(option, checks.nodes_of(option, getattr(self, option)))

    def _fill_in_network(self) -> None:
        if self.network is not None:
            wanted = "a network such as p2p.networks.SEPOLIA, or None"
            check_type("network", self.network, Network, wanted)
            options = checks.named("network", partial(options_of, given=self), self.network)
            for option, value in options.items():
                self._set(option, value)
        elif self.dns_discovery is None:
            self._set("dns_discovery", ())

    def _check_networks(self) -> None:
        wanted = "at least one network, or None"
        restrict = checks.netlist_of("net_restrict", self.net_restrict, f"{wanted} for all")
        self._set("net_restrict", restrict)
        own = checks.netlist_of("own_networks", self.own_networks, wanted)
        self._set("own_networks", own)
        if own is not None:
            checks.check_one_owner(own.networks)
        checks.check_listen_addr("listen_addr", self.listen_addr)
        checks.check_dialer(self.dialer)
        text = "a host of a network of p2p.lab, or None"
        check_type("underlay", self.underlay, (Underlay, type(None)), text)

    def _check_discovery(self) -> None:
        for option in ("discovery_v4", "discovery_v5"):
            check_type(option, getattr(self, option), (bool, type(None)), "True, False or None")
        checks.check_topics(self.discovery_topics, self.runs_v5 or self.no_discovery)
        checks.check_listen_addr("disc_addr", self.disc_addr)
        checks.check_node_database(self.node_database)
        check_int("discovery_version", self.discovery_version, 0, 2**32 - 1, "an int from 0 up")
        for option in ("bootstrap_nodes", "bootstrap_nodes_v5"):
            checks.check_can_be_asked(option, getattr(self, option) or ())
        if self.dns_discovery is not None:
            self._set("dns_discovery", checks.tree_urls_of(self.dns_discovery))
        checks.check_lan(self.lan_discovery)

    def _check_reachable(self) -> None:
        check_type("nat", self.nat, str, WANTED_NAT)
        parse_nat(self.nat)
        self._set("advertise", checks.advertised_of(self.advertise))

    def _check_protocols(self) -> None:
        protocols = checks.protocols_of(self.protocols)
        self._set("protocols", protocols)
        checks.check_hello(self.name, protocols)
        checks.check_record(self.private_key, protocols, self.record_entries(0))
