"""A server that the program has lost while it ran: it says so, ends, and frees its port."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.net import bind_udp
from p2p.netutil import NodeEndpoint
from tests.faults.forked import outcome_in_child
from tests.kit.localrecords import fixed_node
from tests.kit.nodes import HOST, Nodes
from tests.kit.services import HOME, key_of
from tests.kit.swarm import stay
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SERVER = r"server 'lost' \(enode://\S+\)"


def start(**options: Any) -> p2p.Server:
    """A server to which nothing refers but what is returned."""
    chosen: dict[str, Any] = {
        "private_key": p2p.generate_key(),
        "name": "lost",
        "max_peers": 10,
        "listen_addr": f"{HOST}:0",
        "no_discovery": True,
        "protocols": [p2p.Protocol("test", 1, 8, stay)],
    }
    server = p2p.Server(**{**chosen, **options})
    server.start()
    return server


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("p2p-")]


def assert_ends(port: int) -> None:
    eventually(lambda: threads() == [])
    socket.create_server((HOST, port)).close()


@contextmanager
def lost(what: str) -> Iterator[None]:
    """The block loses a server or a discovery, and a warning says so.

    Its I/O thread may refer to it for a moment, right after its start, and lose it then.
    """
    text = f"{what} was running, and nothing refers to it any more: it stops"
    with pytest.warns(ResourceWarning, match=text) as warnings:
        yield
        eventually(lambda: gc.collect() >= 0 and len(warnings) > 0)


def test_lost_server_ends_and_frees_its_port() -> None:
    server = start()
    port = server.self.tcp
    with lost(rf"server 'lost' \(enode://\w+@{HOST}:{port}\?discport=0\)"):
        del server
    assert_ends(port)


def test_lost_server_with_all_that_a_server_may_have(tmp_path: Path) -> None:
    protocol = p2p.Protocol("test", 1, 8, stay, dial_candidates=p2p.enode.cycle_nodes([]))
    server = start(
        no_discovery=False, node_database=tmp_path / "nodes.db", protocols=[protocol]
    )
    port = server.self.tcp
    with lost(SERVER):
        del server
    assert_ends(port)


def test_lost_server_is_found_in_a_cycle() -> None:
    server = start()
    port = server.self.tcp
    server.itself = server  # type: ignore[attr-defined]
    with lost(SERVER):
        del server
    assert_ends(port)


def test_peers_events_and_handlers_of_a_lost_server_end(nodes: Nodes) -> None:
    server = start()
    remote = nodes.remote(server)
    events = server.subscribe_events()
    remote.open()
    assert events.get(PATIENCE_S).type == "add"
    (peer,), port = server.peers, server.self.tcp
    with lost(SERVER):
        del server
    assert remote.ending() is p2p.DiscReason.QUITTING
    assert [event.type for event in events] == ["drop"]
    assert_ends(port)
    peer.disconnect()


def test_handler_may_lose_its_server(nodes: Nodes) -> None:
    """The last reference goes on a thread that the server is to join."""

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for _ in rw:
            with lost(SERVER):
                servers.clear()

    servers = [start(protocols=[p2p.Protocol("test", 1, 8, run)])]
    port = servers[0].self.tcp
    remote = nodes.remote(servers[0]).open()
    remote.send_payload(0)
    assert remote.ending() is p2p.DiscReason.QUITTING
    assert_ends(port)


@pytest.mark.parametrize("end", [p2p.Server.stop, lambda server: server.__exit__(None, None, None)])
def test_server_that_was_stopped_is_no_loss(end: Callable[[p2p.Server], object]) -> None:
    server = start()
    end(server)
    del server
    gc.collect()  # a warning would fail the test


def test_server_that_was_never_started_is_no_loss(nodes: Nodes) -> None:
    p2p.Server(private_key=p2p.generate_key(), name="lost", max_peers=1)
    gc.collect()


def test_server_that_a_child_loses_goes_on_in_the_parent() -> None:
    servers = [start()]
    port = servers[0].self.tcp
    try:
        assert outcome_in_child(lambda: (servers.clear(), gc.collect()) and "lost") == "'lost'"
        socket.create_connection((HOST, port), PATIENCE_S).close()
    finally:
        servers[0].stop()


def test_lost_discovery_ends_and_frees_its_port() -> None:
    sock = bind_udp(HOST, 0)
    port = sock.getsockname()[1]
    key = key_of(1)
    local = fixed_node(key, NodeEndpoint(HOME, port, 0), 1)
    discovery = p2p.discover.UDPv4(key, sock, local=local, ntp_server=None)
    discovery.start()
    del sock
    with lost(f"discovery on UDP {HOST}:{port}"):
        del discovery
    eventually(lambda: threads() == [])
    bind_udp(HOST, port).close()


def test_end_of_the_program_is_no_loss() -> None:
    program = (
        "import p2p; server = p2p.Server(private_key=p2p.generate_key(), name='n', max_peers=1, "
        f"listen_addr='{HOST}:0', no_discovery=True); server.start()"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=30,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
