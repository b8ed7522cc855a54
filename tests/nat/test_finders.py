"""The searches that each kind of ``nat`` stands for."""

from __future__ import annotations

import pytest

from p2p.crypto import PrivateKey
from p2p.nat.finders import finders
from p2p.nat.spec import parse_nat

KEY = PrivateKey.from_bytes(bytes([1] * 32))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("any", ["upnp", "pmp"]),
        ("upnp", ["upnp"]),
        ("pmp", ["pmp"]),
        ("pmp:192.168.1.1", ["pmp"]),
        ("stun", ["stun"]),
        ("extip:20.0.0.1", []),
        ("none", []),
    ],
)
def test_kinds_of_routers_that_are_looked_for(text: str, kinds: list[str]) -> None:
    assert list(finders(parse_nat(text), KEY)) == kinds
