"""What fuzzing has found, each in its smallest form: a test for every defect that was mended."""

from __future__ import annotations

import pytest

from p2p.codec import encode
from p2p.enode import Node
from p2p.errors import HelloError
from p2p.rlpx.messages import decode_hello
from tests.rlpx.pair import ALICE

KEY = b"\1" * 64
NODE_KEY = ALICE.public_key.to_bytes().hex()


@pytest.mark.parametrize(
    "fields",
    [
        [2**64, "name", [["eth", 68]], 0, KEY],
        [5, "name", [["eth", 2**64]], 0, KEY],
        [5, "name", [["eth", 68], ["snap", 2**4000]], 0, KEY],
        [5, "name", [], 2**64, KEY],
    ],
    ids=["version", "capability", "second capability", "port"],
)
def test_integer_of_a_hello_that_does_not_fit_64_bits_is_refused(fields: list[object]) -> None:
    """go-ethereum refuses it; a version of 2,400 digits is no use to a program that reads it."""
    with pytest.raises(HelloError, match="64 bits"):
        decode_hello(encode(fields))


def test_largest_integers_of_a_hello_are_read() -> None:
    hello = decode_hello(encode([2**64 - 1, "name", [["eth", 2**64 - 1]], 2**64 - 1, KEY]))
    assert hello.version == hello.caps[0].version == hello.listen_port == 2**64 - 1


@pytest.mark.parametrize("zone", ["eth0", "%5B", "a%5Db", "a%20b", "a%25b", "\u00e9"])
def test_url_of_a_node_with_an_ipv6_zone_can_be_read_again(zone: str) -> None:
    """What only brackets may hold was written without them."""
    node = Node.from_url(f"enode://{NODE_KEY}@[fe80::1%25{zone}]:30303?discport=7")
    again = Node.from_url(node.url)
    assert again == node and again.hostname == node.hostname
