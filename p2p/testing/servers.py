"""Connected servers, on loopback and on ports that the system chooses.

Each is a real :class:`~p2p.Server` with its own threads. All calls block the thread of the test;
any thread may make them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

from p2p.arguments import check_int, check_type
from p2p.clock import Deadline, nonnegative_timeout
from p2p.enode import generate_key
from p2p.errors import Timeout
from p2p.feed import Subscription
from p2p.peers.event import PeerEvent
from p2p.peers.peer import Peer
from p2p.protocol import Protocol
from p2p.server import Server
from p2p.testing.failures import add_cause, patience_after
from p2p.testing.readwriter import PATIENCE_S

#: Interval in seconds of looking for the end of a connection while its other end is awaited.
_LOOK_S = 0.05


@contextmanager
def connected_servers(
    *protocols: Protocol, count: int = 2, timeout: float = PATIENCE_S, **options: Any
) -> Iterator[tuple[Server, ...]]:
    """Start ``count`` servers with connections between all of them, for a ``with`` block::

        with p2p.testing.connected_servers(protocol) as (one, other):
            rw = one.peers[0].open("MyProtocol")

    They have ``protocols``, no discovery, the names "node 0", "node 1" and so on, and ``options``
    of :class:`~p2p.Server`. Each dials those after it. When the block begins, each has had all
    others as peers; a handler that returns at once may have ended its connection again. At the end
    of the block they are stopped.

    Raises AssertionError if they are not connected, or not stopped, within ``timeout`` seconds; an
    error of the block has it as a cause instead. Raises ArgumentError, before any is started, for
    a wrong ``count``, ``timeout`` or option.
    """
    check_int("count", count, 0, math.inf, "an int from 0 up")
    timeout = nonnegative_timeout(timeout)
    defaults: dict[str, Any] = {
        "max_peers": max(50, count),
        "listen_addr": "127.0.0.1:0",
        "no_discovery": True,
        "protocols": protocols,
    }
    servers = [
        Server(
            **{"private_key": generate_key(), "name": f"node {number}", **defaults, **options}
        )
        for number in range(count)
    ]
    try:
        for server in servers:
            server.start()
        connect_servers(*servers, timeout=timeout)
        yield tuple(servers)
    except BaseException as error:
        add_cause(error, _stop(servers, patience_after(error, timeout)))
        raise
    failure = _stop(servers, timeout)
    if failure is not None:
        raise failure


def connect_servers(*servers: Server, timeout: float = PATIENCE_S) -> None:
    """Connect running servers with each other; each dials those after it, which must listen.

    On return each has had all others as peers. Raises ConnectError if a dial fails, and
    AssertionError if a connection ends before both have it, or after ``timeout`` seconds.
    """
    for server in servers:
        check_type("servers", server, Server, "running servers")
    timeout = nonnegative_timeout(timeout)
    deadline = Deadline(timeout)
    for one, other in combinations(servers, 2):
        with other.subscribe_events() as events:
            peer = one.connect(other.self, timeout)
            _await_peer(events, other, peer, one, deadline)


def peer_of(server: Server, other: Server) -> Peer:
    """Return the peer of ``server`` that is ``other``. Raises AssertionError if there is none."""
    check_type("server", server, Server, "a p2p.Server")
    check_type("other", other, Server, "a p2p.Server")
    for peer in server.peers:
        if peer.id == other.self.id:
            return peer
    raise AssertionError(f"{server!r} is not connected with {other!r}")


def _await_peer(
    events: Subscription[PeerEvent], server: Server, peer: Peer, other: Server, deadline: Deadline
) -> None:
    """Wait until ``server``, the listening end, has or had the connection of ``peer``, too.

    ``peer`` is ``server`` at the end that has dialed, ``other``. An end that ``other`` gave may
    come before ``server`` has the peer; one that ``server`` gave may not.
    """
    wanted = other.self.id
    while wanted not in [peer.id for peer in server.peers]:
        ended, is_over = peer.disconnect_reason, deadline.is_over
        is_refused = ended is not None and ended.by_remote
        try:
            event = events.get(0.0 if is_refused or is_over else _LOOK_S)
        except Timeout:
            if is_refused or is_over:
                how = f"the connection has ended: {ended}" if ended else "the time is over"
                text = f"{server!r} does not have {other!r} as a peer: {how}"
                raise AssertionError(text) from None
            continue
        if event.peer == wanted and event.type == "add":
            return


def _stop(servers: list[Server], timeout: float) -> AssertionError | None:
    """Stop all servers, the latest first; return the failure if threads are left."""
    failures = []
    for server in reversed(servers):
        left = server.stop(timeout)
        if left:
            failures.append(f"{server!r} has threads that did not end: {', '.join(left)}")
    return AssertionError("; ".join(failures)) if failures else None
