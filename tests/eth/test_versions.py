"""Every message of every version: go-ethereum's encoding, both ways, and nothing else decodes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p.errors import ArgumentError, DecodeError, InvalidMessageCode
from p2p.eth import ETH69, ETH70, ETH71, ETH72, SNAP1, SNAP2
from p2p.eth.limits import MAX_MESSAGE_SIZE
from p2p.eth.versions import messages_of
from p2p.messages import Messages
from p2p.rlp import decode, encode
from tests.eth.vectors import DATA, MESSAGES, PROTOCOLS

#: The number of codes of each, of go-ethereum's protocolLengths.
LENGTHS = {
    "eth69": 18, "eth70": 18, "eth71": 20, "eth72": 22, "snap1": 8, "snap2": 10,
}  # fmt: skip


def test_there_is_a_vector_for_every_message_and_a_value_for_every_vector() -> None:
    assert MESSAGES.keys() == DATA["messages"].keys()
    covered = {type(value) for value in MESSAGES.values()}
    assert covered == {kind for m in PROTOCOLS.values() for kind in m.classes.values()}


@pytest.mark.parametrize("name", MESSAGES)
def test_encoding_is_that_of_go_ethereum(name: str) -> None:
    protocol = PROTOCOLS[name.split()[0]]
    code, payload = protocol.encode(MESSAGES[name])
    assert payload.hex() == DATA["messages"][name]
    assert protocol.decode(code, payload) == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_is_cut_or_longer_is_refused(name: str) -> None:
    protocol = PROTOCOLS[name.split()[0]]
    code, payload = protocol.encode(MESSAGES[name])
    for wrong in (payload[:-1], payload + b"\x80", b"", b"\xc0\xc0"):
        with pytest.raises(DecodeError):
            protocol.decode(code, wrong)


@pytest.mark.parametrize("name", LENGTHS)
def test_length_is_that_of_go_ethereum(name: str) -> None:
    assert PROTOCOLS[name].length == LENGTHS[name]


@given(st.sampled_from([*PROTOCOLS.values()]), st.integers(0, 30), st.binary(max_size=200))
def test_any_payload_decodes_to_what_encodes_to_it_or_is_refused(
    protocol: Messages[Any], code: int, payload: bytes
) -> None:
    try:
        message = protocol.decode(code, payload)
    except (DecodeError, InvalidMessageCode) as error:
        assert error.msg_code == code
    else:
        assert protocol.encode(message) == (code, payload)


def test_codes_between_are_of_no_message() -> None:
    for protocol, code in ((ETH69, 0x0B), (ETH72, 0x0E), (SNAP2, 0x06), (ETH70, 0x12)):
        with pytest.raises(InvalidMessageCode):
            protocol.decode(code, b"\xc0")


def test_each_version_has_its_changed_messages() -> None:
    assert ETH69.name_of(0x10) == "Receipts69"
    assert [m.name_of(0x10) for m in (ETH70, ETH71, ETH72)] == ["Receipts70"] * 3
    names = [m.name_of(0x08) for m in (ETH69, ETH70, ETH71, ETH72)]
    assert names == ["NewPooledTransactionHashes68"] * 3 + ["NewPooledTransactionHashes72"]
    assert SNAP1.name_of(0x07) == "TrieNodes"


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_no_message_may_be_longer_than_10_mib(protocol: Messages[Any]) -> None:
    for code in protocol.classes:
        with pytest.raises(DecodeError, match=f"more than {MAX_MESSAGE_SIZE}"):
            protocol.decode(code, bytes(MAX_MESSAGE_SIZE + 1))


def test_a_version_without_messages_is_refused() -> None:
    assert messages_of(70) is ETH70
    with pytest.raises(ArgumentError, match="from 69 to 72"):
        messages_of(68)


def test_root_has_them() -> None:
    assert p2p.eth.ETH69 is ETH69


@given(st.sampled_from([*MESSAGES]), st.integers(0, 400), st.integers(0, 255))
def test_a_message_with_another_byte_decodes_to_what_encodes_to_it_or_is_refused(
    name: str, place: int, value: int
) -> None:
    protocol = PROTOCOLS[name.split()[0]]
    code, payload = protocol.encode(MESSAGES[name])
    place %= len(payload)
    changed = payload[:place] + bytes([value]) + payload[place + 1 :]
    try:
        message = protocol.decode(code, changed)
    except DecodeError as error:
        assert error.msg_code == code
    else:
        assert protocol.encode(message) == (code, changed)


@pytest.mark.parametrize(
    "name, field", [("eth69 GetBlockBodies", 0), ("eth69 Status", 1), ("eth69 Status", 5)]
)
def test_a_number_of_more_than_64_bits_is_refused(name: str, field: int) -> None:
    protocol = PROTOCOLS[name.split()[0]]
    code, payload = protocol.encode(MESSAGES[name])
    items = decode(payload, list)
    items[field] = b"\x01" + bytes(8)
    with pytest.raises(DecodeError):
        protocol.decode(code, encode(items))
