from __future__ import annotations

import random

import pytest

from p2p.crypto import keccak256
from p2p.dnsdisc.entry import Branch, Link, Root, hash_of, parse_link
from p2p.dnsdisc.remotetree import (
    MAX_PAUSE_S,
    RECHECK_INTERVAL_S,
    ROOT_RECHECK_FAILS,
    RemoteTree,
)
from p2p.dnsdisc.subtree import MAX_TRIES
from p2p.errors import InvalidTree
from tests.dnsdisc.zone import EXAMPLE, KEY, records_of

RANDOM = random.Random(1)
LINK = parse_link(EXAMPLE["url"])
RECORD = records_of(1)[0]
OTHER = Link(KEY.public_key, "other")


def root(nodes: str = "nodes", links: str = "links", seq: int = 1) -> Root:
    return Root.sign(KEY, hash_of(nodes), hash_of(links), seq)


def entry_of(tree: RemoteTree, entry: Branch | Link | object, now: float = 0.0) -> str | None:
    """Take an entry, and answer with this one."""
    taken = tree.take(RANDOM, now)
    tree.receive_entry(keccak256(str(entry).encode()), entry)  # type: ignore[arg-type]
    return taken


def started(links: bool = False) -> RemoteTree:
    """A tree with its root, and with its links unless they are to come."""
    tree = RemoteTree(LINK, 0.0)
    assert tree.next_time == 0.0
    assert tree.take(RANDOM, 0.0) is None
    tree.receive_root(root(), 0.0)
    if not links:
        assert entry_of(tree, Branch(())) == hash_of("links")
    return tree


def test_links_come_before_nodes() -> None:
    tree = started(links=True)
    assert entry_of(tree, Branch(hashes := (hash_of("a"), hash_of("b")))) == hash_of("links")
    assert {entry_of(tree, OTHER), entry_of(tree, LINK)} == set(hashes)
    assert list(tree.links) == [OTHER, LINK]
    assert tree.take(RANDOM, 0.0) == hash_of("nodes")


def test_nodes_come_again_and_again() -> None:
    tree = started()
    for _ in range(3):
        assert tree.next_time == 0.0
        assert entry_of(tree, RECORD) == hash_of("nodes")


def test_tree_without_nodes_is_looked_at_with_the_next_root() -> None:
    tree = started()
    entry_of(tree, Branch(()))
    assert tree.next_time == RECHECK_INTERVAL_S
    assert tree.take(RANDOM, RECHECK_INTERVAL_S) is None
    tree.receive_root(root(), RECHECK_INTERVAL_S)
    assert tree.next_time <= RECHECK_INTERVAL_S
    assert tree.take(RANDOM, RECHECK_INTERVAL_S) == hash_of("nodes")


def test_older_root_is_refused() -> None:
    tree = started()
    tree.receive_root(root(seq=7), 1.0)
    with pytest.raises(InvalidTree):
        tree.receive_root(root("other nodes", seq=6), 2.0)
    assert tree.take(RANDOM, 3.0) == hash_of("nodes")


def test_last_tree_is_used_while_its_root_cannot_be_resolved() -> None:
    tree = started()
    now = RECHECK_INTERVAL_S
    for fails in range(20):
        assert tree.take(RANDOM, now) is None
        tree.root_failed(now)
        assert entry_of(tree, RECORD, now) == hash_of("nodes")
        now += min(MAX_PAUSE_S, 2.0**fails)


def test_pauses_of_a_root_begin_again_after_it_was_resolved() -> None:
    tree = started()
    for now in (1e4, 2e4):
        tree.root_failed(now)
        tree.root_failed(now)
        entry_of(tree, Branch(()))
        assert tree.next_time == now + 2.0
        tree.receive_root(root(), now)


def test_entry_is_looked_up_again_after_a_pause() -> None:
    tree = started()
    for pause in (1.0, 2.0):
        tree.take(RANDOM, 0.0)
        tree.entry_failed(10.0)
        assert tree.next_time == 10.0 + pause
    entry_of(tree, Branch((hash_of("a"), hash_of("b"))))
    tree.take(RANDOM, 0.0)
    tree.entry_failed(10.0)
    assert tree.next_time == 11.0
    tree.take(RANDOM, 0.0)
    tree.entry_refused()
    tree.take(RANDOM, 0.0)
    tree.entry_failed(20.0)
    assert tree.next_time == 21.0


def failing() -> RemoteTree:
    """A tree with many entries whose look-ups have failed until the root is to be looked up."""
    tree = started()
    entry_of(tree, Branch(tuple(hash_of(f"{number}") for number in range(13))))
    for _ in range(ROOT_RECHECK_FAILS + 1):
        assert tree.take(RANDOM, tree.next_time) is not None
        tree.entry_failed(tree.next_time)
    return tree


def test_root_is_looked_up_after_several_failures_and_then_after_as_many() -> None:
    tree = failing()
    now = tree.next_time
    assert tree.take(RANDOM, now) is None
    tree.receive_root(root(), now)
    for _ in range(ROOT_RECHECK_FAILS):
        assert tree.take(RANDOM, tree.next_time) is not None
        tree.entry_failed(tree.next_time)
    assert tree.take(RANDOM, tree.next_time) is not None


def test_failures_of_entries_do_not_shorten_the_pause_of_the_root() -> None:
    tree = failing()
    now = tree.next_time
    for _ in range(5):
        tree.root_failed(now)
    entry_of(tree, RECORD, now)
    tree.take(RANDOM, now)
    tree.entry_failed(now)
    assert tree.take(RANDOM, now + 2.0) is not None
    assert tree.take(RANDOM, now + 16.0) is None


def test_links_of_the_last_root_are_kept_until_all_of_the_new_one_are_found() -> None:
    tree = started(links=True)
    entry_of(tree, OTHER)
    tree.receive_root(root(links="more links", seq=2), 1.0)
    entry_of(tree, Branch((hash_of("a"), hash_of("b"))), 1.0)
    entry_of(tree, LINK, 1.0)
    assert set(tree.links) == {OTHER, LINK}
    entry_of(tree, LINK, 1.0)
    assert set(tree.links) == {LINK}


def test_links_are_kept_and_looked_up_again_if_some_were_not_found() -> None:
    tree = started(links=True)
    entry_of(tree, OTHER)
    tree.receive_root(root(links="more links", seq=2), 1.0)
    for _ in range(MAX_TRIES):
        tree.take(RANDOM, 1.0)
        tree.entry_failed(1.0)
    assert list(tree.links) == [OTHER]
    assert entry_of(tree, RECORD, 1.0) == hash_of("nodes")
    tree.receive_root(root(links="more links", seq=2), 2.0)
    assert tree.take(RANDOM, 2.0) == hash_of("more links")


@pytest.mark.parametrize("is_valid", [True, False])
def test_links_of_the_last_root_are_dropped_although_an_entry_of_the_new_one_is_refused(
    is_valid: bool,
) -> None:
    tree = started(links=True)
    entry_of(tree, OTHER)
    tree.receive_root(root(links="more links", seq=2), 1.0)
    if is_valid:
        with pytest.raises(InvalidTree):
            entry_of(tree, RECORD, 1.0)
    else:
        tree.take(RANDOM, 1.0)
        tree.entry_refused()
    assert tree.links == {}
    assert entry_of(tree, RECORD, 1.0) == hash_of("nodes")


def test_entry_that_may_not_be_where_it_is_is_refused() -> None:
    for links, entry in ((True, RECORD), (False, OTHER)):
        tree = started(links)
        with pytest.raises(InvalidTree):
            entry_of(tree, entry)
        assert tree.links == {}
