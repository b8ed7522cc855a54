from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.rlpx import BASE_LENGTH, Cap, SharedCap, match

A1, A2, A3, B1, C1 = Cap("a", 1), Cap("a", 2), Cap("a", 3), Cap("b", 1), Cap("c", 1)

#: ours with lengths, theirs, and what is shared as (capability, offset, length).
CASES: dict[str, tuple[list[tuple[Cap, int]], list[Cap], list[tuple[Cap, int, int]]]] = {
    "nothing on either side": ([], [], []),
    "nothing of theirs": ([(A1, 1)], [], []),
    "nothing of ours": ([], [A1], []),
    "another name": ([(A1, 1)], [B1], []),
    "another version": ([(A1, 1)], [A2], []),
    "one in common": ([(A1, 1)], [A1], [(A1, 16, 1)]),
    "highest version of ours": ([(A1, 5), (A2, 7), (A3, 9)], [A1, A2], [(A2, 16, 7)]),
    "highest version of theirs": ([(A1, 5), (A2, 7)], [A1, A2, A3], [(A2, 16, 7)]),
    "highest of both, whatever the order": ([(A3, 9), (A1, 5)], [A3, A1], [(A3, 16, 9)]),
    "only the lower one is shared": ([(A1, 5), (A3, 9)], [A1, A2], [(A1, 16, 5)]),
    "sorted by name": (
        [(C1, 3), (A1, 1), (B1, 2)],
        [B1, C1, A1],
        [(A1, 16, 1), (B1, 17, 2), (C1, 19, 3)],
    ),
    "what is not shared takes no codes": (
        [(A1, 8), (B1, 8), (C1, 8)],
        [C1, A1],
        [(A1, 16, 8), (C1, 24, 8)],
    ),
    "the lower version takes no codes": (
        [(A1, 100), (A2, 4), (B1, 2)],
        [A1, A2, B1],
        [(A2, 16, 4), (B1, 20, 2)],
    ),
    "said twice": ([(A1, 3)], [A1, A1, A1], [(A1, 16, 3)]),
    "length 0": ([(A1, 0), (B1, 2)], [A1, B1], [(A1, 16, 0), (B1, 16, 2)]),
    "names by code point, upper case first": (
        [(Cap("a", 1), 1), (Cap("B", 1), 1), (Cap("ab", 1), 1), (Cap("", 1), 1)],
        [Cap("", 1), Cap("ab", 1), Cap("B", 1), Cap("a", 1)],
        [(Cap("", 1), 16, 1), (Cap("B", 1), 17, 1), (Cap("a", 1), 18, 1), (Cap("ab", 1), 19, 1)],
    ),
    # The cases of go-ethereum's TestMatchProtocols (p2p/peer_test.go) that differ from these.
    "go-ethereum: some matches, some differences": (
        [(Cap("match1", 0), 0), (Cap("match2", 0), 0), (Cap("remote", 0), 0)],
        [Cap("local", 0), Cap("match1", 0), Cap("match2", 0)],
        [(Cap("match1", 0), 16, 0), (Cap("match2", 0), 16, 0)],
    ),
    "go-ethereum: various alphabetical ordering": (
        [(Cap("ba", 0), 1), (Cap("bb", 0), 1), (Cap("ab", 0), 1), (Cap("aa", 0), 1)],
        [Cap("aa", 0), Cap("ab", 0), Cap("bb", 0), Cap("ba", 0)],
        [(Cap(name, 0), 16 + index, 1) for index, name in enumerate(["aa", "ab", "ba", "bb"])],
    ),
    "go-ethereum: various version orderings": (
        [(Cap("", 2), 0), (Cap("", 3), 0), (Cap("", 1), 0)],
        [Cap("", 4), Cap("", 1), Cap("", 3), Cap("", 2)],
        [(Cap("", 3), 16, 0)],
    ),
    "go-ethereum: versions overriding lengths": (
        [(Cap("", 1), 1), (Cap("", 2), 2), (Cap("", 3), 3), (Cap("a", 0), 0)],
        [Cap("", 1), Cap("", 2), Cap("", 3), Cap("a", 0)],
        [(Cap("", 3), 16, 3), (Cap("a", 0), 19, 0)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_matching(name: str) -> None:
    ours, theirs, want = CASES[name]
    assert match(ours, theirs) == [SharedCap(*shared) for shared in want]
    assert match(ours[::-1], theirs[::-1]) == [SharedCap(*shared) for shared in want]


names = st.sampled_from(["a", "ab", "b", "B", "eth", "snap", "é", "\U0001f600", "\uffff"])
protocols = st.dictionaries(st.builds(Cap, names, st.integers(0, 3)), st.integers(0, 40))


@settings(max_examples=200, deadline=None)
@given(lengths=protocols, first=st.sets(st.integers(0, 40)), second=st.sets(st.integers(0, 40)))
def test_both_ends_come_to_the_same_codes(
    lengths: dict[Cap, int], first: set[int], second: set[int]
) -> None:
    ours = [item for index, item in enumerate(lengths.items()) if index in first]
    theirs = [item for index, item in enumerate(lengths.items()) if index in second]
    here = match(ours, [cap for cap, _length in theirs])
    there = match(theirs[::-1], [cap for cap, _length in ours][::-1])
    assert here == there
    offset = BASE_LENGTH
    for shared in here:
        assert shared.offset == offset
        offset += shared.length
    assert len({shared.cap.name for shared in here}) == len(here)


@settings(max_examples=100, deadline=None)
@given(ours=protocols, theirs=protocols)
def test_only_what_both_have_is_shared_and_nothing_higher(
    ours: dict[Cap, int], theirs: dict[Cap, int]
) -> None:
    shared = match(list(ours.items()), theirs)
    assert {one.cap.name for one in shared} == {cap.name for cap in set(ours) & set(theirs)}
    for one in shared:
        both = [cap for cap in set(ours) & set(theirs) if cap.name == one.cap.name]
        assert one.cap == max(both) and one.length == ours[one.cap]


def test_order_of_names_is_that_of_their_bytes() -> None:
    """Others sort bytes of UTF-8; code points sort the same, UTF-16 would not."""
    high, low = Cap("\U0001f600", 1), Cap("\uffff", 1)
    assert [one.cap for one in match([(high, 1), (low, 1)], [high, low])] == [low, high]


def test_capability_is_written_with_a_slash() -> None:
    assert str(Cap("eth", 68)) == "eth/68"
