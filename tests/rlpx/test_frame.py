from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.codec import decode, encode_uint
from p2p.crypto import keccak_hasher
from p2p.errors import DecodeError, DiscReason, FrameError
from p2p.rlpx.frame import LARGE_FRAME, MAX_MESSAGE_SIZE, FrameReader, FrameWriter
from p2p.rlpx.messages import decode_hello
from p2p.rlpx.snappy import decompress
from tests.rlpx.pair import (
    DELIVERIES,
    HEADER_REST,
    Delivery,
    Memory,
    RawWriter,
    byte_by_byte,
    cut_at,
    merged,
)
from tests.rlpx.vectors import FRAMES, name_of, unhex

Message = tuple[int, bytes]

FAKE = FRAMES["geth_frame_read_write"]
GIST = FRAMES["gist_hello_frames"]
BESU = FRAMES["besu_sessions"]
CHAIN = FRAMES["eip8_session_chain"]
CONSTRUCTED = FRAMES["constructed_frames"]["cases"]
BASE = FRAMES["base_messages"]

KEY, MAC_KEY, SEED = b"k" * 32, b"m" * 32, b"seed"


def writer(key: bytes = KEY, mac_key: bytes = MAC_KEY, seed: bytes = SEED) -> FrameWriter:
    return FrameWriter(key, mac_key, keccak_hasher(seed))


def raw_writer(key: bytes = KEY, mac_key: bytes = MAC_KEY, seed: bytes = SEED) -> RawWriter:
    return RawWriter(key, mac_key, keccak_hasher(seed))


def reader(key: bytes = KEY, mac_key: bytes = MAC_KEY, seed: bytes = SEED) -> FrameReader:
    return FrameReader(key, mac_key, keccak_hasher(seed))


def written(frames: FrameWriter, messages: Iterable[Message]) -> bytes:
    frames.write(messages, bytes)
    return b"".join(frames.take())


def read_all(frames: FrameReader, pieces: Iterable[bytes], at_once: int = 64) -> list[Message]:
    found = []
    for piece in pieces:
        frames.receive_data(piece)
        while got := frames.read(at_once):
            assert len(got) <= at_once
            found += [(code, bytes(data)) for code, data in got]
    return found


# The published vectors.


def test_no_section_of_the_vectors_is_left_out() -> None:
    assert set(FRAMES) - {"source", "encoding", "checked_against"} == {
        "geth_frame_read_write",
        "gist_hello_frames",
        "besu_sessions",
        "eip8_session_chain",
        "constructed_frames",
        "base_messages",  # here and in test_base
        "hello_payloads",  # test_base, test_connection_hello
        "disconnect_payloads",  # test_base
        "snappy",  # test_snappy
    }
    assert [len(session["frames"]) for session in BESU["sessions"]] == [8, 1]
    counts = (len(GIST["frames"]), len(CHAIN["frames"]), len(CONSTRUCTED))
    assert counts == (2, 9, 8)


class ConstantHash:
    """A hash that does not care: 32 times 0x01, as in go-ethereum's test."""

    def update(self, data: object) -> None:
        pass

    def digest(self) -> bytes:
        return unhex(FAKE["fake_mac_digest"])


def test_frame_of_go_ethereum_with_a_constant_hash() -> None:
    key, mac_key = unhex(FAKE["aes_secret"]), unhex(FAKE["mac_secret"])
    message = (FAKE["message_code"], unhex(FAKE["payload_rlp"]))
    frame = unhex(FAKE["frame"])
    assert written(FrameWriter(key, mac_key, ConstantHash()), [message]) == frame
    assert read_all(FrameReader(key, mac_key, ConstantHash()), [frame]) == [message]
    plain = unhex(FAKE["decrypted_frame_data"])
    assert plain == encode_uint(message[0]) + message[1]
    rest = unhex(FAKE["decrypted_header"])[3:]
    assert rest == HEADER_REST and rest.startswith(unhex(FAKE["header_data"]))
    assert RawWriter(key, mac_key, ConstantHash()).seal(plain) == frame


@pytest.mark.parametrize("case", GIST["frames"], ids=name_of)
def test_hello_frame_of_the_gist(case: dict[str, Any]) -> None:
    seeds = (GIST["initiator_egress_mac_seed"], GIST["initiator_ingress_mac_seed"])
    seed = unhex(seeds[0 if case["direction"] == "initiator->recipient" else 1])
    secrets = unhex(GIST["aes_secret"]), unhex(GIST["mac_secret"]), seed
    ((code, payload),) = read_all(reader(*secrets), [unhex(case["frame"])])
    assert encode_uint(code) + payload == unhex(case["frame_data"])
    assert code == case["message_code"] == BASE["message_codes"]["hello"]
    assert len(encode_uint(code) + payload) == case["frame_size"]
    header = case["frame_size"].to_bytes(3, "big") + HEADER_REST
    assert header.hex() == case["decrypted_header"]
    assert written(writer(*secrets), [(code, payload)]) == unhex(case["frame"])
    hello = decode_hello(payload)
    want = case["hello"]
    assert (hello.version, hello.name) == (want["version"], want["client_id"])
    assert [list(cap) for cap in hello.caps] == want["capabilities"]
    assert (hello.listen_port, hello.node_key.hex()) == (want["listen_port"], want["node_id"])
    assert want["extra"] == []


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
@pytest.mark.parametrize("session", BESU["sessions"], ids=name_of)
def test_session_of_besu(session: dict[str, Any], delivery: Delivery) -> None:
    secrets = unhex(session["aes_secret"]), unhex(session["mac_secret"])
    seed = unhex(session["ingress_mac_seed"])
    cases = session["frames"]
    found = read_all(reader(*secrets, seed), delivery([unhex(case["frame"]) for case in cases]))
    assert len(found) == len(cases)
    for (code, payload), case in zip(found, cases, strict=True):
        assert encode_uint(code).hex() == case["message_id_byte"]
        assert hashlib.sha256(payload).hexdigest() == case["payload_sha256"]
        assert len(encode_uint(code) + payload) == case["frame_size"]
        if "frame_data" in case:
            assert (encode_uint(code) + payload).hex() == case["frame_data"]
        assert is_rlp(payload) is case["payload_is_strict_rlp"]
        if case["snappy_raw_decodes"]:
            block = decompress(payload)
            assert len(block) == case["decompressed_length"]
            assert hashlib.sha256(block).hexdigest() == case["decompressed_sha256"]
    again = writer(*secrets, seed)
    assert [written(again, [message]).hex() for message in found] == [c["frame"] for c in cases]


def is_rlp(payload: bytes) -> bool:
    try:
        decode(payload)
    except DecodeError:
        return False
    return True


def test_frame_with_excess_header_data_of_besu_gives_no_message() -> None:
    """Besu refuses its header-data, which we do not read; it is no complete frame either."""
    peer2 = BESU["sessions"][1]
    secrets = (unhex(peer2[key]) for key in ("aes_secret", "mac_secret", "ingress_mac_seed"))
    frames = reader(*secrets)
    frames.receive_data(unhex(BESU["excess_header"]["frame"]))
    try:
        assert frames.read(1) == []
    except FrameError:
        pass


def chain_secrets(direction: str) -> tuple[bytes, bytes, bytes]:
    end = "initiator_egress" if direction == "A->B" else "initiator_ingress"
    seed = unhex(CHAIN[f"{end}_mac_seed"])
    return unhex(CHAIN["aes_secret"]), unhex(CHAIN["mac_secret"]), seed


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
@pytest.mark.parametrize("direction", ["A->B", "B->A"])
def test_chain_of_frames_of_the_eip8_session(direction: str, delivery: Delivery) -> None:
    cases = [case for case in CHAIN["frames"] if case["direction"] == direction]
    secrets = chain_secrets(direction)
    found = read_all(reader(*secrets), delivery([unhex(case["frame"]) for case in cases]))
    for (code, data), case in zip(found, cases, strict=True):
        assert code == case["message_code"]
        assert (encode_uint(code) + data).hex() == case["frame_data"]
        assert (decompress(data) if case["snappy"] else data).hex() == case["payload"]
    joined = b"".join(unhex(case["frame"]) for case in cases)
    assert written(writer(*secrets), found) == joined
    one_by_one = writer(*secrets)
    assert b"".join(written(one_by_one, [message]) for message in found) == joined
    raw = raw_writer(*secrets)
    assert b"".join(raw.seal(encode_uint(code) + data) for code, data in found) == joined


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
@pytest.mark.parametrize("case", CONSTRUCTED, ids=name_of)
def test_constructed_frame_is_judged_as_expected(case: dict[str, Any], delivery: Delivery) -> None:
    frames = reader(*chain_secrets("A->B"))
    pieces = delivery([unhex(case["frame"])])
    if case["expect"].startswith("accept"):
        ((code, data),) = read_all(frames, pieces)
        assert code == 0 and (data == b"") is (case["name"] == "frame-only-code")
    elif case["name"] == "truncated":
        assert read_all(frames, pieces) == []
    else:
        with pytest.raises(FrameError):
            read_all(frames, pieces)


def test_code_zero_is_written_as_in_the_vectors() -> None:
    assert encode_uint(0).hex() == BASE["message_id_zero_encoding"]


# Round trips.

SIZES = [0, 1, 14, 15, 16, 17, 31, 32, 255, 256, 1022, 1023, 1024, 4096]
SIZES += [LARGE_FRAME + extra for extra in (-17, -16, -2, -1, 0, 1, 15, 16)] + [3 * LARGE_FRAME]
#: 300 needs two bytes of code, 65536 three.
CODES = [0, 1, 16, 127, 128, 255, 256, 300, 1024, 65535, 65536, 2**32, 2**64 - 1]


@pytest.mark.parametrize("at_once", [1, 3, 64])
@pytest.mark.parametrize("delivery", [merged, cut_at([1, 31, 7000, 17])], ids=["merged", "cut"])
def test_messages_of_all_sizes_come_back_in_order(delivery: Delivery, at_once: int) -> None:
    messages = [(16, random.Random(size).randbytes(size)) for size in SIZES]
    sent = written(writer(), messages)
    assert read_all(reader(), delivery([sent]), at_once) == messages


@pytest.mark.parametrize("code", CODES)
def test_message_code_of_any_size_comes_back(code: int) -> None:
    for size in (0, 5, LARGE_FRAME):
        message = (code, bytes(size))
        assert read_all(reader(), [written(writer(), [message])]) == [message]


def test_writer_makes_what_the_specification_says() -> None:
    messages = [(code, bytes(range(256))[:size] * 2) for code in CODES for size in SIZES[:6]]
    messages += [(17, bytes(size)) for size in SIZES]
    raw, ours = raw_writer(), writer()
    for code, data in messages:
        assert written(ours, [(code, data)]) == raw.seal(encode_uint(code) + data)
    raw, together = raw_writer(), b""
    for code, data in messages:
        together += raw.seal(encode_uint(code) + data)
    assert written(writer(), messages) == together


def test_writer_puts_payloads_through_the_transform_in_order() -> None:
    frames = writer()
    frames.write([(1, b"a"), (2, b"b")], lambda data: bytes(data) * 3)
    assert read_all(reader(), [b"".join(frames.take())]) == [(1, b"aaa"), (2, b"bbb")]


def test_writer_is_empty_until_it_has_written_and_once_all_is_taken() -> None:
    frames = writer()
    states = [frames.is_empty]
    for size in (0, LARGE_FRAME):
        frames.write([(1, bytes(size))], bytes)
        states.append(frames.is_empty)
        frames.take()
        states.append(frames.is_empty)
    assert states == [True, False, True, False, True]


def test_what_was_taken_is_not_given_again() -> None:
    frames = writer()
    assert frames.is_empty and frames.take() == []
    frames.write([(1, b"a"), (1, bytes(LARGE_FRAME))], bytes)
    first = frames.take()
    assert first and frames.take() == []
    frames.write([(2, b"b")], bytes)
    found = read_all(reader(), [*first, *frames.take()])
    assert [code for code, _data in found] == [1, 1, 2]


@settings(max_examples=60, deadline=None)
@given(
    messages=st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1) | st.sampled_from(CODES),
            st.binary(max_size=200) | st.sampled_from([bytes(n) for n in SIZES]),
        ),
        max_size=8,
    ),
    sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=6),
    at_once=st.integers(1, 5),
)
def test_any_messages_come_back_whatever_the_cuts(
    messages: list[Message], sizes: list[int], at_once: int
) -> None:
    sent = written(writer(), messages)
    assert read_all(reader(), cut_at(sizes)([sent]), at_once) == messages


@pytest.mark.parametrize("spelling", [bytes, bytearray, memoryview])
def test_reader_keeps_no_hold_on_what_it_was_given(spelling: Any) -> None:
    message = (9, bytes(LARGE_FRAME + 5))
    sent = written(writer(), [message, (8, b"abc")])
    frames, found = reader(), []
    for start in range(0, len(sent), 5000):
        piece = bytearray(sent[start : start + 5000])
        frames.receive_data(spelling(piece))
        for position in range(len(piece)):
            piece[position] = 0xFF
        while got := frames.read(9):
            found += [(code, bytes(data)) for code, data in got]
    assert found == [message, (8, b"abc")]


class LockedHash:
    """A hash that says whether it holds the lock that pysha3 makes at 2,048 bytes, until copied."""

    def __init__(self, inner: Any, locked: list[bool]) -> None:
        self._inner = inner
        self._locked = locked

    def update(self, data: bytes) -> None:
        self._inner.update(data)
        self._locked[0] |= len(data) >= 2048

    def digest(self) -> bytes:
        return bytes(self._inner.digest())

    def copy(self) -> LockedHash:
        self._locked[0] = False
        return LockedHash(self._inner.copy(), self._locked)


@pytest.mark.parametrize("at_once", [True, False], ids=["whole", "in pieces"])
@pytest.mark.parametrize(
    "size", [2031, 2032, 2033, 2048, 4000, LARGE_FRAME - 1, LARGE_FRAME, LARGE_FRAME + 1]
)
def test_frame_after_a_longer_one_is_hashed_without_a_lock(size: int, at_once: bool) -> None:
    """Else each of its hash calls would give up the interpreter lock, and wait for it."""
    writing, reading = [False], [False]
    out = FrameWriter(KEY, MAC_KEY, LockedHash(hashlib.sha3_256(SEED), writing))
    into = FrameReader(KEY, MAC_KEY, LockedHash(hashlib.sha3_256(SEED), reading))
    data = written(out, [(1, bytes(size - 1))])
    assert writing == [False]
    pieces = [data] if at_once else [data[:3000], data[3000:]]
    assert len(read_all(into, pieces)) == 1
    assert reading == [False]


def test_largest_frame_passes() -> None:
    data = bytes(MAX_MESSAGE_SIZE - 1)
    sent = written(writer(), [(5, data), (6, b"after")])
    assert sent == written(writer(), [(5, data), (6, b"after")])
    found = read_all(reader(), cut_at([1 << 20])([sent]))
    assert found == [(5, data), (6, b"after")]


# Hostile frames.


def broken(position: int, frame: bytes) -> bytes:
    changed = bytearray(frame)
    changed[position] ^= 1
    return bytes(changed)


def test_every_flipped_byte_is_refused() -> None:
    frame = written(writer(), [(16, bytes(40))])
    for position in range(len(frame)):
        frames = reader()
        frames.receive_data(broken(position, frame))
        with pytest.raises(FrameError, match="MAC") as caught:
            frames.read(1)
        assert ("header" in str(caught.value)) is (position < 32)
        assert caught.value.disc_reason is DiscReason.PROTOCOL_ERROR


@pytest.mark.parametrize("size", [40, LARGE_FRAME, LARGE_FRAME + 100])
@pytest.mark.parametrize("delivery", [merged, cut_at([999])], ids=["merged", "cut"])
def test_messages_before_a_bad_mac_are_delivered_and_none_after(
    delivery: Delivery, size: int
) -> None:
    frames = writer()
    good = [(1, b"first"), (2, bytes(size)), (3, b"third")]
    sent = written(frames, good)
    bad = broken(-1, written(frames, [(4, bytes(size))]))
    more = written(frames, [(5, b"never")])
    target, found = reader(), []
    with pytest.raises(FrameError):
        for piece in delivery([sent + bad + more]):
            target.receive_data(piece)
            while got := target.read(64):
                found += [(code, bytes(data)) for code, data in got]
    assert found == good
    for _ in range(3):
        target.receive_data(more)
        with pytest.raises(FrameError):
            target.read(64)


def test_bad_header_mac_is_refused_with_the_header() -> None:
    frames = reader()
    header = written(writer(), [(16, bytes(1000))])[:32]
    frames.receive_data(broken(31, header)[:31])
    assert frames.read(1) == []
    frames.receive_data(broken(31, header)[31:])
    with pytest.raises(FrameError, match="header MAC"):
        frames.read(1)


def test_replayed_frame_is_refused() -> None:
    frame = written(writer(), [(16, b"once")])
    frames = reader()
    assert read_all(frames, [frame]) == [(16, b"once")]
    frames.receive_data(frame)
    with pytest.raises(FrameError, match="header MAC"):
        frames.read(1)


def test_frames_in_another_order_are_refused() -> None:
    both = writer()
    first, second = written(both, [(1, b"a")]), written(both, [(2, b"b")])
    frames = reader()
    frames.receive_data(second + first)
    with pytest.raises(FrameError):
        frames.read(2)


def test_frame_of_size_0_is_refused() -> None:
    frames = reader()
    frames.receive_data(raw_writer().seal(b""))
    with pytest.raises(FrameError, match="frame of 0 bytes"):
        frames.read(1)


@pytest.mark.parametrize("limit", [1, 2049, LARGE_FRAME, MAX_MESSAGE_SIZE])
def test_frame_over_the_limit_is_refused_with_its_header(limit: int) -> None:
    frames = reader()
    frames.limit = limit
    header = raw_writer().seal(b"\x01", size=limit)[:32]
    frames.receive_data(header)
    assert frames.read(1) == []  # the rest is waited for
    if limit == MAX_MESSAGE_SIZE:
        return
    frames = reader()
    frames.limit = limit
    frames.receive_data(raw_writer().seal(b"\x01", size=limit + 1)[:32])
    with pytest.raises(FrameError, match=f"frame of {limit + 1} bytes"):
        frames.read(1)


BAD_CODES = ["00", "8100", "8101", "817f", "820001", "81", "89ffffffffffffffffff"]
BAD_CODES += ["a0" + "11" * 32, "b840" + "11" * 64, "bfffffffffffffffff", "c0", "c101", "f8", "ff"]


@pytest.mark.parametrize("size", [0, LARGE_FRAME])
@pytest.mark.parametrize("start", BAD_CODES)
def test_frame_that_does_not_begin_with_a_code_is_refused(start: str, size: int) -> None:
    frames = reader()
    frames.receive_data(raw_writer().seal(unhex(start) + bytes(size)))
    with pytest.raises(FrameError, match="message code"):
        frames.read(1)


@pytest.mark.parametrize("start", ["81", "8201", "88ffffffffffff"])
def test_code_is_not_completed_by_the_padding(start: str) -> None:
    frames = reader()
    frames.receive_data(raw_writer().seal(unhex(start), pad=0x90))
    with pytest.raises(FrameError, match="message code"):
        frames.read(1)


@pytest.mark.parametrize("size", [1, 30, LARGE_FRAME + 1])
def test_padding_and_header_data_are_not_looked_at(size: int) -> None:
    frames, raw = reader(), raw_writer()
    plain = b"\x11" + bytes(size)
    frames.receive_data(raw.seal(plain, pad=0xEE) + raw.seal(plain, rest=b"\xff" * 13))
    assert [bytes(data) for _code, data in frames.read(2)] == [bytes(size)] * 2


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), sizes=st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_random_bytes_give_only_a_frame_error(data: bytes, sizes: list[int]) -> None:
    frames = reader()
    try:
        assert read_all(frames, cut_at(sizes)([data])) == []
        assert len(data) < 32
    except FrameError:
        assert len(data) >= 32


@settings(max_examples=60, deadline=None)
@given(plains=st.lists(st.binary(max_size=60), max_size=4), cut=st.integers(1, 100))
def test_random_frame_data_gives_messages_or_a_frame_error(plains: list[bytes], cut: int) -> None:
    raw, frames = raw_writer(), reader()
    sent = b"".join(raw.seal(plain) for plain in plains)
    try:
        found = read_all(frames, cut_at([cut])([sent]))
    except FrameError:
        return
    assert [encode_uint(code) + data for code, data in found] == plains


# Memory.


def grown(frames: FrameReader, pieces: Iterable[bytes]) -> int:
    """The most bytes that were held at any time while the pieces were read."""
    with Memory() as memory, suppress(FrameError):
        for piece in pieces:
            frames.receive_data(piece)
            frames.read(1)
    return memory.peak


def test_announced_frame_costs_nothing_until_it_comes() -> None:
    header = raw_writer().seal(b"\x10", size=MAX_MESSAGE_SIZE)[:32]
    assert grown(reader(), [header]) < 16 * 1024
    assert grown(reader(), byte_by_byte([header + bytes(100)])) < 16 * 1024


def test_announced_frame_costs_what_has_come() -> None:
    header = raw_writer().seal(b"\x10", size=MAX_MESSAGE_SIZE)[:32]
    piece = bytes(64 * 1024)
    assert grown(reader(), [header] + [piece] * 16) < 2 * 16 * len(piece)


def test_bad_header_mac_costs_nothing_and_reads_nothing_of_the_body() -> None:
    header = broken(20, raw_writer().seal(b"\x10", size=MAX_MESSAGE_SIZE)[:32])
    assert grown(reader(), [header, bytes(1 << 20)]) < 16 * 1024
