"""Frames: header and body (rlpx.md, "Framing").

The body of a case is a row of RLP items, a script of what the remote sends. A list is a frame,
``[header, data, padding byte, times]``, encrypted and given both MACs by a writer that shares the
secrets; an empty header is made for the data, which are repeated so many times more. A list of one
string goes onto the wire as it is; what is no list is passed over. Unrepaired, the body is what
arrives. With bit 0 of the variant the reader has the limit of hellos.

The reader gets everything at once; it must say the same when it gets it in pieces, and the messages
that it read, written and read again, must be the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.codec import encode
from p2p.crypto import keccak_hasher
from p2p.errors import FrameError
from p2p.rlpx.frame import FrameReader, FrameWriter
from tests.fuzz import rlptree
from tests.fuzz.rlptree import Tree
from tests.fuzz.target import REPAIRED, Target, describe
from tests.rlpx.pair import RawWriter
from tests.rlpx.vectors import FRAMES, unhex

AES_KEY, MAC_KEY, MAC_SEED = b"\x0a" * 32, b"\x0b" * 32, b"\x0c" * 64
SMALL_LIMIT = 2049
#: Pieces that a stream is cut into, for the sake of time.
MAX_PIECES = 100
#: What repeating may come to, in bytes: frames from 16 KiB on are read in another way.
MAX_REPEATED = 20_000


@dataclass(frozen=True)
class Stream:
    """What arrives, and the reader's limit if it is not the usual one."""

    data: bytes
    limit: int
    piece: int


@dataclass(frozen=True)
class Heard:
    """What a reader made of a stream."""

    messages: list[tuple[int, bytes]]
    error: FrameError | None


def text(item: Tree) -> bytes:
    """A string, or whatever else stands in its place."""
    return rlptree.write(item) if isinstance(item, list) else bytes(item)


def part(item: Tree, index: int) -> bytes:
    """One string of a list, empty when there is none."""
    return text(item[index]) if isinstance(item, list) and index < len(item) else b""


def number(item: Tree, index: int) -> int:
    """A number of a list, small enough for anything."""
    return int.from_bytes(part(item, index)[:8], "big")


def repeated(item: Tree, index: int, times: int) -> bytes:
    """A string, repeated as often as the number at ``times`` says, within bounds."""
    data = part(item, index)
    return data * min(1 + number(item, times), max(1, MAX_REPEATED // (len(data) or 1)))


def seal(writer: RawWriter, head: bytes, plain: bytes, pad: bytes) -> bytes:
    """A frame with the header ``head``, or with an honest one if that is empty."""
    if not head:
        return writer.seal(plain, pad=pad[0] if pad else 0)
    head = head[:16].ljust(16, b"\0")
    size = int.from_bytes(head[:3], "big")
    return writer.seal(plain, size=size, rest=head[3:], pad=pad[0] if pad else 0)


def build(variant: int, repaired: bool, body: bytes) -> Stream:
    if repaired:
        writer = RawWriter(AES_KEY, MAC_KEY, keccak_hasher(MAC_SEED))
        steps = [item for item in rlptree.read(body) if isinstance(item, list)]
        body = b"".join(
            part(step, 0)
            if len(step) == 1
            else seal(writer, part(step, 0), repeated(step, 1, 3), part(step, 2))
            for step in steps
        )
    return Stream(body, SMALL_LIMIT if variant & 1 else 0, 1 + (variant >> 1))


def new_reader(limit: int) -> FrameReader:
    reader = FrameReader(AES_KEY, MAC_KEY, keccak_hasher(MAC_SEED))
    if limit:
        reader.limit = limit
    return reader


def read_all(reader: FrameReader, pieces: list[bytes]) -> Heard:
    messages: list[tuple[int, bytes]] = []
    try:
        for piece in pieces:
            reader.receive_data(piece)
            while found := reader.read(256):
                messages += [(code, bytes(data)) for code, data in found]
    except FrameError as error:
        return Heard(messages, error)
    return Heard(messages, None)


def decode(stream: Stream) -> Heard:
    return read_all(new_reader(stream.limit), [stream.data])


def check(stream: Stream, heard: Heard) -> None:
    data = stream.data
    size = max(stream.piece, len(data) // MAX_PIECES)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    slowly = read_all(new_reader(stream.limit), pieces)
    assert slowly.messages == heard.messages
    assert str(slowly.error) == str(heard.error)
    writer = FrameWriter(AES_KEY, MAC_KEY, keccak_hasher(MAC_SEED))
    writer.write(heard.messages, lambda payload: payload)
    again = read_all(new_reader(0), [bytes(buffer) for buffer in writer.take()])
    assert again == Heard(heard.messages, None)


def label(heard: Heard) -> str:
    if heard.error is not None:
        return describe(heard.error)
    return "accepted" if heard.messages else "incomplete"


def seeds() -> list[bytes]:
    messages = [
        unhex(case["frame_data"])
        for key in ("gist_hello_frames", "eip8_session_chain")
        for case in FRAMES[key]["frames"]
    ]
    scripts = [encode([b"", plain, b""]) for plain in messages[:8]]
    scripts += [
        b"".join(scripts[:3]),
        encode([b"\0\0\x05\xc2\x80\x80" + bytes(10), b"\x10abcd", b""]),
        encode([b"", b"\x10" + bytes(700), b"\xff"]) + encode([b"", b"\x81\x80x", b""]),
        encode([b"\xff\xff\xff\xc2\x80\x80" + bytes(10), b"\x10" + bytes(100), b""]),
        scripts[1] + encode([bytes(40)]),
        scripts[0] + encode([b"", b"\x10large", b"", 3000]) + scripts[2],
        encode([b"\0\x50\0\xc2\x80\x80" + bytes(10), b"\x82\1\2" + bytes(93), b"", 256]),
    ]
    wires = [build(0, True, script).data for script in scripts]
    repaired = [bytes([REPAIRED | n % 2 << 1]) + script for n, script in enumerate(scripts)]
    return repaired + [b"\0" + wire for wire in wires]


TARGETS = (
    Target(
        "frame",
        seeds=seeds,
        build=build,
        decode=decode,
        errors=(FrameError,),
        check=check,
        label=label,
        size=lambda stream: len(stream.data),
        shallow=("incomplete", "FrameError: bad header MAC", "FrameError: bad frame MAC"),
    ),
)
