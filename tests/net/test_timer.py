from __future__ import annotations

from p2p.net.timer import TimerQueue


def fire_due(queue: TimerQueue, now: float) -> None:
    for timer in queue.pop_due(now):
        timer.fire()


def test_timers_fire_in_order_of_time_then_of_making() -> None:
    queue = TimerQueue()
    fired: list[object] = []
    for when, name in [(3.0, "c"), (1.0, "a"), (2.0, "b1"), (2.0, "b2"), (9.0, "later")]:
        queue.push(when, fired.append, (name,))
    fire_due(queue, 3.0)
    assert fired == ["a", "b1", "b2", "c"]
    assert queue.next_when() == 9.0


def test_cancelled_timer_does_not_fire() -> None:
    queue = TimerQueue()
    fired: list[object] = []
    queue.push(1.0, fired.append, ("cancelled",)).cancel()
    queue.push(2.0, fired.append, ("kept",))
    assert queue.next_when() == 2.0
    fire_due(queue, 5.0)
    assert fired == ["kept"]


def test_timer_cancelled_by_one_that_is_due_at_the_same_time_does_not_fire() -> None:
    queue = TimerQueue()
    fired: list[object] = []
    queue.push(1.0, lambda: second.cancel(), ())
    second = queue.push(1.0, fired.append, ("second",))
    fire_due(queue, 1.0)
    assert fired == []


def test_cancel_after_firing_has_no_effect() -> None:
    queue = TimerQueue()
    fired: list[object] = []
    timer = queue.push(1.0, fired.append, (1,))
    fire_due(queue, 1.0)
    timer.cancel()
    timer.cancel()
    assert fired == [1]
    assert len(queue) == 0
    assert queue.next_when() is None


def test_timer_that_sets_itself_anew_fires_once_a_pass() -> None:
    queue = TimerQueue()
    fired: list[object] = []

    def again() -> None:
        fired.append(1)
        queue.push(1.0, again, ())

    queue.push(1.0, again, ())
    fire_due(queue, 1.0)
    assert len(fired) == 1
    fire_due(queue, 1.0)
    assert len(fired) == 2


def test_cancelled_timers_do_not_pile_up() -> None:
    queue = TimerQueue()
    live = [queue.push(1.0 + i, print, ()) for i in range(10)]
    for i in range(10_000):
        queue.push(1e6 + i, print, ()).cancel()
        assert len(queue) < 200
    assert [timer.when for timer in queue.pop_due(100.0)] == [timer.when for timer in live]
    assert queue.next_when() is None
    assert len(queue) == 0
