from __future__ import annotations

import coincurve
import pytest

from p2p.crypto.secp256k1_coincurve import agree, agree_once, public_key

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def scalars(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers that points are multiplied by."""
    seen: list[int] = []
    multiply = coincurve.PublicKey.multiply

    def noted(point: coincurve.PublicKey, scalar: bytes) -> coincurve.PublicKey:
        seen.append(int.from_bytes(scalar, "big"))
        return multiply(point, scalar)

    monkeypatch.setattr(coincurve.PublicKey, "multiply", noted)
    return seen


def test_key_that_is_kept_is_in_no_multiplication_whose_time_shows_it(scalars: list[int]) -> None:
    secret = bytes(31) + b"\x02"
    own = public_key(secret)
    for other in (bytes([9]) * 32, bytes([8]) * 32):
        shared = agree(secret, public_key(other))
        assert sum(scalars[-2:]) % ORDER == 2
        assert shared == agree_once(other, own)
        assert scalars.pop() == int.from_bytes(other, "big")
    assert len(scalars) == len(set(scalars)) == 4  # other numbers for other points
    assert min(number.bit_length() for number in scalars) > 200
