from __future__ import annotations

import json
import pathlib
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.crypto import PrivateKey
from p2p.enode import NodeID, closer, compare_distance, log_distance, xor_distance
from p2p.errors import ArgumentError

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "distance.json").read_text()
)
LOOKUP = VECTORS["lookup_testnet"]
IDS = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("case", VECTORS["log_distance_small"]["cases"])
def test_log_distance_is_the_bit_length_of_the_difference(case: dict[str, Any]) -> None:
    target = VECTORS["log_distance_small"]["target"]
    a, b = (bytes.fromhex(text[2:]).rjust(32, b"\0") for text in (target, case["id"]))
    assert log_distance(a, b) == case["log_distance"]


@pytest.mark.parametrize(
    "case", [case for case in VECTORS["log_distance_short_ids"]["cases"] if "error" not in case]
)
def test_log_distance_takes_ids_of_any_one_length(case: dict[str, Any]) -> None:
    a, b = bytes.fromhex(case["a"]), bytes.fromhex(case["b"])
    assert log_distance(a, b) == case["log_distance"]


@pytest.mark.parametrize(
    "case", [case for case in VECTORS["log_distance_short_ids"]["cases"] if "error" in case]
)
def test_ids_of_different_lengths_have_no_distance(case: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="wanted an ID of"):
        log_distance(bytes.fromhex(case["a"]), bytes.fromhex(case["b"]))


@pytest.mark.parametrize("node", LOOKUP["nodes"], ids=lambda node: node["node_id"][:16])
def test_node_of_the_lookup_network_is_at_its_distance(node: dict[str, Any]) -> None:
    key = PrivateKey.from_bytes(bytes.fromhex(node["private_key"]))
    node_id = NodeID.from_public_key(key.public_key)
    assert str(node_id) == node["node_id"]
    target = NodeID.from_hex(LOOKUP["target_id"])
    assert log_distance(target, node_id) == node["log_distance"]


@pytest.mark.parametrize("case", VECTORS["id_at_distance"]["cases"])
def test_first_bit_that_differs_gives_the_distance(case: dict[str, Any]) -> None:
    target = NodeID.from_hex(VECTORS["id_at_distance"]["target_id"])
    assert log_distance(target, NodeID.from_hex(case["id"])) == case["log_distance"]


def test_equal_ids_are_at_the_same_distance() -> None:
    case = VECTORS["equal_cases"]
    base, x = NodeID.from_hex(case["base"]), NodeID.from_hex(case["x"])
    assert compare_distance(base, x, x) == case["distcmp_base_x_x"]
    assert log_distance(base, base) == case["logdist_base_base"]


def test_adjacent_ids_differ_in_one_bit() -> None:
    case = VECTORS["adjacent"]
    a, b = NodeID.from_hex(case["a"]), NodeID.from_hex(case["b"])
    assert log_distance(a, b) == case["log_distance"]


@given(IDS, IDS, IDS)
def test_compare_agrees_with_closer_and_the_plain_distance(t: bytes, a: bytes, b: bytes) -> None:
    order = compare_distance(t, a, b)
    assert order == -compare_distance(t, b, a)
    assert closer(t, a, b) == (order < 0)
    assert (order < 0) == (xor_distance(t, a) < xor_distance(t, b))
    assert (order == 0) == (a == b)


@given(IDS, st.lists(IDS))
def test_plain_distance_sorts_as_compare_does(target: bytes, ids: list[bytes]) -> None:
    by_compare = sorted(ids, key=cmp_to_key(lambda a, b: compare_distance(target, a, b)))
    assert sorted(ids, key=lambda node_id: xor_distance(target, node_id)) == by_compare
