"""The mailbox: bounded by bytes, in order, with one wake-up for many items."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from p2p.errors import ArgumentError, PipeClosed, Timeout
from p2p.mailbox import ITEM_BYTES, LIMIT_BYTES, Mailbox
from tests.kit.threadcalls import in_thread
from tests.kit.waiting import PATIENCE_S, eventually


def item(number: int, size: int = 0) -> tuple[int, bytes]:
    return number, bytes(size)


def await_waiting(mailbox: Mailbox, *, readers: int = 0, writers: int = 0) -> None:
    """Until so many threads wait in get, and so many in put."""
    eventually(lambda: (len(mailbox._readers), len(mailbox._writers)) == (readers, writers))


def test_items_come_out_in_their_order() -> None:
    mailbox = Mailbox()
    for number in range(3):
        mailbox.put(item(number))
    mailbox.offer([item(3), item(4)])
    assert [mailbox.get()[0] for _ in range(5)] == list(range(5))


def test_get_waits_for_an_item() -> None:
    mailbox = Mailbox()
    got: list[object] = []
    thread = in_thread(lambda: got.append(mailbox.get(PATIENCE_S)))
    await_waiting(mailbox, readers=1)
    mailbox.offer([item(1)])
    thread.join(PATIENCE_S)
    assert got == [item(1)]


def test_one_offer_wakes_as_many_getters_as_it_has_items() -> None:
    mailbox = Mailbox()
    got: list[int] = []
    threads = [in_thread(lambda: got.append(mailbox.get(PATIENCE_S)[0])) for _ in range(3)]
    await_waiting(mailbox, readers=3)
    mailbox.offer([item(0), item(1), item(2)])
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(got) == [0, 1, 2]


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_get_runs_out_of_time(timeout: float) -> None:
    with pytest.raises(Timeout):
        Mailbox().get(timeout)


def test_item_that_is_there_is_got_without_time() -> None:
    mailbox = Mailbox()
    mailbox.put(item(1))
    assert mailbox.get(0) == item(1)


def test_put_waits_while_the_mailbox_is_full() -> None:
    mailbox = Mailbox()
    mailbox.put(item(0, LIMIT_BYTES))
    done = threading.Event()

    def put() -> None:
        mailbox.put(item(1))
        done.set()

    thread = in_thread(put)
    await_waiting(mailbox, writers=1)
    assert mailbox.is_full and not done.is_set()
    assert mailbox.get()[0] == 0
    assert done.wait(PATIENCE_S)
    thread.join()
    assert mailbox.get()[0] == 1


def test_one_item_of_any_size_fits_in() -> None:
    mailbox = Mailbox()
    mailbox.put(item(0, 1))
    mailbox.put(item(1, LIMIT_BYTES * 16))
    assert mailbox.is_full


def test_full_mailbox_has_room_when_it_is_down_to_a_quarter() -> None:
    rooms: list[int] = []
    mailbox = Mailbox(on_room=lambda: rooms.append(1))
    size = LIMIT_BYTES // 8 - ITEM_BYTES
    assert all(mailbox.offer([item(number, size)]) for number in range(7))
    assert not mailbox.offer([item(7, size)])
    for _ in range(5):
        mailbox.get()
        assert mailbox.is_full and not rooms
    mailbox.get()
    assert not mailbox.is_full and rooms == [1]
    mailbox.get()
    assert rooms == [1]


def test_offer_takes_everything_even_when_full() -> None:
    mailbox = Mailbox()
    assert mailbox.offer([item(0)])
    assert not mailbox.offer([item(1, LIMIT_BYTES), item(2)])
    assert not mailbox.offer([item(3)])
    assert [mailbox.get()[0] for _ in range(4)] == [0, 1, 2, 3]


def test_many_small_items_fill_it_too() -> None:
    mailbox = Mailbox()
    count = LIMIT_BYTES // ITEM_BYTES
    assert mailbox.offer([item(0)] * (count - 1))
    assert not mailbox.offer([item(0)])


def test_only_the_first_item_is_announced_until_all_are_taken() -> None:
    announced: list[int] = []
    mailbox = Mailbox(on_items=lambda: announced.append(1))
    mailbox.put(item(0, 1000))
    mailbox.put(item(1, 1000))
    assert announced == [1]
    mailbox.take(1000)
    mailbox.put(item(2, 1000))
    assert announced == [1] and not mailbox.is_empty
    assert len(mailbox.take(1_000_000)) == 2
    assert mailbox.is_empty
    mailbox.put(item(3))
    assert announced == [1, 1]


def test_item_larger_than_was_asked_for_leaves_an_empty_mailbox_that_announces() -> None:
    announced: list[int] = []
    mailbox = Mailbox(on_items=lambda: announced.append(1))
    mailbox.put(item(0, 5000))
    assert len(mailbox.take(1000)) == 1
    mailbox.put(item(1))
    assert announced == [1, 1]


def test_take_removes_about_as_much_as_is_asked_for() -> None:
    mailbox = Mailbox()
    for number in range(10):
        mailbox.put(item(number, 1000 - ITEM_BYTES))
    assert [number for number, _ in mailbox.take(2500)] == [0, 1, 2]
    assert [number for number, _ in mailbox.take(1)] == [3]
    assert [number for number, _ in mailbox.take(1_000_000)] == [4, 5, 6, 7, 8, 9]
    assert mailbox.take(1_000_000) == []


def test_take_makes_room() -> None:
    rooms: list[int] = []
    mailbox = Mailbox(on_room=lambda: rooms.append(1))
    mailbox.put(item(0, LIMIT_BYTES))
    mailbox.take(1)
    assert rooms == [1] and not mailbox.is_full


def test_closed_mailbox_takes_no_more() -> None:
    mailbox = Mailbox()
    mailbox.close(lambda: PipeClosed(0, True, "over"), discard=False)
    with pytest.raises(PipeClosed, match="over"):
        mailbox.put(item(0))
    assert mailbox.offer([item(0)])  # dropped: nobody is to wait for room
    with pytest.raises(PipeClosed, match="over"):
        mailbox.get()


@pytest.mark.parametrize("discard", [False, True])
def test_close_keeps_or_discards_what_is_there(discard: bool) -> None:
    mailbox = Mailbox()
    mailbox.put(item(0))
    mailbox.close(lambda: PipeClosed(0, True, "over"), discard=discard)
    if not discard:
        assert mailbox.get()[0] == 0
    with pytest.raises(PipeClosed):
        mailbox.get()
    assert mailbox.take(1000) == []


def test_first_error_counts_but_a_later_close_may_discard() -> None:
    mailbox = Mailbox()
    mailbox.put(item(0))
    mailbox.close(lambda: PipeClosed(0, True, "first"), discard=False)
    mailbox.close(lambda: PipeClosed(0, True, "second"), discard=True)
    with pytest.raises(PipeClosed, match="first"):
        mailbox.get()


def test_close_wakes_every_waiter_each_with_an_error_of_its_own() -> None:
    readers, full = Mailbox(), Mailbox()
    full.put(item(0, LIMIT_BYTES))
    errors: list[BaseException] = []

    def waiting(wait: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                wait()
            except PipeClosed as error:
                errors.append(error)

        return run

    threads = [in_thread(waiting(readers.get)) for _ in range(3)]
    threads += [in_thread(waiting(lambda: full.put(item(1)))) for _ in range(3)]
    await_waiting(readers, readers=3)
    await_waiting(full, writers=3)
    for mailbox in (readers, full):
        mailbox.close(lambda: PipeClosed(0, True, "over"), discard=False)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len({id(error) for error in errors}) == 6


def is_locked(mailbox: Mailbox) -> bool:
    """Whether this thread, or another, has the lock: a third would not get it."""
    got: list[bool] = []

    def try_it() -> None:
        got.append(mailbox._lock.acquire(blocking=False))
        if got[0]:
            mailbox._lock.release()

    in_thread(try_it).join()
    return not got[0]


def test_error_is_made_without_the_lock() -> None:
    def make_error() -> PipeClosed:
        assert not is_locked(mailbox)
        return PipeClosed(0, True, "over")

    mailbox = Mailbox()
    mailbox.close(make_error, discard=False)
    for use in (mailbox.get, lambda: mailbox.put(item(0))):
        with pytest.raises(PipeClosed):
            use()


@pytest.mark.parametrize("timeout", [float("nan"), "3", [], 1j], ids=repr)
def test_timeout_that_is_no_number_is_refused(timeout: object) -> None:
    mailbox = Mailbox()
    mailbox.put(item(1))
    with pytest.raises(ArgumentError, match="timeout: wanted a number"):
        mailbox.get(timeout)  # type: ignore[arg-type]
    assert mailbox.get(0) == item(1)


@pytest.mark.parametrize(
    "timeout", [None, float("inf"), 1e300, 10**400], ids=["None", "inf", "1e300", "10**400"]
)
def test_timeout_without_end_waits(timeout: float | None) -> None:
    mailbox = Mailbox()
    got: list[object] = []
    thread = in_thread(lambda: got.append(mailbox.get(timeout)))
    await_waiting(mailbox, readers=1)
    mailbox.offer([item(1)])
    thread.join(PATIENCE_S)
    assert got == [item(1)]


def test_discarding_frees_the_full_mailbox() -> None:
    mailbox = Mailbox()
    mailbox.put(item(0, LIMIT_BYTES))
    mailbox.close(lambda: PipeClosed(0, True, "over"), discard=True)
    assert mailbox.take(1000) == []


def test_nothing_is_lost_between_many_writers_and_readers() -> None:
    mailbox = Mailbox()
    got: list[int] = []

    def write(first: int) -> None:
        for number in range(first, first + 500):
            mailbox.put(item(number, 2000))

    def read() -> None:
        for _ in range(500):
            got.append(mailbox.get(PATIENCE_S)[0])

    threads = [in_thread(write, first) for first in (0, 500, 1000, 1500)]
    threads += [in_thread(read) for _ in range(4)]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(got) == list(range(2000))


def test_put_runs_out_of_time() -> None:
    mailbox = Mailbox()
    mailbox.put(item(1, LIMIT_BYTES))
    with pytest.raises(Timeout, match=r"no room for a message within 0\.01 s"):
        mailbox.put(item(2), 0.01)
    assert mailbox.get() == item(1, LIMIT_BYTES) and mailbox.is_empty
    mailbox.put(item(3), 0.0)
