from __future__ import annotations

import json
import pathlib
import pickle

import pytest

from p2p.crypto import PublicKey
from p2p.enode import NodeID
from p2p.errors import InvalidNode

TESTDATA = pathlib.Path(__file__).parent.parent / "testdata"
HEX_IDS = json.loads((TESTDATA / "enr.json").read_text())["misc"]["hex_id"]
LOOKUP = json.loads((TESTDATA / "distance.json").read_text())["lookup_testnet"]


@pytest.mark.parametrize("text", HEX_IDS)
def test_hex_is_read_with_and_without_prefix(text: str) -> None:
    node_id = NodeID.from_hex(text)
    assert str(node_id) == node_id.hex() == HEX_IDS[1]


def test_upper_case_digits_are_read() -> None:
    assert NodeID.from_hex("AB" * 32) == b"\xab" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "ab" * 31,
        "ab" * 33,
        "0X" + "ab" * 32,
        "0x0x" + "ab" * 32,
        "ab " * 31 + "abab",
        " 0x " + "ab" * 32,
        "0x\n" + "ab" * 32,
        "ab" * 31 + "zz",
        "ab" * 31 + "٣٣",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidNode, match="node ID"):
        NodeID.from_hex(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_id_has_32_bytes(size: int) -> None:
    with pytest.raises(InvalidNode, match="32 bytes"):
        NodeID(bytes(size))


def test_id_is_the_hash_of_the_public_key() -> None:
    key = PublicKey.from_bytes(bytes.fromhex(LOOKUP["target_pubkey"]))
    assert str(NodeID.from_public_key(key)) == LOOKUP["target_id"]


def test_id_equals_its_bytes_and_hashes_like_them() -> None:
    raw = bytes(range(32))
    assert NodeID(raw) == raw
    assert {raw: 1}[NodeID(raw)] == 1


def test_short_form_is_the_first_8_bytes() -> None:
    node_id = NodeID(bytes(range(32)))
    assert node_id.short == "0001020304050607"
    assert repr(node_id) == "NodeID(0001020304050607…)"


def test_id_can_be_pickled() -> None:
    node_id = NodeID(bytes(range(32)))
    again = pickle.loads(pickle.dumps(node_id))
    assert again == node_id
    assert isinstance(again, NodeID)
