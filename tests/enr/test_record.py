from __future__ import annotations

import copy
import json
import pathlib
import pickle
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.codec import decode, encode
from p2p.crypto import PrivateKey, keccak256
from p2p.enr import MAX_SEQ, SIZE_LIMIT, Raw, Record
from p2p.enr.layout import assemble, signed_items
from p2p.errors import ArgumentTypeError, EncodeError, InvalidNode

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "enr.json").read_text()
)
VALID = VECTORS["valid"]
INVALID = VECTORS["invalid"]
CONSTRUCTED = VECTORS["constructed"]["cases"]
MISC = VECTORS["misc"]
EXAMPLE = VALID[0]
KEY = PrivateKey.from_bytes(bytes.fromhex(EXAMPLE["private_key"]))


def names(cases: list[dict[str, Any]]) -> list[str]:
    return [case["name"] for case in cases]


@pytest.mark.parametrize("case", VALID, ids=names(VALID))
def test_valid_record_reads_from_text_and_rlp_alike(case: dict[str, Any]) -> None:
    record = Record.from_text(case["text"])
    assert record == Record.from_rlp(bytes.fromhex(case["rlp"]))
    assert record.seq == case["seq"]
    assert record.signature.hex() == case["signature"]
    pairs = [[key.decode(), value.hex()] for key, value in record.pairs.items()]
    assert pairs == case["pairs_key_and_value_rlp"]


@pytest.mark.parametrize("case", VALID, ids=names(VALID))
def test_valid_record_is_written_as_it_was_read(case: dict[str, Any]) -> None:
    record = Record.from_rlp(bytes.fromhex(case["rlp"]))
    assert record.to_text() == str(record) == case["text"]
    assert record.to_rlp().hex() == case["rlp"]
    assert len(record.to_rlp()) == case["rlp_length"] <= SIZE_LIMIT


@pytest.mark.parametrize("case", VALID, ids=names(VALID))
def test_public_key_names_the_node(case: dict[str, Any]) -> None:
    public_key = Record.from_text(case["text"]).public_key
    assert keccak256(public_key.to_bytes()).hex() == case["node_id"]


@pytest.mark.parametrize(
    "case", [case for case in VALID if "decoded" in case], ids=lambda case: case["name"]
)
def test_entries_have_their_types(case: dict[str, Any]) -> None:
    record = Record.from_text(case["text"])
    want = dict(case["decoded"])
    assert record.get("id", str) == want.pop("id")
    if compressed := want.pop("secp256k1", None):
        assert record.public_key.to_compressed().hex() == compressed
    assert {key: getattr(record, key) for key in want} == {
        **want,
        "ip": IPv4Address(want["ip"]),
    }


@pytest.mark.parametrize("case", INVALID, ids=names(INVALID))
def test_invalid_record_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidNode):
        if "text" in case:
            Record.from_text(case["text"])
        else:
            Record.from_rlp(bytes.fromhex(case["rlp"]))


@pytest.mark.parametrize("case", CONSTRUCTED, ids=names(CONSTRUCTED))
def test_constructed_record_is_judged_by_the_rules(case: dict[str, Any]) -> None:
    def read() -> None:
        Record.from_rlp(bytes.fromhex(case["rlp"]))
        Record.from_text(case["text"])

    if case["expect"] == "reject":
        with pytest.raises(InvalidNode):
            read()
    elif case["expect"].startswith("accept or reject"):
        try:
            read()
        except InvalidNode:
            pass
    else:
        read()


def constructed(name: str) -> Record:
    (case,) = (case for case in CONSTRUCTED if case["name"] == name)
    return Record.from_text(case["text"])


def test_sequence_number_goes_up_to_64_bits() -> None:
    assert constructed("seq-max").seq == MAX_SEQ


def test_value_that_is_not_of_its_type_counts_as_absent() -> None:
    record = constructed("udp-leading-zero")
    assert record.udp is None
    assert "udp" in record


def test_what_has_another_kind_than_asked_for_counts_as_absent() -> None:
    record = Record.sign(KEY, 1, eth=[b"ab", 3])
    assert record.get("eth") == [b"ab", b"\x03"]
    assert record.get("eth", tuple[bytes, int]) == (b"ab", 3)
    assert record.get("eth", bytes) is None
    assert record.get("les") is None


def test_signing_is_deterministic_and_reproduces_the_example() -> None:
    record = Record.sign(KEY, 1, ip="127.0.0.1", udp=30303)
    assert record.to_text() == EXAMPLE["text"]


def test_record_of_a_mapping_equals_record_of_keywords() -> None:
    by_mapping = Record.sign(KEY, 1, {b"udp": 30303, b"ip": IPv4Address("127.0.0.1")})
    assert by_mapping == Record.sign(KEY, 1, ip="127.0.0.1", udp=30303)


def test_signed_empty_record_names_its_node() -> None:
    key = PrivateKey.from_bytes(bytes.fromhex(MISC["empty_record_signed_by"]))
    record = Record.sign(key, 0)
    assert keccak256(record.public_key.to_bytes()).hex() == MISC["empty_record_node_id"]
    assert list(record.pairs) == [b"id", b"secp256k1"]


@pytest.mark.parametrize("case", MISC["sorted_set"])
def test_entries_are_sorted_and_the_last_value_set_counts(case: dict[str, Any]) -> None:
    record = Record.sign(KEY, 0)
    for key, value in case["input"]:
        record = record.updated(KEY, {key: value})
    own = [[key.decode(), decode(value, int)] for key, value in record.pairs.items()]
    assert [pair for pair in own if pair[0] in "a b bb c d".split()] == case["result"]


def test_each_change_adds_one_to_the_sequence_number() -> None:
    record = Record.sign(KEY, 1, tcp=1).updated(KEY, tcp=2).updated(KEY, tcp=2)
    assert record.seq == 3


def test_update_with_none_removes_the_entry() -> None:
    record = Record.sign(KEY, 1, tcp=1, udp=2).updated(KEY, udp=None)
    assert (record.tcp, record.udp, "udp" in record) == (1, None, False)


def test_update_keeps_entries_of_unknown_keys() -> None:
    eth = Record.from_text(VALID[2]["text"]).pairs[b"eth"]
    record = Record.sign(KEY, 1, {"eth": eth}).updated(KEY, tcp=1)
    assert record.pairs[b"eth"] == eth


def test_largest_sequence_number_cannot_be_followed() -> None:
    with pytest.raises(EncodeError, match="64 bits"):
        Record.sign(KEY, MAX_SEQ).updated(KEY, tcp=1)


def test_every_typed_entry_reads_back() -> None:
    ports = {"tcp": 0, "tcp6": 1, "udp": 127, "udp6": 128, "quic": 256, "quic6": 65535}
    record = Record.sign(KEY, 7, ports, ip="1.2.3.4", ip6="2001:db8::1")
    assert {key: getattr(record, key) for key in ports} == ports
    assert record.ip == IPv4Address("1.2.3.4")
    assert record.ip6 == IPv6Address("2001:db8::1")


def test_absent_entries_are_none() -> None:
    record = Record.sign(KEY, 1)
    absent = ("ip", "ip6", "tcp", "tcp6", "udp", "udp6", "quic", "quic6")
    assert [getattr(record, key) for key in absent] == [None] * 8


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tcp", 65536),
        ("tcp", -1),
        ("ip", "::1"),
        ("ip", "127.0.0.256"),
        ("ip6", "127.0.0.1"),
        ("tcp", Raw(b"\x82\x00\x50")),
        ("ip", Raw(b"\x83abc")),
        ("any", Raw(b"")),
        ("any", Raw(b"\x82a")),
        ("any", Raw(b"\x01\x02")),
        ("any", object()),
        ("any", -1),
    ],
)
def test_entry_with_a_value_that_it_cannot_have_is_not_written(key: str, value: object) -> None:
    with pytest.raises(EncodeError, match=key):
        Record.sign(KEY, 1, {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tcp", True),
        ("udp6", "30303"),
        ("ip", b"\x7f\0\0\1"),
        ("ip", IPv6Address("::1")),
        ("ip6", None),
        ("secp256k1", b"\x02" * 33),
    ],
)
def test_entry_with_a_value_of_the_wrong_type_is_not_written(key: str, value: object) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^record entry '{key}': wanted an? .*; got "):
        Record.sign(KEY, 1, {key: value})


def test_key_given_as_text_and_as_bytes_is_an_error() -> None:
    with pytest.raises(EncodeError, match="twice"):
        Record.sign(KEY, 1, {b"tcp": 1}, tcp=2)


@pytest.mark.parametrize("seq", [-1, MAX_SEQ + 1])
def test_sequence_number_that_does_not_fit_is_not_written(seq: int) -> None:
    with pytest.raises(EncodeError, match="64 bits"):
        Record.sign(KEY, seq)


@pytest.mark.parametrize("ip", ["fe80::1%eth0", IPv6Address("fe80::1%eth0")])
def test_zone_of_an_address_is_not_written(ip: object) -> None:
    with pytest.raises(EncodeError, match=r"fe80::1%eth0 has a zone"):
        Record.sign(KEY, 1, ip6=ip)


def test_record_of_300_bytes_is_written_and_one_more_is_not() -> None:
    room = SIZE_LIMIT - len(Record.sign(KEY, 1, z=b"x" * 150).to_rlp())
    assert len(Record.sign(KEY, 1, z=b"x" * (150 + room)).to_rlp()) == SIZE_LIMIT
    with pytest.raises(EncodeError, match="301 bytes"):
        Record.sign(KEY, 1, z=b"x" * (151 + room))


def test_record_of_another_key_is_refused() -> None:
    rlp = bytearray(Record.sign(KEY, 1, tcp=1).to_rlp())
    rlp[-1] ^= 2
    with pytest.raises(InvalidNode, match="signature"):
        Record.from_rlp(bytes(rlp))


@pytest.mark.parametrize("stray", ["\n", " ", "=", "é", "+", "/", "٣"])
def test_text_with_any_other_character_is_refused(stray: str) -> None:
    with pytest.raises(InvalidNode):
        Record.from_text(EXAMPLE["text"] + stray + "A")
    with pytest.raises(InvalidNode):
        Record.from_text(EXAMPLE["text"][:20] + stray + EXAMPLE["text"][20:])


def test_text_prefix_is_lower_case() -> None:
    with pytest.raises(InvalidNode, match="enr:"):
        Record.from_text("ENR:" + EXAMPLE["text"][4:])


def test_overlong_text_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(InvalidNode, match="300"):
        Record.from_text("enr:" + "A" * 10_000_000)


def test_unsigned_record_of_another_scheme_is_refused() -> None:
    pairs = {b"id": Raw(encode("null")), b"nulladdr": Raw(encode(bytes(32)))}
    with pytest.raises(InvalidNode, match="scheme"):
        Record.from_rlp(assemble(b"", signed_items(5, pairs)))


def test_equal_records_are_equal_values() -> None:
    one, other = (Record.from_text(EXAMPLE["text"]) for _ in range(2))
    assert one == other
    assert len({one, other}) == 1
    assert one != Record.sign(KEY, 2)


def test_record_cannot_be_changed() -> None:
    record = Record.from_text(EXAMPLE["text"])
    with pytest.raises(AttributeError):
        record.seq = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        record.pairs[b"tcp"] = Raw(b"\x01")  # type: ignore[index]


def test_repr_lists_the_keys() -> None:
    record = Record.from_text(EXAMPLE["text"])
    assert repr(record) == "Record(seq=1, keys=['id', 'ip', 'secp256k1', 'udp'])"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_are_equal(duplicate: Any) -> None:
    record = Record.from_text(EXAMPLE["text"])
    assert duplicate(record) == record


def test_record_can_be_pickled() -> None:
    record = Record.from_text(EXAMPLE["text"])
    assert pickle.loads(pickle.dumps(record)) == record


ENTRY_KEYS = st.binary(max_size=8).filter(
    lambda key: key not in (b"id", b"secp256k1") and key.isalpha()
)


@given(st.dictionaries(ENTRY_KEYS, st.binary(max_size=8), max_size=6), st.integers(0, MAX_SEQ))
def test_signed_record_reads_back(entries: dict[bytes, bytes], seq: int) -> None:
    entries = {b"x" + key: value for key, value in entries.items()}
    record = Record.sign(KEY, seq, entries)
    again = Record.from_text(record.to_text())
    assert again == record
    assert again.seq == seq
    assert {key: again.get(key, bytes) for key in entries} == entries


@given(st.binary(max_size=400))
def test_any_bytes_are_a_record_or_invalid(data: bytes) -> None:
    with pytest.raises(InvalidNode):
        Record.from_rlp(data)


@given(st.integers(0, 133), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(position: int, flip: int) -> None:
    rlp = bytearray.fromhex(EXAMPLE["rlp"])
    rlp[position] ^= flip
    with pytest.raises(InvalidNode):
        Record.from_rlp(bytes(rlp))


@given(st.text(max_size=60))
def test_any_text_is_a_record_or_invalid(text: str) -> None:
    with pytest.raises(InvalidNode):
        Record.from_text("enr:" + text)
