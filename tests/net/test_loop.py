from __future__ import annotations

import logging
import math
import os
import socket
import sys
import threading
from collections.abc import Callable

import pytest

from p2p.clock import SimulatedClock, SystemClock
from p2p.errors import LoopCrashed, ServerStopped
from p2p.net import READ, WRITE, Loop
from tests.kit.waiting import PATIENCE_S, eventually

MakeLoop = Callable[..., Loop]


class Boom(Exception):
    pass


def boom() -> None:
    raise Boom("on purpose")


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")


class Gate:
    """Holds the loop inside a posted function until it is opened."""

    def __init__(self, loop: Loop) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()
        loop.post(self._wait)
        assert self._entered.wait(PATIENCE_S)

    def _wait(self) -> None:
        self._entered.set()
        assert self._opened.wait(PATIENCE_S)

    def open(self) -> None:
        self._opened.set()


# post


def test_posts_of_each_thread_run_in_order(loop: Loop) -> None:
    ran: list[tuple[int, int]] = []

    def post_all(thread: int) -> None:
        for number in range(2000):
            loop.post(ran.append, (thread, number))

    threads = [threading.Thread(target=post_all, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop.call(int)
    assert len(ran) == 16_000
    for i in range(8):
        assert [number for thread, number in ran if thread == i] == list(range(2000))


def test_posts_to_a_loop_that_is_awake_need_no_wake_up(loop: Loop) -> None:
    gate = Gate(loop)
    before = loop.wake_ups
    for _ in range(1000):
        loop.post(int)
    assert loop.wake_ups == before  # it is awake
    gate.open()


def test_there_is_at_most_one_wake_up_for_each_pass(loop: Loop) -> None:
    for _ in range(20_000):
        loop.post(int)
    loop.call(int)
    assert loop.wake_ups <= loop.passes + 1


def test_post_from_the_loop_needs_no_wake_up(loop: Loop) -> None:
    done = threading.Event()
    gate = Gate(loop)
    loop.post(loop.post, loop.post, done.set)
    before = loop.wake_ups
    gate.open()
    assert done.wait(PATIENCE_S)
    assert loop.wake_ups == before


def test_no_post_is_missed_while_the_loop_falls_asleep(loop: Loop) -> None:
    for _ in range(3000):
        assert loop.call(lambda: 1, timeout_s=PATIENCE_S) == 1


def test_function_that_posts_itself_does_not_starve_sockets(
    loop: Loop, tcp_pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = tcp_pair
    seen = threading.Event()

    def again() -> None:
        if not seen.is_set():
            loop.post(again)

    def on_ready(ready: int) -> None:
        loop.unregister(near)
        seen.set()

    loop.call(loop.register, near, READ, on_ready)
    loop.post(again)
    far.send(b"x")
    assert seen.wait(PATIENCE_S)


def test_posts_before_start_run_after_it() -> None:
    loop = Loop("late", SystemClock())
    ran = threading.Event()
    assert loop.post(ran.set)
    loop.start()
    assert ran.wait(PATIENCE_S)
    loop.stop()
    assert loop.join(PATIENCE_S)


# call


def test_call_returns_the_result_from_the_loops_thread(loop: Loop) -> None:
    name = loop.call(lambda prefix: prefix + threading.current_thread().name, "on ")
    assert name == "on test-loop"
    assert loop.call(loop.is_current)
    assert not loop.is_current()


def test_exception_of_a_called_function_is_the_callers(loop: Loop) -> None:
    with pytest.raises(Boom):
        loop.call(boom)
    assert loop.call(lambda: "alive") == "alive"


def test_call_on_the_loops_own_thread_runs_directly(loop: Loop) -> None:
    assert loop.call(lambda: loop.call(lambda: loop.call(loop.is_current)))


def test_call_times_out(loop: Loop) -> None:
    gate = Gate(loop)
    with pytest.raises(TimeoutError, match="test-loop"):
        loop.call(int, timeout_s=0.001)
    gate.open()


def test_call_raises_the_timeout_of_its_function_as_it_is(loop: Loop) -> None:
    fault = TimeoutError("of the function")

    def fail() -> None:
        raise fault

    with pytest.raises(TimeoutError) as caught:
        loop.call(fail, timeout_s=PATIENCE_S)
    assert caught.value is fault


# submit


def test_future_of_submit_has_the_outcome(loop: Loop) -> None:
    assert loop.submit(max, 1, 2).result(PATIENCE_S) == 2
    assert isinstance(loop.submit(boom).exception(PATIENCE_S), Boom)
    assert isinstance(loop.submit(sys.exit).exception(PATIENCE_S), SystemExit)
    assert loop.crash is None


def test_future_of_submit_fails_when_the_loop_has_ended(loop: Loop) -> None:
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert isinstance(loop.submit(int).exception(PATIENCE_S), ServerStopped)


def test_future_of_submit_fails_when_the_loop_never_starts() -> None:
    loop = Loop("test-loop", SystemClock())
    future = loop.submit(int)
    loop.stop()
    assert isinstance(future.exception(PATIENCE_S), ServerStopped)


def test_future_of_submit_fails_when_the_loop_dies_first() -> None:
    loop = Loop("crashing", SystemClock())
    loop.start()
    gate = Gate(loop)
    loop.post(boom)
    future = loop.submit(int)
    gate.open()
    error = future.exception(PATIENCE_S)
    assert isinstance(error, LoopCrashed) and error.__cause__ is loop.crash


# stop and join


def test_stop_runs_what_was_posted_before(loop: Loop) -> None:
    ran: list[int] = []
    gate = Gate(loop)
    for number in range(5):
        loop.post(ran.append, number)
    loop.stop()
    loop.stop()
    gate.open()
    assert loop.join(PATIENCE_S)
    assert ran == [0, 1, 2, 3, 4]


def test_post_and_call_after_the_end_are_refused(loop: Loop) -> None:
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert loop.post(int) is False
    with pytest.raises(ServerStopped):
        loop.call(int)


def test_post_after_stop_is_refused_to_others_but_not_to_the_loop(loop: Loop) -> None:
    ran: list[str] = []
    gate = Gate(loop)
    loop.post(lambda: ran.append(f"own {loop.post(ran.append, 'ran')}"))
    loop.stop()
    assert loop.post(ran.append, "other") is False
    gate.open()
    assert loop.join(PATIENCE_S)
    assert ran == ["own True", "ran"]


def test_function_that_posts_itself_does_not_hold_up_the_end(loop: Loop) -> None:
    def again() -> None:
        loop.post(again)

    loop.post(again)
    loop.stop()
    assert loop.join(PATIENCE_S)


def test_stop_on_the_loops_own_thread_ends_it(loop: Loop) -> None:
    loop.post(loop.stop)
    assert loop.join(PATIENCE_S)


def test_join_on_the_loops_own_thread_does_not_wait(loop: Loop) -> None:
    assert loop.call(loop.join, None) is False


def test_join_tells_that_the_loop_goes_on(loop: Loop) -> None:
    assert loop.join(0.001) is False


def test_loop_that_was_stopped_before_start_answers_and_cannot_start() -> None:
    loop = Loop("never", SystemClock())
    caller_error: list[BaseException] = []

    def wait() -> None:
        try:
            loop.call(int)
        except ServerStopped as error:
            caller_error.append(error)

    caller = threading.Thread(target=wait)
    caller.start()
    eventually(lambda: len(loop._posted) == 1)
    loop.stop()
    caller.join(PATIENCE_S)
    assert caller_error
    assert loop.join(0.0)
    with pytest.raises(RuntimeError):
        loop.start()


def test_loop_can_start_until_it_was_started_or_stopped(loop: Loop) -> None:
    assert not loop.can_start
    other = Loop("other", SystemClock())
    assert other.can_start
    other.stop()
    assert not other.can_start


def test_loop_starts_once(loop: Loop) -> None:
    with pytest.raises(RuntimeError):
        loop.start()


def test_on_end_is_last_and_on_the_loops_thread() -> None:
    calls: list[object] = []

    def on_end(error: BaseException | None) -> None:
        calls.append((error, loop.is_current()))
        loop.post(calls.append, "posted by on_end")

    loop = Loop("ending", SystemClock(), on_end)
    loop.start()
    loop.post(calls.append, "posted before")
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert calls == ["posted before", (None, True), "posted by on_end"]


@pytest.mark.parametrize("error", [OSError("no descriptors"), KeyboardInterrupt()], ids=repr)
def test_start_that_is_cut_short_closes_its_descriptor_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail() -> object:
        raise error

    loop = Loop("p2p-test", SystemClock())
    with monkeypatch.context() as patch:
        patch.setattr("p2p.net.loop.new_poller", fail)
        with pytest.raises(type(error)):
            loop.start()
    assert loop._wake_up._writer is None, "it is open"
    loop.start()
    assert loop.call(int) == 0
    loop.stop()
    assert loop.join(PATIENCE_S)


@needs_proc
def test_end_closes_all_descriptors() -> None:
    before = open_fds()
    loop = Loop("fds", SystemClock())
    loop.start()
    loop.call(int)
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert open_fds() == before


def test_thread_with_the_ended_loops_number_is_not_the_loop(loop: Loop) -> None:
    loop.stop()
    assert loop.join(PATIENCE_S)
    answers: list[bool] = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: answers.append(loop.is_current()))
        thread.start()
        thread.join()
    assert answers == [False] * 20


# crash


def crash_by_post(loop: Loop) -> None:
    loop.post(boom)


def crash_by_timer(loop: Loop) -> None:
    loop.post(loop.call_later, 0.0, boom)


def crash_by_socket(loop: Loop) -> None:
    near, far = socket.socketpair()

    def on_ready(ready: int) -> None:
        near.close()
        far.close()
        boom()

    loop.post(loop.register, near, WRITE, on_ready)


@pytest.mark.parametrize("crash", [crash_by_post, crash_by_timer, crash_by_socket])
def test_crash_is_logged_once_kept_and_told(
    crash: Callable[[Loop], None], caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[BaseException | None] = []
    loop = Loop("crashing", SystemClock(), ends.append)
    loop.start()
    crash(loop)
    assert loop.join(PATIENCE_S)
    assert isinstance(loop.crash, Boom)
    assert ends == [loop.crash]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("p2p.net", logging.CRITICAL)
    assert record.exc_info is not None and record.exc_info[1] is loop.crash
    assert loop.post(int) is False


def test_crash_wakes_every_waiting_call_with_the_cause() -> None:
    loop = Loop("crashing", SystemClock())
    loop.start()
    gate = Gate(loop)
    loop.post(boom)
    causes: list[BaseException | None] = []

    def wait() -> None:
        with pytest.raises(LoopCrashed) as caught:
            loop.call(int)
        causes.append(caught.value.__cause__)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(loop._posted) == 1 + len(threads))
    gate.open()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert causes == [loop.crash] * 5
    with pytest.raises(LoopCrashed):
        loop.call(int)


def test_crash_is_told_even_if_it_cannot_be_logged() -> None:
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    ends: list[BaseException | None] = []
    loop = Loop("crashing", SystemClock(), ends.append)
    handler = Failing()
    logging.getLogger("p2p.net").addHandler(handler)
    try:
        loop.start()
        loop.post(boom)
        assert loop.join(PATIENCE_S)
    finally:
        logging.getLogger("p2p.net").removeHandler(handler)
    assert isinstance(loop.crash, Boom)
    assert ends == [loop.crash]
    with pytest.raises(LoopCrashed):
        loop.call(int)


@needs_proc
def test_crash_in_on_end_too_closes_all_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    def on_end(error: BaseException | None) -> None:
        loop.post(boom)
        loop.post(ran.set)
        raise Boom("in on_end")

    before = open_fds()
    ran = threading.Event()
    loop = Loop("crashing", SystemClock(), on_end)
    loop.start()
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert str(loop.crash) == "in on_end"
    assert ran.is_set()
    assert open_fds() == before
    assert len(caplog.records) == 2


# time


def test_timers_follow_a_simulated_clock(make_loop: MakeLoop) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    fired: list[float] = []

    def set_timers() -> None:
        for delay_s in (30.0, 10.0, 20.0):
            loop.call_later(delay_s, lambda: fired.append(loop.now() - start))
        loop.call_later(15.0, fired.append, -1.0).cancel()

    start = clock.monotonic()
    loop.call(set_timers)
    assert fired == []
    for _ in range(3):
        clock.advance(10.0)
        loop.call(int)  # the wake-up alone has it done; this only waits for it
        loop.call(int)
    assert fired == [10.0, 20.0, 30.0]


def test_advancing_the_clock_wakes_the_loop(make_loop: MakeLoop) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    fired = threading.Event()
    assert loop.call(loop.call_at, clock.monotonic() + 3600.0, fired.set).when == 4600.0
    clock.advance(3599.0)
    for _ in range(2):  # the first may run before what is due, the second after it
        loop.call(int)
    assert not fired.is_set()
    clock.advance(1.0)
    assert fired.wait(PATIENCE_S)


def test_ended_loop_forgets_its_clock(make_loop: MakeLoop) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    loop.stop()
    assert loop.join(PATIENCE_S)
    before = loop.wake_ups
    clock.advance(1.0)
    assert loop.wake_ups == before


def test_timer_fires_in_real_time(loop: Loop) -> None:
    fired = threading.Event()
    start = loop.call(loop.now)
    loop.call(loop.call_later, 0.01, fired.set)
    assert fired.wait(PATIENCE_S)
    assert loop.call(loop.now) - start >= 0.01


def test_timer_without_end_lets_the_loop_sleep(loop: Loop) -> None:
    loop.call(loop.call_at, float("inf"), boom)
    loop.call(int)
    before = loop.passes
    for _ in range(10):
        loop.call(int)
    assert loop.passes - before <= 30


def test_idle_loop_makes_no_passes(loop: Loop) -> None:
    passes: list[int] = []
    fired = threading.Event()

    def note() -> None:
        passes.append(loop.passes)

    def begin() -> None:
        note()
        loop.call_later(0.05, note)
        loop.call_later(0.05, fired.set)

    loop.call(begin)
    assert fired.wait(PATIENCE_S)
    before, after = passes
    assert after - before <= 4


# sockets


def test_ready_has_only_what_was_asked_for(
    loop: Loop, tcp_pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = tcp_pair
    seen: list[int] = []
    told = threading.Event()

    def on_ready(ready: int) -> None:
        seen.append(ready)
        loop.set_interest(near, 0)
        told.set()

    loop.call(loop.register, near, 0, on_ready)
    far.send(b"x")
    for interest in (READ, WRITE, READ | WRITE):
        told.clear()
        loop.call(loop.set_interest, near, interest)
        assert told.wait(PATIENCE_S)
    loop.call(loop.unregister, near)
    assert seen == [READ, WRITE, READ | WRITE]


def test_handler_of_an_unregistered_socket_is_not_called(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def handler(mine: int) -> Callable[[int], None]:
        def on_ready(ready: int) -> None:
            called.append(mine)
            for near, _ in pairs:
                loop.unregister(near)

        return on_ready

    def register() -> None:
        for number, (near, _) in enumerate(pairs):
            loop.register(near, WRITE, handler(number))

    loop.call(register)
    loop.call(int)
    loop.call(int)
    assert len(called) == 1
    for near, far in pairs:
        near.close()
        far.close()


def test_new_socket_does_not_get_the_event_of_the_old_one_with_its_number(loop: Loop) -> None:
    """Both are ready at once; whichever comes first replaces the other by a socket that is not."""
    pairs = [socket.socketpair() for _ in range(2)]
    quiet = socket.socketpair()
    wrong: list[int] = []
    done = threading.Event()

    def handler(mine: int) -> Callable[[int], None]:
        def on_ready(ready: int) -> None:
            for near, _ in pairs:
                loop.unregister(near)
            fd = pairs[1 - mine][0].fileno()
            pairs[1 - mine][0].close()
            os.dup2(quiet[0].fileno(), fd)
            replaced = socket.socket(fileno=fd)
            loop.register(replaced, READ, wrong.append)
            loop.post(loop.post, close, replaced)

        return on_ready

    def close(replaced: socket.socket) -> None:
        loop.unregister(replaced)
        replaced.close()
        done.set()

    def register() -> None:
        for number, (near, far) in enumerate(pairs):
            far.send(b"x")
            loop.register(near, READ, handler(number))

    loop.call(register)
    assert done.wait(PATIENCE_S)
    assert wrong == []
    for sock in (*pairs[0], *pairs[1], *quiet):
        sock.close()


def test_socket_is_registered_once(loop: Loop) -> None:
    near, far = socket.socketpair()
    loop.call(loop.register, near, 0, print)
    with pytest.raises(ValueError):
        loop.call(loop.register, near, 0, print)
    loop.call(loop.unregister, near)
    loop.call(loop.unregister, near)
    near.close()
    far.close()
    with pytest.raises(ValueError):
        loop.call(loop.register, near, 0, print)


def test_scratch_is_shared_and_grows(loop: Loop) -> None:
    first = loop.call(loop.scratch, 100)
    assert loop.call(loop.scratch, 50).obj is first.obj
    assert len(loop.call(loop.scratch, 200)) == 200


# when it sleeps


def test_sleeping_loop_states_the_time_of_its_next_timer(make_loop: MakeLoop) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    eventually(lambda: loop.sleeps_until == math.inf)
    loop.call(loop.call_at, clock.monotonic() + 5, int)
    eventually(lambda: loop.sleeps_until == clock.monotonic() + 5)
    seen = loop.call(lambda: loop.sleeps_until)
    assert seen is None


def test_clock_wakes_only_the_loops_that_have_a_timer_due(make_loop: MakeLoop) -> None:
    clock = SimulatedClock()
    early, late = make_loop(clock), make_loop(clock)
    fired = threading.Event()
    early.call(early.call_at, clock.monotonic() + 1, fired.set)
    late.call(late.call_at, clock.monotonic() + 9, int)
    eventually(lambda: None not in (early.sleeps_until, late.sleeps_until))
    passes = late.passes
    clock.advance(2)
    assert fired.wait(PATIENCE_S)
    assert late.passes == passes
    assert late.sleeps_until == clock.monotonic() + 7


def test_loop_that_was_asked_to_end_does_not_sleep(make_loop: MakeLoop) -> None:
    loop = make_loop()
    eventually(lambda: loop.sleeps_until is not None)
    loop.stop()
    assert loop.sleeps_until is None
