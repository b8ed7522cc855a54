"""The backlog: which peers wait for ``accept``, in what order, and how many."""

from __future__ import annotations

from typing import Any

import pytest

import p2p
from p2p.peers.backlog import Backlog
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually


class Guest:
    """As much of a peer as the backlog knows."""

    def __init__(self, connected: bool) -> None:
        self.is_connected = connected
        self._is_taken = False


def new_peer(*, connected: bool = True) -> Any:
    return Guest(connected)


def stopped() -> p2p.P2PError:
    return p2p.ServerStopped("the server stopped")


def test_peers_come_out_in_their_order() -> None:
    backlog, peers = Backlog(5), [new_peer() for _ in range(3)]
    for peer in peers:
        assert backlog.put(peer) == []
    assert [backlog.get(0) for _ in peers] == peers
    assert all(peer._is_taken for peer in peers)
    with pytest.raises(p2p.Timeout, match="^no peer came within 0 s$"):
        backlog.get(0)


def test_peer_that_is_put_again_is_there_once() -> None:
    backlog, peer = Backlog(5), new_peer()
    backlog.put(peer)
    backlog.put(peer)
    assert backlog.get(0) is peer
    with pytest.raises(p2p.Timeout):
        backlog.get(0)


def test_peer_that_is_taken_meanwhile_does_not_come_out() -> None:
    backlog, first, second = Backlog(5), new_peer(), new_peer()
    backlog.put(first)
    backlog.put(second)
    first._is_taken = True
    assert backlog.get(0) is second
    backlog.put(first)
    with pytest.raises(p2p.Timeout):
        backlog.get(0)


def test_waiting_threads_get_a_peer_each() -> None:
    backlog = Backlog(5)
    waiting = [Call(backlog.get, PATIENCE_S) for _ in range(3)]
    peers = [new_peer() for _ in waiting]
    for peer in peers:
        backlog.put(peer)
    assert sorted(id(call.outcome()) for call in waiting) == sorted(map(id, peers))


def test_peers_that_have_left_are_bounded_and_the_latest_stay() -> None:
    backlog = Backlog(2)
    connected = [new_peer() for _ in range(10)]
    departed = [new_peer(connected=False) for _ in range(4)]
    dropped = []
    for peer in [*connected, *departed, last := new_peer()]:
        dropped += backlog.put(peer)
    assert dropped == departed[:2]
    rest = [backlog.get(0) for _ in range(13)]
    assert rest == [*connected, *departed[2:], last]


def test_taken_peers_are_not_kept() -> None:
    backlog = Backlog(2)
    for _ in range(100):
        peer = new_peer()
        backlog.put(peer)
        peer._is_taken = True
    assert len(backlog._peers) == 1


def test_end_wakes_all_and_the_first_error_counts() -> None:
    backlog = Backlog(5)
    waiting = [Call(backlog.get, None) for _ in range(2)]
    eventually(lambda: len(backlog._changed._waiters) == 2)  # type: ignore[attr-defined]
    backlog.close(stopped)
    backlog.close(lambda: p2p.LoopCrashed("later"))
    errors = [call.outcome() for call in waiting]
    assert all(isinstance(error, p2p.ServerStopped) for error in errors)
    assert errors[0] is not errors[1]


def test_nothing_comes_out_after_the_end() -> None:
    backlog = Backlog(5)
    backlog.put(new_peer())
    backlog.close(stopped)
    backlog.put(new_peer())
    for timeout_s in (0, None):
        with pytest.raises(p2p.ServerStopped):
            backlog.get(timeout_s)
