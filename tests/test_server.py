"""The server as a program meets it: options, start, addresses, static and trusted peers, limits."""

from __future__ import annotations

import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from tests.kit import inspect
from tests.kit.nodes import (
    ANNOUNCE,
    HOST,
    Nodes,
    Talks,
    await_event,
    listening,
    node_at,
    unused_port,
)
from tests.kit.processes import await_rest
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
KEY = p2p.PrivateKey.from_bytes(b"\x05" * 32)


def run(peer: object, rw: object) -> None:
    """A handler that does nothing."""


# the program that everything else serves


def listening_program() -> str:
    """The second program of README.md."""
    (_, program, *_) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert "p2p.Server(" in program and "server.wait()" in program
    return str(program)


def test_the_program_of_the_readme_answers_foo_with_bar_until_ctrl_c(
    nodes: Nodes, tmp_path: Path
) -> None:
    # Port 30300 may be taken; besides that, the one thing added tells how to reach the node.
    program = listening_program().replace(':30300"', ':0"')
    program = program.replace("    server.wait()", "    announce(server)\n    server.wait()")
    script = tmp_path / "program.py"
    script.write_text(ANNOUNCE + program)
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        talks = nodes.talks()
        here = nodes.start(
            name="asker", listen_addr=None, protocols=[talks.protocol("MyProtocol", 1, 1)]
        )
        peer = here.connect(p2p.parse_node(url))
        assert peer.name == "my node name"
        talk = talks.next()
        p2p.send_items(talk.rw, 0, "hello")
        p2p.send_items(talk.rw, 0, "foo")
        assert p2p.expect_msg(talk.rw, 0, ["bar"], timeout=PATIENCE_S).code == 0
        await_rest(process.pid)
        process.send_signal(signal.SIGINT)
        with pytest.raises(p2p.PeerDisconnected) as raised:
            talk.read()
        assert (raised.value.reason, raised.value.by_remote) == (p2p.DiscReason.QUITTING, True)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out, err) == (0, "asker says hello\n", "")
    finally:
        process.kill()
        process.communicate()


# options


@pytest.mark.parametrize("option", ["private_key", "name", "max_peers"])
def test_missing_option_is_refused_by_name(option: str) -> None:
    given: dict[str, Any] = {"private_key": KEY, "name": "n", "max_peers": 1}
    del given[option]
    with pytest.raises((TypeError, p2p.ConfigError), match=option):
        p2p.Server(**given)


def test_options_are_given_by_keyword_only() -> None:
    with pytest.raises(TypeError):
        p2p.Server(KEY, "n", 1)  # type: ignore[misc]


def test_unknown_option_is_refused(nodes: Nodes) -> None:
    with pytest.raises(TypeError, match="max_pears"):
        nodes.new(max_pears=3)


PROTOCOL = p2p.Protocol("p", 1, 1, run)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("private_key", None),
        ("private_key", b"\x01" * 32),
        ("private_key", "01" * 32),
        ("name", None),
        ("name", b"n"),
        ("name", "x" * 2048),
        ("max_peers", None),
        ("max_peers", -1),
        ("max_peers", "10"),
        ("max_peers", 1.5),
        ("max_peers", True),
        ("max_pending_peers", -1),
        ("max_pending_peers", None),
        ("dial_ratio", -1),
        ("dial_ratio", 2.0),
        ("static_nodes", None),
        ("static_nodes", "enode://"),
        ("static_nodes", ["enode://"]),
        ("trusted_nodes", [7]),
        ("trusted_nodes", 7),
        ("net_restrict", "10.0.0.0/33"),
        ("net_restrict", 10),
        ("protocols", PROTOCOL),
        ("protocols", [run]),
        ("protocols", [PROTOCOL, PROTOCOL]),
        ("protocols", None),
        ("listen_addr", "30303"),
        ("listen_addr", ":70000"),
        ("listen_addr", "::1:30303"),
        ("listen_addr", 30303),
        ("listen_addr", ""),
        ("dialer", "no dialer"),
        ("dialer", run),
        ("no_dial", 1),
        ("no_dial", None),
        ("enable_msg_events", "yes"),
        ("logger", "p2p"),
        ("logger", 1),
        ("clock", 0),
        ("clock", "now"),
        ("clock", object()),
        ("accept_pre_eip8", 1),
    ],
)
def test_wrong_option_is_refused_by_name_when_the_server_is_made(
    nodes: Nodes, option: str, value: object
) -> None:
    with pytest.raises(p2p.ConfigError, match=option):
        nodes.new(**{option: value})


@pytest.mark.parametrize(
    "attributes",
    [
        {"eth": object()},
        {"eth": -1},
        {"eth": b"x" * 300},
        {5: b"x"},
        {"tcp": "port"},
        {"ip": "nowhere"},
    ],
)
def test_attributes_that_fit_into_no_record_are_refused_when_the_server_is_made(
    nodes: Nodes, attributes: dict[Any, Any]
) -> None:
    with pytest.raises(p2p.ConfigError, match="attributes"):
        nodes.new(protocols=[p2p.Protocol("p", 1, 1, run, attributes=attributes)])


@pytest.mark.parametrize("node", ["enode://", None, b"\x01" * 32])
@pytest.mark.parametrize(
    "command", ["add_peer", "remove_peer", "connect", "add_trusted_peer", "dial_attempts"]
)
def test_what_is_no_node_is_refused_by_every_command(
    nodes: Nodes, command: str, node: Any
) -> None:
    server = nodes.start()
    with pytest.raises(p2p.errors.ArgumentTypeError, match="^node: wanted a Node"):
        getattr(server, command)(node)
    assert server.peer_count == 0


# start


def test_server_is_a_context_manager_that_starts_and_stops(nodes: Nodes) -> None:
    with nodes.new() as server:
        assert server.peer_count == 0
        assert p2p.parse_node(server.self.url).tcp == server.self.tcp != 0
    with pytest.raises(p2p.errors.ServerStateError):
        server.connect(node_of(KEY))


def node_of(key: p2p.PrivateKey) -> p2p.Node:
    return p2p.Node.from_parts(key.public_key, HOST, 1)


def test_server_starts_once(nodes: Nodes) -> None:
    server = nodes.start()
    with pytest.raises(p2p.errors.ServerStateError, match="running"):
        server.start()
    assert server.peer_count == 0
    server.stop()
    with pytest.raises(p2p.errors.ServerStateError, match="stopped"):
        server.start()


@pytest.mark.parametrize(
    "command", ["add_peer", "remove_peer", "connect", "add_trusted_peer", "remove_trusted_peer"]
)
@pytest.mark.parametrize("state", ["new", "stopped"])
def test_commands_want_a_running_server(nodes: Nodes, command: str, state: str) -> None:
    server = nodes.new()
    if state == "stopped":
        server.start()
        server.stop()
    with pytest.raises(p2p.errors.ServerStateError, match=state):
        getattr(server, command)(node_of(KEY))
    assert (server.peers, server.peer_count) == ([], 0)


def test_port_in_use_is_an_error_and_the_server_can_be_started_when_it_is_free(
    nodes: Nodes,
) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        server = nodes.new(listen_addr=f"{HOST}:{port}")
        with pytest.raises(OSError, match=f"{HOST}:{port}"):
            server.start()
        assert server.peer_count == 0
    server.start()
    assert str(server.listen_addr) == f"{HOST}:{port}"


def test_address_of_another_machine_cannot_be_listened_on(nodes: Nodes) -> None:
    server = nodes.new(listen_addr="192.0.2.1:0")
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        server.start()


def test_start_without_a_free_descriptor_fails_and_can_be_repeated(nodes: Nodes) -> None:
    server = nodes.new()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        lowest = probe.fileno()
    # Room for the listening socket, none for what the I/O thread needs.
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
    try:
        with pytest.raises(OSError):
            server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "p2p-io" not in [thread.name for thread in threading.enumerate()]
    assert server.stop() == []


def test_listening_on_ipv4_resolves_port_zero(nodes: Nodes) -> None:
    server = nodes.new()
    assert server.listen_addr is None
    server.start()
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", str(server.listen_addr))
    assert server.self.tcp_endpoint == (server.self.ip, server.self.tcp)
    assert server.listen_addr == server.self.tcp_endpoint


def test_listening_on_ipv6(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(listen_addr="[::1]:0", protocols=[talks.protocol()])
    assert re.fullmatch(r"\[::1\]:[1-9]\d*", str(server.listen_addr))
    assert str(server.self.ip) == "::1"
    other = nodes.start(listen_addr=None)
    peer = other.connect(server.self)
    assert peer.remote_addr == server.self.tcp_endpoint
    assert str(talks.next().peer.remote_addr.ip) == "::1"


def test_listening_on_every_address_takes_both_families(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(listen_addr=":0", protocols=[talks.protocol()])
    assert re.fullmatch(r"\[::\]:[1-9]\d*", str(server.listen_addr))
    node = server.self
    assert str(node.ip) == HOST
    for host in (HOST, "::1"):
        other = nodes.start(listen_addr=None)
        other.connect(node.with_ip(host))
        assert str(talks.next().peer.remote_addr.ip) == host


def test_server_that_does_not_listen_dials(nodes: Nodes) -> None:
    here, _there = nodes.pair(listen_addr=None)
    assert here.server.listen_addr is None
    assert here.server.self.tcp == 0


def test_server_that_neither_listens_nor_dials_says_so(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    nodes.start(listen_addr=None, no_dial=True)
    assert [r.levelname for r in caplog.records if "useless" in r.getMessage()] == ["WARNING"]


def test_identity_is_that_of_the_private_key(nodes: Nodes) -> None:
    server = nodes.new(private_key=KEY)
    for _ in range(2):
        assert server.self.public_key == KEY.public_key
        assert server.self.id == p2p.NodeID.from_public_key(KEY.public_key)
        if not server.self.tcp:
            server.start()
    assert server.self.url.startswith(f"enode://{KEY.public_key.to_bytes().hex()}@{HOST}:")


def test_identity_is_kept_in_a_key_file(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "nodekey"
    first = nodes.start(private_key=p2p.load_or_generate_key(path)).self
    again = nodes.start(private_key=p2p.load_or_generate_key(path)).self
    assert first.id == again.id
    assert path.stat().st_mode & 0o777 == 0o600
    assert bytes.fromhex(path.read_text()) == p2p.load_key(path).to_bytes()


def test_log_goes_to_the_logger_that_was_given(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nodes.start(logger=logging.getLogger("mine"))
    assert "mine.server" in {record.name for record in caplog.records}
    assert not any(record.name.startswith("p2p") for record in caplog.records)


# peers that come and go


def test_peers_are_listed_while_they_are_connected(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    events = server.subscribe_events()
    remotes = [nodes.remote(server).open() for _ in range(3)]
    joined = [talks.next() for _ in remotes]
    assert server.peer_count == 3
    assert {peer.id for peer in server.peers} == {remote.node.id for remote in remotes}
    server.peers.clear()
    assert server.peer_count == 3
    remotes[0].sock.close()
    (talk,) = [talk for talk in joined if talk.peer.id == remotes[0].node.id]
    talk.end()
    await_event(events, "drop")
    assert {peer.id for peer in server.peers} == {remote.node.id for remote in remotes[1:]}


def assert_not_dialed(server: p2p.Server, listener: socket.socket) -> None:
    """Nobody has dialed, now that the server has seen what time it is."""
    for _ in range(2):  # the first call runs before the timers that are due
        inspect.settle(server)
    assert inspect.on_io(server, lambda: len(inspect.dials(server))) == 0
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.settimeout(PATIENCE_S)


def accept(nodes: Nodes, listener: socket.socket, key: p2p.PrivateKey, **options: Any) -> Remote:
    """The remote that ``listener`` gets next, with its handshake done."""
    return nodes.adopt(Remote(listener.accept()[0], key=key, **options)).open()


class Watch:
    """A server that dials a listening socket, on simulated time."""

    def __init__(self, nodes: Nodes, listener: socket.socket, **options: Any) -> None:
        self.clock = p2p.testing.SimulatedClock()
        self.key = p2p.generate_key()
        self.node = node_at(listener, self.key)
        self.talks: Talks = nodes.talks()
        self.server = nodes.start(
            listen_addr=None, clock=self.clock, protocols=[self.talks.protocol()], **options
        )
        self.events = self.server.subscribe_events()


def test_added_peer_is_dialed_and_dialed_again_35_s_later_when_it_has_left(nodes: Nodes) -> None:
    with listening() as listener:
        it = Watch(nodes, listener)
        it.server.add_peer(it.node)
        first = accept(nodes, listener, it.key)
        talk = it.talks.next()
        assert talk.peer.static_dialed and not talk.peer.dyn_dialed
        first.sock.close()
        talk.end()
        await_event(it.events, "drop")
        it.clock.advance(34.9)
        assert_not_dialed(it.server, listener)
        assert it.server.peer_count == 0
        it.clock.advance(3.6)  # the random part
        accept(nodes, listener, it.key)
        assert it.talks.next().peer.static_dialed
        outcomes = [attempt.outcome for attempt in it.server.dial_attempts(it.node)]
        assert outcomes == ["connected", "connected"]


def test_static_node_of_the_options_is_dialed_from_the_start(nodes: Nodes) -> None:
    talks = nodes.talks()
    there = nodes.start(protocols=[talks.protocol()])
    nodes.start(static_nodes=[there.self])
    assert talks.next().peer.inbound


def test_static_node_that_cannot_be_reached_is_tried_again(nodes: Nodes) -> None:
    with listening() as listener:
        it = Watch(nodes, listener)
        it.server.add_peer(it.node)
        listener.accept()[0].close()  # its auth finds nobody
        eventually(lambda: it.server.dial_attempts(it.node))
        it.clock.advance(40)
        accept(nodes, listener, it.key)
        assert it.talks.next().peer.static_dialed


def test_removed_peer_is_disconnected_and_not_dialed_again(nodes: Nodes) -> None:
    with listening() as listener:
        it = Watch(nodes, listener)
        it.server.add_peer(it.node)
        remote = accept(nodes, listener, it.key)
        talk = it.talks.next()
        thread = threading.Thread(target=it.server.remove_peer, args=(it.node, PATIENCE_S))
        thread.start()
        assert remote.ending() is p2p.DiscReason.REQUESTED
        talk.end()
        thread.join()
        assert it.server.peer_count == 0
        it.clock.advance(100)
        assert_not_dialed(it.server, listener)


def test_removing_a_peer_waits_until_its_handlers_have_returned(nodes: Nodes) -> None:
    here, there = nodes.pair()
    server = here.server
    with pytest.raises(p2p.Timeout):
        server.remove_peer(here.peer.node, timeout=0.05)
    with pytest.raises(p2p.PeerDisconnected) as raised:
        there.read()
    assert raised.value.reason is p2p.DiscReason.REQUESTED
    here.peer.wait_closed(PATIENCE_S)
    assert server.peer_count == 0  # though its handler still runs
    removed = threading.Event()

    def remove() -> None:
        server.remove_peer(here.peer.node)
        removed.set()

    thread = threading.Thread(target=remove)
    thread.start()
    assert not removed.wait(0.05)
    here.end()
    assert removed.wait(PATIENCE_S)
    thread.join()


NO_TIMES = [float("nan"), "3", [], 1j]


@pytest.mark.parametrize("timeout", [None, float("inf"), -1, *NO_TIMES], ids=repr)
def test_time_for_connect_must_be_a_number_from_0_up(nodes: Nodes, timeout: Any) -> None:
    server = nodes.start(listen_addr=None)
    node = node_of(KEY)
    with pytest.raises(p2p.errors.ArgumentError, match="^timeout: "):
        server.connect(node, timeout=timeout)
    assert server.dial_attempts(node) == []


@pytest.mark.parametrize("timeout", NO_TIMES, ids=repr)
def test_time_for_removing_a_peer_must_be_a_number(nodes: Nodes, timeout: Any) -> None:
    here, there = nodes.pair()
    with pytest.raises(p2p.errors.ArgumentError, match="^timeout: "):
        here.server.remove_peer(there.server.self, timeout=timeout)
    with pytest.raises(p2p.Timeout):
        here.rw.read_msg(timeout=0)  # it is a peer as before


@pytest.mark.parametrize("timeout", [None, float("inf"), *NO_TIMES], ids=repr)
def test_time_for_stop_must_be_finite(nodes: Nodes, timeout: Any) -> None:
    server = nodes.start(listen_addr=None)
    with pytest.raises(p2p.errors.ArgumentError, match="^timeout: "):
        server.stop(timeout=timeout)
    assert server.stop() == []


@pytest.mark.parametrize("timeout", NO_TIMES, ids=repr)
def test_time_for_reading_must_be_a_number(nodes: Nodes, timeout: Any) -> None:
    here, there = nodes.pair()
    with pytest.raises(p2p.errors.ArgumentError, match="^timeout: "):
        here.rw.read_msg(timeout=timeout)
    there.rw.write_msg(p2p.Msg(1))
    assert here.rw.read_msg(timeout=float("inf")).code == 1


def test_removing_a_node_that_is_no_peer_returns_at_once(nodes: Nodes) -> None:
    server = nodes.start()
    server.remove_peer(node_of(KEY))


def test_removing_a_peer_ends_when_the_server_stops(nodes: Nodes) -> None:
    here, there = nodes.pair()
    outcome: list[BaseException] = []

    def remove() -> None:
        try:
            here.server.remove_peer(here.peer.node)
        except p2p.ServerStopped as error:
            outcome.append(error)

    removing = threading.Thread(target=remove)
    removing.start()
    with pytest.raises(p2p.PeerDisconnected) as raised:
        there.read()
    assert raised.value.reason is p2p.DiscReason.REQUESTED  # so it waits for the handler now
    here.server.stop(timeout=0.2)
    removing.join(PATIENCE_S)
    assert len(outcome) == 1


# limits


def test_shares_of_max_peers(nodes: Nodes) -> None:
    server = nodes.new(max_peers=10)
    assert (server.max_dialed_conns, server.max_inbound_conns) == (3, 7)
    server = nodes.new(max_peers=10, dial_ratio=2)
    assert (server.max_dialed_conns, server.max_inbound_conns) == (5, 5)
    server = nodes.new(max_peers=10, no_dial=True)
    assert (server.max_dialed_conns, server.max_inbound_conns) == (0, 10)
    server = nodes.new(max_peers=1)
    assert (server.max_dialed_conns, server.max_inbound_conns) == (1, 1)


def test_inbound_peer_beyond_its_share_is_told_too_many_peers(nodes: Nodes) -> None:
    server = nodes.start(max_peers=3, dial_ratio=3)
    events = server.subscribe_events()
    for _ in range(2):
        nodes.remote(server).open()
        await_event(events, "add")
    refused = nodes.remote(server)
    refused.shake_hands()
    assert refused.ending() is p2p.DiscReason.TOO_MANY_PEERS
    assert server.peer_count == 2


def test_no_peers_at_all_may_be_wanted(nodes: Nodes) -> None:
    server = nodes.start(max_peers=0)
    remote = nodes.remote(server)
    remote.shake_hands()
    assert remote.ending() is p2p.DiscReason.TOO_MANY_PEERS


def test_static_nodes_are_dialed_even_when_the_share_of_dialed_peers_is_used(
    nodes: Nodes,
) -> None:
    others = [nodes.talks() for _ in range(4)]
    servers = [nodes.start(protocols=[talks.protocol()]) for talks in others]
    here = nodes.start(max_peers=4, dial_ratio=4, static_nodes=[s.self for s in servers])
    assert here.max_dialed_conns == 1
    events = here.subscribe_events()
    for talks in others:
        talks.next()
    while here.peer_count < 4:
        await_event(events, "add")
    assert all(peer.static_dialed for peer in here.peers)


def test_static_nodes_do_not_exceed_max_peers(nodes: Nodes) -> None:
    with listening() as listener:
        it = Watch(nodes, listener, max_peers=1)
        there = nodes.start()
        it.server.connect(there.self)
        it.server.add_peer(it.node)
        it.clock.advance(10)
        assert_not_dialed(it.server, listener)
        assert it.server.peer_count == 1
        # A free slot goes to it.
        it.talks.next().end()
        accept(nodes, listener, it.key)
        assert it.talks.next().peer.id == it.node.id


def test_trusted_node_joins_beyond_max_peers(nodes: Nodes) -> None:
    trusted = p2p.generate_key()
    server = nodes.start(max_peers=1, trusted_nodes=[node_of(trusted)], no_dial=True)
    events = server.subscribe_events()
    for key in (None, trusted):
        nodes.remote(server, key=key).open()
        await_event(events, "add")
    assert sorted(peer.trusted for peer in server.peers) == [False, True]
    refused = nodes.remote(server)
    refused.shake_hands()
    assert refused.ending() is p2p.DiscReason.TOO_MANY_PEERS


def test_node_may_be_trusted_for_a_while(nodes: Nodes) -> None:
    key = p2p.generate_key()
    talks = nodes.talks()
    server = nodes.start(max_peers=0, protocols=[talks.protocol()])
    events = server.subscribe_events()
    server.add_trusted_peer(node_of(key))
    remote = nodes.remote(server, key=key).open()
    talk = talks.next()
    assert talk.peer.trusted
    server.remove_trusted_peer(node_of(key))
    server.dial_attempts(node_of(key))  # by now the loop has done it
    assert not talk.peer.trusted
    assert server.peer_count == 1, "a connection that is there stays"
    remote.sock.close()
    talk.end()
    await_event(events, "drop")
    again = nodes.remote(server, key=key)
    again.shake_hands()
    assert again.ending() is p2p.DiscReason.TOO_MANY_PEERS


def test_peer_becomes_trusted_while_it_is_connected(nodes: Nodes) -> None:
    here, _there = nodes.pair()
    here.server.add_trusted_peer(here.peer.node)
    here.server.dial_attempts(here.peer.node)
    assert here.peer.trusted and here.server.peers[0].trusted


def test_trusted_static_node_is_dialed_beyond_max_peers(nodes: Nodes) -> None:
    talks = nodes.talks()
    there = nodes.start(protocols=[talks.protocol()])
    here = nodes.start(max_peers=1)
    here.connect(nodes.start().self)
    here.add_trusted_peer(there.self)
    here.add_peer(there.self)
    assert talks.next().peer.id == here.self.id


def test_no_dial_leaves_static_nodes_alone(nodes: Nodes) -> None:
    with listening() as listener:
        it = Watch(nodes, listener, no_dial=True)
        it.server.add_peer(it.node)
        assert_not_dialed(it.server, listener)


# what a refused peer is told


def test_peer_without_a_shared_protocol_is_told_it_is_useless(nodes: Nodes) -> None:
    server = nodes.start()
    for caps in ([("other", 1)], [("test", 2)], []):
        remote = nodes.remote(server, caps=caps)
        remote.shake_hands()
        assert remote.ending() is p2p.DiscReason.USELESS_PEER
    assert server.peer_count == 0


def test_server_without_protocols_takes_any_peer(nodes: Nodes) -> None:
    server = nodes.start(protocols=[])
    events = server.subscribe_events()
    remote = nodes.remote(server, caps=[("other", 1)]).open()
    assert await_event(events, "add").peer == remote.node.id
    remote.sock.close()
    assert await_event(events, "drop").peer == remote.node.id


def test_second_connection_of_a_peer_is_told_that_it_is_connected(nodes: Nodes) -> None:
    server = nodes.start()
    events = server.subscribe_events()
    key = p2p.generate_key()
    first = nodes.remote(server, key=key).open()
    await_event(events, "add")
    second = nodes.remote(server, key=key)
    second.shake_hands()
    assert second.ending() is p2p.DiscReason.ALREADY_CONNECTED
    assert server.peer_count == 1
    first.send_payload(0)


def test_own_key_is_told_that_it_is_us(nodes: Nodes) -> None:
    server = nodes.start(private_key=KEY)
    remote = nodes.remote(server, key=KEY)
    remote.shake_hands()
    assert remote.ending() is p2p.DiscReason.SELF


def test_hello_with_another_key_is_told_so(nodes: Nodes) -> None:
    server = nodes.start()
    other = p2p.generate_key().public_key.to_bytes()
    remote = nodes.remote(server, node_key=other)
    remote.shake_hands()
    assert remote.ending() is p2p.DiscReason.UNEXPECTED_IDENTITY


def test_address_outside_net_restrict_is_not_talked_to(nodes: Nodes) -> None:
    server = nodes.start(net_restrict="10.0.0.0/8")
    remote = nodes.remote(server)
    assert remote.ending(silent=True) is None


def test_unused_port_is_free() -> None:
    with socket.create_server((HOST, unused_port())):
        pass
