"""Handlers that go wrong in ways of their own: only their peer is affected.

The neighbors talk before, meanwhile and afterwards; each message is numbered and carries a running
hash. How the usual errors end a connection is in ``tests/peers/test_handler_end.py``; here they are
real: a stack that is used up, memory that there is not.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import NoReturn

import pytest

import p2p
from tests.faults.neighbors import Neighbors, talk
from tests.kit import inspect
from tests.kit.nodes import Nodes
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually

#: What a stop has that ends by it, and in which all that can end does, on a busy machine as well.
STOP_S = 1.0

Run = Callable[[p2p.Peer, p2p.MsgReadWriter], None]


def start(nodes: Nodes, run: Run) -> p2p.Server:
    return nodes.start(max_peers=20, protocols=[p2p.Protocol("test", 1, 8, run), talk()])


def recurse(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    recurse(peer, rw)


def recurse_in_reads(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """The stack ends somewhere within a call of ours."""
    rw.write_msg(p2p.Msg(1))
    recurse_in_reads(peer, rw)


def want_too_much(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    bytearray(2**62)


def exit_all(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> NoReturn:
    sys.exit("for good")


def interrupt(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> NoReturn:
    raise KeyboardInterrupt


def close_generator(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> NoReturn:
    raise GeneratorExit


class Wordless(Exception):
    """An error whose own code fails, whatever it is asked for."""

    def __str__(self) -> str:
        raise ZeroDivisionError("in __str__")

    __repr__ = __str__

    @property
    def disc_reason(self) -> int:
        raise ZeroDivisionError("in disc_reason")


def fail_wordlessly(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> NoReturn:
    raise Wordless


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (recurse, p2p.DiscReason.SUBPROTOCOL_ERROR),
        (recurse_in_reads, p2p.DiscReason.SUBPROTOCOL_ERROR),
        (want_too_much, p2p.DiscReason.SUBPROTOCOL_ERROR),
        (exit_all, p2p.DiscReason.QUITTING),
        (interrupt, p2p.DiscReason.SUBPROTOCOL_ERROR),
        (close_generator, p2p.DiscReason.SUBPROTOCOL_ERROR),
        (fail_wordlessly, p2p.DiscReason.SUBPROTOCOL_ERROR),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_handler_that_fails_loses_its_own_peer_only(
    nodes: Nodes, run: Run, reason: p2p.DiscReason
) -> None:
    server = start(nodes, run)
    with Neighbors(nodes, server) as neighbors:
        for _ in range(5):
            assert nodes.remote(server).open().ending() is reason
            neighbors.exchange(5)
        eventually(lambda: server.peer_count == 3)
    assert server.stop() == []


def test_handler_that_waits_for_ever_holds_up_nobody_else_and_stop_names_where_it_stands(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    over, running = threading.Event(), threading.Event()

    def wait_for_ever(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        running.set()
        over.wait()

    server = start(nodes, wait_for_ever)
    with Neighbors(nodes, server) as neighbors:
        remote = nodes.remote(server).open()
        assert running.wait(PATIENCE_S)
        neighbors.exchange()
    begin = time.monotonic()
    left = server.stop(timeout=STOP_S)
    assert time.monotonic() - begin < STOP_S + PATIENCE_S
    assert left == [f"p2p-peer-{remote.node.id.short}-test"]
    line = wait_for_ever.__code__.co_firstlineno + 2
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert f"{left[0]} (at {__file__}:{line} in wait_for_ever)" in warning
    over.set()


def test_stop_names_the_handlers_of_its_own_peers_where_another_server_has_the_same(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    """The names of threads are those of the peers, and two servers may have one peer."""
    over = threading.Event()
    began: SimpleQueue[None] = SimpleQueue()

    def first(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        began.put(None)
        over.wait()

    def second(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        began.put(None)
        over.wait()

    key = p2p.generate_key()
    servers = [start(nodes, first), start(nodes, second)]
    for server in servers:
        nodes.remote(server, key=key).open()
        began.get(timeout=PATIENCE_S)
    for server in servers:
        server.stop(timeout=0.2)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert ["in first" in text for text in warnings] == [True, False]
    assert ["in second" in text for text in warnings] == [False, True]
    over.set()


def test_many_handlers_that_wait_for_ever_share_the_time_and_the_warning_of_one_stop(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()
    running: SimpleQueue[None] = SimpleQueue()

    def wait_for_ever(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        running.put(None)
        over.wait()

    server = nodes.start(
        max_peers=20, protocols=[p2p.Protocol("test", 1, 8, wait_for_ever)], no_dial=True
    )
    for _ in range(15):
        nodes.remote(server).open()
        running.get(timeout=PATIENCE_S)
    begin = time.monotonic()
    assert len(server.stop(timeout=STOP_S)) == 15
    assert time.monotonic() - begin < 15 * STOP_S  # each for itself would take that
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.count(" in wait_for_ever)") == 10
    assert warning.endswith(" and 5 more")
    over.set()


def test_handler_that_does_not_read_is_still_disconnected_by_the_remote_s_leave(
    nodes: Nodes,
) -> None:
    over, running = threading.Event(), threading.Event()

    def deaf(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        running.set()
        over.wait()
        with pytest.raises(p2p.PeerDisconnected) as raised:
            rw.write_msg(p2p.Msg(0))
        errors.put(raised.value)

    errors: SimpleQueue[p2p.PeerDisconnected] = SimpleQueue()
    server = start(nodes, deaf)
    with Neighbors(nodes, server):
        remote = nodes.remote(server).open()
        assert running.wait(PATIENCE_S)
        remote.send_disconnect(p2p.DiscReason.USELESS_PEER)
        session = inspect.session_with(server, remote.node.id)
        eventually(lambda: session.ending is not None)
        over.set()
        assert errors.get(timeout=PATIENCE_S).reason is p2p.DiscReason.USELESS_PEER
        eventually(lambda: server.peer_count == 3)


def test_threads_that_a_handler_has_left_behind_are_told_of_the_end(nodes: Nodes) -> None:
    """They read, write in a row, and write when all is over; each gets the documented error."""
    ready = threading.Barrier(4)
    over = threading.Event()
    errors: SimpleQueue[tuple[str, p2p.PeerDisconnected]] = SimpleQueue()

    def use(how: str, call: Callable[[], object]) -> None:
        try:
            ready.wait(PATIENCE_S)
            if how == "late":
                assert over.wait(PATIENCE_S)
            while True:
                call()
        except p2p.PeerDisconnected as error:
            errors.put((how, error))

    def leave_threads(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for how, call in {
            "reads": rw.read_msg,
            "writes": lambda: rw.write_msg(p2p.Msg(0, bytes(10_000))),
            "late": lambda: rw.write_msg(p2p.Msg(0)),
        }.items():
            threads.append(threading.Thread(target=use, args=(how, call)))
            threads[-1].start()
        ready.wait(PATIENCE_S)

    threads: list[threading.Thread] = []
    server = start(nodes, leave_threads)
    with Neighbors(nodes, server):
        assert nodes.remote(server).open().ending() is p2p.DiscReason.QUITTING
        eventually(lambda: server.peer_count == 3)
        over.set()
        ended = dict(errors.get(timeout=PATIENCE_S) for _ in range(3))
        assert set(ended) == {"reads", "writes", "late"}
        assert {error.reason for error in ended.values()} == {p2p.DiscReason.QUITTING}
        assert not any(error.by_remote for error in ended.values())
    for thread in threads:
        thread.join(PATIENCE_S)


def test_what_such_threads_wrote_in_time_arrives_in_order_and_nothing_else(nodes: Nodes) -> None:
    numbers: list[int] = []

    def leave_a_writer(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        def write() -> None:
            try:
                while True:
                    p2p.send(rw, 0, len(numbers))
                    numbers.append(len(numbers))
            except p2p.PeerDisconnected:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        writers.append(writer)
        eventually(lambda: len(numbers) > 100)

    writers: list[threading.Thread] = []
    server = start(nodes, leave_a_writer)
    remote: Remote = nodes.remote(server).open()
    assert remote.ending() is p2p.DiscReason.QUITTING
    writers[0].join(PATIENCE_S)
    read = [p2p.Msg(code, payload).decode(int) for code, payload in remote.messages]
    assert read == numbers
