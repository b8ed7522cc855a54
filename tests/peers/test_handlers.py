"""Handlers: when they begin, and what is left of a peer while one lingers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import p2p
from p2p import DiscReason
from p2p.peers.stalls import STALL_REPORT_S
from tests.kit import inspect
from tests.kit.nodes import Nodes, await_event
from tests.kit.remote import Remote, RemoteListener
from tests.kit.target import Target, dial, target
from tests.kit.waiting import PATIENCE_S, eventually

# the begin


def test_handlers_have_begun_when_connect_returns(nodes: Nodes) -> None:
    begun: list[p2p.Peer] = []

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        begun.append(peer)
        for _ in rw:
            pass

    there = nodes.start(max_peers=50, no_dial=True)
    for _ in range(20):
        here = nodes.start(listen_addr=None, protocols=[p2p.Protocol("test", 1, 8, run)])
        with here.subscribe_events() as events:
            peer = here.connect(there.self, timeout=PATIENCE_S)
            assert all(rw._thread is not None for rw in peer._running)
            eventually(lambda peer=peer: begun == [peer])  # type: ignore[misc]
            assert here.peers == [peer]
            assert events.get(0).type == "add"
        here.stop()
        begun.clear()


def test_connect_waits_for_the_handlers_of_all_protocols(nodes: Nodes) -> None:
    begun: list[str] = []

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        begun.append(threading.current_thread().name)
        for _ in rw:
            pass

    protocols = [p2p.Protocol(f"test{number}", 1, 8, run) for number in range(5)]
    here, there = nodes.start(protocols=protocols), nodes.start(protocols=protocols)
    peer = here.connect(there.self, timeout=PATIENCE_S)
    assert [rw._thread is not None for rw in peer._running] == [True] * 5
    eventually(lambda: len([name for name in begun if peer.id.short in name]) == 5)


# the end


class Lingering:
    """A handler that returns when the test lets it, whatever becomes of its connection."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.over.wait()
        self.at_once -= 1


@pytest.fixture
def handler() -> Iterator[Lingering]:
    made = Lingering()
    yield made
    made.over.set()  # if the test has failed


def only_peer(victim: Target) -> p2p.Peer:
    eventually(lambda: victim.server.peer_count == 1)
    (peer,) = victim.server.peers
    return peer


def test_peer_leaves_while_its_handler_lingers(handler: Lingering) -> None:
    with target(handler.run) as victim, victim.server.subscribe_events() as events:
        with victim.attack() as remote:
            remote.open()
            peer = only_peer(victim)
            assert peer.is_connected
            assert peer.disconnect_reason is None
            victim.clock.advance(7.0)
            remote.say_disconnect(b"\xc1\x04")
            remote.expect_closed()
        peer.wait_closed(PATIENCE_S)
        assert victim.server.peers == []
        assert [events.get(0).type, events.get(0).type] == ["add", "drop"]
        assert not peer.is_connected
        ended = peer.disconnect_reason
        assert ended is not None
        assert (ended.reason, ended.by_remote) == (DiscReason.TOO_MANY_PEERS, True)
        victim.clock.advance(7.0)
        assert peer.lifetime == 7.0
        eventually(lambda: handler.at_once == 1)
        handler.over.set()


def test_own_disconnect_is_known_at_once(handler: Lingering) -> None:
    with target(handler.run) as victim, victim.attack() as remote:
        remote.open()
        peer = only_peer(victim)
        peer.disconnect(DiscReason.USELESS_PEER)
        assert not peer.is_connected
        ended = peer.disconnect_reason
        assert ended is not None
        assert (ended.reason, ended.by_remote) == (DiscReason.USELESS_PEER, False)
        handler.over.set()


def test_disconnect_reason_has_the_error_behind_it(handler: Lingering) -> None:
    with target(handler.run) as victim, victim.attack() as remote:
        remote.open()
        peer = only_peer(victim)
        remote.send_raw(bytes(32))
        remote.expect_closed()
        remote.sock.close()
        peer.wait_closed(PATIENCE_S)
        ended = peer.disconnect_reason
        assert ended is not None
        assert isinstance(ended.__cause__, p2p.errors.FrameError)
        assert ended.reason is DiscReason.PROTOCOL_ERROR
        handler.over.set()


def test_waiting_for_the_end_takes_no_longer_than_told(handler: Lingering) -> None:
    with target(handler.run) as victim, victim.attack() as remote:
        remote.open()
        peer = only_peer(victim)
        with pytest.raises(p2p.Timeout):
            peer.wait_closed(0)
        handler.over.set()


@pytest.mark.slow
def test_stop_and_crash_end_the_wait(handler: Lingering) -> None:
    for end in ("stop", "crash"):
        with target(handler.run) as victim, victim.attack() as remote:
            remote.open()
            peer = only_peer(victim)
            if end == "stop":
                handler.over.set()
                victim.server.stop(1.0)  # half of it for the remote, which does not close its end
            else:
                inspect.crash(victim.server, RuntimeError("injected"))
            peer.wait_closed(PATIENCE_S)
            assert not peer.is_connected
            assert peer.disconnect_reason is not None


# the next connection


def test_handler_of_the_next_connection_waits(handler: Lingering) -> None:
    key = p2p.generate_key()
    with target(handler.run) as victim:
        with victim.attack(key=key) as remote:
            remote.open()
            first = only_peer(victim)
            remote.reset()
        first.wait_closed(PATIENCE_S)
        with victim.attack(key=key) as remote:
            remote.open()
            assert only_peer(victim) is not first
            eventually(lambda: handler.begun == 1)
            handler.over.set()
            eventually(lambda: handler.begun == 2)
            assert handler.most_at_once == 1


def test_handler_is_not_started_for_a_connection_that_has_ended(handler: Lingering) -> None:
    key = p2p.generate_key()
    with target(handler.run) as victim:
        for _ in range(3):
            with victim.attack(key=key) as remote:
                remote.open()
                peer = only_peer(victim)
                remote.reset()
            peer.wait_closed(PATIENCE_S)
        handler.over.set()
        victim.await_quiet()
        assert handler.begun == 1


def test_static_node_is_dialed_while_the_last_handler_lingers(handler: Lingering) -> None:
    with RemoteListener() as listener:
        with target(handler.run, static_nodes=[listener.node]) as victim:
            with listener.accept() as remote:
                remote.open()
                peer = only_peer(victim)
                remote.reset()
            peer.wait_closed(PATIENCE_S)
            victim.clock.advance(60.0)
            with listener.accept() as remote:
                remote.open()
                assert only_peer(victim) is not peer
                handler.over.set()


def test_connect_waits_for_the_last_handler(handler: Lingering) -> None:
    with waiting_connection(handler) as (_, join, _, _):
        eventually(lambda: handler.begun == 1)
        handler.over.set()
        assert join() is None
        eventually(lambda: handler.begun == 2)


def test_connect_gives_up_on_the_last_handler(handler: Lingering) -> None:
    with waiting_connection(handler) as (victim, join, remote, _):
        victim.clock.advance(PATIENCE_S)
        error = join()
        assert isinstance(error, p2p.errors.DialTimeout)
        assert str(error) == "handlers of the previous connection have not returned within 20 s"
        remote.expect_closed()
        remote.sock.close()
        eventually(lambda: victim.server.peers == [])  # nobody waits for it any more


def test_connect_gives_no_peer_that_left_before_its_handler_began(handler: Lingering) -> None:
    with waiting_connection(handler) as (victim, join, remote, peer):
        remote.reset()
        peer.wait_closed(PATIENCE_S)
        error = join()
        assert isinstance(error, p2p.errors.ConnectionLost)
        assert error.step is p2p.errors.DialStep.CONNECTED
        handler.over.set()
        victim.await_quiet()
        assert handler.begun == 1


def test_removal_waits_for_the_handlers_of_both_connections(handler: Lingering) -> None:
    with waiting_connection(handler) as (victim, _, remote, _):
        with pytest.raises(p2p.Timeout):
            victim.server.remove_peer(remote.node, timeout=0.05)
        remote.expect_closed()


def test_no_timer_is_left_of_a_connect_that_had_to_wait(handler: Lingering) -> None:
    with waiting_connection(handler) as (victim, join, _, _):
        handler.over.set()
        assert join() is None
        eventually(lambda: not inspect.dialing(victim.server)._waiter_timers)


@contextmanager
def waiting_connection(
    handler: Lingering,
) -> Iterator[tuple[Target, Callable[[], BaseException | None], Remote, p2p.Peer]]:
    """A connection to a node whose last handler lingers: target, end of connect, remote, peer."""
    with RemoteListener() as listener, target(handler.run) as victim:
        join = dial(victim, listener.node)
        with listener.accept() as remote:
            remote.open()
            assert join() is None
            first = only_peer(victim)
            remote.reset()
        first.wait_closed(PATIENCE_S)
        join = dial(victim, listener.node)
        with listener.accept() as remote:
            remote.open()
            yield victim, join, remote, only_peer(victim)
        join()
        handler.over.set()


# what is told of it, and how many there may be


def test_handler_that_lingers_is_logged_once_with_its_line(handler: Lingering) -> None:
    with target(handler.run) as victim:
        with victim.attack() as remote:
            remote.open()
            peer = only_peer(victim)
            eventually(lambda: handler.begun == 1)
            remote.reset()
        peer.wait_closed(PATIENCE_S)
        victim.clock.advance(STALL_REPORT_S)
        line = victim.log.await_line("has not returned 10 s after its connection ended")
        assert "test_handlers.py" in line
        victim.clock.advance(10 * STALL_REPORT_S)
        inspect.settle(victim.server)
        handler.over.set()
        victim.await_quiet()
        assert len([line for line in victim.log.lines() if "has not returned" in line]) == 1


def test_handlers_that_linger_are_bounded(handler: Lingering) -> None:
    # Each keeps a thread; a remote with many keys must not collect them.
    with target(handler.run, max_peers=3, max_pending_peers=3, dial_ratio=3) as victim:
        for _ in range(3):
            with victim.attack() as remote:
                remote.open()
                peer = only_peer(victim)
                remote.reset()
            peer.wait_closed(PATIENCE_S)
        with victim.attack() as remote:
            remote.shake_hands()
            assert remote.disconnect_reason() is DiscReason.TOO_MANY_PEERS
        handler.over.set()


def test_drop_is_told_before_the_wait_ends(nodes: Nodes) -> None:
    here, there = nodes.pair()
    with here.server.subscribe_events() as events:
        there.peer.disconnect()
        here.peer.wait_closed(PATIENCE_S)
        assert await_event(events, "drop").peer == here.peer.id
