from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.dnsdisc import entry
from p2p.dnsdisc.entry import (
    MAX_SEQ,
    MAX_TEXT_SIZE,
    Branch,
    Link,
    Root,
    checked_domain,
    hash_of,
    parse_entry,
    parse_hash,
    parse_link,
    parse_root,
)
from p2p.enr import Record
from p2p.errors import ArgumentTypeError, InvalidTree
from tests.dnsdisc.zone import EXAMPLE, KEY, OTHER_KEY, VECTORS, records_of

HASH = "JWXYDBPXYWG6FX3GMDIBFA6CJ4"
ROOT = EXAMPLE["records"][0]["text"]
LINK = EXAMPLE["links"][0]

roots = pytest.mark.parametrize("case", VECTORS["parse_root"]["cases"])
entries = pytest.mark.parametrize("case", VECTORS["parse_entry"]["cases"])
below = pytest.mark.parametrize("record", EXAMPLE["records"][1:], ids=lambda each: each["name"])


@roots
def test_root_of_the_vectors(case: dict[str, Any]) -> None:
    if not case["valid"]:
        with pytest.raises(InvalidTree):
            parse_root(case["input"])
        return
    root = parse_root(case["input"])
    assert (root.nodes, root.links, root.seq) == (case["eroot"], case["lroot"], case["seq"])
    assert root.signature.hex() == case["signature"]
    assert root.is_signed_by(KEY.public_key) == case["signed_by_test_key"]
    assert str(root) == case["input"]


@entries
def test_entry_of_the_vectors(case: dict[str, Any]) -> None:
    if not case["valid"]:
        with pytest.raises(InvalidTree):
            parse_entry(case["input"])
        return
    found = parse_entry(case["input"])
    assert str(found) == case["input"]
    if isinstance(found, Branch):
        assert list(found.children) == case["children"]
    elif isinstance(found, Link):
        assert found.domain == case["domain"]
        assert found.public_key.to_compressed().hex() == case["pubkey"]
    else:
        assert isinstance(found, Record)


@below
def test_entry_of_the_example_has_its_hash(record: dict[str, str]) -> None:
    assert hash_of(record["text"]) == record["name"]
    assert str(parse_entry(record["text"])) == record["text"]


def test_root_of_the_example_is_signed_by_its_key_only() -> None:
    root = parse_root(ROOT)
    assert str(root) == ROOT
    assert root.is_signed_by(KEY.public_key)
    assert not root.is_signed_by(OTHER_KEY.public_key)
    assert Root.sign(KEY, root.nodes, root.links, root.seq) == root


@pytest.mark.parametrize("part", ["nodes", "links", "seq"])
def test_signature_is_over_each_part_of_a_root(part: str) -> None:
    root = parse_root(ROOT)
    parts = {"nodes": root.nodes, "links": root.links, "seq": root.seq}
    parts[part] = 2 if part == "seq" else HASH[::-1]
    assert not Root(signature=root.signature, **parts).is_signed_by(KEY.public_key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "old, new",
    [
        (" l=", "  l="), ("seq=1", "seq=01"), ("seq=1", "seq=-1"), ("seq=1", f"seq={2**64}"),
        ("seq=1", "seq=" + "9" * 300), ("v1", "v2"), ("e=JW", "e=jw"), ("463gA", "463gB"),
        ("463gA", "463gA="), ("463gA", "463gA more"), (" sig=", " x=1 sig="), ("=JWXY", "="),
    ],
)  # fmt: skip
def test_root_with_another_syntax_is_refused(old: str, new: str) -> None:
    assert old in ROOT
    with pytest.raises(InvalidTree):
        parse_root(ROOT.replace(old, new, 1))


def test_largest_sequence_number_is_read() -> None:
    assert parse_root(str(Root.sign(KEY, HASH, HASH, MAX_SEQ))).seq == MAX_SEQ


def test_branch_with_more_entries_than_fit_into_a_text_is_refused() -> None:
    most = [f"A{number:019d}".translate(str.maketrans("0189", "WXYZ")) for number in range(23)]
    text = str(Branch(tuple(most)))
    assert len(text) <= MAX_TEXT_SIZE < len(text) + len(most[0]) + 1
    assert parse_entry(text) == Branch(tuple(most))
    with pytest.raises(InvalidTree):
        parse_entry(f"{text},{most[0]}")


@pytest.mark.parametrize(
    "text",
    [",", f"{HASH},", f",{HASH}", HASH.lower(), f"{HASH}\n", f" {HASH}", HASH[:19], "A" * 53,
     "A" * 22, "A0" * 13],
)  # fmt: skip
def test_branch_of_other_texts_than_hashes_is_refused(text: str) -> None:
    with pytest.raises(InvalidTree):
        parse_entry(f"enrtree-branch:{text}")


@pytest.mark.parametrize("length, size", [(20, 12), (26, 16), (52, 32)])
def test_hash_may_be_short_or_long(length: int, size: int) -> None:
    assert len(parse_hash("B" * length)) == size


@pytest.mark.parametrize(
    "domain",
    ["", ".", "a..b", "a.", ".a", "a b", "a/b", "a@b", "a:1", "ä.example", "x" * 64,
     ".".join(["a" * 50] * 4)],
)  # fmt: skip
def test_link_to_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(InvalidTree):
        parse_link(f"{LINK.partition('@')[0]}@{domain}")


def test_domains_of_links_are_equal_in_upper_and_lower_case() -> None:
    assert parse_link(LINK.replace("morenodes", "MoreNodes")) == parse_link(LINK)
    assert checked_domain("N") == "n"


def test_link_of_a_user_may_have_white_space_around_it_and_an_entry_not() -> None:
    assert str(parse_link(f" {LINK}\n")) == LINK
    with pytest.raises(InvalidTree):
        parse_entry(f"{LINK}\n")


def test_link_has_one_text() -> None:
    key, _, domain = EXAMPLE["url"].partition("@")
    assert key.endswith("2")
    with pytest.raises(InvalidTree, match="base32"):
        parse_link(f"{key[:-1]}3@{domain}")


@pytest.mark.parametrize("url", ["https://n", "enrtree:n", "", "enode://x@n"])
def test_url_of_another_scheme_is_no_link(url: str) -> None:
    with pytest.raises(InvalidTree, match="prefix"):
        parse_link(url)


def test_url_that_is_no_text_is_an_argument_of_the_wrong_type() -> None:
    with pytest.raises(ArgumentTypeError):
        parse_link(b"enrtree://")  # type: ignore[arg-type]


@pytest.mark.parametrize("read", [parse_root, parse_entry, parse_link])
def test_text_of_any_size_is_refused_at_once(read: Any) -> None:
    for prefix in ("enrtree-root:v1 e=", "enrtree-branch:", "enrtree://", "enr:"):
        with pytest.raises(InvalidTree, match="at most 512"):
            read(prefix + "A" * 1_000_000)


@given(st.text() | st.sampled_from([ROOT, LINK, EXAMPLE["records"][2]["text"]]), st.data())
def test_readers_raise_nothing_but_invalid_tree(text: str, data: st.DataObject) -> None:
    prefix = data.draw(st.sampled_from(["", entry.ROOT_PREFIX, "enrtree-branch:", "enrtree://"]))
    at = data.draw(st.integers(0, len(text)))
    changed = prefix + text[:at] + data.draw(st.text(max_size=3)) + text[at:]
    for read in (parse_root, parse_entry, parse_link, parse_hash, checked_domain):
        try:
            read(changed)
        except InvalidTree:
            continue


def test_record_is_read_as_an_entry() -> None:
    record = records_of(1)[0]
    assert parse_entry(record.to_text()) == record
    with pytest.raises(InvalidTree, match="record"):
        parse_entry(VECTORS["bad_node_tree"]["records"]["INDMVBZEEQ4ESVYAKGIYU74EAA.n"])


@pytest.mark.parametrize("character", ["x", "'", "\\", "\x1b", "\udc86", "\U000e0001"])
@pytest.mark.parametrize("read, before", [
    (parse_entry, ""),
    (parse_entry, "enrtree-branch:"),
    (parse_hash, ""),
    (checked_domain, "a b"),
])  # fmt: skip
def test_error_shows_a_short_part_of_the_text_escaped(
    read: Any, before: str, character: str
) -> None:
    with pytest.raises(InvalidTree) as caught:
        read(before + character * 300)
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()
