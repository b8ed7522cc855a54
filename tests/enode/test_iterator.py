"""Sequences of nodes: what comes out, and how they end from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from p2p.clock import SimulatedClock
from p2p.crypto import PrivateKey
from p2p.enode import (
    FairMix,
    Node,
    NodeID,
    NodeIterator,
    buffered,
    cycle_nodes,
    filter_nodes,
    iter_nodes,
)
from p2p.enode import iterator as iterator_module
from p2p.enode.fairmix import PolledMix
from p2p.errors import ArgumentTypeError
from tests.kit.waiting import PATIENCE_S, eventually

ANY_KEY = PrivateKey.from_bytes(b"\x01" * 32).public_key


def node(number: int) -> Node:
    return Node(NodeID(number.to_bytes(32, "big")), public_key=ANY_KEY)


def number_of(node: Node) -> int:
    return int.from_bytes(node.id, "big")


def numbers(nodes: Iterator[Node], count: int) -> list[int]:
    return [number_of(next(nodes)) for _ in range(count)]


class Pushed:
    """A source that has what the test gives it, and tells when it is asked for a node."""

    def __init__(self, *first: int) -> None:
        self.asked: SimpleQueue[None] = SimpleQueue()
        self.closed = threading.Event()
        self._nodes: SimpleQueue[Node | BaseException | None] = SimpleQueue()
        for number in first:
            self.push(number)

    def push(self, number: int) -> None:
        self._nodes.put(node(number))

    def end(self, error: BaseException | None = None) -> None:
        self._nodes.put(error)

    def wait_until_asked(self, times: int = 1) -> None:
        for _ in range(times):
            self.asked.get(timeout=PATIENCE_S)

    def __iter__(self) -> Iterator[Node]:
        return self

    def __next__(self) -> Node:
        self.asked.put(None)
        item = self._nodes.get()
        if item is None or self.closed.is_set():
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed.set()
        self._nodes.put(None)


class Reader:
    """A thread that reads an iterator to its end."""

    def __init__(self, nodes: Iterator[Node]) -> None:
        self.read: SimpleQueue[int] = SimpleQueue()
        self._nodes = nodes
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for found in self._nodes:
            self.read.put(number_of(found))

    def next(self) -> int:
        return self.read.get(timeout=PATIENCE_S)

    def has_ended(self) -> bool:
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()


class WatchedClock:
    """A simulated clock that tells until when somebody sleeps on it."""

    def __init__(self) -> None:
        clock = SimulatedClock()
        self.monotonic = clock.monotonic
        self.time_unix = clock.time_unix
        self.on_advance = clock.on_advance
        self.off_advance = clock.off_advance
        self.advance = clock.advance
        self._sleep_for = clock.sleep_for
        self._deadlines: SimpleQueue[float] = SimpleQueue()

    def sleep_for(self, deadline: float) -> float | None:
        self._deadlines.put(deadline)
        return self._sleep_for(deadline)

    def wait_for_sleeper(self, seconds: float) -> None:
        """Wait until somebody sleeps for that long from now."""
        while self._deadlines.get(timeout=PATIENCE_S) != pytest.approx(self.monotonic() + seconds):
            pass  # one that was woken for another reason, and sleeps on


class Waiting:
    """A thread that reads one node; ``number`` waits for it."""

    def __init__(self, nodes: Iterator[Node]) -> None:
        self._found: SimpleQueue[Node] = SimpleQueue()
        self._thread = threading.Thread(target=lambda: self._found.put(next(nodes)))
        self._thread.start()

    def number(self) -> int:
        found = self._found.get(timeout=PATIENCE_S)
        self._thread.join(PATIENCE_S)
        return number_of(found)


def is_waited_for(nodes: NodeIterator) -> bool:
    """Whether some thread waits for a change in a buffer."""
    return bool(nodes._lock._waiters)  # type: ignore[attr-defined]


# Lists.


def test_list_is_read_once() -> None:
    nodes = iter_nodes([node(1), node(2)])
    assert [number_of(found) for found in nodes] == [1, 2]
    assert list(nodes) == []


def test_cycle_begins_again_until_it_is_closed() -> None:
    nodes = cycle_nodes([node(1), node(2)])
    assert numbers(nodes, 5) == [1, 2, 1, 2, 1]
    nodes.close()
    assert list(nodes) == []


@pytest.mark.parametrize("make", [iter_nodes, cycle_nodes])
def test_empty_list_has_no_nodes(make: type) -> None:
    nodes: NodeIterator = make([])
    assert list(nodes) == []


def test_closed_list_is_at_its_end() -> None:
    nodes = iter_nodes([node(1), node(2)])
    next(nodes)
    nodes.close()
    nodes.close()
    assert list(nodes) == []


# Filters.


def test_filter_passes_what_the_predicate_accepts() -> None:
    source = iter_nodes([node(number) for number in range(10)])
    nodes = filter_nodes(source, lambda found: number_of(found) % 3 == 0)
    assert [number_of(found) for found in nodes] == [0, 3, 6, 9]


def test_filter_that_accepts_nothing_ends_when_it_is_closed() -> None:
    asked = threading.Event()
    nodes = filter_nodes(cycle_nodes([node(1)]), lambda found: asked.set() is not None)
    reader = Reader(nodes)
    assert asked.wait(PATIENCE_S)
    nodes.close()
    assert reader.has_ended()


def test_closing_a_filter_wakes_its_reader_and_closes_the_source() -> None:
    source = Pushed()
    nodes = filter_nodes(source, lambda found: True)
    reader = Reader(nodes)
    source.wait_until_asked()
    nodes.close()
    assert reader.has_ended()
    assert source.closed.is_set()


async def decide_later(found: Node) -> bool:
    return False


def test_predicate_that_a_call_does_not_run_is_refused() -> None:
    with pytest.raises(ArgumentTypeError, match=r"^predicate must be a plain function"):
        filter_nodes(iter_nodes([]), decide_later)  # type: ignore[arg-type]


def test_error_of_a_predicate_is_the_readers() -> None:
    def refuse(found: Node) -> bool:
        raise KeyError("of the program")

    nodes = filter_nodes(iter_nodes([node(1), node(2)]), refuse)
    with pytest.raises(KeyError):
        next(nodes)


# Reading ahead.


def test_buffer_reads_ahead_as_far_as_it_has_room() -> None:
    source = Pushed(1, 2, 3, 4, 5)
    nodes = buffered(source, 2)
    source.wait_until_asked(3)
    eventually(lambda: is_waited_for(nodes))  # two are kept, the third waits for room
    assert source.asked.empty()
    assert numbers(nodes, 1) == [1]
    source.wait_until_asked()
    assert numbers(nodes, 4) == [2, 3, 4, 5]
    nodes.close()


def test_buffer_ends_with_its_source() -> None:
    nodes = buffered(iter_nodes([node(1), node(2)]), 10)
    assert [number_of(found) for found in nodes] == [1, 2]
    assert list(nodes) == []
    nodes.close()


def test_error_of_the_source_comes_after_the_nodes_before_it() -> None:
    source = Pushed(1, 2)
    source.end(ConnectionError("the source fails"))
    nodes = buffered(source, 10)
    assert numbers(nodes, 2) == [1, 2]
    with pytest.raises(ConnectionError):
        next(nodes)
    assert list(nodes) == []
    nodes.close()


def test_closing_a_buffer_wakes_its_reader_and_ends_its_thread() -> None:
    source = Pushed()
    nodes = buffered(source, 2)
    reader = Reader(nodes)
    source.wait_until_asked()
    nodes.close()
    assert reader.has_ended()
    assert "p2p-read-ahead" not in {thread.name for thread in threading.enumerate()}


def test_closing_a_full_buffer_ends_its_thread() -> None:
    nodes = buffered(cycle_nodes([node(1)]), 1)
    next(nodes)
    nodes.close()
    assert list(nodes) == []
    assert "p2p-read-ahead" not in {thread.name for thread in threading.enumerate()}


def test_buffer_without_room_is_refused() -> None:
    with pytest.raises(ValueError):
        buffered(iter_nodes([]), 0)


def test_generator_is_a_source_like_any_other() -> None:
    nodes = buffered((node(number) for number in range(3)), 10)
    assert numbers(nodes, 3) == [0, 1, 2]
    nodes.close()


def test_source_that_cannot_be_woken_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(iterator_module, "JOIN_TIMEOUT_S", 0.01)
    source = Pushed()
    nodes = buffered((found for found in source), 2)
    source.wait_until_asked()
    nodes.close()
    assert "p2p-read-ahead still waits" in caplog.text
    source.close()


# The mix.


def test_mix_takes_from_its_sources_in_turn() -> None:
    with FairMix(None) as mix:
        for first in (100, 200, 300):
            mix.add_source(iter_nodes([node(first + number) for number in range(3)]))
        assert numbers(mix, 9) == [100, 200, 300, 101, 201, 301, 102, 202, 302]


def test_source_with_many_nodes_gets_no_more_turns() -> None:
    with FairMix(None) as mix:
        mix.add_source(cycle_nodes([node(1)]))
        mix.add_source(cycle_nodes([node(2)]))
        found = numbers(mix, 1000)
    assert found.count(1) == found.count(2) == 500


def test_silent_source_does_not_hold_up_the_others() -> None:
    clock = WatchedClock()
    with FairMix(1.0, clock=clock) as mix:
        mix.add_source(Pushed())
        mix.add_source(iter_nodes([node(2)]))
        reader = Reader(mix)
        clock.wait_for_sleeper(1.0)
        assert reader.read.empty()
        clock.advance(1.0)
        assert reader.next() == 2
        mix.close()
        assert reader.has_ended()


def test_silent_source_gets_half_the_time_at_its_next_turn_until_it_delivers() -> None:
    clock = WatchedClock()
    with FairMix(1.0, clock=clock) as mix:
        slow = Pushed()
        mix.add_source(slow)
        mix.add_source(cycle_nodes([node(2)]))
        for patience_s in (1.0, 0.5, 0.25):
            waiting = Waiting(mix)
            clock.wait_for_sleeper(patience_s)
            clock.advance(patience_s)
            assert waiting.number() == 2
            assert numbers(mix, 1) == [2]  # the other's turn
        waiting = Waiting(mix)
        clock.wait_for_sleeper(0.125)
        slow.push(1)
        assert waiting.number() == 1
        assert numbers(mix, 1) == [2]
        waiting = Waiting(mix)
        clock.wait_for_sleeper(1.0)  # it has the whole time again
        slow.push(1)
        assert waiting.number() == 1


def test_mix_without_time_limit_waits_for_whose_turn_it_is() -> None:
    with FairMix(None) as mix:
        slow = Pushed()
        mix.add_source(slow)
        mix.add_source(cycle_nodes([node(2)]))
        reader = Reader(mix)
        slow.wait_until_asked()
        slow.push(1)
        assert [reader.next(), reader.next()] == [1, 2]
        mix.close()
        assert reader.has_ended()


def test_ended_source_is_dropped_and_the_others_go_on() -> None:
    with FairMix(None) as mix:
        mix.add_source(iter_nodes([node(1)]))
        mix.add_source(cycle_nodes([node(2)]))
        assert numbers(mix, 5) == [1, 2, 2, 2, 2]


def test_failing_source_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with FairMix(None) as mix:
        broken = Pushed(1)
        broken.end(ConnectionError("the source fails"))
        mix.add_source(broken)
        mix.add_source(cycle_nodes([node(2)]))
        assert sorted(numbers(mix, 3)) == [1, 2, 2]
        assert numbers(mix, 2) == [2, 2]
    assert "ConnectionError('the source fails')" in caplog.text


# The mix, for a reader that does not wait.


class Polled:
    """A mix that is polled, and its turn that has begun. ``changed`` counts what it tells of."""

    def __init__(self, timeout_s: float | None) -> None:
        self.clock = SimulatedClock()
        self.changed = threading.Semaphore(0)
        self.mix = PolledMix(timeout_s, self.changed.release, clock=self.clock)
        self.turn = self.mix.begin_turn()

    def wait_for_change(self) -> None:
        assert self.changed.acquire(timeout=PATIENCE_S)

    def number(self) -> int | None:
        """Return the number of the turn's node, if any; then the next turn begins."""
        found = self.mix.poll(self.turn)
        if found is None:
            return None
        self.turn = self.mix.begin_turn()
        return number_of(found)

    def __enter__(self) -> Polled:
        return self

    def __exit__(self, *exception: object) -> None:
        self.mix.close()


def test_polled_mix_gives_a_node_when_there_is_one_and_tells_so() -> None:
    with Polled(None) as polled:
        source = Pushed()
        polled.mix.add_source(source)
        assert polled.number() is None
        source.push(1)
        polled.wait_for_change()
        assert (polled.number(), polled.number()) == (1, None)


def test_polled_mix_takes_from_its_sources_in_turn() -> None:
    with Polled(None) as polled:
        for first in (100, 200, 300):
            polled.mix.add_source(iter_nodes([node(first + number) for number in range(2)]))
            polled.wait_for_change()
        polled.turn = polled.mix.begin_turn()
        found = []
        for _ in range(6):
            found.append(polled.number())
            polled.wait_for_change()  # the same source has its next node, or its end
        assert found == [100, 200, 300, 101, 201, 301]


def test_polled_mix_tells_how_long_a_silent_source_is_waited_for() -> None:
    with Polled(1.0) as polled:
        polled.mix.add_source(Pushed())
        polled.mix.add_source(cycle_nodes([node(2)]))
        polled.wait_for_change()
        polled.turn = polled.mix.begin_turn()
        for patience_s in (1.0, 0.5, 0.25):
            assert polled.turn.deadline == polled.clock.monotonic() + patience_s
            assert polled.number() is None
            polled.clock.advance(patience_s)
            assert polled.number() == 2
            polled.wait_for_change()
            assert polled.number() == 2  # the other's turn
            polled.wait_for_change()


def test_turn_in_which_nobody_had_a_node_goes_to_the_first_who_has() -> None:
    with Polled(1.0) as polled:
        sources = [Pushed(), Pushed()]
        for source in sources:
            polled.mix.add_source(source)
        polled.turn = polled.mix.begin_turn()
        polled.clock.advance(1.0)
        assert polled.number() is None and polled.turn.deadline is None
        sources[1].push(2)
        polled.wait_for_change()
        assert polled.number() == 2


def test_end_of_the_source_whose_turn_it_is_gives_the_turn_to_another() -> None:
    with Polled(None) as polled:
        source = Pushed()
        polled.mix.add_source(source)
        polled.mix.add_source(cycle_nodes([node(2)]))
        polled.wait_for_change()
        polled.turn = polled.mix.begin_turn()
        assert polled.number() is None
        source.end()
        polled.wait_for_change()
        assert polled.number() == 2


def test_closed_mix_gives_nothing_to_who_polls() -> None:
    with Polled(1.0) as polled:
        polled.mix.add_source(cycle_nodes([node(2)]))
        polled.wait_for_change()
        polled.turn = polled.mix.begin_turn()
    assert polled.number() is None and polled.turn.deadline is None
    assert polled.mix.poll(polled.mix.begin_turn()) is None


def test_mix_without_sources_waits_for_one() -> None:
    with FairMix(1.0) as mix:
        reader = Reader(mix)
        mix.add_source(iter_nodes([node(1)]))
        assert reader.next() == 1
        mix.add_source(iter_nodes([node(2)]))
        assert reader.next() == 2
        mix.close()
        assert reader.has_ended()


def test_closing_a_mix_closes_all_sources_and_ends_their_threads() -> None:
    sources = [Pushed() for _ in range(3)]
    mix = FairMix(None)
    for source in sources:
        mix.add_source(source)
    reader = Reader(mix)
    for source in sources:
        source.wait_until_asked()
    mix.close()
    mix.close()
    assert reader.has_ended()
    assert all(source.closed.is_set() for source in sources)
    assert not [thread for thread in threading.enumerate() if "p2p-source" in thread.name]


def test_source_added_to_a_closed_mix_is_closed() -> None:
    mix = FairMix(1.0)
    mix.close()
    source = Pushed(1)
    mix.add_source(source)
    assert source.closed.is_set()
    assert list(mix) == []


def test_many_readers_and_closers_leave_nothing_behind() -> None:
    mix = FairMix(0.001)
    for number in range(4):
        mix.add_source(cycle_nodes([node(number)]))
    readers = [Reader(mix) for _ in range(4)]
    for reader in readers:
        reader.next()
    closers = [threading.Thread(target=mix.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(PATIENCE_S)
    assert all(reader.has_ended() for reader in readers)


def test_iterators_can_be_put_together() -> None:
    mix = FairMix(None)
    mix.add_source(buffered(filter_nodes(cycle_nodes([node(1), node(2)]), is_even), 4))
    mix.add_source(filter_nodes(iter_nodes([node(4), node(5)]), is_even))
    with mix:
        assert numbers(mix, 4) == [2, 4, 2, 2]


def is_even(found: Node) -> bool:
    return number_of(found) % 2 == 0
