"""Any message of any kinds of fields comes through encoding and decoding unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from tests.fuzz.targets.declared import (
    OWN,
    Color,
    Everything,
    Modes,
    Origin,
    Place,
    Tree,
    Trees,
)

uint64s = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
strings = st.binary(max_size=40)
texts = st.text(max_size=4)  # at most 16 bytes


def trees(labels: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.builds(Tree, labels),
        lambda inner: st.builds(Tree, labels, st.lists(inner, max_size=3)),
        max_leaves=5,
    )


MESSAGES = st.one_of(
    st.builds(
        Everything,
        reason=st.integers(0, 2**70).map(p2p.DiscReason),
        color=st.sampled_from(Color),
        modes=st.integers(0, 3).map(Modes),
        word=st.sampled_from(["a", "b"]),
        node=hashes.map(p2p.NodeID),
        cap=st.builds(p2p.Cap, texts, st.integers(0, 2**70)),
        name=texts,
        origin=hashes | uint64s,
        either=st.lists(strings | st.lists(st.integers(0, 2**70), max_size=3), max_size=4),
        hashes=st.lists(hashes, max_size=4),
        place=st.builds(Place, uint64s, uint64s),
        tree=trees(st.sampled_from(Color)),
        number=uint64s | st.none(),
    ),
    st.builds(Trees, st.lists(trees(strings), max_size=8)),
    st.builds(Origin, hashes | uint64s),
)


@given(MESSAGES)
def test_message_round_trips(value: Any) -> None:
    code, payload = OWN.encode(value)
    assert OWN.classes[code] is type(value)
    assert OWN.decode(code, payload) == value
    assert OWN.decode(code, bytearray(payload)) == value


@given(MESSAGES, st.integers(1, 3))
def test_no_payload_is_another_one_cut_short_or_longer(value: Any, count: int) -> None:
    code, payload = OWN.encode(value)
    for data in (payload[:-count], payload + bytes(count)):
        with pytest.raises(p2p.DecodeError):
            OWN.decode(code, data)


@given(st.integers(0, 2), st.binary(max_size=80))
def test_any_bytes_are_refused_or_read_to_a_message_that_round_trips(
    code: int, payload: bytes
) -> None:
    try:
        value = OWN.decode(code, payload)
    except p2p.DecodeError:
        return
    assert OWN.decode(*OWN.encode(value)) == value
