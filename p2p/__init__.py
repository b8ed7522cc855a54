"""devp2p for threads: the peer-to-peer stack of Ethereum behind a blocking API.

A program defines its protocols and starts a :class:`Server`, which runs the program's handler for
each peer, a loop of ``read_msg`` and ``write_msg``. To talk to a single node, call :func:`connect`.
The names are those of go-ethereum's ``p2p`` package in snake_case.

The public names are those in ``__all__`` here and in these modules:

=========================  ======================================================================
`p2p.errors`               every exception, in one tree
`p2p.enode`                nodes: iterators and mixes of them, distances, our own node
`p2p.discover`             discovery: types of ``Server.discovery_v4``
`p2p.dnsdisc`              node lists in DNS: their nodes, and trees to publish
`p2p.requests`             requests and their replies on a read-writer, rates of peers
`p2p.rlp`                  encode and decode RLP
`p2p.eth`                  Ethereum: nodes of the same chain, the messages of ``eth`` and ``snap``
`p2p.messages`             a protocol declared by its messages, as dataclasses
`p2p.metrics`              counters, gauges and histograms of ``Server.metrics``
`p2p.nat`                  port mappings: types of ``Server.nat``
`p2p.observe`              what connections and discovery receive, send and do, for an observer
`p2p.networks`             the public Ethereum networks: forks, bootstrap nodes, node lists
`p2p.explain`              handshakes, packets and messages taken apart; import it explicitly
`p2p.capture`              captures of tcpdump, decrypted and decoded; import it explicitly
`p2p.testing`              tools for tests of programs; import it explicitly
`p2p.testing.conformance`  whether a node keeps the rules; import it explicitly
`p2p.sim`                  a network of discovery nodes in memory; import it explicitly
`p2p.monitor`              a live page, of a server or of your own; import it explicitly
`p2p.lab`                  networks of servers in one process; import it explicitly
=========================  ======================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p import interrupt as interrupt  # first: Ctrl-C during the other imports

# isort: split
from p2p import discover as discover
from p2p import dnsdisc as dnsdisc
from p2p import enode as enode
from p2p import errors as errors
from p2p import messages as messages
from p2p import metrics as metrics
from p2p import nat as nat
from p2p import networks as networks
from p2p import observe as observe
from p2p import requests as requests
from p2p import rlp as rlp
from p2p._version import __version__
from p2p.client import ClientReadWriter, connect
from p2p.config import Config, Dialer
from p2p.crypto import PrivateKey, PublicKey
from p2p.dial.attempts import DialAttempt
from p2p.enode import (
    Node,
    NodeID,
    generate_key,
    load_key,
    load_or_generate_key,
    parse_node,
    save_key,
)
from p2p.enr import Record
from p2p.errors import (
    ArgumentError,
    ConfigError,
    ConnectError,
    DecodeError,
    Disconnect,
    DiscReason,
    EncodeError,
    InvalidNode,
    LoopCrashed,
    P2PError,
    PeerDisconnected,
    PipeClosed,
    RemoteProtocolError,
    ServerStopped,
    Timeout,
    UnexpectedMessage,
)
from p2p.feed import Subscription
from p2p.message import Msg, MsgReadWriter, expect_msg, send, send_items
from p2p.messages.layout import describe
from p2p.netutil import Endpoint, Netlist
from p2p.peers.event import PeerEvent
from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.peers.traffic import CapCounters, PeerCounters
from p2p.protocol import Protocol
from p2p.rlpx import Cap
from p2p.server import Server

if TYPE_CHECKING:
    from p2p import eth as eth
else:

    def __getattr__(name: str) -> object:
        """Import ``p2p.eth`` at its first use: it takes an eighth of the time of all."""
        if name != "eth":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import p2p.eth

        return p2p.eth


__all__ = [
    "ArgumentError",
    "Cap",
    "CapCounters",
    "ClientReadWriter",
    "Config",
    "ConfigError",
    "ConnectError",
    "DecodeError",
    "DialAttempt",
    "Dialer",
    "DiscReason",
    "Disconnect",
    "EncodeError",
    "Endpoint",
    "InvalidNode",
    "LoopCrashed",
    "Msg",
    "MsgReadWriter",
    "Netlist",
    "Node",
    "NodeID",
    "P2PError",
    "Peer",
    "PeerCounters",
    "PeerDisconnected",
    "PeerEvent",
    "PipeClosed",
    "PrivateKey",
    "Protocol",
    "ProtocolReadWriter",
    "PublicKey",
    "Record",
    "RemoteProtocolError",
    "Server",
    "ServerStopped",
    "Subscription",
    "Timeout",
    "UnexpectedMessage",
    "__version__",
    "connect",
    "describe",
    "expect_msg",
    "generate_key",
    "load_key",
    "load_or_generate_key",
    "parse_node",
    "save_key",
    "send",
    "send_items",
]
