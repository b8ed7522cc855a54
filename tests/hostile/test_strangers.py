"""Strangers in a number: those that wait to be accepted, and those that do not let go."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable

import pytest

from p2p.rlpx.connection import HANDSHAKE_TIMEOUT_S
from tests.kit import inspect
from tests.kit.remote import Remote, connect
from tests.kit.target import Inbox, Target, talk, target, unacked
from tests.kit.waiting import PATIENCE_S, eventually

MAX_PENDING = 10
CROWD = 60
#: More than come in the time in which a busy loop looks at nobody, a tenth of a second.
WAITING = 600


def waiting(victim: Target) -> int:
    """How many connections the kernel keeps until they are accepted."""
    return unacked(inspect.listener(victim.server)._sock)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_connections_wait_while_the_io_thread_is_busy() -> None:
    """One for which there is no room would come again after a second, or never know."""
    busy, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        assert go_on.wait(PATIENCE_S)

    with target() as victim:
        inspect.post(victim.server, hold)
        assert busy.wait(PATIENCE_S)
        socks = [socket.socket() for _ in range(WAITING)]
        try:
            address = ("127.0.0.1", victim.server.self.tcp)
            for sock in socks:
                sock.setblocking(False)
                sock.connect_ex(address)
            eventually(lambda: waiting(victim) == WAITING)
        finally:
            go_on.set()
            for sock in socks:
                sock.close()
        victim.await_quiet()


def junk(victim: Target) -> socket.socket:
    """A stranger that ends its handshake at once; the server has nothing to say to it."""
    sock = connect(victim.server)
    sock.sendall(bytes(2) + b"junk")
    return sock


def refused(victim: Target) -> socket.socket:
    """A stranger that proves its key and is told why it cannot stay."""
    remote = Remote.dial(victim.server).shake_hands()
    remote.send_hello(b"\xc0")
    return remote.sock


@pytest.mark.parametrize("come", [junk, refused])
def test_strangers_that_do_not_let_go_hold_few_sockets(
    come: Callable[[Target], socket.socket],
) -> None:
    """The server's clock stands still: it would linger with each of them for a second."""
    with target(max_pending_peers=MAX_PENDING) as victim, talk(victim) as honest:
        socks = []
        try:
            for number in range(CROWD):  # one after the other, or one would give way to the next
                socks.append(come(victim))
                victim.log.await_line("failed", times=number + 1)
            eventually(lambda: victim.sessions()[2] <= 1 + MAX_PENDING)
            honest.exchange()
        finally:
            for sock in socks:
                sock.close()
        victim.await_quiet(peers=1)


def test_stranger_that_gives_way_does_not_take_the_place_of_one_that_lingers() -> None:
    with target(max_pending_peers=1) as victim:
        sock = refused(victim)
        victim.log.await_line("failed")
        with sock, connect(victim.server), connect(victim.server) as last:
            victim.log.await_line("gave up")
            eventually(lambda: victim.sessions()[2] == 2)  # the one that lingers, and the last
            assert last.fileno() >= 0
            assert len(inspect.failed_sessions(victim.server)) == 1


def test_socket_of_a_silent_stranger_is_closed_well_within_6_s() -> None:
    with target() as victim, connect(victim.server):
        eventually(lambda: victim.sessions()[2] == 1)
        victim.clock.advance(HANDSHAKE_TIMEOUT_S)
        victim.log.await_line("failed")
        inspect.settle(victim.server)  # the half second begins after the line
        victim.clock.advance(0.5)
        eventually(lambda: victim.sessions()[2] == 0)


def test_stranger_that_is_refused_among_few_is_told_why() -> None:
    with target(Inbox().run, max_pending_peers=MAX_PENDING) as victim:
        remotes = [victim.attack().shake_hands() for _ in range(MAX_PENDING)]
        for remote in remotes:
            remote.send_hello(b"\xc0")
        victim.log.await_line("failed", times=MAX_PENDING)
        for remote in remotes:
            with remote:
                remote._take(remote.machine._process(0.0))
                assert remote.expect_hello()
                assert remote.disconnect_reason()
