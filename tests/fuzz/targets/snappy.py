"""Snappy blocks (EIP-706), judged by a decoder of our own.

The body of a repaired case is the elements of a block; in front is put the length that they really
have. With bit 0 of the variant it is what elements are made of, so that each of them is sound.
Unrepaired, the body is the block, whose length may lie. The library must accept exactly what
the little decoder here accepts (format description of snappy, sections 1 and 2), and find the same
in it. What it found must come through compression and back.

Two things that no encoder makes are left open, and ``strict`` here refuses them: a literal of up to
60 bytes whose length stands behind the tag, where only longer ones belong (Go's decoder takes it,
the library only where four more bytes follow the tag), and a declared length in more than the five
bytes that 32 bits need (both take it).
"""

from __future__ import annotations

from p2p.errors import CompressionError
from p2p.rlpx.snappy import compress, decompress
from tests.fuzz.target import REPAIRED, Target
from tests.rlpx.vectors import FRAMES, unhex

#: What the longest small block comes to is below this; beyond, the slow decoder gives up.
MOST = 1 << 18
_MAX_VARINT_BYTES, _NEEDED_VARINT_BYTES = 10, 5
COMPOSED = 1


class Broken(Exception):
    """Elements that are no snappy."""


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def declared(block: bytes, strict: bool = False) -> tuple[int, bytes]:
    """The length in front of a block, and its elements."""
    size = 0
    for index, byte in enumerate(block[: _NEEDED_VARINT_BYTES if strict else _MAX_VARINT_BYTES]):
        size |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            size %= 1 << 64
            if size > 0xFFFFFFFF:
                raise Broken("length of more than 32 bits")
            return size, block[index + 1 :]
    raise Broken("no length")


def expand(elements: bytes, strict: bool = False) -> bytes:
    """What the elements come to."""
    out = bytearray()
    pos = 0
    while pos < len(elements):
        tag = elements[pos]
        pos += 1
        if tag & 3 == 0:
            pos = _literal(elements, pos, tag >> 2, out, strict)
        else:
            pos = _copy(elements, pos, tag, out)
        if len(out) > MOST:
            raise Broken("too long for this decoder")
    return bytes(out)


def _number(elements: bytes, pos: int, width: int) -> int:
    if pos + width > len(elements):
        raise Broken("ends inside an element")
    return int.from_bytes(elements[pos : pos + width], "little")


def _literal(elements: bytes, pos: int, size: int, out: bytearray, strict: bool) -> int:
    if size >= 60:
        width = size - 59
        size = _number(elements, pos, width)
        pos += width
        if strict and size < 60:
            raise Broken("a length that belongs into the tag")
    stop = pos + size + 1
    if stop > len(elements):
        raise Broken("ends inside a literal")
    out += elements[pos:stop]
    return stop


def _copy(elements: bytes, pos: int, tag: int, out: bytearray) -> int:
    width = (0, 1, 2, 4)[tag & 3]
    offset = _number(elements, pos, width)
    size = 1 + (tag >> 2)
    if tag & 3 == 1:
        offset |= tag >> 5 << 8
        size = 4 + (tag >> 2 & 7)
    if not 0 < offset <= len(out):
        raise Broken("copies from before the beginning")
    for _ in range(size):
        out.append(out[-offset])
    return pos + width


def compose(body: bytes) -> bytes:
    """Elements that are sound: the first byte of each tells its kind and size, as a tag does."""
    elements = bytearray()
    size = pos = 0
    while pos < len(body) and size < MOST // 2:
        tag, more = body[pos], body[pos + 1 : pos + 65]
        pos += 1
        if tag & 3 == 0 or not size:
            literal = more[: (tag >> 2) + 1]
            pos += len(literal)
            size += len(literal)
            if literal:
                elements += _literal_head(len(literal)) + literal
            continue
        pos += 2
        offset = 1 + int.from_bytes(more[:2], "big") % min(size, 0xFFFF)
        if tag & 3 == 1 and offset < 2048:
            elements += bytes([tag & 0x1C | 1 | offset >> 8 << 5, offset & 0xFF])
            size += 4 + (tag >> 2 & 7)
        else:
            width = 4 if tag & 3 == 3 else 2
            elements += bytes([tag & 0xFC | (3 if width == 4 else 2)])
            elements += offset.to_bytes(width, "little")
            size += 1 + (tag >> 2)
    return bytes(elements)


def _literal_head(size: int) -> bytes:
    return bytes([size - 1 << 2]) if size <= 60 else bytes([60 << 2, size - 1])


def build(variant: int, repaired: bool, body: bytes) -> bytes:
    if not repaired:
        return body
    if variant & COMPOSED:
        body = compose(body)
    try:
        return varint(len(expand(body))) + body
    except Broken:
        return varint(len(body)) + body


def expected(block: bytes, strict: bool = False) -> bytes:
    """What a block holds. Raises Broken."""
    size, elements = declared(block, strict)
    data = expand(elements, strict)
    if len(data) != size:
        raise Broken("another length than declared")
    return data


def check(block: bytes, data: bytes) -> None:
    assert data == expected(block)
    assert decompress(bytes(compress(data))) == data
    assert decompress(memoryview(block)) == data


def check_refused(block: bytes, error: Exception) -> None:
    try:
        data = expected(block, strict=True)
    except Broken:
        return
    raise AssertionError(f"a good block of {len(data)} bytes is refused")


def seeds() -> list[bytes]:
    vectors = FRAMES["snappy"]
    blocks = [unhex(case["input"]) for case in [*vectors["decode_cases"], *vectors["limits"]]]
    blocks += [bytes(compress(data)) for data in (b"a" * 300, bytes(range(200)), b"abc" * 99)]
    blocks += [bytes(compress(bytes(20_000))), b"\x7f" + b"\xf0\x7e" + bytes(127)]
    elements = []
    for block in blocks:
        try:
            elements.append(declared(block)[1])
        except Broken:
            pass
    return [
        *(b"\0" + block for block in blocks),
        *(bytes([REPAIRED]) + part for part in elements),
        *(bytes([REPAIRED | COMPOSED << 1]) + part for part in elements),
    ]


TARGETS = (
    Target(
        "snappy",
        seeds=seeds,
        build=build,
        decode=decompress,
        errors=(CompressionError,),
        check=check,
        check_refused=check_refused,
        words=(b"\xf0", b"\xf4\xff", b"\xfe\x01\x00", b"\x01\x01", b"\xff\xff\xff\xff\x0f"),
        reads_rlp=False,
    ),
)
