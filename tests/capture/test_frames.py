"""The frames of a remote that knows the secrets and means no good, and the bounds of the search."""

from __future__ import annotations

import tracemalloc

import pytest

from p2p.capture import frames, keystream
from p2p.capture.frames import Frame, FrameDecoder, Loss
from p2p.capture.keystream import Header, cipher_at, find_header
from p2p.crypto import keccak_hasher
from p2p.rlpx.frame import FrameWriter

KEY = b"\x11" * 32


def sealed(*messages: tuple[int, bytes]) -> bytes:
    """The frames of messages."""
    writer = FrameWriter(KEY, KEY, keccak_hasher(b""))
    writer.write(messages, lambda payload: payload)
    return b"".join(writer.take())


def header(size: int, block: int = 0) -> bytes:
    """An encrypted header that announces ``size``, with some MAC."""
    plain = size.to_bytes(3, "big") + keystream.TAIL
    return cipher_at(KEY, block)(plain) + bytes(16)


def codes(items: list[frames.Item]) -> list[int | None]:
    return [item.code for item in items if isinstance(item, Frame)]


def test_frames_are_read_however_they_are_cut() -> None:
    data = sealed((1, b"one"), (2, b""), (300, bytes(100)))
    for size in (1, 7, 16, 33, len(data)):
        decoder = FrameDecoder(KEY)
        items = [
            item
            for start in range(0, len(data), size)
            for item in decoder.receive(data[start : start + size], 1.0)
        ]
        assert codes(items) == [1, 2, 300]
        assert decoder.end(1.0) == []


@pytest.mark.parametrize("missing", [1, 15, 16, 64, 65, 200])
def test_header_is_found_after_a_hole_of_any_size(missing: int) -> None:
    data = sealed(*((number, b"x" * number) for number in range(1, 30)))
    decoder = FrameDecoder(KEY)
    items = decoder.receive(data[:300], 1.0)
    items += decoder.skip(missing, 2.0)
    items += decoder.receive(data[300 + missing :], 3.0) + decoder.end(4.0)
    (loss,) = [item for item in items if isinstance(item, Loss)]
    found = codes(items)
    assert loss.frames == 29 - len(found)
    assert found == [n for n in range(1, 30) if n in found] and found[-1] == 29


def test_key_stream_tells_the_place_of_a_header() -> None:
    data = sealed(*((5, bytes(40)) for _ in range(100)))
    size = len(data) // 100
    at = 37 * size
    for step, start in ((1, at - 5), (16, at - size + 32)):
        found = find_header(KEY, data[start : at + 40], step, 0, 1000)
        assert found == Header(at - start, 37 * 4)
    assert find_header(KEY, data[at : at + 40], 16, 0, 37 * 4) is None
    assert find_header(b"\x12" * 32, data[at : at + 40], 1, 0, 1000) is None


def test_header_without_a_frame_is_passed_over() -> None:
    decoder = FrameDecoder(KEY)
    items = decoder.receive(header(0) * 50 + bytes(500), 1.0) + decoder.end(2.0)
    assert codes(items) == []
    assert sum(item.size for item in items) == 50 * 32 + 500


def test_announced_frame_costs_what_has_come() -> None:
    decoder = FrameDecoder(KEY)
    tracemalloc.start()
    try:
        assert decoder.receive(header(2**24 - 1) + bytes(1000), 1.0) == []
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_searches_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def find(key: bytes, data: bytes, step: int, first_block: int, blocks: int) -> None:
        searched.append(blocks)

    monkeypatch.setattr(frames, "find_header", find)
    decoder = FrameDecoder(KEY, is_aligned=False)
    data = bytes(frames.WINDOW_SIZE)
    for number in range(100):
        decoder.receive(data, float(number))
        assert len(decoder._buffer) < 64
    assert 1 < len(searched) <= frames.MAX_SEARCHED // frames.MAX_BLOCKS + 1
    (loss,) = decoder.end(100.0)
    assert isinstance(loss, Loss) and loss.size == 100 * len(data)


def test_frame_without_a_code_is_a_frame() -> None:
    decoder = FrameDecoder(KEY)
    data = bytearray(header(3))
    data += cipher_at(KEY, 1)(b"\xc1\x00\x00" + bytes(13)) + bytes(16)
    (item,) = decoder.receive(bytes(data), 1.0)
    assert isinstance(item, Frame) and item.code is None
