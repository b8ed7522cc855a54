from __future__ import annotations

import math
import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.crypto import keccak256
from p2p.dnsdisc import client as module
from p2p.dnsdisc.client import (
    BURST,
    CACHE_SIZE,
    MAX_TEXTS,
    MAX_TREES,
    STEPS_PER_S,
    Client,
    EntryCache,
    Verified,
)
from p2p.dnsdisc.entry import Branch, Link, Root, hash_of, parse_link
from p2p.dnsdisc.remotetree import MAX_LINKS, RECHECK_INTERVAL_S
from p2p.dnsdisc.subtree import MAX_DEPTH, MAX_TRIES
from p2p.dnsdisc.tree import SignedTree, Tree
from p2p.errors import ArgumentError, InvalidTree
from tests.dnsdisc.zone import (
    EMPTY,
    EXAMPLE,
    KEY,
    OTHER_KEY,
    VECTORS,
    Walk,
    by_hand,
    chain,
    records_of,
    tree,
)

pytestmark = pytest.mark.slow

CONSTRUCTED = {each["name"]: each for each in VECTORS["constructed"]["trees"]}
RECORDS = records_of(40)


@cache
def many() -> SignedTree:
    """A large tree."""
    return tree("many", records_of(3000))


def texts(records: Any) -> set[str]:
    return {str(record) for record in records}


def walk_of(*trees: SignedTree, seed: int = 1) -> Walk:
    """A client of the first tree, with the records of all."""
    records = {name: text for each in trees for name, text in each.records.items()}
    return Walk([trees[0].url], records, seed)


def constructed(name: str) -> Walk:
    return Walk([CONSTRUCTED[name]["url"]], CONSTRUCTED[name]["records"])


# What is found.


def test_nodes_of_the_example_are_found() -> None:
    records = {
        "n" if each["name"] == "@" else f"{each['name']}.n": each["text"]
        for each in EXAMPLE["records"]
    }
    walk = Walk([EXAMPLE["url"]], records)
    walk.until(lambda: len(walk.found) == 3)
    assert walk.found == set(EXAMPLE["nodes"])
    assert walk.client.trees == [parse_link(url) for url in (EXAMPLE["url"], *EXAMPLE["links"])]


def test_large_tree_is_found_whole() -> None:
    walk = walk_of(many())
    walk.until(lambda: len(walk.nodes) == 3000)
    assert len(walk.found) == 3000
    assert walk.refused == []
    assert walk.now < RECHECK_INTERVAL_S
    assert len(walk.client._cache) == CACHE_SIZE


def test_large_tree_has_nodes_at_once() -> None:
    walk = walk_of(many())
    walk.until(lambda: len(walk.nodes) == 3)
    assert len(walk.asked) < 60


def test_order_of_the_nodes_is_random() -> None:
    orders = []
    for seed in (1, 2, 3):
        walk = walk_of(tree("n", RECORDS), seed=seed)
        walk.until(lambda walk=walk: len(walk.nodes) == len(RECORDS))  # type: ignore[misc]
        orders.append(tuple(str(node) for node in walk.nodes))
    assert len(set(orders)) == 3
    assert len({frozenset(order) for order in orders}) == 1


def test_second_walk_over_a_tree_looks_nothing_up() -> None:
    walk = walk_of(tree("n", RECORDS))
    walk.until(lambda: len(walk.nodes) == len(RECORDS))
    asked = list(walk.asked)
    walk.until(lambda: len(walk.nodes) == 2 * len(RECORDS))
    assert walk.asked == asked
    assert texts(walk.nodes[len(RECORDS) :]) == texts(RECORDS)


def test_nothing_is_looked_up_for_a_program_that_does_not_ask() -> None:
    walk = walk_of(many())
    walk.until(lambda: walk.nodes)
    asked = len(walk.asked)
    assert walk.client.poll_events() == []
    assert len(walk.asked) == asked


def test_tree_without_nodes_waits_for_a_new_root() -> None:
    walk = walk_of(tree("n", []))
    walk.until(lambda: walk.client.deadline >= RECHECK_INTERVAL_S)
    assert walk.now < 1
    walk.records.update(tree("n", RECORDS, seq=2).records)
    walk.until(lambda: len(walk.found) == len(RECORDS))


def test_client_without_lists_has_nothing_to_do() -> None:
    client = Client([], random.Random(1), 0.0)
    assert client.deadline == math.inf
    assert client.poll_lookup(1e9) is None


# The machine.


def test_one_name_is_looked_up_at_a_time() -> None:
    client = Client([EXAMPLE["url"]], random.Random(1), 5.0)
    assert client.deadline <= 5.0
    assert client.poll_lookup(5.0) == "n"
    assert client.deadline == math.inf
    assert client.poll_lookup(6.0) is None


@pytest.mark.parametrize("name", ["n", "other"])
def test_answer_that_was_not_asked_for_is_refused(name: str) -> None:
    client = Client([EXAMPLE["url"]], random.Random(1), 0.0)
    if name == "other":
        client.poll_lookup(0.0)
    with pytest.raises(ArgumentError):
        client.receive_texts(name, [], 0.0)
    with pytest.raises(ArgumentError):
        client.receive_failure(name, 0.0)


def test_node_must_be_polled_before_the_next_step() -> None:
    walk = walk_of(tree("n", RECORDS[:1]))
    client = walk.client
    while name := client.poll_lookup(0.0):
        client.receive_texts(name, [walk.records[name]], 0.0)
    assert client.poll_lookup(1.0) is None
    (event,) = client.poll_events()
    assert isinstance(event, module.NodeFound)
    assert (str(event.node), str(event.link)) == (str(RECORDS[0]), walk_url(walk))
    assert client.poll_events() == []


def walk_url(walk: Walk) -> str:
    return str(walk.client.trees[0])


def test_invalid_urls_and_too_many_are_refused() -> None:
    with pytest.raises(InvalidTree):
        Client(["enrtree://n"], random.Random(1), 0.0)
    urls = [f"{EXAMPLE['url']}{number}" for number in range(MAX_TREES + 1)]
    assert len(Client(urls[1:], random.Random(1), 0.0).trees) == MAX_TREES
    with pytest.raises(ArgumentError):
        Client(urls, random.Random(1), 0.0)


def test_steps_are_limited_per_second_also_those_without_a_look_up() -> None:
    walk = walk_of(tree("n", RECORDS[:1]))
    walk.until(lambda: len(walk.nodes) == 100)
    assert len(walk.asked) == 3
    assert walk.now == pytest.approx((102 - BURST) / STEPS_PER_S)


def test_entry_used_least_recently_is_not_kept() -> None:
    cache = EntryCache(size=2)
    first, second, third = (
        Verified(keccak256(str(record).encode()), record) for record in RECORDS[:3]
    )
    cache.add(first)
    cache.add(second)
    assert cache.get(first.digest[:12]) is first
    cache.add(third)
    assert (cache.get(first.digest), cache.get(second.digest)) == (first, None)
    assert len(cache) == 2


# Changes of the root.


def test_root_is_looked_up_every_half_hour() -> None:
    walk = walk_of(tree("n", RECORDS[:5]))
    walk.until_time(3 * RECHECK_INTERVAL_S - 10)
    times = [time for time, name in zip(walk.times, walk.asked, strict=True) if name == "n"]
    assert times == pytest.approx([0, RECHECK_INTERVAL_S, 2 * RECHECK_INTERVAL_S], abs=1)


def test_root_of_a_higher_sequence_number_replaces_the_tree() -> None:
    walk = walk_of(tree("n", RECORDS[:20]))
    walk.until(lambda: len(walk.found) == 20)
    walk.records = dict(tree("n", RECORDS[10:30], seq=2).records)
    walk.until_time(RECHECK_INTERVAL_S + 1)
    walk.nodes.clear()
    walk.until(lambda: len(walk.nodes) == 200)
    assert walk.found == texts(RECORDS[10:30])


def test_root_of_a_lower_sequence_number_is_refused() -> None:
    first, second = CONSTRUCTED["rollback-seq"]["records"].values()
    walk = Walk([CONSTRUCTED["rollback-seq"]["url"]], first)
    walk.until(lambda: walk.nodes)
    walk.records = dict(second)
    walk.until(lambda: walk.refused)
    assert walk.now == pytest.approx(RECHECK_INTERVAL_S, abs=1)
    assert "4 after 5" in str(walk.refused[0].error)
    walk.until_time(walk.now + RECHECK_INTERVAL_S)
    assert walk.found == texts([EXAMPLE["nodes"][0]])


def test_root_of_the_same_sequence_number_is_taken() -> None:
    walk = walk_of(tree("n", RECORDS[:1]))
    walk.until(lambda: walk.nodes)
    walk.records.update(tree("n", RECORDS[:2]).records)
    walk.until_time(RECHECK_INTERVAL_S + 1)
    walk.nodes.clear()
    walk.until(lambda: len(walk.found) == 2, steps=20)


def test_newest_of_several_roots_is_taken_and_other_texts_are_skipped() -> None:
    old, new = tree("n", RECORDS[:1], seq=1), tree("n", RECORDS[1:2], seq=2)
    forged = str(Root.sign(OTHER_KEY, hash_of(EMPTY), hash_of(EMPTY), 9))
    walk = walk_of(old, new)
    walk.records["n"] = ["v=spf1 -all", forged, old.records["n"], new.records["n"], "ä", ""]
    walk.until(lambda: walk.nodes)
    assert walk.found == texts(RECORDS[1:2])
    assert walk.refused == []


def test_unreachable_entries_lead_to_a_new_root() -> None:
    walk = walk_of(tree("n", RECORDS[:30]))
    walk.until(lambda: len(walk.nodes) == 1)
    walk.records = dict(tree("n", RECORDS[30:], seq=2).records)
    walk.until(lambda: texts(RECORDS[30:]) <= walk.found)
    assert walk.asked.count("n") == 2
    assert walk.now < 120


# Failures.


def test_pause_doubles_while_the_root_cannot_be_resolved() -> None:
    walk = Walk([EXAMPLE["url"]], {})
    walk.until(lambda: len(walk.asked) == 14)
    pauses = [after - before for before, after in zip(walk.times, walk.times[1:], strict=False)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


def test_missing_entry_is_given_up_until_the_next_walk() -> None:
    signed = tree("n", RECORDS[:2])
    missing = f"{hash_of(str(RECORDS[0]))}.n"
    walk = walk_of(signed)
    del walk.records[missing]
    walk.until(lambda: len(walk.nodes) == 2)
    assert MAX_TRIES <= walk.asked.count(missing) < 2 * MAX_TRIES
    assert walk.found == texts([RECORDS[1]])
    walk.records[missing] = signed.records[missing]
    walk.until(lambda: walk.found == texts(RECORDS[:2]))


def test_missing_children_of_the_vectors_are_looked_up_within_limits() -> None:
    walk = constructed("branch-13-missing-children")
    walk.until_time(RECHECK_INTERVAL_S)
    assert walk.nodes == []
    assert len(walk.asked) <= 3 + 13 * 3 + 10
    for start, end in zip(walk.times, walk.times[BURST:], strict=False):
        assert end - start >= 1 / STEPS_PER_S


def test_tree_with_failures_does_not_hold_up_others() -> None:
    good, bad = tree("good", RECORDS[:5]), tree("bad", RECORDS[5:])
    walk = Walk([bad.url, good.url], {**good.records, "bad": bad.records["bad"]})
    walk.until(lambda: len(walk.found) == 5)
    assert walk.now < 10


# Links.


def test_links_are_followed_also_over_several_trees() -> None:
    third = tree("c", RECORDS[20:30])
    second = tree("b", RECORDS[10:20], [third.url])
    first = tree("a", RECORDS[:10], [second.url])
    walk = walk_of(first, second, third)
    walk.until(lambda: len(walk.found) == 30)
    assert [link.domain for link in walk.client.trees] == ["a", "b", "c"]


def test_loop_of_links_ends() -> None:
    walk = constructed("link-loop-two-trees")
    walk.until_time(RECHECK_INTERVAL_S - 1)
    assert [link.domain for link in walk.client.trees] == ["n", "a"]
    assert sorted(walk.asked) == sorted(set(walk.asked))


def test_tree_that_links_to_itself_is_followed_once() -> None:
    url = str(Link(KEY.public_key, "a"))
    walk = walk_of(tree("a", RECORDS[:2], [url]))
    walk.until(lambda: len(walk.found) == 2)
    assert len(walk.client.trees) == 1


def test_tree_is_left_when_no_link_leads_to_it() -> None:
    second = tree("b", RECORDS[10:20], [str(Link(KEY.public_key, "a"))])
    walk = walk_of(tree("a", RECORDS[:10], [second.url]), second)
    walk.until(lambda: len(walk.found) == 20)
    walk.records.update(tree("a", RECORDS[:10], seq=2).records)
    walk.until_time(RECHECK_INTERVAL_S + 60)
    walk.nodes.clear()
    walk.until(lambda: len(walk.nodes) == 50)
    assert walk.found == texts(RECORDS[:10])
    assert [link.domain for link in walk.client.trees] == ["a"]


def test_tree_is_left_although_the_new_links_are_garbage() -> None:
    walk = walk_of(tree("a", RECORDS[:10], [str(Link(KEY.public_key, "b"))]))
    walk.until(lambda: walk.nodes)
    assert len(walk.client.trees) == 2
    walk.records.update(by_hand("a", str(RECORDS[0]), "enr:garbage", seq=2).records)
    walk.until_time(RECHECK_INTERVAL_S + 60)
    assert len(walk.client.trees) == 1


def test_links_of_a_list_are_limited() -> None:
    urls = [str(Link(KEY.public_key, f"b{number}")) for number in range(3 * MAX_LINKS)]
    walk = walk_of(tree("a", RECORDS[:1], urls))
    walk.until(lambda: walk.nodes)
    assert len(walk.client.trees) == 1 + MAX_LINKS


def test_full_list_of_links_can_be_replaced() -> None:
    urls = [str(Link(KEY.public_key, f"b{number}")) for number in range(2 * MAX_LINKS)]
    walk = walk_of(tree("a", RECORDS[:1], urls[:MAX_LINKS]))
    walk.until(lambda: walk.nodes)
    walk.records = dict(tree("a", RECORDS[:1], urls[MAX_LINKS:], seq=2).records)
    walk.until_time(RECHECK_INTERVAL_S + 60)
    assert {str(link) for link in walk.client.trees[1:]} == set(urls[MAX_LINKS:])


def test_trees_and_links_to_them_are_limited() -> None:
    urls = [str(Link(KEY.public_key, f"t{number}")) for number in range(100)]
    trees = [tree(f"t{number}", [], urls[number + 1 : number + 20]) for number in range(100)]
    walk = walk_of(*trees)
    walk.until_time(RECHECK_INTERVAL_S)
    assert len(walk.client.trees) == MAX_TREES


def test_chain_of_links_is_limited() -> None:
    urls = [str(Link(KEY.public_key, f"t{number}")) for number in range(20)]
    trees = [tree(f"t{number}", [], urls[number + 1 : number + 2]) for number in range(20)]
    walk = walk_of(*trees)
    walk.until_time(RECHECK_INTERVAL_S)
    assert len(walk.client.trees) == 1 + module.MAX_LINK_DEPTH


# Hostile trees.


def refused(walk: Walk) -> list[str]:
    walk.until(lambda: walk.refused)
    walk.until_time(RECHECK_INTERVAL_S - 1)
    assert walk.nodes == []
    return [str(each.error) for each in walk.refused]


def test_entry_with_another_hash_is_refused() -> None:
    assert "no entry with the hash" in refused(constructed("hash-mismatch"))[0]


def test_root_with_another_signature_is_refused() -> None:
    walk = constructed("root-bad-signature")
    assert "signature" in refused(walk)[0]
    assert set(walk.asked) == {"n"}


def test_node_among_links_is_refused() -> None:
    assert refused(constructed("enr-in-link-tree")) == ["link among nodes, or node among links"]


def test_link_among_nodes_is_refused() -> None:
    walk = walk_of(by_hand("n", EXAMPLE["links"][0]))
    assert refused(walk) == ["link among nodes, or node among links"]
    assert len(walk.client.trees) == 1


def test_invalid_record_is_refused_and_not_looked_up_again() -> None:
    walk = Walk([VECTORS["bad_node_tree"]["url"]], VECTORS["bad_node_tree"]["records"])
    assert "illegal base64" in refused(walk)[0]
    assert walk.asked.count("INDMVBZEEQ4ESVYAKGIYU74EAA.n") == 1


def test_chain_of_branches_is_limited() -> None:
    *texts_below, last = chain(RECORDS[0], MAX_DEPTH)
    walk = walk_of(by_hand("n", last, more=texts_below))
    walk.until(lambda: walk.nodes)
    *texts_below, last = chain(RECORDS[0], MAX_DEPTH + 1)
    assert "too deep" in refused(walk_of(by_hand("n", last, more=texts_below)))[0]


def test_branch_that_many_refer_to_is_followed_once() -> None:
    # Each level refers twice to the next one, by hashes of two lengths: 2**15 ways to the leaf.
    below = [str(RECORDS[0])]
    for _ in range(MAX_DEPTH - 1):
        full = hash_of(below[-1])
        below.append(str(Branch((full, full[:20], full))))
    walk = walk_of(by_hand("n", below[-1], more=below))
    for text in below:
        walk.records[f"{hash_of(text)[:20]}.n"] = text
    walk.until(lambda: walk.nodes)
    walk.until_time(100)
    assert len(walk.nodes) > 5
    assert len(walk.asked) <= 2 * len(below) + 2


def test_huge_branch_and_garbage_are_refused() -> None:
    for text in (str(Branch((hash_of("x"),) * 1000)), "", "garbage", "ä", "enrtree-branch:x"):
        walk = walk_of(by_hand("n", text))
        assert len(refused(walk)) >= 1


def test_texts_after_many_others_are_not_looked_at() -> None:
    walk = walk_of(tree("n", RECORDS))
    walk.records["n"] = ["x"] * MAX_TEXTS + [walk.records["n"]]
    assert refused(walk)[0] == "no root among the TXT records"


def test_entry_of_another_tree_is_not_taken_for_one_whose_hash_only_begins_alike() -> None:
    walk = walk_of(tree("a", RECORDS[:1]))
    name = hash_of(str(RECORDS[0]))
    longer = name[:20] + ("B" if name[20] != "B" else "C") + name[21:]
    hostile = by_hand("b", str(Branch((longer,))))
    walk = Walk([str(Link(KEY.public_key, "a")), hostile.url], walk.records)
    walk.until(lambda: walk.nodes)
    walk.records.update(hostile.records)
    walk.until(lambda: f"{longer}.b" in walk.asked)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_answers_lead_to_nodes_of_the_list_only(data: st.DataObject) -> None:
    signed = tree("n", RECORDS[:14], [str(Link(OTHER_KEY.public_key, "m"))])
    foreign = Tree(2, RECORDS[14:]).sign(OTHER_KEY, "n")
    answers = [*signed.records.values(), *foreign.records.values(), EMPTY, "", "x"]
    walk = Walk([signed.url], signed.records, data.draw(st.integers(0, 99)))
    for name in data.draw(st.sets(st.sampled_from(sorted(signed.records)))):
        wrong = st.lists(st.sampled_from(answers) | st.text(max_size=50), max_size=4)
        walk.records[name] = data.draw(st.none() | wrong)
    walk.records.update({name: foreign.records[name] for name in foreign.records if name != "n"})
    for _ in range(60):
        walk.step()
    assert walk.found <= texts(RECORDS[:14])
    assert len(walk.client.trees) <= 2
