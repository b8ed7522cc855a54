"""Both bindings of libsecp256k1, each by itself and against the other, whichever is chosen."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.crypto import SECP256K1_BACKEND
from p2p.crypto.backend import Secp256k1

ROOT = pathlib.Path(__file__).parent.parent.parent
VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "testdata" / "crypto.json").read_text())
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELD = 2**256 - 2**32 - 977

#: Those with a wheel for this Python (setup.cfg).
BINDINGS: dict[str, Secp256k1] = {}
if sys.version_info < (3, 14):
    from p2p.crypto import secp256k1_coincurve

    BINDINGS["coincurve"] = secp256k1_coincurve
if sys.version_info >= (3, 11):
    from p2p.crypto import secp256k1_btclib

    BINDINGS["btclib"] = secp256k1_btclib

each_binding = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)

numbers = st.integers(1, ORDER - 1)
secrets = numbers.map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)
points = secrets.map(next(iter(BINDINGS.values())).public_key)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def outcomes(call: Callable[[Secp256k1], object]) -> list[object]:
    """Return the result of each binding, ValueError if it raises that."""
    said: list[object] = []
    for binding in BINDINGS.values():
        try:
            said.append(call(binding))
        except ValueError:
            said.append(ValueError)
    return said


def the_same(call: Callable[[Secp256k1], object]) -> object:
    """The one outcome of all bindings."""
    first, *others = outcomes(call)
    assert others == [first] * len(others)
    return first


@each_binding
@pytest.mark.parametrize("case", VECTORS["ecdh"], ids=lambda case: case["private_key"][:8])
def test_agreement_of_the_vectors(binding: Secp256k1, case: dict[str, Any]) -> None:
    secret, point = unhex(case["private_key"]), unhex(case["pubkey"])
    assert binding.agree(secret, point)[:32].hex() == case["shared_x"]
    assert binding.agree_once(secret, point)[:32].hex() == case["shared_x"]


@each_binding
@pytest.mark.parametrize("case", VECTORS["node_ids"], ids=lambda case: case["source"])
def test_public_key_of_the_vectors(binding: Secp256k1, case: dict[str, Any]) -> None:
    assert binding.public_key(unhex(case["private_key"])).hex() == case["pubkey"]
    assert binding.decompress(unhex(case["pubkey_compressed"])).hex() == case["pubkey"]
    binding.check(unhex(case["pubkey"]))


@each_binding
@pytest.mark.parametrize("case", VECTORS["recover"], ids=lambda case: case["source"])
def test_signature_of_the_vectors(binding: Secp256k1, case: dict[str, Any]) -> None:
    digest, signature = unhex(case["message_hash"]), unhex(case["signature"])
    assert binding.recover(digest, signature).hex() == case["pubkey"]
    assert binding.verify(unhex(case["pubkey"]), digest, signature[:64]) is True
    if "private_key" in case:
        assert binding.signer(unhex(case["private_key"]))(digest) == signature


@each_binding
def test_high_s_does_not_verify(binding: Secp256k1) -> None:
    case = VECTORS["malleable"]
    point = binding.decompress(unhex(case["pubkey_compressed"]))
    digest, signature = unhex(case["message_hash"]), unhex(case["signature"])
    assert binding.verify(point, digest, signature) is False
    low = ORDER - int.from_bytes(signature[32:], "big")
    assert binding.verify(point, digest, signature[:32] + low.to_bytes(32, "big")) is True


NO_POINTS = {
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "off the curve": b"\1" * 64,
    "x is the field's size": FIELD.to_bytes(32, "big") + b"\1" * 32,
    "a byte too few": b"\1" * 63,
    "x alone": VECTORS["node_ids"][0]["pubkey"].encode()[:32],
}


@each_binding
@pytest.mark.parametrize("point", NO_POINTS.values(), ids=NO_POINTS)
def test_bytes_that_are_no_point_are_refused(binding: Secp256k1, point: bytes) -> None:
    calls: list[Callable[[], object]] = [
        lambda: binding.check(point),
        lambda: binding.agree(b"\1" * 32, point),
        lambda: binding.agree_once(b"\1" * 32, point),
        lambda: binding.verify(point, bytes(32), b"\1" * 64),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()


@settings(max_examples=30, deadline=None)
@given(secret=secrets, point=points, digest=digests)
def test_bindings_compute_the_same(secret: bytes, point: bytes, digest: bytes) -> None:
    own = the_same(lambda binding: binding.public_key(secret))
    shared = the_same(lambda binding: binding.agree(secret, point))
    assert shared == the_same(lambda binding: binding.agree_once(secret, point))
    signature = the_same(lambda binding: binding.signer(secret)(digest))
    assert isinstance(own, bytes) and isinstance(signature, bytes) and isinstance(shared, bytes)
    assert (len(own), len(signature), len(shared)) == (64, 65, 64)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert the_same(lambda binding: binding.recover(digest, signature)) == own
    assert the_same(lambda binding: binding.verify(own, digest, signature[:64])) is True


@settings(max_examples=100, deadline=None)
@given(point=st.binary(max_size=70) | st.binary(min_size=64, max_size=64))
def test_bindings_refuse_the_same_points(point: bytes) -> None:
    the_same(lambda binding: binding.check(point))
    the_same(lambda binding: binding.agree(b"\1" * 32, point))


@settings(max_examples=100, deadline=None)
@given(prefix=st.sampled_from([2, 3]), x=st.integers(0, 2**256 - 1) | st.integers(FIELD, FIELD + 9))
def test_bindings_decompress_the_same(prefix: int, x: int) -> None:
    the_same(lambda binding: binding.decompress(bytes([prefix]) + x.to_bytes(32, "big")))


#: Both halves of a signature at and around the limits, too.
halves = (st.integers(0, 2**256 - 1) | st.integers(0, 2) | st.integers(ORDER - 2, ORDER + 2)).map(
    lambda number: number.to_bytes(32, "big")
)


@settings(max_examples=150, deadline=None)
@given(digest=digests, r=halves, s=halves, recovery_id=st.integers(0, 3), point=points)
def test_bindings_recover_and_verify_the_same(
    digest: bytes, r: bytes, s: bytes, recovery_id: int, point: bytes
) -> None:
    found = the_same(lambda binding: binding.recover(digest, r + s + bytes([recovery_id])))
    the_same(lambda binding: binding.verify(point, digest, r + s))
    if isinstance(found, bytes):
        is_low = int.from_bytes(s, "big") <= ORDER // 2
        assert the_same(lambda binding: binding.verify(found, digest, r + s)) is is_low


#: Prints its binding, and what the keys 2 and 1/2 agree upon: x of the curve's generator.
PROGRAM = """
from p2p.crypto import SECP256K1_BACKEND, PrivateKey
HALF = pow(2, -1, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141)
two, half = (PrivateKey(number.to_bytes(32, "big")) for number in (2, HALF))
print(SECP256K1_BACKEND, two.agree(half.public_key).hex())
"""
GENERATOR_X = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


@pytest.mark.slow
def test_environment_variable_chooses_the_binding() -> None:
    best = next(iter(BINDINGS))
    assert SECP256K1_BACKEND == (os.environ.get("P2P_SECP256K1_BACKEND") or best)
    for wanted in ["", *BINDINGS]:
        done = run(P2P_SECP256K1_BACKEND=wanted)
        assert done.stdout.split() == [wanted or best, GENERATOR_X], done.stderr


@pytest.mark.slow
def test_missing_coincurve_is_replaced(tmp_path: pathlib.Path) -> None:
    (tmp_path / "coincurve.py").write_text("raise ImportError('no wheel for this Python')\n")
    done = run(P2P_SECP256K1_BACKEND="", PYTHONPATH=str(tmp_path))
    if "btclib" in BINDINGS:
        assert done.stdout.split() == ["btclib", GENERATOR_X], done.stderr
    else:
        assert "no wheel for this Python" in done.stderr and "btclib_secp256k1" in done.stderr
