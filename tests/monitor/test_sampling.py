"""The budget of samples and looks of a period, and the news that it is there or used up."""

from __future__ import annotations

from p2p.clock import SYSTEM_CLOCK
from p2p.monitor.sampling import Sampler
from p2p.monitor.source import Watch

CAP = "chat/1"


class News:
    """A sampler, and whether it had looks whenever it said that this may have changed."""

    def __init__(self) -> None:
        self.sampler = Sampler(SYSTEM_CLOCK)
        self.sampler.changed = lambda: self.said.append(self.sampler.looks > 0)
        self.said: list[bool] = []

    def begin(self, samples_per_s: int | None) -> None:
        watch = None if samples_per_s is None else Watch(samples_per_s)
        self.sampler.begin_period(watch, 1.0, None)

    def wants(self, kind: int) -> bool:
        return self.sampler.wants(CAP, "in", kind, None)


def test_without_a_page_nothing_is_said() -> None:
    news = News()
    for _ in range(3):
        news.begin(None)
        news.begin(0)
    assert news.said == [] and not news.wants(0)


def test_period_with_looks_is_said_and_its_end_by_samples() -> None:
    news = News()
    news.begin(8)
    assert news.said == [True]
    kinds = [kind for kind in range(8) if news.wants(kind)]
    assert kinds == list(range(8)) and not news.wants(8)
    assert news.said == [True, False]
    news.begin(8)
    assert news.said == [True, False, True]


def test_looks_end_even_if_few_samples_are_found() -> None:
    news = News()
    news.begin(8)
    looks = news.sampler.looks
    assert sum(news.wants(0) for _ in range(looks - 1)) == 2
    assert news.said == [True]
    assert not news.wants(0)
    assert news.said == [True, False]


def test_page_that_closes_is_said_once() -> None:
    news = News()
    news.begin(8)
    news.begin(None)
    news.begin(None)
    assert news.said == [True, False]
