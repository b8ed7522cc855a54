"""A server can be stopped from anywhere, at any time, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue

import pytest

import p2p
import p2p.testing
from p2p.server import STOP_TIMEOUT_S
from tests.kit import inspect
from tests.kit.nodes import ANNOUNCE, HOST, Nodes, assert_goes_on, await_event, listening, node_at
from tests.kit.processes import await_rest
from tests.kit.remote import Remote
from tests.kit.threadcalls import in_thread
from tests.kit.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]


def threads_of_servers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("p2p-")]


def test_stop_ends_every_thread_and_closes_the_port(nodes: Nodes) -> None:
    server = nodes.start()
    port = server.self.tcp
    assert "p2p-io" in threads_of_servers()
    assert server.stop() == []
    assert threads_of_servers() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), PATIENCE_S)


def test_peers_are_told_that_we_quit(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        assert list(rw) == []

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    events = server.subscribe_events()
    remotes = [nodes.remote(server).open() for _ in range(3)]
    for _ in remotes:
        await_event(events, "add")
    reasons: list[object] = []
    readers = [in_thread(lambda r=r: reasons.append(r.ending())) for r in remotes]  # type: ignore[misc]
    assert server.stop() == []
    for reader in readers:
        reader.join(PATIENCE_S)
    assert reasons == [p2p.DiscReason.QUITTING] * 3
    assert [event.type for event in events] == ["drop"] * 3
    assert server.peers == []


def test_what_handlers_wrote_before_the_stop_still_arrives(nodes: Nodes) -> None:
    here, there = nodes.pair()
    for number in range(100):
        p2p.send(here.rw, 0, [number, bytes(1000)])
    here.end()
    here.server.stop()
    assert len(list(there.rw)) == 100


def test_stop_twice_is_harmless(nodes: Nodes) -> None:
    server = nodes.start()
    assert server.stop() == []
    assert server.stop() == []


def test_stop_before_start_is_harmless_and_ends_the_waiting(nodes: Nodes) -> None:
    server = nodes.new()
    events = server.subscribe_events()
    assert server.stop() == []
    server.wait()
    assert list(events) == []
    with pytest.raises(p2p.errors.ServerStateError):
        server.start()


def test_stop_from_four_threads_at_once(nodes: Nodes) -> None:
    here, _there = nodes.pair()
    here.end()
    results: list[list[str]] = []
    together = threading.Barrier(4)

    def stop() -> None:
        together.wait()
        results.append(here.server.stop())
        assert "p2p-io" not in running_of(here.server)

    threads = [in_thread(stop) for _ in range(4)]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert results == [[], [], [], []]


def running_of(server: p2p.Server) -> list[str]:
    return ["p2p-io"] if not inspect.loop(server).join(0) else []


def test_stop_from_another_thread_ends_wait(nodes: Nodes) -> None:
    server = nodes.start()
    thread = in_thread(server.wait)
    assert server.stop() == []
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_stop_from_inside_a_handler(nodes: Nodes) -> None:
    results: SimpleQueue[list[str]] = SimpleQueue()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        results.put(server.stop())
        results.put(server.stop())  # once more is harmless

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remote = nodes.remote(server).open()
    assert remote.ending() is p2p.DiscReason.QUITTING
    remote.sock.close()
    server.wait()
    assert results.get(timeout=PATIENCE_S) == results.get(timeout=PATIENCE_S) == []
    assert server.peers == []


def test_handler_that_was_not_started_yet_is_waited_for(nodes: Nodes) -> None:
    running: SimpleQueue[str] = SimpleQueue()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        list(rw)
        running.put(peer.name)

    for _ in range(20):
        server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
        events = server.subscribe_events()
        remote = nodes.remote(server).open()
        assert events.get(PATIENCE_S).type == "add"
        remote.sock.close()
        assert server.stop() == []
        assert running.get_nowait()
        assert [event.type for event in events] == ["drop"]


def test_stop_from_the_handlers_of_two_peers_at_once(nodes: Nodes) -> None:
    results: SimpleQueue[list[str]] = SimpleQueue()
    together = threading.Barrier(2)

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        together.wait(PATIENCE_S)
        results.put(server.stop())

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remotes = [nodes.remote(server).open() for _ in range(2)]
    for remote in remotes:
        assert remote.ending() is p2p.DiscReason.QUITTING
        remote.sock.close()
    start = time.monotonic()
    server.wait()
    assert results.get(timeout=PATIENCE_S) == results.get(timeout=PATIENCE_S) == []
    assert time.monotonic() - start < STOP_TIMEOUT_S  # neither has waited for the other


def test_handler_that_never_returns_is_named_when_the_time_is_up(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    nodes.remote(server).open()
    talk = talks.next()
    start = time.monotonic()
    left = server.stop(timeout=0.3)
    assert time.monotonic() - start < STOP_TIMEOUT_S  # what counts is the time that was given
    name = f"p2p-peer-{talk.peer.id.short}-test"
    assert_goes_on(left, name)
    assert name in caplog.text
    assert server.peers == []
    events = server.subscribe_events()
    assert list(events) == []
    assert_goes_on(server.stop(timeout=0), name)  # a second stop tells of it, too
    talk.end()  # nobody listens to it any more
    assert server.stop() == []


def test_handler_that_is_late_finds_a_server_that_has_stopped(nodes: Nodes) -> None:
    here, there = nodes.pair()
    here.server.stop(timeout=0.2)
    for use in (
        lambda: here.rw.write_msg(p2p.Msg(0)),
        lambda: here.rw.read_msg(),
    ):
        with pytest.raises(p2p.PeerDisconnected) as raised:
            use()
        assert raised.value.reason is p2p.DiscReason.QUITTING
    here.peer.disconnect()
    assert here.peer.info()["id"] == str(there.server.self.id)
    with pytest.raises(p2p.errors.ServerStateError):
        here.server.connect(there.server.self)


@pytest.mark.usefixtures("short_linger")
def test_waiting_handlers_wake(nodes: Nodes) -> None:
    ended: SimpleQueue[str] = SimpleQueue()
    reading = threading.Barrier(3)

    def read(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        reading.wait(PATIENCE_S)
        try:
            rw.read_msg()
        except p2p.PeerDisconnected as error:
            ended.put(str(error.reason))

    def write(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        reading.wait(PATIENCE_S)
        try:
            while True:
                rw.write_msg(p2p.Msg(0, bytes(2**20)))
        except p2p.PeerDisconnected as error:
            ended.put(str(error.reason))

    server = nodes.start(
        protocols=[p2p.Protocol("a", 1, 8, read), p2p.Protocol("b", 1, 8, write)]
    )
    nodes.remote(server, caps=[("a", 1), ("b", 1)]).open()  # it never reads
    reading.wait(PATIENCE_S)
    assert server.stop(PATIENCE_S) == []
    assert [ended.get_nowait(), ended.get_nowait()] == ["client quitting"] * 2


def test_stop_while_dials_are_under_way(nodes: Nodes) -> None:
    outcomes: SimpleQueue[BaseException] = SimpleQueue()

    class Hanging:
        """A dialer that never comes back by itself."""

        def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
            dialing.set()
            release.wait(PATIENCE_S)
            raise OSError("too late")

    dialing, release = threading.Event(), threading.Event()
    with listening() as silent:
        node = node_at(silent)
        here = nodes.start(listen_addr=None)
        hanging = nodes.start(listen_addr=None, dialer=Hanging())

        def connect(server: p2p.Server) -> None:
            try:
                server.connect(node, timeout=PATIENCE_S)
            except p2p.P2PError as error:
                outcomes.put(error)

        threads = [in_thread(connect, s) for s in (here, hanging)]
        accepted, _ = silent.accept()  # the auth of one is on its way
        assert dialing.wait(PATIENCE_S)
        with accepted:
            accepted.settimeout(PATIENCE_S)
            assert accepted.recv(1)
            start = time.monotonic()
            stopper = in_thread(here.stop)
            assert isinstance(outcomes.get(timeout=PATIENCE_S), p2p.ServerStopped)
            while accepted.recv(4096):
                pass
        stopper.join(PATIENCE_S)
        left = hanging.stop(timeout=0.2)
        assert_goes_on(left, f"p2p-dial-{node.id.short}")
        assert isinstance(outcomes.get(timeout=PATIENCE_S), p2p.ServerStopped)
        assert time.monotonic() - start < STOP_TIMEOUT_S  # nobody has waited for a dial
        release.set()
        for thread in threads:
            thread.join(PATIENCE_S)


def test_stop_while_connections_are_in_their_handshake(nodes: Nodes) -> None:
    server = nodes.start()
    with socket.create_connection((HOST, server.self.tcp), PATIENCE_S):
        proved = nodes.remote(server)
        proved.shake_hands()
        endings: list[object] = []
        reader = in_thread(lambda: endings.append(proved.ending(silent=True)))
        start = time.monotonic()
        assert server.stop() == []
        assert time.monotonic() - start < STOP_TIMEOUT_S
        reader.join(PATIENCE_S)
        assert endings == [p2p.DiscReason.QUITTING]


def test_stop_on_a_clock_that_stands_still(nodes: Nodes) -> None:
    """The end must not wait for a clock that nobody moves."""
    talks = nodes.talks()
    server = nodes.start(clock=p2p.testing.SimulatedClock(), protocols=[talks.protocol()])
    nodes.remote(server).open()
    talks.next().end()
    events = server.subscribe_events()
    assert server.stop(timeout=1) == []  # half of it for the remote, which does not close its end
    assert [event.type for event in events] == ["drop"]


def test_subscriptions_end_with_the_server(nodes: Nodes) -> None:
    server = nodes.start()
    events = server.subscribe_events()
    waiting = in_thread(lambda: list(events))
    server.stop()
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    with pytest.raises(p2p.ServerStopped):
        server.subscribe_events().get(timeout=0)


def test_fifty_servers_come_and_go(nodes: Nodes) -> None:
    for _ in range(50):
        server = nodes.start()
        assert server.stop() == []


PROGRAM = """
import threading
import p2p
import p2p.testing

def run(peer, rw):
    print("peer", flush=True)
    for msg in rw:
        pass

server = p2p.Server(
    private_key=p2p.generate_key(), name="n", max_peers=5, listen_addr="127.0.0.1:0",
    protocols=[p2p.Protocol(name="test", version=1, length=8, run=run)],
)
with server:
    announce(server)
    server.wait()
print("left", [t.name for t in threading.enumerate() if t.name.startswith("p2p-")], flush=True)
"""


@pytest.mark.parametrize("with_peer", [False, True])
def test_ctrl_c_ends_wait_cleanly(nodes: Nodes, with_peer: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", ANNOUNCE + PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        node = p2p.parse_node(process.stdout.readline().strip())
        remote = None
        if with_peer:
            sock = socket.create_connection((HOST, node.tcp), PATIENCE_S)
            remote = nodes.adopt(Remote(sock, node.public_key)).open()
            assert process.stdout.readline() == "peer\n"
        await_rest(process.pid)
        process.send_signal(signal.SIGINT)
        if remote is not None:
            assert remote.ending() is p2p.DiscReason.QUITTING
            remote.sock.close()
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out, err) == (0, "left []\n", "")
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_in_stop_leaves_a_server_that_is_stopped(nodes: Nodes) -> None:
    def interrupt(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """A handler that is told of the end, and returns long after it."""
        names.append(threading.current_thread().name)
        running.set()
        assert list(rw) == []
        signal.pthread_kill(main, signal.SIGINT)
        over.wait(PATIENCE_S)

    main = threading.main_thread().ident or 0
    running, over = threading.Event(), threading.Event()
    names: list[str] = []
    server = nodes.start(
        no_discovery=False, protocols=[p2p.Protocol("test", 1, 8, interrupt)]
    )
    nodes.remote(server).open()
    assert running.wait(PATIENCE_S)
    events = server.subscribe_events()
    with pytest.raises(KeyboardInterrupt):
        server.stop(PATIENCE_S)
    assert_goes_on(server.stop(timeout=0), *names)
    server.wait()
    assert [event.type for event in events] in ([], ["drop"])
    with pytest.raises(p2p.errors.ServerStateError, match="stopped"):
        server.add_trusted_peer(server.self)
    over.set()
    assert server.stop(PATIENCE_S) == []
