"""Tools for tests of programs that use this package: handlers, remotes, faults, time.

* :func:`run_handler` runs the handler of a protocol without a network: the test is its remote,
  through a :class:`HandlerRun`. :func:`make_peer` makes a peer without a connection.
* :class:`Remote` is a scripted remote: a real handshake over TCP, with a :class:`Hello`, then any
  messages, also broken ones. :class:`RemoteListener` listens for a server that dials a remote.
  :class:`DiscoveryRemote` is the same for discovery v4 over UDP: it sends, and receives as
  :class:`Received`, the packets :class:`Ping`, :class:`Pong`, :class:`FindNode`,
  :class:`Neighbors` (of :class:`NeighborNode`), :class:`ENRRequest` and :class:`ENRResponse`.
* :func:`connected_servers` starts servers with connections between all of them,
  :func:`connect_servers` connects running ones, :func:`peer_of` returns the peer that is one.
* :class:`FaultyReadWriter` applies a :class:`Fault` to its n-th message: :func:`delay`,
  :func:`wait_for`, :func:`fail`, :func:`disconnect`, :func:`corrupt`, :func:`truncate` or
  :func:`swap`.
* :func:`replay` plays the peer of a :class:`p2p.capture.Recording` against a handler, and returns a
  :class:`Replayed` with each :class:`Difference` from the recording.
* :func:`msg_pipe` makes two read-writers joined in memory, each a :class:`MsgPipe`.
* :class:`SimulatedClock` advances only when the test moves it. Pass it for any :class:`Clock`, such
  as the option ``clock`` of :class:`p2p.Server`, which is a :class:`SystemClock` by default. An
  :class:`Underlay` is a network beneath a server; :mod:`p2p.lab` makes them.

All calls block and have a timeout, ``PATIENCE_S`` by default. When it expires they raise
AssertionError, which names the missing message; :class:`ScriptedReadWriter` has these calls. No
test framework is needed.
"""

from __future__ import annotations

from p2p.clock import Clock, SimulatedClock, SystemClock
from p2p.discover.v4.packet import (
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Ping,
    Pong,
)
from p2p.discover.v4.wire import Received
from p2p.net import Underlay
from p2p.pipe import MsgPipe, msg_pipe
from p2p.rlpx import Hello
from p2p.testing.faults import (
    Fault,
    FaultyReadWriter,
    corrupt,
    delay,
    disconnect,
    fail,
    swap,
    truncate,
    wait_for,
)
from p2p.testing.handlers import HandlerRun, run_handler
from p2p.testing.packets import DiscoveryRemote
from p2p.testing.peers import make_peer
from p2p.testing.readwriter import PATIENCE_S, ScriptedReadWriter
from p2p.testing.remote import Remote, RemoteListener
from p2p.testing.replay import Difference, Replayed, replay
from p2p.testing.servers import connect_servers, connected_servers, peer_of

__all__ = [
    "PATIENCE_S",
    "Clock",
    "Difference",
    "DiscoveryRemote",
    "ENRRequest",
    "ENRResponse",
    "Fault",
    "FaultyReadWriter",
    "FindNode",
    "HandlerRun",
    "Hello",
    "MsgPipe",
    "NeighborNode",
    "Neighbors",
    "Ping",
    "Pong",
    "Received",
    "Remote",
    "RemoteListener",
    "Replayed",
    "ScriptedReadWriter",
    "SimulatedClock",
    "SystemClock",
    "Underlay",
    "connect_servers",
    "connected_servers",
    "corrupt",
    "delay",
    "disconnect",
    "fail",
    "make_peer",
    "msg_pipe",
    "peer_of",
    "replay",
    "run_handler",
    "swap",
    "truncate",
    "wait_for",
]
