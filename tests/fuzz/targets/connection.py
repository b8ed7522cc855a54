"""The machine of a connection, after a true handshake: all that a remote can say and when.

The body of a case is a row of RLP items, a script. What is no list is passed over; a list begins
with what is to happen:

====  =========================  ====================================================
0     [0, code, payload, times]  a message, compressed once that is agreed
1     [1, code, payload, times]  a message, not compressed
2     [2, header, data, pad]     a frame as it is written, see the target "frame"
3     [3, code, block]           a compressed message, the block as it is written
4     [4, quarters of a second]  time passes
5     [5, fields]                a hello; an empty key in it becomes the remote's own
6     [6, what, value]           our own end sends, pings, holds, releases, disconnects
7     [7, bytes]                 bytes as they are, past cipher and MAC
====  =========================  ====================================================

Variant: bit 0, the machine dials; bit 1, the remote says hello first; bit 2, the same bytes come in
pieces as well and must come to the same. The machine never raises; what it says can be read; once
it is closed it says nothing more and has no deadline.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.codec import encode, encode_uint
from p2p.errors import DiscReason, RemoteProtocolError
from p2p.rlpx import Connection, ConnectionFailed, DisconnectReceived, Event, State
from p2p.rlpx.messages import encode_hello
from p2p.rlpx.snappy import compress
from tests.fuzz import rlptree
from tests.fuzz.rlptree import Tree
from tests.fuzz.target import REPAIRED, Target, describe
from tests.fuzz.targets.frame import number, part, repeated, seal
from tests.rlpx.pair import MALLORY, RawRemote, make_hello, messages_of

PIECES = (1, 7, 15, 16, 17, 32, 33, 100)
DIALS, GREETS, IN_PIECES = 1, 2, 4
MAX_STEPS = 400
#: Pieces that what is sent at once is cut into, for the sake of time.
MAX_PIECES = 24


@dataclass(frozen=True)
class Play:
    """A remote that has shaken hands, and what it is going to do."""

    remote: RawRemote
    steps: list[Tree]
    variant: int


def build(variant: int, repaired: bool, body: bytes) -> Play:
    remote = RawRemote(dials=not variant & DIALS)
    if variant & GREETS:
        remote.greet()
    steps: list[Tree] = rlptree.read(body)[:MAX_STEPS] if repaired else [[b"\7", body]]
    return Play(remote, steps, variant)


def decode(play: Play) -> Play:
    for step in play.steps:
        take(play.remote, step, 0)
    return play


def take(remote: RawRemote, step: Tree, piece: int) -> None:
    """Do one step; what is sent arrives in pieces of that size, or whole if it is 0."""
    if not isinstance(step, list):
        return
    kind = number(step, 0)
    if kind == 4:
        remote.wait(min(number(step, 1), 400) / 4)
    elif kind == 6:
        act(remote, number(step, 1), number(step, 2))
    else:
        deliver(remote, sealed(remote, step, kind), piece)


def deliver(remote: RawRemote, data: bytes, piece: int) -> None:
    cut = max(piece, len(data) // MAX_PIECES) if piece else len(data) or 1
    for start in range(0, len(data), cut):
        remote.receive(data[start : start + cut])


def sealed(remote: RawRemote, step: Tree, kind: int) -> bytes:
    """The frame that a step sends."""
    if kind == 7:
        return part(step, 1)
    if kind == 2:
        return seal(remote.writer, part(step, 1), part(step, 2), part(step, 3))
    if kind == 5:
        return remote.writer.seal(b"\x80" + own_hello(remote, part(step, 1)))
    payload = repeated(step, 2, 3)
    if kind == 0 and remote.machine.compresses:
        payload = bytes(compress(payload))
    return remote.writer.seal(encode_uint(number(step, 1)) + payload)


def own_hello(remote: RawRemote, fields: bytes) -> bytes:
    """A hello, with the remote's key where there is none."""
    items = rlptree.read(fields)
    if items and isinstance(items[0], list) and len(items[0]) > 4 and items[0][4] == b"":
        items[0][4] = remote.key.public_key.to_bytes()
    return rlptree.write(items)


def act(remote: RawRemote, what: int, value: int) -> None:
    """What our own end does meanwhile."""
    machine = remote.machine
    if what == 0:
        machine.send_messages([(16 + value % 8, bytes(value % 1000))])
    elif what == 1:
        machine.ping()
    elif what == 2:
        machine.hold_reading()
    elif what == 3:
        machine.release_reading(remote.now)
    elif what == 4:
        machine.disconnect(DiscReason(value % 256))
    else:
        remote.frames()


def check(play: Play, again: Play) -> None:
    remote = play.remote
    machine = remote.machine
    failures = [event for event in remote.end.events if isinstance(event, ConnectionFailed)]
    check_ending(machine, remote.end.events, failures)
    told = remote.frames()
    assert machine.data_to_send() == [] and not machine.has_data_to_send
    assert all(code < 24 for code, _ in told)
    for capability, code, _payload in messages_of(remote.end.events):
        assert 0 <= code < machine.shared[capability].length
    if play.variant & IN_PIECES:
        check_pieces(play)


def check_ending(
    machine: Connection, events: list[Event], failures: list[ConnectionFailed]
) -> None:
    closed = machine.state is State.CLOSED
    assert (machine.deadline is None) == closed
    assert len(failures) <= 1
    if failures:
        assert closed and events[-1] is failures[0]
        assert isinstance(failures[0].error, RemoteProtocolError)
        assert machine.error is failures[0].error
    else:
        assert machine.error is None
    if any(isinstance(event, DisconnectReceived) for event in events):
        assert closed and isinstance(events[-1], DisconnectReceived)


def check_pieces(play: Play) -> None:
    """How the bytes were cut makes no difference."""
    remote = RawRemote(dials=not play.variant & DIALS)
    if play.variant & GREETS:
        remote.greet()
    for step in play.steps:
        take(remote, step, PIECES[play.variant >> 3 & 7])
    assert messages_of(remote.end.events) == messages_of(play.remote.end.events)
    assert str(remote.machine.error) == str(play.remote.machine.error)
    assert remote.machine.state is play.remote.machine.state


def label(play: Play) -> str:
    machine = play.remote.machine
    if machine.error is not None:
        return describe(machine.error)
    last = play.remote.end.events[-1]
    return "disconnect" if isinstance(last, DisconnectReceived) else machine.state.value


def size(play: Play) -> int:
    """About how much is sent."""
    return sum(len(repeated(step, 2, 3)) for step in play.steps)


def seeds() -> list[bytes]:
    mine = make_hello(MALLORY)
    hello = encode([5, encode([5, "test", [["alpha", 1], ["beta", 2]], 0, b""])])
    plain = encode([5, encode([4, "old", [["beta", 1], ["beta", 2], ["beta", 3]], 0, b"", b"x"])])
    talk = b"".join(encode([0, 16 + n, b"payload %d" % n]) for n in range(8))
    scripts = [
        hello + talk,
        plain + talk,
        encode([0, 0, encode_hello(mine)]) + encode([0, 2, b"\xc0"]) + encode([6, 5, 0]),
        hello + encode([0, 2, b"\xc0"]) * 3 + encode([0, 3, b"\xc0"]) + encode([4, 70]) * 2,
        hello + encode([0, 1, b"\xc1\x04"]) + talk,
        hello + encode([1, 1, b"\x04"]),
        hello + encode([3, 17, b"\xc8\x01\xf0\xc7" + bytes(200)]) + encode([3, 17, b"\x00"]),
        hello + encode([2, b"\xff\xff\xff\xc2\x80\x80" + bytes(10), b"\x10" + bytes(99), b""]),
        hello + encode([2, b"", b"\x81\x90x", b""]) + encode([2, b"", b"\x13y", b"\1"]),
        hello + encode([6, 0, 500]) + encode([6, 2, 0]) + encode([4, 200]) + encode([6, 3, 0]),
        hello + encode([6, 2, 0]) + talk + encode([4, 200]) + encode([6, 1, 0]) + encode([6, 5, 0]),
        encode([1, 1, b"\xc1\x05"]),
        hello + encode([0, 17, bytes(40), 450]) + encode([0, 16, b"abc", 9]) + talk,
        plain + encode([1, 17, bytes(range(200)), 90]) + talk,
        hello + encode([0, 16, bytes(1500)]) + encode([6, 4, 8]) + talk,
        hello + encode([7, b"junk" * 20]) + talk,
    ]
    flags = (0, DIALS, GREETS, DIALS | GREETS, IN_PIECES | 0x28)
    return [
        bytes([REPAIRED | flag << 1]) + script
        for n, script in enumerate(scripts)
        for flag in (flags[n % 5], flags[(n + 1) % 5])
    ] + [b"\0" + bytes(64), bytes([GREETS << 1]) + bytes(range(96))]


TARGETS = (
    Target(
        "connection",
        seeds=seeds,
        build=build,
        decode=decode,
        errors=(),
        check=check,
        label=label,
        size=size,
        shallow=("FrameError: bad header MAC", "FrameError: bad frame MAC", "await hello"),
        words=(b"\xc1\x80", b"\xc2\x80\x80", b"\xff\xff\xff", b"\xff\xff\xff\x07"),
    ),
)
