"""Handlers that fork, or start programs: the connections stay the parent's alone.

A child closes its copies of the sockets, and what it does with objects of the library goes nowhere
(test_fork_calls.py). Not every child is one of Python's own, with the hooks of that, so those here
keep copies that the library does not know: the parent says on the socket itself that a connection
ends, and does not leave it to the last ``close``.

Pythons from 3.12 on warn of a fork beside threads, which is what is done here on purpose.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import p2p
from tests.faults.neighbors import Neighbors, talk
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually


class Children:
    """Forks in a handler, and ends what it has forked."""

    def __init__(self) -> None:
        self.pids: SimpleQueue[int] = SimpleQueue()
        self._left: set[int] = set()

    def fork(self, in_child: Callable[[], object]) -> int:
        """Fork; the child does ``in_child`` and nothing else, unless that is to raise or return.

        It has a copy of each socket that the process has.
        """
        with copies_of_sockets():
            pid = os.fork()
        if not pid:
            try:
                in_child()
            finally:
                os._exit(0)
        self._add(pid)
        return pid

    def fork_and_go_on(self) -> bool:
        """Fork, and go on in both; returns whether this is the parent."""
        pid = os.fork()
        if pid:
            self._add(pid)
        return bool(pid)

    def next(self) -> int:
        return self.pids.get(timeout=PATIENCE_S)

    def wait(self, pid: int) -> None:
        """Wait until a child has ended by itself."""

        def has_ended() -> bool:
            return os.waitpid(pid, os.WNOHANG)[0] == pid

        eventually(has_ended)
        self._left.discard(pid)

    def close(self) -> None:
        for pid in self._left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _add(self, pid: int) -> None:
        self._left.add(pid)
        self.pids.put(pid)


@contextmanager
def copies_of_sockets() -> Iterator[None]:
    """Have another descriptor of each socket, as far as the system tells which there are."""
    folder = Path("/proc/self/fd")
    copies = []
    for number in os.listdir(folder) if folder.exists() else ():
        with suppress(OSError):  # the descriptor of the listing, or one that is closed meanwhile
            if os.readlink(folder / number).startswith("socket:"):
                copies.append(os.dup(int(number)))
    yield
    for copy in copies:
        os.close(copy)


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    children.close()


def forking(children: Children, in_child: Callable[[], object]) -> p2p.Protocol:
    """A handler that forks at each message, and answers when it has."""

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            children.fork(in_child)
            rw.write_msg(msg)

    return p2p.Protocol("test", 1, 8, run)


def start(nodes: Nodes, protocol: p2p.Protocol, **options: Any) -> p2p.Server:
    return nodes.start(max_peers=20, protocols=[protocol, talk()], **options)


def have_forked(remote: Remote) -> None:
    """Have the handler of ``remote`` fork."""
    remote.send_payload(3)
    assert remote.next_message()[0] == 3


def live_on() -> None:
    signal.pause()


def test_child_that_ends_at_once_harms_no_connection(nodes: Nodes, children: Children) -> None:
    server = start(nodes, forking(children, int))
    with Neighbors(nodes, server) as neighbors:
        remotes = [nodes.remote(server).open() for _ in range(5)]
        for remote in remotes * 2:
            have_forked(remote)
            neighbors.exchange(10)
            children.wait(children.next())


def test_child_that_goes_on_in_the_handler_disturbs_nobody(
    nodes: Nodes, children: Children
) -> None:
    """It returns from the handler: in its memory, the peer is disconnected."""

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            if not children.fork_and_go_on():
                return
            rw.write_msg(msg)

    server = start(nodes, p2p.Protocol("test", 1, 8, run))
    remote = nodes.remote(server).open()
    with Neighbors(nodes, server) as neighbors:
        for _ in range(5):
            have_forked(remote)
            neighbors.exchange(10)
            children.wait(children.next())


def test_what_a_child_writes_is_not_sent(nodes: Nodes, children: Children) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for number in range(100):
            p2p.send(rw, 0, number)
            if number % 20 == 10:
                children.wait(children.fork(lambda: p2p.send(rw, 1, "of the child")))

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remote = nodes.remote(server).open()
    assert remote.ending() is p2p.DiscReason.QUITTING
    assert [code for code, _ in remote.messages] == [0] * 100
    assert [p2p.Msg(*message).decode(int) for message in remote.messages] == list(range(100))


# children that live on


def test_goodbye_reaches_the_remote_while_a_child_has_its_socket(
    nodes: Nodes, children: Children
) -> None:
    server = start(nodes, forking(children, live_on))
    remote = nodes.remote(server).open()
    with Neighbors(nodes, server):
        have_forked(remote)
        inspect.session_with(server, remote.node.id).disconnect(p2p.DiscReason.USELESS_PEER)
        assert remote.ending() is p2p.DiscReason.USELESS_PEER


def test_connection_that_is_given_up_ends_for_the_remote_while_a_child_has_its_socket(
    nodes: Nodes, children: Children
) -> None:
    """There are no last words in the handshake, only the end of the stream."""
    server = start(nodes, forking(children, live_on), max_pending_peers=1)
    remote = nodes.remote(server).open()
    with silent_stranger(server) as silent:
        eventually(lambda: len(inspect.pending_sessions(server)) == 1)
        have_forked(remote)
        with silent_stranger(server):
            assert silent.recv(1) == b""
        have_forked(remote)


def test_crash_ends_the_connections_while_a_child_has_their_sockets(
    nodes: Nodes, children: Children, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("planned")

    caplog.set_level(logging.CRITICAL, "p2p")
    server = start(nodes, forking(children, live_on))
    remote = nodes.remote(server).open()
    have_forked(remote)
    inspect.post(server, fail)
    with suppress(ConnectionResetError):
        while remote.sock.recv(4096):
            pass


@pytest.mark.usefixtures("short_linger")
def test_stopped_server_listens_no_more_while_a_child_has_its_sockets(
    nodes: Nodes, children: Children
) -> None:
    server = start(nodes, forking(children, live_on))
    port = server.self.tcp
    remote = nodes.remote(server).open()
    have_forked(remote)
    assert server.stop() == []
    assert remote.ending() is p2p.DiscReason.QUITTING
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), PATIENCE_S).close()
    again = start(nodes, forking(children, live_on), listen_addr=f"{HOST}:{port}")
    assert again.self.tcp == port


def test_server_serves_on_and_stops_in_time_with_twenty_children(
    nodes: Nodes, children: Children
) -> None:
    server = start(nodes, forking(children, live_on))
    with Neighbors(nodes, server):
        remote = nodes.remote(server).open()
        for _ in range(20):
            have_forked(remote)
        assert nodes.remote(server).open()
    begin = time.monotonic()
    assert server.stop(timeout=PATIENCE_S) == []
    # what it would wait for sockets that stay open
    assert time.monotonic() - begin < PATIENCE_S / 2


def silent_stranger(server: p2p.Server) -> socket.socket:
    """A connection that says nothing."""
    return socket.create_connection((HOST, server.self.tcp), PATIENCE_S)


# what children have in common with us


def test_keys_that_parent_and_children_generate_are_all_different(children: Children) -> None:
    read_end, write_end = os.pipe()

    def tell() -> None:
        for _ in range(10):
            os.write(write_end, p2p.generate_key().to_bytes())

    p2p.generate_key()
    for _ in range(5):
        children.wait(children.fork(tell))
    os.close(write_end)
    with open(read_end, "rb") as told:
        keys = {told.read(32) for _ in range(50)}
    keys |= {p2p.generate_key().to_bytes() for _ in range(50)}
    assert len(keys) == 100


@pytest.mark.parametrize("close_fds", [True, False])
def test_program_that_a_handler_starts_has_none_of_our_descriptors(
    nodes: Nodes, tmp_path: Path, close_fds: bool
) -> None:
    """Connections, listening, UDP, node database, selectors: all are closed by ``exec``."""
    lists: SimpleQueue[str] = SimpleQueue()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            program = "import os; print(*(os.readlink(f'/proc/self/fd/{n}') for n in "
            program += "os.listdir('/proc/self/fd') if os.path.lexists(f'/proc/self/fd/{n}')))"
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, close_fds=close_fds, capture_output=True, text=True)
            lists.put(done.stdout + done.stderr)
            rw.write_msg(msg)

    server = start(
        nodes,
        p2p.Protocol("test", 1, 8, run),
        no_discovery=False,
        node_database=tmp_path / "nodes.db",
    )
    with Neighbors(nodes, server):
        have_forked(nodes.remote(server).open())
    inherited = lists.get(timeout=PATIENCE_S)
    assert "pipe:" in inherited
    assert not any(kind in inherited for kind in ("socket", "event", "nodes.db")), inherited
