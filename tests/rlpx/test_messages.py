from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.codec import encode
from p2p.errors import DiscReason, HelloError, InvalidIdentity
from p2p.rlpx import BASE_LENGTH, Cap, Hello
from p2p.rlpx.messages import (
    DISCONNECT,
    EMPTY,
    HELLO,
    MAX_HELLO_SIZE,
    PING,
    PONG,
    decode_disconnect,
    decode_hello,
    encode_disconnect,
    encode_hello,
)
from tests.rlpx.vectors import FRAMES, name_of, unhex

HELLOS = FRAMES["hello_payloads"]
RULES = HELLOS["identity_rules"]["cases"]
DISCONNECTS = FRAMES["disconnect_payloads"]["cases"]
BASE = FRAMES["base_messages"]
KEY = b"\7" * 64


def test_no_vector_is_left_out() -> None:
    assert set(HELLOS) == {"valid", "geth_read_protocol_handshake", "identity_rules"}
    assert (len(HELLOS["valid"]), len(RULES), len(DISCONNECTS)) == (1, 15, 9)


def test_numbers_of_the_base_protocol() -> None:
    codes = {"hello": HELLO, "disconnect": DISCONNECT, "ping": PING, "pong": PONG}
    assert codes == BASE["message_codes"]
    assert BASE_LENGTH == BASE["base_length"]
    assert EMPTY.hex() == BASE["ping_payload"] == BASE["pong_payload"]


# Hello.


@pytest.mark.parametrize("case", HELLOS["valid"], ids=lambda case: case["source"])
def test_hello_of_eip8_with_further_fields(case: dict[str, Any]) -> None:
    hello, want = decode_hello(unhex(case["payload"])), case["hello"]
    assert (hello.version, hello.name) == (want["version"], want["client_id"])
    assert [list(cap) for cap in hello.caps] == want["capabilities"]
    assert (hello.listen_port, hello.node_key.hex()) == (want["listen_port"], want["node_id"])
    assert len(want["extra"]) == 3
    assert decode_hello(encode_hello(hello)) == hello


#: What becomes of the cases of the vectors here; whether the key is the right one, whether there is
#: a shared capability and how a name is shown are questions for others.
REFUSED_FOR_ITS_KEY = {"id-65-bytes", "id-128-bytes", "id-2-bytes", "id-63-bytes", "id-all-zero"}
REFUSED = {"version-leading-zero"}


@pytest.mark.parametrize("case", RULES, ids=name_of)
def test_hello_is_judged_as_expected(case: dict[str, Any]) -> None:
    payload = unhex(case["payload"])
    if case["name"] in REFUSED_FOR_ITS_KEY:
        with pytest.raises(InvalidIdentity) as caught:
            decode_hello(payload)
        assert caught.value.disc_reason is DiscReason.INVALID_IDENTITY
    elif case["name"] in REFUSED:
        with pytest.raises(HelloError) as malformed:
            decode_hello(payload)
        assert malformed.value.disc_reason is DiscReason.PROTOCOL_ERROR
    else:
        hello = decode_hello(payload)
        assert len(hello.node_key) == 64
        assert decode_hello(encode_hello(hello)).caps == hello.caps


MALFORMED = {
    "nothing": b"",
    "a byte": b"\x05",
    "a string": encode(b"hello"),
    "empty list": b"\xc0",
    "four fields": encode([5, b"", [], 0]),
    "version is a list": encode([[], b"", [], 0, KEY]),
    "name is a list": encode([5, [b"x"], [], 0, KEY]),
    "capabilities are a string": encode([5, b"", b"caps", 0, KEY]),
    "capability is a string": encode([5, b"", [b"eth"], 0, KEY]),
    "capability without version": encode([5, b"", [[b"eth"]], 0, KEY]),
    "capability with three items": encode([5, b"", [[b"eth", 1, 1]], 0, KEY]),
    "capability version with leading zero": encode([5, b"", [[b"eth", b"\0\1"]], 0, KEY]),
    "version of 65 bits": encode([2**64, b"", [], 0, KEY]),
    "port of 65 bits": encode([5, b"", [], 2**64, KEY]),
    "capability version of 65 bits": encode([5, b"", [[b"a", 1], [b"eth", 2**64]], 0, KEY]),
    "key is a list": encode([5, b"", [], 0, [KEY]]),
    "cut short": encode([5, b"", [], 0, KEY])[:-1],
    "something behind": encode([5, b"", [], 0, KEY]) + b"\0",
    "further field cut short": b"\xf8\x47" + encode([5, b"", [], 0, KEY])[2:] + b"\x81",
    "nested": b"\xc1" * 2000,
    "claims 2^63 bytes": b"\xff" + b"\x7f" + b"\xff" * 7,
    "too large": encode([5, b"n" * 2048, [], 0, KEY]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_hello_is_refused(name: str) -> None:
    with pytest.raises(HelloError) as caught:
        decode_hello(MALFORMED[name])
    assert type(caught.value) is HelloError


@pytest.mark.parametrize("extra", [b"\xc1" * 900, b"\x80" * 1800, b"\xc1\xff"])
def test_further_fields_are_not_looked_at(extra: bytes) -> None:
    """Whatever stands there, nested or broken inside, costs nothing and harms nothing."""
    fields = b"".join(encode(item) for item in (5, b"name", [[b"a", 1]], 0, KEY)) + extra
    size = len(fields)
    head = bytes([0xC0 + size]) if size < 56 else b"\xf9" + size.to_bytes(2, "big")
    head = head if size < 56 or size > 255 else b"\xf8" + bytes([size])
    assert decode_hello(head + fields).caps == [Cap("a", 1)]


@pytest.mark.parametrize("extra", [0, 1])
def test_hello_has_at_most_2_kib(extra: int) -> None:
    beside = len(encode([5, b"n" * 1000, [], 0, KEY])) - 1000
    payload = encode([5, b"n" * (MAX_HELLO_SIZE + extra - beside), [], 0, KEY])
    assert len(payload) == MAX_HELLO_SIZE + extra == 2048 + extra
    if not extra:
        assert len(decode_hello(payload).name) > 1900
        return
    with pytest.raises(HelloError, match="2049 bytes"):
        decode_hello(payload)


def test_names_keep_what_is_not_text_apart() -> None:
    hello = decode_hello(encode([5, b"\xff\xfe", [[b"\xff", 1], [b"\xfe", 1]], 0, KEY]))
    assert hello.name == "\\xff\\xfe"
    assert hello.caps[0] != hello.caps[1]


def test_name_is_not_escaped_here() -> None:
    hello = decode_hello(encode([5, b"a\x1b[2J\n\0", [], 0, KEY]))
    assert hello.name == "a\x1b[2J\n\0"


@pytest.mark.parametrize("spelling", [bytes, bytearray, memoryview])
def test_payload_may_be_any_bytes(spelling: Any) -> None:
    payload = encode([5, b"x", [], 0, KEY])
    assert decode_hello(spelling(payload)).node_key == KEY
    assert decode_disconnect(spelling(b"\xc1\x04")) is DiscReason.TOO_MANY_PEERS


uint64 = st.integers(0, 2**64 - 1)
caps = st.builds(Cap, st.text(max_size=8), st.integers(0, 2**32))
hellos = st.builds(
    Hello, uint64, st.text(max_size=40), st.lists(caps, max_size=20), uint64, st.just(KEY)
)


@settings(max_examples=60, deadline=None)
@given(hello=hellos)
def test_hello_comes_back(hello: Hello) -> None:
    assert decode_hello(encode_hello(hello)) == hello


@settings(max_examples=150, deadline=None)
@given(payload=st.binary(max_size=300))
def test_random_hello_gives_only_a_hello_error(payload: bytes) -> None:
    with pytest.raises(HelloError):
        decode_hello(payload)


# Disconnect.

#: Where we are more lenient than the program the vectors come from: the reason is optional
#: (rlpx.md), and what follows a reason is not looked at, as in go-ethereum's peer.
LENIENT = {"": DiscReason.REQUESTED, "c0": DiscReason.REQUESTED, "c2040506": DiscReason(4)}


@pytest.mark.parametrize("case", DISCONNECTS, ids=lambda case: case["payload"] or "empty")
def test_disconnect_of_the_vectors(case: dict[str, Any]) -> None:
    reason = decode_disconnect(unhex(case["payload"]))
    if case["reason"] is None:
        assert reason is LENIENT.get(case["payload"], DiscReason.INVALID)
    else:
        assert reason == case["reason"]


@pytest.mark.parametrize("number", range(256))
def test_every_reason_comes_back_as_a_list_and_as_an_integer(number: int) -> None:
    assert encode_disconnect(number) == encode([number])
    assert decode_disconnect(encode_disconnect(number)) == number
    assert decode_disconnect(encode(number)) == number
    assert isinstance(decode_disconnect(encode(number)), DiscReason)


def test_unknown_reason_is_kept_as_its_number() -> None:
    reason = decode_disconnect(b"\xc1\x42")
    assert reason == 0x42 and str(reason) == "unknown disconnect reason 66"


def test_zero_byte_is_understood_though_it_is_not_canonical() -> None:
    assert decode_disconnect(b"\0") is DiscReason.REQUESTED


UNREADABLE = ["c3820100", "820100", "88" + "ff" * 8, "89" + "11" * 9, "c1", "c2", "81", "8100"]
UNREADABLE += ["c1c0", "c1c104", "f8", "ff", "b8", "ff" * 100, "c1" * 3000, "c28104", "c3826162"]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:16])
def test_what_is_no_reason_of_one_byte_is_invalid(text: str) -> None:
    assert decode_disconnect(unhex(text)) is DiscReason.INVALID


def test_huge_disconnect_is_cut_before_it_is_read() -> None:
    assert decode_disconnect(b"\xfa\xff\xff\xff" + b"\4" * 100_000) is DiscReason.INVALID


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=120))
def test_any_disconnect_gives_a_reason_of_one_byte(payload: bytes) -> None:
    assert 0 <= decode_disconnect(payload) <= 255


def test_hello_that_goes_to_everybody_is_encoded_once() -> None:
    hello = Hello(5, "node", [Cap("test", 1)], 0, b"\1" * 64)
    assert encode_hello(hello) is encode_hello(hello)
