"""Differences of states, and the updates of the last minutes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from p2p.monitor.changes import Mutable, apply, difference
from p2p.monitor.history import History

_ENTRIES = st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.integers(0, 2)})
_STATES = st.dictionaries(
    st.sampled_from(["peers", "dials"]), st.dictionaries(st.sampled_from("xyz"), _ENTRIES)
)


def folded(text: str, updates: list[str]) -> Mutable:
    """The state of a page after a snapshot and updates."""
    state: Mutable = json.loads(text)["state"]
    for update in updates:
        apply(json.loads(update), state)
    return state


def updates_of(history: History) -> list[str]:
    return [history.update_after(n) for n in range(history.base_n, history.last_n)]


@given(_STATES, _STATES)
def test_difference_leads_from_one_state_to_the_other(old: Any, new: Any) -> None:
    full = {name: new.get(name, {}) for name in {*old, *new}}
    state = {name: {key: dict(entry) for key, entry in old[name].items()} for name in old}
    apply(difference(old, full), state)
    assert {name: entries for name, entries in state.items() if entries} == {
        name: entries for name, entries in full.items() if entries
    }


def test_difference_has_the_fields_that_changed() -> None:
    old = {"peers": {"1": {"name": "a", "bytes": 1}, "2": {"name": "b"}}}
    new = {"peers": {"1": {"name": "a", "bytes": 2}, "3": {"name": "c"}}}
    assert difference(old, new) == {
        "set": {"peers": {"1": {"bytes": 2}, "3": {"name": "c"}}},
        "remove": {"peers": ["2"]},
    }
    assert difference(new, new) == {}


def test_page_that_comes_late_gets_the_same_state() -> None:
    history = History(0.0, ["peers"])
    for number in range(10):
        history.add(number, {"set": {"peers": {str(number): {"n": number}}}})
        if number >= 3:
            history.add(number, {"remove": {"peers": [str(number - 3)]}})
    state = {"peers": {str(number): {"n": number} for number in (7, 8, 9)}}
    assert folded(history.base(), updates_of(history)) == state == history.state
    assert json.loads(history.present(5)) == {
        "type": "snapshot", "n": history.last_n, "t": 9, "missed": 5, "state": state
    }  # fmt: skip


def test_updates_are_numbered_without_a_gap() -> None:
    history = History(0.0, [])
    for number in range(5):
        history.add(number, {"unseen": 1})
    assert [json.loads(text)["n"] for text in updates_of(history)] == [1, 2, 3, 4, 5]


def test_old_updates_go_into_the_base() -> None:
    history = History(0.0, ["peers"], kept_s=10.0)
    for number in range(30):
        history.add(number, {"set": {"peers": {"1": {"n": number}}}})
    assert history.last_n == 30 and len(updates_of(history)) == 11
    base = json.loads(history.base())
    assert (base["n"], base["t"]) == (19, 18)
    assert base["state"] == {"peers": {"1": {"n": 18}}}
    assert folded(history.base(), updates_of(history)) == history.state


def test_bytes_of_the_history_are_bounded() -> None:
    history = History(0.0, ["peers"], max_bytes=10_000)
    for number in range(300):
        history.add(0.0, {"messages": [{"payload": "x" * 100}], "unseen": number})
    assert history.size_bytes <= 10_000
    assert history.size_bytes == sum(map(len, updates_of(history))) > 9_000


def test_one_update_of_any_size_is_no_obstacle() -> None:
    history = History(0.0, ["peers"], max_bytes=1000)
    history.add(0.0, {"set": {"peers": {"1": {"name": "x" * 2000}}}})
    assert history.size_bytes == 0 and history.base_n == history.last_n == 1
    assert "x" * 2000 in history.base()


def test_base_shares_nothing_with_what_is_added() -> None:
    history = History(0.0, ["peers"], kept_s=0.0)
    entry = {"n": 1}
    history.add(0.0, {"set": {"peers": {"1": entry}}})
    history.add(5.0, {"unseen": 1})
    entry["n"] = 2
    assert history.state == {"peers": {"1": {"n": 1}}}
    assert json.loads(history.base())["state"] == {"peers": {"1": {"n": 1}}}


def test_clock_that_was_set_back_leaves_a_history_that_ends_in_time() -> None:
    history = History(0.0, ["peers"], kept_s=10.0)
    for t in [*range(1000, 1005), *range(500, 540)]:
        history.add(float(t), {"set": {"peers": {"1": {"t": t}}}})
    times = [json.loads(update)["t"] for update in updates_of(history)]
    assert times == [*range(529, 540)]
    assert history.state == {"peers": {"1": {"t": 539}}}
    assert json.loads(history.base())["state"] == {"peers": {"1": {"t": 528}}}
