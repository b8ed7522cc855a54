"""The frame codec alone: two connection machines in one thread, and no socket.

Each direction is compared with a loop of the bare calls that it needs for a frame: the cipher, the
two masks, three updates and three digests of Keccak, and snappy. A reader needs one call of the
cipher more than a writer, because the header must be decrypted before the size is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter

from cramjam import snappy

from benchmarks.scale import LARGE, MEDIUM, SMALL, Scale
from p2p.crypto import PrivateKey, PublicKey, ctr_stream, feedback_mask, keccak_hasher
from p2p.rlpx import (
    Cap,
    Connection,
    Event,
    Hello,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
)

SIZES = (SMALL, MEDIUM, LARGE)
CAP = Cap("bench", 1)
CODE = 16
#: Bytes at a time, as a session frames and a channel reads.
BATCH_BYTES = 256 * 1024
KECCAK_BYTES = 32 * LARGE


def machine(key: PrivateKey, remote: PublicKey | None = None) -> Connection:
    """Return a machine that offers CAP; it dials if ``remote`` is given."""
    hello = Hello(5, "bench", [CAP], 0, key.public_key.to_bytes())
    return Connection(key, hello, [(CAP, 4)], os.urandom, 0.0, remote=remote)


def advance(end: Connection, events: list[Event]) -> bool:
    """Continue at each pause. Return whether the handshake is complete."""
    for event in events:
        if isinstance(event, IdentityKnown):
            return advance(end, end.accept_identity(0.0))
        if isinstance(event, HelloReceived):
            end.accept_hello(0.0)
            return True
    return False


def connected_pair() -> tuple[Connection, Connection]:
    """Return two machines after their handshake."""
    ours, theirs = PrivateKey.generate(os.urandom), PrivateKey.generate(os.urandom)
    ends = machine(ours, theirs.public_key), machine(theirs)
    open_ends = 0
    while open_ends < 2:
        for sender, receiver in (ends, ends[::-1]):
            open_ends += advance(
                receiver, receiver.receive_data(b"".join(sender.data_to_send()), 0.0)
            )
    return ends


def measure(scale: Scale) -> dict[str, float]:
    """Return the seconds for a message of each size and direction: codec, and bare calls."""
    seconds = {}
    for size in SIZES:
        count = scale.messages(size)
        payload = os.urandom(size)
        bare_write, bare_read = bare_calls(payload)
        write, read = codec(payload, count)
        seconds[f"codec write {size}"] = write
        seconds[f"bare write {size}"] = repeat(bare_write, count)
        seconds[f"codec read {size}"] = read
        seconds[f"bare read {size}"] = repeat(bare_read, count)
    seconds["keccak"] = keccak()
    seconds[f"keccak {MEDIUM}"] = seconds["keccak"] * MEDIUM / LARGE
    return seconds


def codec(payload: bytes, count: int) -> tuple[float, float]:
    """Return the seconds to write, and to read, one message."""
    sender, receiver = connected_pair()
    batch = [(CODE, payload)] * max(1, BATCH_BYTES // len(payload))
    writing = reading = 0.0
    sent = received = 0
    while sent < count:
        start = perf_counter()
        sender.send_messages(batch)
        buffers = sender.data_to_send()
        writing += perf_counter() - start
        sent += len(batch)
        data = memoryview(b"".join(buffers))
        pieces = [data[at : at + BATCH_BYTES] for at in range(0, len(data), BATCH_BYTES)]
        start = perf_counter()
        for piece in pieces:
            for event in receiver.receive_data(piece, 0.0):
                assert isinstance(event, MessagesReceived)
                received += len(event.messages)
        reading += perf_counter() - start
    assert received == sent
    return writing / sent, reading / sent


def bare_calls(payload: bytes) -> tuple[Callable[[int], None], Callable[[int], None]]:
    """Return loops of the calls that writing, and reading, a frame with ``payload`` needs."""
    block = bytes(snappy.compress_raw(payload))
    header, body = bytes(16), bytes(-(-(1 + len(block)) // 16) * 16)
    frame = header + body
    cipher, mask, hasher = ctr_stream(bytes(32)), feedback_mask(bytes(32)), keccak_hasher()
    update, digest = hasher.update, hasher.digest
    compress, decompress = snappy.compress_raw, snappy.decompress_raw
    two_blocks = bytes(32)

    def write(count: int) -> None:
        for _ in range(count):
            compress(payload)
            cipher(frame)
            update(mask(two_blocks))
            digest()
            update(body)
            digest()
            update(mask(two_blocks))
            digest()

    def read(count: int) -> None:
        for _ in range(count):
            update(mask(two_blocks))
            digest()
            cipher(header)
            update(body)
            digest()
            update(mask(two_blocks))
            digest()
            cipher(body)
            decompress(block)

    return write, read


def repeat(loop: Callable[[int], None], count: int) -> float:
    """Return the seconds for one turn of a loop."""
    start = perf_counter()
    loop(count)
    return (perf_counter() - start) / count


def keccak() -> float:
    """Return the seconds of Keccak for 1 MiB, in inputs of that size."""
    data = os.urandom(LARGE)
    update = keccak_hasher().update
    turns = KECCAK_BYTES // LARGE
    start = perf_counter()
    for _ in range(turns):
        update(data)
    return (perf_counter() - start) / turns
