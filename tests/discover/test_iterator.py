from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from p2p.clock import SimulatedClock
from p2p.crypto import PrivateKey
from p2p.discover.iterator import MAX_INTERVAL_S, MAX_SEEN, MIN_INTERVAL_S, OnLookup, RandomNodes
from p2p.enode import Node
from p2p.errors import LoopCrashed, ServerStopped
from p2p.net import Loop
from tests.kit.waiting import PATIENCE_S, eventually


def node_of(number: int) -> Node:
    return Node.from_parts(PrivateKey.from_bytes(number.to_bytes(32, "big")).public_key)


NODES = [node_of(number) for number in range(1, 40)]


class Walking:
    """An iterator on a loop whose lookups the test answers, and threads that read it."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.loop = Loop("walk", self.clock)
        self.begun: list[float] = []
        self.cancelled: list[int] = []
        self.walking: set[RandomNodes] = set()
        self.nodes = self.new()
        self._on_lookup: OnLookup | None = None
        self._more = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def new(self) -> RandomNodes:
        return RandomNodes(self.loop, self._look_up, self.cancelled.append, self.walking)

    def read(self, count: int = 1) -> Reading:
        reading = Reading(self.nodes, count)
        self._threads.append(reading)
        reading.start()
        return reading

    def wait_for_lookup(self) -> None:
        assert self._more.acquire(timeout=PATIENCE_S)

    def found(self, *nodes: Node) -> None:
        """Let the lookup under way end so."""

        def tell() -> None:
            on_lookup, self._on_lookup = self._on_lookup, None
            assert on_lookup is not None
            on_lookup(list(nodes), None)

        self.loop.call(tell)

    def wait_until_asked(self) -> None:
        """Wait until somebody has read what there was and waits for more."""
        eventually(lambda: self.loop.call(lambda: self.walking))

    def settle(self) -> None:
        for _ in range(3):
            self.loop.call(int)

    def crash(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError("planned")

        self.loop.post(fail)
        assert self.loop.join(PATIENCE_S)

    def close(self) -> None:
        self.nodes.close()
        self.loop.stop()
        assert self.loop.join(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _look_up(self, on_lookup: OnLookup) -> int:
        assert self._on_lookup is None, "two lookups at a time"
        self._on_lookup = on_lookup
        self.begun.append(self.loop.now())
        self._more.release()
        return len(self.begun)


class Reading(threading.Thread):
    """Takes nodes in a thread of its own."""

    def __init__(self, nodes: RandomNodes, count: int) -> None:
        super().__init__(name="reading")
        self.nodes: list[Node] = []
        self.error: BaseException | None = None
        self._from = nodes
        self._count = count

    def run(self) -> None:
        try:
            for _ in range(self._count):
                self.nodes.append(next(self._from))
        except (Exception, StopIteration) as error:
            self.error = error

    def result(self) -> list[Node]:
        self.join(PATIENCE_S)
        assert not self.is_alive()
        return self.nodes


@pytest.fixture
def walking() -> Iterator[Walking]:
    walking = Walking()
    walking.loop.start()
    yield walking
    walking.close()


def test_nodes_of_a_lookup_come_one_by_one(walking: Walking) -> None:
    reading = walking.read(3)
    walking.wait_for_lookup()
    walking.found(*NODES[:3])
    assert reading.result() == NODES[:3]


def test_nothing_is_looked_up_unless_somebody_waits(walking: Walking) -> None:
    reading = walking.read(2)
    walking.wait_for_lookup()
    walking.found(*NODES[:3])
    reading.result()
    walking.clock.advance(100.0)
    walking.settle()
    assert len(walking.begun) == 1 and walking.walking == set()


def test_two_readers_share_one_lookup(walking: Walking) -> None:
    readings = [walking.read(), walking.read()]
    walking.wait_for_lookup()
    walking.found(*NODES[:2])
    found = [node for reading in readings for node in reading.result()]
    assert sorted(found, key=NODES.index) == NODES[:2]
    assert len(walking.begun) == 1


def test_next_lookup_begins_a_second_after_the_last_one_at_the_earliest(walking: Walking) -> None:
    start = walking.loop.now()
    reading = walking.read(2)
    walking.wait_for_lookup()
    walking.found(NODES[0])
    walking.wait_until_asked()
    walking.clock.advance(MIN_INTERVAL_S - 0.1)
    walking.settle()
    assert walking.begun == [start]
    walking.clock.advance(0.1)
    walking.wait_for_lookup()
    assert walking.begun == [start, pytest.approx(start + MIN_INTERVAL_S)]
    walking.found(NODES[1])
    assert reading.result() == NODES[:2]


# asked for one node, without a thread that waits


class Asked:
    """Who has asked for one node; ``get`` waits for it. Keeps the thread that gave it."""

    def __init__(self, nodes: RandomNodes) -> None:
        self._given: SimpleQueue[Node] = SimpleQueue()
        self.thread = ""
        nodes._ask(self._take)

    def get(self) -> Node:
        return self._given.get(timeout=PATIENCE_S)

    def got_none(self) -> bool:
        return self._given.empty()

    def _take(self, node: Node) -> None:
        self.thread = threading.current_thread().name
        self._given.put(node)


def test_node_that_was_asked_for_is_given_on_the_loops_thread(walking: Walking) -> None:
    asked = Asked(walking.nodes)
    walking.wait_for_lookup()
    assert asked.got_none()
    walking.found(NODES[0])
    assert (asked.get(), asked.thread) == (NODES[0], "walk")


def test_each_who_asks_gets_one_node_and_no_lookup_more_than_needed(walking: Walking) -> None:
    first, second = Asked(walking.nodes), Asked(walking.nodes)
    walking.wait_for_lookup()
    walking.found(*NODES[:3])
    assert [first.get(), second.get(), Asked(walking.nodes).get()] == NODES[:3]
    assert len(walking.begun) == 1 and walking.walking == set()


def test_who_asks_for_more_than_was_found_waits_for_the_next_lookup(walking: Walking) -> None:
    asked = [Asked(walking.nodes) for _ in range(2)]
    walking.wait_for_lookup()
    walking.found(NODES[0])
    assert asked[0].get() == NODES[0]
    walking.clock.advance(MIN_INTERVAL_S)
    walking.wait_for_lookup()
    walking.found(NODES[1])
    assert asked[1].get() == NODES[1]


def test_reader_and_who_asks_share_one_lookup(walking: Walking) -> None:
    reading = walking.read()
    walking.wait_for_lookup()
    asked = Asked(walking.nodes)
    walking.settle()
    walking.found(*NODES[:2])
    assert {asked.get(), *reading.result()} == set(NODES[:2])
    assert len(walking.begun) == 1


def test_closed_iterator_gives_nothing_to_who_asks(walking: Walking) -> None:
    before = Asked(walking.nodes)
    walking.wait_for_lookup()
    walking.nodes.close()
    after = Asked(walking.nodes)
    walking.found(NODES[0])
    walking.settle()
    assert before.got_none() and after.got_none()
    assert walking.cancelled == [1] and walking.walking == set()


def intervals(walking: Walking, results: list[list[Node]]) -> list[float]:
    """The times between the beginnings of lookups that end so, one more than there are results."""
    walking.read(1000)
    for result in results:
        walking.wait_for_lookup()
        before = len(walking.begun)
        walking.found(*result)
        walking.wait_until_asked()
        for _ in range(200):
            if len(walking.begun) > before:
                break
            walking.clock.advance(0.5)
            walking.settle()
    return [
        round(later - sooner, 6)
        for sooner, later in zip(walking.begun, walking.begun[1:], strict=False)
    ]


def test_lookups_that_find_nobody_get_rare(walking: Walking) -> None:
    assert intervals(walking, [[]] * 5) == [2.0, 4.0, MAX_INTERVAL_S, MAX_INTERVAL_S, 8.0]


def test_lookups_that_find_the_same_nodes_get_rare_and_frequent_with_a_new_one(
    walking: Walking,
) -> None:
    same, new = NODES[:3], [NODES[0], NODES[3]]
    assert intervals(walking, [same, same, same, new, new]) == [1.0, 2.0, 4.0, 1.0, 2.0]


def test_new_node_in_the_table_shortens_the_wait(walking: Walking) -> None:
    reading = walking.read()
    for _ in range(3):
        walking.wait_for_lookup()
        walking.found()
        walking.clock.advance(MAX_INTERVAL_S)
    walking.wait_for_lookup()
    walking.found()
    walking.clock.advance(MIN_INTERVAL_S)
    walking.settle()
    assert len(walking.begun) == 4
    walking.loop.call(walking.nodes._table_changed)
    walking.wait_for_lookup()
    walking.found(NODES[0])
    assert reading.result() == NODES[:1]


def test_memory_of_seen_nodes_is_bounded(walking: Walking) -> None:
    walking.loop.call(walking.nodes._note, NODES[:1])
    for number in range(100, 100 + MAX_SEEN):
        walking.loop.call(walking.nodes._note, [node_of(number)])
    assert len(walking.nodes._seen) == MAX_SEEN
    assert walking.loop.call(walking.nodes._note, NODES[:1])


def test_close_ends_the_wait_and_the_lookup(walking: Walking) -> None:
    reading = walking.read()
    walking.wait_for_lookup()
    walking.nodes.close()
    assert reading.result() == []
    assert isinstance(reading.error, StopIteration)
    walking.settle()
    assert walking.cancelled == [1] and walking.walking == set()


def test_close_ends_the_wait_between_two_lookups(walking: Walking) -> None:
    reading = walking.read()
    walking.wait_for_lookup()
    walking.found()
    walking.nodes.close()
    assert reading.result() == []
    walking.clock.advance(100.0)
    walking.settle()
    assert len(walking.begun) == 1


def test_closed_iterator_stays_at_its_end(walking: Walking) -> None:
    with walking.nodes as nodes:
        pass
    nodes.close()
    assert list(nodes) == []


def test_result_of_a_lookup_that_was_given_up_is_dropped(walking: Walking) -> None:
    walking.read()
    walking.wait_for_lookup()
    walking.nodes.close()
    walking.found(NODES[0])
    assert list(walking.nodes) == []


def test_end_of_the_loop_ends_the_iteration(walking: Walking) -> None:
    walking.loop.stop()
    walking.loop.join(PATIENCE_S)
    assert list(walking.nodes) == []


@pytest.mark.parametrize("make", [lambda: ServerStopped("over"), lambda: LoopCrashed("dead")])
def test_error_that_ends_it_is_raised_in_each_reader(
    walking: Walking, make: Callable[[], ServerStopped | LoopCrashed]
) -> None:
    error = make()
    readings = [walking.read(), walking.read()]
    walking.wait_for_lookup()
    walking.nodes._end(error)
    for reading in readings:
        reading.result()
        assert reading.error is error


def test_crash_of_the_loop_is_raised_even_if_nobody_waited_then(walking: Walking) -> None:
    walking.crash()
    with pytest.raises(LoopCrashed):
        next(walking.nodes)
