from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

import p2p
from p2p.dnsdisc.entry import Link, hash_of, parse_link
from p2p.dnsdisc.subtree import MAX_DEPTH, MAX_TRIES
from p2p.dnsdisc.tree import SignedTree
from p2p.dnsdisc.treereader import Problem, PublishedTree, TreeReader
from p2p.errors import ArgumentError, InvalidTree
from tests.dnsdisc.zone import EMPTY, KEY, OTHER_KEY, by_hand, chain, records_of, tree
from tests.kit.nameserver import name_server

DOMAIN = "n.example.org"
LINKS = [str(Link(OTHER_KEY.public_key, f"{name}.example.org")) for name in "abc"]


class Reading:
    """A reader, and the names that it asked for; ``failures`` is the number for each name."""

    def __init__(
        self, signed: SignedTree, records: Mapping[str, Any] | None = None, failures: int = 0
    ) -> None:
        self.asked: list[str] = []
        self.reader = TreeReader(parse_link(signed.url), random.Random(1))
        records = signed.records if records is None else records
        while (name := self.reader.poll_lookup()) is not None:
            self.asked.append(name)
            if name not in records or self.asked.count(name) <= failures:
                self.reader.receive_failure(name, "no answer")
            else:
                self.reader.receive_texts(name, [records[name]])

    @property
    def tree(self) -> PublishedTree:
        return self.reader.result()


@pytest.mark.parametrize("count", [0, 1, 2, 14, 200])
def test_a_tree_is_read_whole_and_each_name_once(count: int) -> None:
    records = records_of(count)
    signed = tree(DOMAIN, records, LINKS[: min(count, 3)], seq=9)
    reading = Reading(signed)
    found = reading.tree
    assert sorted(reading.asked) == sorted({*signed.records}) or count == 0
    assert (found.seq, found.signature, found.problems) == (9, signed.signature, ())
    assert found.records == signed.records
    assert set(found.nodes) == set(records)
    assert {str(link) for link in found.links} == set(LINKS[: min(count, 3)])
    assert reading.reader.read == reading.reader.known == len(signed.records)


def test_a_failed_look_up_is_tried_again() -> None:
    signed = tree(DOMAIN, records_of(5))
    reading = Reading(signed, failures=MAX_TRIES - 1)
    assert reading.tree.records == signed.records and reading.tree.problems == ()


def test_a_missing_entry_is_a_problem_and_the_rest_is_read() -> None:
    signed = tree(DOMAIN, records_of(5))
    gone = f"{hash_of(str(records_of(1)[0]))}.{DOMAIN}"
    reading = Reading(signed, {name: text for name, text in signed.records.items() if name != gone})
    assert reading.tree.problems == (Problem(gone, "no answer"),)
    assert set(reading.tree.nodes) == set(records_of(4, 1))
    assert reading.asked.count(gone) == MAX_TRIES


def test_an_entry_of_another_hash_is_a_problem() -> None:
    signed = tree(DOMAIN, records_of(2))
    name = f"{hash_of(str(records_of(1)[0]))}.{DOMAIN}"
    (problem,) = Reading(signed, {**signed.records, name: str(records_of(1, 7)[0])}).tree.problems
    assert problem.name == name and "no entry with the hash" in problem.reason


@pytest.mark.parametrize("swapped", [False, True])
def test_a_link_among_nodes_is_a_problem(swapped: bool) -> None:
    texts = (LINKS[0], EMPTY) if not swapped else (EMPTY, str(records_of(1)[0]))
    (problem,) = Reading(by_hand(DOMAIN, *texts)).tree.problems
    assert problem.reason == "link among nodes, or node among links"


def test_a_tree_that_is_too_deep_is_a_problem() -> None:
    texts = chain(records_of(1)[0], MAX_DEPTH + 1)
    found = Reading(by_hand(DOMAIN, texts[-1], more=texts)).tree
    assert [problem.reason for problem in found.problems] == [
        "branch of a tree that is too deep or too large"
    ]


def test_a_root_of_another_key_is_refused() -> None:
    signed, other = (tree(DOMAIN, records_of(number)) for number in (1, 2))
    url = str(Link(OTHER_KEY.public_key, DOMAIN))
    with pytest.raises(InvalidTree, match="not of the key of the link"):
        Reading(SignedTree(url, signed.records))
    with pytest.raises(InvalidTree, match="no root among"):
        Reading(other, {DOMAIN: "v=spf1 -all"})


def test_without_a_root_there_is_no_result() -> None:
    reading = Reading(tree(DOMAIN, []), {})
    assert reading.asked == [DOMAIN] * MAX_TRIES
    with pytest.raises(InvalidTree, match="no answer"):
        _ = reading.tree


def test_an_answer_that_was_not_asked_for_is_refused() -> None:
    reader = TreeReader(parse_link(LINKS[0]), random.Random(1))
    with pytest.raises(ArgumentError):
        reader.receive_texts("a.example.org", [])


# read_tree


def test_read_tree_asks_the_name_server_and_tells_how_far_it_is() -> None:
    signed = tree(DOMAIN, records_of(20), LINKS)
    steps: list[tuple[int, int]] = []
    with name_server(dict(signed.records)) as server:
        resolver = p2p.dnsdisc.resolver_of(f"127.0.0.1:{server.port}")
        found = p2p.dnsdisc.read_tree(
            signed.url, resolver=resolver, on_progress=lambda *step: steps.append(step)
        )
    assert found.records == signed.records
    assert steps[-1] == (len(signed.records), len(signed.records))
    assert [read for read, _ in steps] == list(range(1, len(signed.records) + 1))


def test_read_tree_raises_an_os_error_without_an_answer() -> None:
    with name_server({}) as server, pytest.raises(OSError, match="cannot look up n.example.org"):
        p2p.dnsdisc.read_tree(tree(DOMAIN, []).url, resolver=server.resolver)


def test_wrong_arguments_of_read_tree_are_refused() -> None:
    with pytest.raises(InvalidTree):
        p2p.dnsdisc.read_tree("https://n.example.org")
    with pytest.raises(ArgumentError, match="on_progress"):
        p2p.dnsdisc.read_tree(LINKS[0], on_progress=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("192.0.2.53", "192.0.2.53", 53),
        ("127.0.0.1:5353", "127.0.0.1", 5353),
        ("::1", "::1", 53),
        ("[::1]:5353", "::1", 5353),
    ],
)
def test_resolver_of_an_address(server: str, host: str, port: int) -> None:
    resolver: Any = p2p.dnsdisc.resolver_of(server)
    assert (resolver.nameservers, resolver.port) == ([host], port)


@pytest.mark.parametrize(
    "server", ["", "ns.example.org", "1.2.3", "127.0.0.1:0", ":53", "[::1]", 5]
)
def test_resolver_of_anything_else_is_refused(server: Any) -> None:
    with pytest.raises(ArgumentError, match="server"):
        p2p.dnsdisc.resolver_of(server)


# the signature that a publisher keeps


def test_a_signature_made_before_signs_the_same_tree() -> None:
    made = p2p.dnsdisc.Tree(3, records_of(4), LINKS)
    signed = made.sign(KEY, DOMAIN)
    assert made.with_signature(signed.url, signed.signature) == signed


def test_a_signature_of_another_tree_or_key_is_refused() -> None:
    made = p2p.dnsdisc.Tree(3, records_of(4), LINKS)
    signed = made.sign(KEY, DOMAIN)
    with pytest.raises(InvalidTree, match="not of this tree"):
        p2p.dnsdisc.Tree(4, records_of(4), LINKS).with_signature(signed.url, signed.signature)
    with pytest.raises(InvalidTree, match="not of this tree"):
        made.with_signature(Link(OTHER_KEY.public_key, DOMAIN), signed.signature)
    with pytest.raises(InvalidTree, match="not base64|not 65 bytes"):
        made.with_signature(signed.url, "x")
