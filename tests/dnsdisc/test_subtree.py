from __future__ import annotations

import random

import pytest

from p2p.crypto import keccak256
from p2p.dnsdisc.entry import Branch, hash_of
from p2p.dnsdisc.subtree import MANY_MISSING, MAX_DEPTH, MAX_TRIES, Subtree
from p2p.errors import InvalidTree

RANDOM = random.Random(1)
#: More entries do not fit into the text of a branch.
MOST_CHILDREN = 23


def hashes(count: int, seed: object = 0) -> tuple[str, ...]:
    return tuple(hash_of(f"{seed} {number}") for number in range(count))


def digest(name: str) -> bytes:
    return keccak256(name.encode())


def test_entries_below_a_branch_are_taken_in_random_order() -> None:
    children = hashes(13)
    orders = set()
    for seed in range(5):
        subtree, source = Subtree("ROOT"), random.Random(seed)
        assert subtree.take(source) == "ROOT"
        subtree.add_branch(digest("ROOT"), Branch(children))
        orders.add(tuple(subtree.take(source) for _ in children))
        assert subtree.is_done
    assert len(orders) == 5
    assert {frozenset(order) for order in orders} == {frozenset(children)}


def test_entry_whose_look_up_fails_is_taken_again_and_then_given_up() -> None:
    subtree = Subtree("ROOT")
    for _ in range(MAX_TRIES):
        assert not subtree.is_done and not subtree.has_gaps
        assert subtree.take(RANDOM) == "ROOT"
        subtree.try_later()
    assert subtree.is_done and subtree.has_gaps


def test_branch_is_followed_once_and_so_is_each_entry_of_it() -> None:
    subtree = Subtree("ROOT")
    subtree.take(RANDOM)
    for _ in range(2):
        subtree.add_branch(digest("ROOT"), Branch(("A", "B", "A")))
    assert {subtree.take(RANDOM), subtree.take(RANDOM)} == {"A", "B"}
    assert subtree.is_done


def test_branch_at_the_greatest_depth_is_refused() -> None:
    subtree = Subtree("0")
    for depth in range(MAX_DEPTH):
        assert subtree.take(RANDOM) == str(depth)
        subtree.add_branch(digest(str(depth)), Branch((str(depth + 1),)))
    subtree.take(RANDOM)
    with pytest.raises(InvalidTree, match="too deep"):
        subtree.add_branch(digest("last"), Branch(("x",)))


def test_branches_are_limited() -> None:
    subtree = Subtree("ROOT", max_branches=2)
    subtree.take(RANDOM)
    subtree.add_branch(digest("a"), Branch(("b",)))
    subtree.add_branch(digest("b"), Branch(("c",)))
    with pytest.raises(InvalidTree, match="too large"):
        subtree.add_branch(digest("c"), Branch(("d",)))


@pytest.mark.slow
def test_missing_entries_are_bounded_in_a_tree_of_branches_only() -> None:
    subtree = Subtree("ROOT")
    most = 0
    for number in range(3000):
        name = subtree.take(RANDOM)
        try:
            subtree.add_branch(digest(name), Branch(hashes(MOST_CHILDREN, number)))
        except InvalidTree:
            continue
        most = max(most, len(subtree._missing))
    assert MANY_MISSING < most <= MANY_MISSING + MAX_DEPTH * MOST_CHILDREN
