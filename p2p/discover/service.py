"""Discovery v4 as a running thing: the engine, its UDP socket and its thread ``p2p-disc``.

A :class:`UDPv4` owns the thread, the socket and the engine, which nothing else touches: datagrams
go in, the engine's deadline is a timer, its datagrams go out, and its events wake whoever waits.
What discovery v4 *is* stands in :mod:`p2p.discover.engine`; here nothing is decided. The node
database and the local node belong to the caller, who closes them after :meth:`UDPv4.stop`.

Calls that wait may be made from any thread but ``p2p-disc``, where nothing waits.
"""

from __future__ import annotations

import copy
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from types import TracebackType
from typing import Any, Generic, TypeVar

from p2p.clock import Clock, SystemClock
from p2p.crypto import PrivateKey, PublicKey
from p2p.discover.engine import Engine
from p2p.discover.event import NodeAdded, NodeRemoved, OperationDone
from p2p.discover.now import Now
from p2p.discover.ntp import NTP_SERVER, ClockCheck
from p2p.discover.store import LocalView, MemoryStore, NodeStore
from p2p.discover.v4wire import MAX_PACKET_SIZE
from p2p.discover.walk import OnLookup, RandomNodes
from p2p.enode import Node
from p2p.errors import (
    ConfigError,
    LoopCrashed,
    P2PError,
    ReadTimeout,
    ServerStateError,
    ServerStopped,
)
from p2p.events import DEFAULT_CAPACITY, Feed, Subscription
from p2p.net import Address, Datagrams, Loop, Timer, address_of, format_address
from p2p.net.udp import Datagram
from p2p.netutil import Netlist
