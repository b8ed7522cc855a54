"""Times in buckets."""

from __future__ import annotations

import threading

from p2p.metrics.recorder import BOUNDS_S, Recorder


def test_buckets_count_the_times_up_to_their_bound() -> None:
    recorder = Recorder()
    for seconds in (0.0, BOUNDS_S[0], BOUNDS_S[0] * 1.01, BOUNDS_S[-1], BOUNDS_S[-1] + 1):
        recorder.record(seconds)
    count, total, buckets = recorder.read()
    assert count == 5
    assert abs(total - (BOUNDS_S[0] * 2.01 + 2 * BOUNDS_S[-1] + 1)) < 1e-9
    assert list(buckets) == list(BOUNDS_S) == sorted(BOUNDS_S)
    assert buckets[BOUNDS_S[0]] == 2
    assert set(list(buckets.values())[1:-1]) == {3}
    assert buckets[BOUNDS_S[-1]] == 4


def test_times_of_several_threads_are_all_counted() -> None:
    recorder = Recorder()

    def record() -> None:
        for _ in range(5_000):
            recorder.record(0.25)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count, total, _ = recorder.read()
    assert (count, total) == (20_000, 5_000.0)
