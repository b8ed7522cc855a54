"""Hundreds of connections that say nothing, or next to nothing, while honest nodes connect."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import p2p
import p2p.testing
from tests.kit.remote import connect
from tests.kit.target import Inbox, Target, talk, target
from tests.kit.waiting import PATIENCE_S, eventually

CROWD = 200
MAX_PENDING = 50


@contextmanager
def crowd(victim: Target, size: int = CROWD) -> Iterator[list[socket.socket]]:
    """TCP connections of strangers, all of which the server has seen."""
    socks: list[socket.socket] = []
    try:
        for _ in range(size):
            socks.append(connect(victim.server))
        victim.log.await_line("gave up", times=size - MAX_PENDING)
        assert victim.sessions()[1] == MAX_PENDING
        yield socks
    finally:
        for sock in socks:
            sock.close()


def is_closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def send_byte(sock: socket.socket, byte: bytes) -> None:
    try:
        sock.sendall(byte)
    except OSError:
        pass  # given up already


def connect_honest_nodes(victim: Target, count: int = 3) -> None:
    """Each connects at its first attempt, and exchanges messages."""
    for _ in range(count):
        with talk(victim) as honest:
            honest.exchange()


def test_silent_crowd_keeps_nobody_out() -> None:
    with target() as victim, talk(victim) as honest:
        with crowd(victim) as socks:
            honest.exchange()
            connect_honest_nodes(victim)
            assert victim.sessions()[1] <= MAX_PENDING
            eventually(lambda: sum(map(is_closed, socks)) >= CROWD - MAX_PENDING)
        victim.await_quiet(peers=1)


def test_silent_crowd_is_gone_after_five_seconds() -> None:
    with target() as victim, talk(victim) as honest:
        with crowd(victim) as socks:
            victim.clock.advance(5.0)
            eventually(lambda: all(map(is_closed, socks)))
            victim.clock.advance(1.0)
            victim.await_quiet(peers=1)
            honest.exchange()


def test_crowd_that_sends_a_byte_a_second_is_gone_after_five_seconds() -> None:
    """A byte now and then buys no time."""
    with target() as victim, talk(victim) as honest:
        with crowd(victim) as socks:
            for second in range(5):
                for sock in socks:
                    send_byte(sock, b"\x01")
                honest.exchange(5)
                connect_honest_nodes(victim, count=1)
                assert victim.sessions()[1] <= MAX_PENDING
                victim.clock.advance(1.0)
                assert second < 4 or victim.log.await_line("no handshake (auth) in 5 s")
            eventually(lambda: all(map(is_closed, socks)))
            victim.clock.advance(1.0)
            victim.await_quiet(peers=1)


def test_the_longest_silent_stranger_gives_way_to_the_next() -> None:
    with target(max_pending_peers=3) as victim:
        socks = [connect(victim.server) for _ in range(4)]
        ports = [sock.getsockname()[1] for sock in socks]
        line = victim.log.await_line("gave up")
        assert f"127.0.0.1:{ports[0]}:" in line
        assert victim.sessions()[1] == 3
        for sock in socks:
            sock.close()
        victim.await_quiet()


def test_stranger_that_greets_before_the_slots_are_used_anew_becomes_a_peer() -> None:
    inbox = Inbox()
    with target(inbox.run, max_pending_peers=4) as victim:
        socks = [connect(victim.server) for _ in range(10)]
        with victim.attack() as slow:
            slow.shake_hands()
            socks += [connect(victim.server) for _ in range(3)]
            victim.log.await_line("gave up", times=10)
            slow.send_hello()
            slow.expect_hello()
            assert inbox.peer().id == slow.node.id
            for sock in socks:
                sock.close()
    inbox.ending()


def test_crowd_in_forged_names_keeps_no_honest_node_out() -> None:
    """Whoever knows public keys can get acks in their names, and then say nothing."""
    with target(max_pending_peers=5) as victim:
        forgers = [victim.attack().shake_hands() for _ in range(5)]
        connect_honest_nodes(victim, count=1)
        victim.log.await_line("gave up")
        for forger in forgers:
            forger.sock.close()
        victim.await_quiet()


def test_when_all_have_their_ack_the_oldest_gives_way() -> None:
    inbox = Inbox()
    with target(inbox.run, max_pending_peers=2) as victim:
        first, second = victim.attack(), victim.attack()
        first.shake_hands()
        second.shake_hands()
        with first, second, victim.attack() as third:
            third.open()
            first.expect_closed()
            assert inbox.peer().id == third.node.id
            assert victim.sessions()[1] == 1
        victim.await_quiet()
    inbox.ending()


def test_server_stops_in_time_under_a_silent_crowd() -> None:
    with target(clock=p2p.testing.SystemClock()) as victim, crowd(victim, 60):
        assert victim.server.stop(timeout=PATIENCE_S) == []


@pytest.mark.parametrize("rounds", [3])
def test_crowd_that_comes_and_goes_leaves_nothing(rounds: int) -> None:
    with target() as victim, talk(victim) as honest:
        for _ in range(rounds):
            socks = [connect(victim.server) for _ in range(100)]
            honest.exchange(5)
            for sock in socks:
                sock.close()
        victim.await_quiet(peers=1)
        assert isinstance(victim.server.peers[0], p2p.Peer)
