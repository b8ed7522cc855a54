"""Each call on a server or a discovery in each state: an answer or an error, and at once.

All public methods stand here or a test fails: those of ANSWERS tell what they know in any state,
the others raise where nobody would answer.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

import p2p
from p2p.enode import NodeDB
from tests.faults.shortage import few_descriptors, no_more_threads
from tests.kit.nodes import HOST, Nodes
from tests.kit.services import Services
from tests.kit.waiting import PATIENCE_S

NODE = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 9)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("add_peer", "add_trusted_peer", "remove_trusted_peer"), (NODE,)),
    **dict.fromkeys(("remove_peer", "dial_attempts", "connect"), (NODE,)),
    **dict.fromkeys(("ping", "resolve", "request_enr"), (NODE,)),
    "lookup": (bytes(64),),
    "find_node": (NODE, bytes(64)),
    "set_entry": ("key", 1),
    "delete_entry": ("key",),
}
ANSWERS = {
    "config", "listen_addr", "address", "self", "discovery_v4", "discovery_v5",
    "max_dialed_conns",
    "max_inbound_conns", "node_info", "peers", "peer_count", "peers_info", "subscribe_events",
    "lan_nodes", "lost", "metrics", "metrics_addr", "monitor_url", "nat", "stop",
}  # fmt: skip

SERVER = [name for name in dir(p2p.Server) if not name.startswith("_")]
DISCOVERY = [name for name in dir(p2p.discover.UDPv4) if not name.startswith("_")]


def at_once(call: Callable[[], object]) -> object:
    """Result of the call, or the exception that it raised; fails when it waits."""
    outcome: SimpleQueue[object] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(call())
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.get(timeout=PATIENCE_S)
    except Empty:
        raise AssertionError("the call waits") from None


def use(thing: Any, name: str) -> object:
    if not callable(getattr(type(thing), name)):
        return at_once(lambda: getattr(thing, name))
    return at_once(lambda: getattr(thing, name)(*ARGUMENTS.get(name, ())))


def never_started(nodes: Nodes) -> p2p.Server:
    return nodes.new(no_discovery=False)


def port_taken(nodes: Nodes) -> p2p.Server:
    """Its start has failed, and may be tried again."""
    with socket.create_server((HOST, 0)) as sock:
        server = nodes.new(listen_addr=f"{HOST}:{sock.getsockname()[1]}")
        with pytest.raises(OSError):
            server.start()
    return server


def no_threads(nodes: Nodes) -> p2p.Server:
    """Its start has failed when it had begun to run, so it is stopped."""
    server = nodes.new()
    with no_more_threads(), pytest.raises(RuntimeError):
        server.start()
    return server


def stopped(nodes: Nodes) -> p2p.Server:
    server = nodes.start(no_discovery=False)
    server.stop()
    return server


STATES = (never_started, port_taken, no_threads, stopped)


@pytest.mark.parametrize("name", sorted({*SERVER} - {"start", "wait"}))
@pytest.mark.parametrize("state", STATES)
def test_call_on_a_server_that_does_not_run(
    nodes: Nodes, state: Callable[[Nodes], p2p.Server], name: str
) -> None:
    outcome = use(state(nodes), name)
    if name in ANSWERS:
        assert not isinstance(outcome, Exception)
    elif name == "accept" and state in (no_threads, stopped):
        assert isinstance(outcome, p2p.ServerStopped)  # which ends a loop that accepts
    else:
        assert isinstance(outcome, p2p.errors.ServerStateError)


@pytest.mark.parametrize("state", (never_started, port_taken))
def test_wait_for_a_server_that_does_not_run_yet(
    nodes: Nodes, state: Callable[[Nodes], p2p.Server]
) -> None:
    outcome = use(state(nodes), "wait")
    assert isinstance(outcome, p2p.errors.ServerStateError)
    assert str(outcome) == "cannot wait before the start: the server is new"


@pytest.mark.parametrize("state", (no_threads, stopped))
def test_wait_for_a_server_that_runs_no_more(
    nodes: Nodes, state: Callable[[Nodes], p2p.Server]
) -> None:
    assert use(state(nodes), "wait") is None


def test_server_starts_once(nodes: Nodes) -> None:
    server = nodes.start()
    for name in ("start", "__enter__"):
        assert str(use(server, name)) == "cannot start: the server is running"
    server.stop()
    assert str(use(server, "start")) == "cannot start: the server is stopped"


@pytest.mark.parametrize("state", (no_threads, stopped))
def test_subscription_after_the_end_is_at_its_end(
    nodes: Nodes, state: Callable[[Nodes], p2p.Server]
) -> None:
    events = state(nodes).subscribe_events()
    assert isinstance(at_once(events.get), p2p.ServerStopped)
    assert at_once(lambda: list(events)) == []
    events.close()
    assert isinstance(at_once(events.get), p2p.ServerStopped)


# discovery


def discovery_never_started(services: Services) -> p2p.discover.UDPv4:
    return services.new(start=False)


def discovery_without_descriptors(services: Services) -> p2p.discover.UDPv4:
    service = services.new(start=False)
    with few_descriptors(), pytest.raises(OSError):
        service.start()
    return service


def discovery_without_threads(services: Services) -> p2p.discover.UDPv4:
    service = services.new(start=False)
    with no_more_threads(), pytest.raises(RuntimeError):
        service.start()
    return service


def discovery_stopped(services: Services) -> p2p.discover.UDPv4:
    service = services.new()
    services.stop(service)
    return service


DISCOVERY_STATES = (
    (discovery_never_started, p2p.errors.ServerStateError),
    (discovery_without_descriptors, p2p.ServerStopped),
    (discovery_without_threads, p2p.ServerStopped),
    (discovery_stopped, p2p.ServerStopped),
)


@pytest.mark.parametrize("name", sorted({*DISCOVERY} - {"start"}))
@pytest.mark.parametrize("state, error", DISCOVERY_STATES)
def test_call_on_a_discovery_that_does_not_run(
    services: Services,
    state: Callable[[Services], p2p.discover.UDPv4],
    error: type[Exception],
    name: str,
) -> None:
    outcome = use(state(services), name)
    if name in ANSWERS:
        assert not isinstance(outcome, Exception)
    else:
        assert isinstance(outcome, error), outcome


@pytest.mark.parametrize("state, error", DISCOVERY_STATES[1:])
def test_discovery_starts_once(
    services: Services, state: Callable[[Services], p2p.discover.UDPv4], error: type[Exception]
) -> None:
    assert isinstance(use(state(services), "start"), p2p.errors.ServerStateError)


# the node database


def test_node_database_that_is_closed(tmp_path: Path) -> None:
    db = NodeDB(tmp_path / "nodes.db")
    db.close()
    assert isinstance(at_once(lambda: db.set_local_seq(NODE.id, 1)), p2p.errors.NodeDBError)
    assert at_once(db.start) is None
    assert at_once(lambda: db.node(NODE.id)) is None
    assert at_once(db.close) is True
