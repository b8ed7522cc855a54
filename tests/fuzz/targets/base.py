"""The payloads of the base protocol that carry something: hello and disconnect.

Nothing protects them within a frame, so there is nothing to repair.
"""

from __future__ import annotations

from p2p.errors import DiscReason, HelloError, InvalidIdentity
from p2p.rlpx.messages import (
    MAX_HELLO_SIZE,
    Hello,
    decode_disconnect,
    decode_hello,
    encode_disconnect,
    encode_hello,
)
from tests.fuzz.target import Target
from tests.rlpx.pair import ALICE, make_hello
from tests.rlpx.vectors import FRAMES, unhex


def build(variant: int, repaired: bool, body: bytes) -> bytes:
    return body


def check_hello(payload: bytes, hello: Hello) -> None:
    numbers = [hello.version, hello.listen_port, *(cap.version for cap in hello.caps)]
    assert max(numbers) < 2**64
    again = encode_hello(hello)
    # Names that are not UTF-8 are four times as long once they are shown as text.
    if len(again) <= MAX_HELLO_SIZE:
        assert decode_hello(again) == hello
    assert decode_hello(memoryview(payload)) == hello


def check_disconnect(payload: bytes, reason: DiscReason) -> None:
    assert decode_disconnect(encode_disconnect(reason)) == reason
    assert str(reason) and repr(reason) and 0 <= reason <= 0xFF


def hello_seeds() -> list[bytes]:
    vectors = FRAMES["hello_payloads"]
    cases = [
        *vectors["valid"],
        *vectors["geth_read_protocol_handshake"][0]["cases"],
        *vectors["identity_rules"]["cases"],
    ]
    found = [unhex(case["payload"]) for case in cases if case.get("payload")]
    return [b"\0" + payload for payload in [encode_hello(make_hello(ALICE)), *found]]


def disconnect_seeds() -> list[bytes]:
    return [b"\0" + unhex(case["payload"]) for case in FRAMES["disconnect_payloads"]["cases"]]


def _reason_label(reason: DiscReason) -> str:
    return "invalid" if reason is DiscReason.INVALID else "accepted"


TARGETS = (
    Target(
        "hello",
        seeds=hello_seeds,
        build=build,
        decode=decode_hello,
        errors=(HelloError, InvalidIdentity),
        check=check_hello,
        repairs=False,
        max_size=2100,
    ),
    Target(
        "disconnect",
        seeds=disconnect_seeds,
        build=build,
        decode=decode_disconnect,
        errors=(),
        check=check_disconnect,
        label=_reason_label,
        repairs=False,
        max_size=300,
    ),
)
