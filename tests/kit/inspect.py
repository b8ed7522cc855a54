"""The inside of a server: the one place of the suite that knows its private names.

Collections are copies, which any thread may look at while ``p2p-io`` goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from p2p import Server
from p2p.dial.dial import Dial
from p2p.dial.dials import Dials
from p2p.enode import NodeID
from p2p.enode.db.nodedb import NodeDB
from p2p.enode.localnode import LocalNode
from p2p.feed import Feed
from p2p.net import Listener, Loop
from p2p.peers.event import PeerEvent
from p2p.peers.peerset import PeerSet
from p2p.peers.session import Session
from p2p.services import Services
from p2p.threads import Launcher

if TYPE_CHECKING:  # the page is an extra
    from p2p.monitor.sampling import Sampler

T = TypeVar("T")

# the I/O thread


def loop(server: Server) -> Loop:
    return server._parts.loop


def on_io(server: Server, fn: Callable[..., T], *args: object) -> T:
    """Call a function on ``p2p-io`` and return what it returns."""
    return server._parts.loop.call(fn, *args)


def post(server: Server, fn: Callable[..., object], *args: object) -> bool:
    """Have a function called on ``p2p-io``; False if that thread has ended."""
    return server._parts.loop.post(fn, *args)


def settle(server: Server) -> None:
    """Let ``p2p-io`` do all that was posted before."""
    server._parts.loop.call(int)


# connections


def peer_set(server: Server) -> PeerSet:
    return server._parts.peer_set


def sessions(server: Server) -> list[Session]:
    return list(server._parts.peer_set._sessions)


def open_sessions(server: Server) -> list[Session]:
    """Those whose sockets are open."""
    return list(server._parts.peer_set._open)


def pending_sessions(server: Server) -> list[Session]:
    """Inbound ones in a handshake."""
    return list(server._parts.peer_set._pending)


def failed_sessions(server: Server) -> list[Session]:
    return list(server._parts.peer_set._failed)


def watched_sessions(server: Server) -> list[Session]:
    """Dialed ones that somebody waits for."""
    return list(server._parts.peer_set._watchers)


def session_with(server: Server, node_id: NodeID) -> Session:
    """The session of a peer."""
    return server._parts.peer_set._peers[node_id]


def crash(server: Server, error: Exception) -> None:
    """Have the connections end as if ``p2p-io`` had died of ``error``."""
    server._parts.loop.call(server._parts.peer_set.crash, error)


def listener(server: Server) -> Listener:
    assert server._parts.listener is not None, "the server does not listen"
    return server._parts.listener


# dials


def dials(server: Server) -> dict[bytes, Dial]:
    """The dials under way, with their timers set: nothing of their begin is left to do."""
    return on_io(server, lambda: dict(server._parts.dials._dials))


def dialing(server: Server) -> Dials:
    """The owner of the dials."""
    return server._parts.dials


# the rest


def events(server: Server) -> Feed[PeerEvent]:
    return server._parts.events


def launcher(server: Server) -> Launcher:
    return server._parts.launcher


def services(server: Server) -> Services:
    assert server._parts.services is not None, "the server has not started"
    return server._parts.services


def database(server: Server) -> NodeDB:
    database = services(server).database.db
    assert database is not None
    return database


def asks_for_metrics(server: Server) -> bool:
    """Whether a client is connected to the port of its metrics."""
    exporter = services(server).exporter._server
    return exporter is not None and exporter._client is not None


def sampler(server: Server) -> Sampler:
    """The sampler of the live page."""
    source = server._parts.monitor_source
    assert source is not None, "the server has no page"
    return source.observer.sampler


def own_node(server: Server) -> LocalNode:
    local = services(server).own_node.local
    assert local is not None
    return local
