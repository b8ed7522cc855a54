from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.codec import encode, encode_list
from p2p.crypto import PrivateKey, keccak256
from p2p.dnsdisc.entry import hash_of, parse_entry, parse_link, parse_root
from p2p.dnsdisc.tree import BRANCH_SIZE, Tree
from p2p.enode.node import Node
from p2p.enr import Raw, Record
from p2p.enr.layout import assemble, signed_items
from p2p.errors import ArgumentError, ArgumentTypeError, InvalidTree
from tests.dnsdisc.zone import EMPTY, EXAMPLE, KEY, VECTORS, Walk, records_of

EXAMPLE_RECORDS = [Record.from_text(text) for text in EXAMPLE["nodes"]]
RECORDS = records_of(200)
LINKS = [f"{EXAMPLE['url'][:-1]}list{number}.example.org" for number in range(30)]


def test_tree_of_the_example_is_built_and_signed_alike() -> None:
    tree = Tree(EXAMPLE["seq"], EXAMPLE_RECORDS, EXAMPLE["links"])
    signed = tree.sign(KEY, "n")
    assert signed.url == EXAMPLE["url"]
    wanted = {
        "n" if each["name"] == "@" else f"{each['name']}.n": each["text"]
        for each in EXAMPLE["records"]
    }
    assert signed.records == wanted


def test_empty_tree_has_two_empty_branches() -> None:
    signed = Tree(1, []).sign(KEY, "n")
    example = VECTORS["constructed"]["trees"][0]["records"]
    assert signed.records.keys() == {"n", "FDXN3SN67NA5DKA4J2GOK7BVQI.n"}
    assert signed.records["FDXN3SN67NA5DKA4J2GOK7BVQI.n"] == EMPTY
    assert example["FDXN3SN67NA5DKA4J2GOK7BVQI.n"] == EMPTY


@pytest.mark.parametrize("count", [1, 2, BRANCH_SIZE, BRANCH_SIZE + 1, 169, 170, 200])
def test_each_text_fits_and_has_the_hash_of_its_name(count: int) -> None:
    signed = Tree(2**64 - 1, RECORDS[:count], LINKS[: min(count, 30)]).sign(KEY, "n.example.org")
    for name, text in signed.records.items():
        if name == "n.example.org":
            assert parse_root(text).is_signed_by(KEY.public_key)
        else:
            assert name == f"{hash_of(text)}.n.example.org"
            assert str(parse_entry(text)) == text
        assert len(text) <= 404 if text.startswith("enr:") else len(text) <= 370


def test_order_of_the_nodes_makes_no_difference() -> None:
    tree = Tree(1, RECORDS, LINKS).sign(KEY, "n")
    nodes = [Node.from_record(record) for record in reversed(RECORDS)]
    assert Tree(1, nodes, LINKS + LINKS).sign(KEY, "n") == tree


def test_of_several_records_of_a_node_the_newest_is_taken() -> None:
    key = PrivateKey.from_bytes(bytes(31) + b"\x01")
    records = [Record.sign(key, seq) for seq in (2, 3, 1)]
    assert Tree(1, records).records == (records[1],)


def test_links_are_links_or_urls() -> None:
    link = parse_link(LINKS[0])
    assert Tree(1, [], [link, LINKS[1]]).links == (link, parse_link(LINKS[1]))


def test_node_without_a_record_is_refused() -> None:
    with pytest.raises(InvalidTree, match="no record"):
        Tree(1, [Node.from_parts(KEY.public_key, "10.0.0.1", 30303)])


@pytest.mark.parametrize("port", ["tcp", "tcp6", "udp", "udp6", "quic", "quic6"])
def test_record_with_a_port_that_is_none_is_refused(port: str) -> None:
    pairs = {**Record.sign(KEY, 1).pairs, port.encode(): Raw(encode(0x10000))}
    items = signed_items(1, pairs)
    record = Record(assemble(KEY.sign(keccak256(encode_list(items)))[:64], items))
    with pytest.raises(InvalidTree, match=f"invalid {port} port"):
        Tree(1, [record])


@pytest.mark.parametrize("seq", [-1, 2**64, "1", None])
def test_wrong_sequence_number_is_refused(seq: Any) -> None:
    with pytest.raises(ArgumentError):
        Tree(seq, [])


@pytest.mark.parametrize("value", ["enr:", LINKS[0], b"", 5, None, Node.from_record(RECORDS[0])])
def test_what_is_no_list_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="^nodes: wanted a list of nodes"):
        Tree(1, value)
    with pytest.raises(ArgumentTypeError, match="^links: wanted a list of links"):
        Tree(1, [], value)


def test_arguments_of_other_types_are_refused() -> None:
    with pytest.raises(ArgumentTypeError):
        Tree(1, ["enr:"])  # type: ignore[list-item]
    with pytest.raises(InvalidTree):
        Tree(1, [], ["https://n"])
    with pytest.raises(ArgumentTypeError):
        Tree(1, []).sign(b"key", "n")  # type: ignore[arg-type]


@pytest.mark.parametrize("domain", ["", "a b", "x" * 64])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(InvalidTree, match="domain"):
        Tree(1, []).sign(KEY, domain)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 199), min_size=1), st.sets(st.integers(0, 29)), st.integers(0, 9))
def test_client_finds_just_the_nodes_and_links_of_a_tree(
    nodes: set[int], links: set[int], seed: int
) -> None:
    tree = Tree(1, [RECORDS[number] for number in nodes], [LINKS[number] for number in links])
    signed = tree.sign(KEY, "n.example.org")
    walk = Walk([signed.url], signed.records, seed)
    walk.until(lambda: len(walk.nodes) == len(nodes))
    assert walk.found == {str(record) for record in tree.records}
    assert set(walk.client.trees) == {parse_link(signed.url), *tree.links}
    assert walk.refused == []
