"""A wait that fails says what did not happen."""

from __future__ import annotations

import pytest

from tests.kit import waiting
from tests.kit.waiting import eventually


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)


def test_state_that_is_there_is_not_waited_for() -> None:
    eventually(lambda: True)


def test_condition_is_shown_by_its_source() -> None:
    peers: list[int] = []
    with pytest.raises(AssertionError, match=r"not within 0 s: .*len\(peers\) == 3"):
        eventually(
            lambda: len(peers) == 3,
        )


def test_words_take_the_place_of_the_source() -> None:
    with pytest.raises(AssertionError, match="not within 0 s: the sun has set$"):
        eventually(lambda: False, "the sun has set")


def test_condition_without_source_is_shown_by_its_name() -> None:
    with pytest.raises(AssertionError, match="<class 'int'>"):
        eventually(int)
