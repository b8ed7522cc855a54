"""Nodes that protocols name are dialed, in turn, and no source of them can harm the server."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.dial.candidates import SOURCE_TIMEOUT_S, Candidates, FirstAnswer, Sources
from p2p.dial.dials import REFUSAL_PAUSE_S, REFUSALS_IN_A_ROW
from p2p.enode.iterator import OnNode
from tests.enode.test_iterator import WatchedClock
from tests.kit import inspect
from tests.kit.candidates import (
    Blocking,
    Closable,
    Refusing,
    naming,
    refused,
    stranger,
)
from tests.kit.nodes import HOST, Nodes, assert_goes_on, await_event
from tests.kit.swarm import Swarm, stay
from tests.kit.waiting import PATIENCE_S, eventually
from tests.test_threads import no_more_threads

# what is given


def candidates(given: Any) -> Candidates:
    return Candidates("dial_candidates of test", given, logging.getLogger("p2p"))


def some_nodes(count: int) -> list[p2p.Node]:
    return [p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 1) for _ in range(count)]


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_collection_of_candidates_is_gone_through_over_and_over(kind: Any) -> None:
    nodes = some_nodes(3)
    source = candidates(kind(nodes))
    for _ in range(3):
        assert {next(source) for _ in range(3)} == set(nodes)


def test_iterator_of_candidates_is_gone_through_once() -> None:
    nodes = some_nodes(3)
    assert list(candidates(iter(nodes))) == nodes


def test_endless_iterable_of_candidates_is_not_read_in_advance() -> None:
    class Endless:
        def __iter__(self) -> Iterator[p2p.Node]:
            while True:
                yield node

    (node,) = some_nodes(1)
    source = candidates(Endless())
    assert [next(source), next(source)] == [node, node]


def test_no_candidates_are_the_end() -> None:
    assert list(candidates([])) == []


@pytest.mark.parametrize("wrong", [None, "enode://x", b"", 3], ids=repr)
def test_candidate_must_be_a_node(wrong: object) -> None:
    with pytest.raises(p2p.errors.ConfigTypeError, match="^dial_candidates of test: wanted a Node"):
        next(candidates([wrong]))


def test_candidates_that_ask_a_stopped_server_are_at_their_end() -> None:
    def asking() -> Iterator[p2p.Node]:
        raise p2p.ServerStopped("discovery was stopped")
        yield

    assert list(candidates(asking())) == []


def test_closing_candidates_closes_what_was_given() -> None:
    given = p2p.enode.cycle_nodes(some_nodes(1))
    source = candidates(given)
    next(source)
    source.close()
    assert list(given) == []


# whom they lead to


@pytest.mark.parametrize("kind", ["list", "generator", "iterator", "mix"])
def test_candidates_of_a_protocol_are_dialed(nodes: Nodes, kind: str) -> None:
    there = [nodes.start().self for _ in range(2)]
    given: Any = list(there)
    if kind == "generator":
        given = (node for node in there)
    elif kind == "iterator":
        given = p2p.enode.iter_nodes(there)
    elif kind == "mix":
        given = p2p.enode.FairMix(None)
        given.add_source(p2p.enode.iter_nodes(there))
    here = nodes.start(protocols=[naming(given)], listen_addr=None)
    eventually(lambda: {peer.id for peer in here.peers} == {node.id for node in there})
    assert all(peer.dyn_dialed for peer in here.peers)


def test_protocols_take_turns_however_much_each_has_to_offer(nodes: Nodes) -> None:
    dialer = Refusing()
    plenty = [stranger() for _ in range(50)]
    few = [stranger() for _ in range(10)]
    nodes.start(
        max_pending_peers=1,  # so that there is an order
        dialer=dialer,
        protocols=[naming(iter(plenty), "plenty"), naming(iter(few), "few")],
        clock=p2p.testing.SimulatedClock(),
    )
    eventually(lambda: len(dialer.order) == 60)
    assert [node in few for node in dialer.order[:20]] in ([False, True] * 10, [True, False] * 10)
    assert set(dialer.order) == {*plenty, *few}


def test_protocols_of_one_name_share_the_candidates_of_the_first(nodes: Nodes) -> None:
    dialer = Refusing()
    first, second = stranger(), stranger()
    nodes.start(
        dialer=dialer,
        protocols=[
            p2p.Protocol("test", 1, 8, stay, dial_candidates=iter([first])),
            p2p.Protocol("test", 2, 8, stay, dial_candidates=iter([second])),
            naming(iter([first]), "other"),
        ],
    )
    eventually(lambda: dialer.order == [first])


def test_source_that_is_silent_holds_up_no_other(nodes: Nodes) -> None:
    clock, dialer, silent = WatchedClock(), Refusing(), Closable()
    others = [stranger() for _ in range(5)]
    server = nodes.start(
        dialer=dialer,
        protocols=[naming(silent, "silent"), naming(iter(others), "other")],
        clock=clock,
    )

    # Half the time at each turn of the silent one; the other has its own turn in between.
    for turn in range(3):
        wait_s = SOURCE_TIMEOUT_S / 2**turn
        clock.wait_for_sleeper(wait_s)
        eventually(lambda n=2 * turn: len(dialer.order) == n)  # type: ignore[misc]
        clock.advance(wait_s)
    eventually(lambda: len(dialer.order) == 5)
    assert set(dialer.order) == set(others)
    assert server.stop() == []


def test_static_node_that_a_source_adds_while_the_server_starts_is_searched_for(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, added = stranger(None), threading.Event()

    def source() -> Iterator[p2p.Node]:
        server.add_peer(lost)
        added.set()
        yield from ()

    def start(sources: Sources, *given: Any) -> None:
        usual(sources, *given)
        assert added.wait(PATIENCE_S)

    usual = Sources.start
    monkeypatch.setattr(Sources, "start", start)
    server = nodes.new(protocols=[naming(source())], no_discovery=False)
    server.start()
    eventually(lambda: bool(server.dial_attempts(lost)))
    assert server.dial_attempts(lost)[0].step is p2p.errors.DialStep.RESOLVE


def test_candidate_that_leaves_is_dialed_again_when_its_list_is_not_over(nodes: Nodes) -> None:
    swarm, talks = Swarm(nodes), nodes.talks()
    there = swarm.start(protocols=[talks.protocol()], no_discovery=True)
    here = swarm.start(protocols=[naming([there.self])], no_discovery=True)
    first = talks.next()
    with here.subscribe_events() as events:
        first.end()
        await_event(events, "drop")
    swarm.until(lambda: here.peer_count == 1, step_s=1.0)
    assert talks.next().peer.id == here.self.id


# those of several protocols of discovery


class Asked:
    """A source that answers when the test wants."""

    def __init__(self) -> None:
        self.waiting: list[OnNode] = []

    def answer(self, node: p2p.Node) -> None:
        self.waiting.pop()(node)


class Asking:
    """Several such sources, and the nodes that were given, on the loop of a server."""

    def __init__(self, server: p2p.Server, count: int) -> None:
        self._server = server
        self.sources = [Asked() for _ in range(count)]
        asks = [source.waiting.append for source in self.sources]
        self._first = FirstAnswer(asks, inspect.loop(server))
        self.given: list[p2p.Node] = []

    def ask(self) -> list[int]:
        """Request a node; return how many requests wait at each source."""
        inspect.on_io(self._server, self._first.ask, self.given.append)
        return [len(source.waiting) for source in self.sources]

    def answer(self, source: int, node: p2p.Node) -> None:
        """Let a source answer, on the thread of the test."""
        self.sources[source].answer(node)
        inspect.settle(self._server)


def test_sources_that_all_answer_come_in_turn(nodes: Nodes) -> None:
    asking = Asking(nodes.start(), 3)
    origins: dict[p2p.Node, int] = {}
    for _ in range(9):
        waiting = asking.ask()
        for source in [number for number, count in enumerate(waiting) if count]:
            node = stranger()
            origins[node] = source
            asking.answer(source, node)
    assert [origins[node] for node in asking.given] == [0, 1, 2] * 3


def test_late_answer_waits_for_the_next_request(nodes: Nodes) -> None:
    asking = Asking(nodes.start(), 2)
    first, late, next_one = stranger(), stranger(), stranger()
    assert asking.ask() == [1, 1]
    asking.answer(0, first)
    asking.answer(1, late)
    assert asking.given == [first]
    assert asking.ask() == [1, 0]
    assert asking.given == [first, late]
    assert asking.ask() == [1, 1]
    asking.answer(0, next_one)
    assert asking.given == [first, late, next_one]


def test_source_that_never_answers_blocks_no_other(nodes: Nodes) -> None:
    asking = Asking(nodes.start(), 2)
    expected = [stranger() for _ in range(5)]
    for node in expected:
        assert asking.ask() == [1, 1]
        asking.answer(1, node)
    assert asking.given == expected


# which are refused, and how it is told


def test_source_that_repeats_itself_is_asked_less_often(nodes: Nodes) -> None:
    clock, key = p2p.testing.SimulatedClock(), p2p.generate_key()
    ourselves = p2p.Node.from_parts(key.public_key, HOST, 1)
    here = nodes.start(private_key=key, protocols=[naming([ourselves])], clock=clock)
    eventually(lambda: refused(here) == {"IsSelf": REFUSALS_IN_A_ROW + 1})
    inspect.settle(here)
    assert refused(here) == {"IsSelf": REFUSALS_IN_A_ROW + 1}
    for count in range(2, 5):
        clock.advance(2 * REFUSAL_PAUSE_S)
        eventually(lambda n=count: refused(here) == {"IsSelf": REFUSALS_IN_A_ROW + n})  # type: ignore[misc]


def test_source_that_repeats_itself_may_have_a_new_node_after_all(nodes: Nodes) -> None:
    swarm, key = Swarm(nodes), p2p.generate_key()
    ourselves = p2p.Node.from_parts(key.public_key, HOST, 1)
    there = swarm.start(no_discovery=True).self
    source = iter([*[ourselves] * (REFUSALS_IN_A_ROW + 2), there])
    here = swarm.start(private_key=key, protocols=[naming(source)], no_discovery=True)
    swarm.until(lambda: here.peer_count == 1, step_s=REFUSAL_PAUSE_S)


# sources that misbehave


@pytest.mark.parametrize("wrong", [None, "enode://...", 7], ids=repr)
def test_source_of_something_else_than_nodes_is_dropped_with_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, wrong: object
) -> None:
    there = nodes.start().self
    here = nodes.start(protocols=[naming([wrong], "bad"), naming([there])])
    eventually(lambda: [peer.id for peer in here.peers] == [there.id])
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "dial_candidates of bad: wanted a Node" in warning and repr(wrong) in warning


def test_source_that_raises_is_dropped_with_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[p2p.Node]:
        yield there
        raise ZeroDivisionError("planned")

    there, other = nodes.start().self, nodes.start().self
    here = nodes.start(protocols=[naming(broken(), "bad"), naming(iter([other]))])
    eventually(lambda: here.peer_count == 2)
    eventually(lambda: "ZeroDivisionError('planned')" in caplog.text)
    assert here.stop() == []


def test_sources_that_end_leave_the_server_running(nodes: Nodes) -> None:
    here = nodes.start(protocols=[naming(iter(()), "none"), naming([])])
    assert here.connect(nodes.start().self)
    assert here.stop() == []


def test_stop_wakes_a_source_that_can_be_closed(nodes: Nodes) -> None:
    source = Closable()
    here = nodes.start(protocols=[naming(source)])
    assert source.reading.wait(PATIENCE_S)
    assert here.stop() == []


@pytest.mark.slow
def test_stop_names_the_source_that_does_not_end(nodes: Nodes) -> None:
    source = Blocking()
    here = nodes.start(protocols=[naming(source)])
    assert source.reading.wait(PATIENCE_S)
    assert_goes_on(here.stop(timeout=0.3), "p2p-source-1")
    source.give(None)


@pytest.mark.slow
def test_stop_names_the_thread_that_waits_for_the_close_of_a_source(nodes: Nodes) -> None:
    go_on = threading.Event()

    class Stubborn(Closable):
        def close(self) -> None:
            super().close()
            go_on.wait(PATIENCE_S)

    here = nodes.start(protocols=[naming(Stubborn())])
    assert_goes_on(here.stop(timeout=0.3), "p2p-dial-close")
    go_on.set()


def test_sources_are_closed_when_the_system_has_no_thread_for_one(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is in the mix by then, the second is refused, the third never had its turn."""
    start, closed = threading.Thread.start, []

    class Noting(Closable):
        def close(self) -> None:
            closed.append(self)
            super().close()

    def refuse_the_second(thread: threading.Thread) -> None:
        with no_more_threads() if thread.name == "p2p-source-2" else nullcontext():
            start(thread)

    sources = [Noting() for _ in range(3)]
    here = nodes.new(protocols=[naming(given, f"p{n}") for n, given in enumerate(sources)])
    monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        here.start()
    assert set(closed) == set(sources)


def test_source_that_asks_discovery_ends_with_it(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    asking = threading.Event()

    def walk() -> Iterator[p2p.Node]:
        while True:
            asking.set()
            assert here.discovery_v4 is not None
            here.discovery_v4.ping(dead)
            yield dead

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        dead = stranger().with_endpoint(HOST, 1, silent.getsockname()[1])
        here = nodes.new(
            no_discovery=False, protocols=[naming(walk())], clock=p2p.testing.SimulatedClock()
        )
        here.start()
        assert asking.wait(PATIENCE_S)
        assert here.stop() == []
    assert "failed" not in caplog.text
