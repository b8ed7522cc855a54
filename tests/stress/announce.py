"""Peers that each announce a 16 MiB frame and stop: what is announced costs nothing.

Authenticated peers send the header of the largest frame there is, and then nothing. They answer no
ping either. Memory is that of the server's process, at its peak, over what the same peers cost
while they were idle. A second crowd goes further and sends the first 32 KiB of the frame, which is
what the server then has to keep. Whoever has announced is disconnected 30 s after its last frame.

At short scale there are fewer peers, the limit of memory is as much lower, and the time is told by
a simulated clock of a server in this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import p2p
from p2p.rlpx.frame import MAX_MESSAGE_SIZE, FrameWriter, _header
from tests.kit import inspect
from tests.kit.target import Target, target
from tests.kit.waiting import eventually
from tests.stress.crowd import CAP, LENGTH, Crowd, Member, Stage
from tests.stress.figure import Figure, Scale
from tests.stress.served import Served

PEERS = {Scale.SHORT: 200, Scale.FULL: 1000}
MEMORY_MIB = 64.0
MEMORY_PEERS = 1000
CLOSED_S = 35.0
#: Fewer than may be in their handshake at a time: the oldest of more would be given up.
JOINING = 40
#: What the second crowd sends of its frames.
BEGINNING = 32 * 1024
MIB = 1024 * 1024


class Announcer(Member):
    """A peer that announces a frame when it is told to."""

    has_announced = False

    def announce(self, beginning: int = 0) -> None:
        """Send the header of a frame of 16 MiB, and so many bytes of it, which nobody can check."""
        writer = self.machine._writer
        assert writer is not None
        self.has_announced = True
        self.send_raw(header(writer, MAX_MESSAGE_SIZE) + os.urandom(beginning))

    def _take_output(self) -> None:
        # An answer to a ping would come in the middle of the frame.
        if not self.has_announced:
            super()._take_output()


def header(writer: FrameWriter, size: int) -> bytes:
    """A header with its MAC; the frame of ``size`` bytes would come next."""
    sealed = writer._encrypt(_header(size))
    writer._mac.update(writer._mask(writer._last + sealed)[16:])
    return sealed + writer._mac.digest()[:16]


def run(scale: Scale) -> Iterator[Figure]:
    """The memory of two crowds; then how long until all are gone."""
    count = PEERS[scale]
    yield from in_memory(count, 0, scale is Scale.FULL)
    yield from in_memory(count, BEGINNING, False)
    if scale is Scale.SHORT:
        yield Figure(
            "seconds until all are closed (simulated)", simulated_end(JOINING), "s", CLOSED_S
        )


def in_memory(count: int, beginning: int, to_the_end: bool) -> Iterator[Figure]:
    """What a crowd costs while it is idle, and what it costs more once all have announced."""
    sent = f"{beginning // 1024} KiB" if beginning else "header"
    what = f"{count:,} peers, {sent} of 16 MiB sent"
    with Served(max_peers=count) as served, Crowd(served.node) as crowd:
        before_bytes, descriptors = served.rss_bytes, served.descriptors
        members = join(crowd, count)
        served.ask("await_peers", count=count)
        idle_bytes = served.rss_bytes
        served.forget_peak()
        start = time.monotonic()
        for member in members:
            member.announce(beginning)
        crowd.until(lambda: not any(member.unsent for member in members), "all have announced")
        await_read(served, count, count * beginning)
        peak_bytes = served.peak_bytes
        assert served.ask("state")["peers"] == count
        limit = MEMORY_MIB * count / MEMORY_PEERS
        more = (peak_bytes - idle_bytes) / MIB
        whole = (peak_bytes - before_bytes) / MIB
        yield Figure(f"memory of {what}, beyond idle ones", more, "MiB", limit)
        yield Figure(f"memory of {what}, in all", whole, "MiB")
        if to_the_end:
            yield from until_closed(served, crowd, members, start, descriptors)


def until_closed(
    served: Served, crowd: Crowd, members: list[Announcer], start: float, descriptors: int
) -> Iterator[Figure]:
    """How long it takes, from the first announcement, until the last connection is closed."""
    crowd.until(lambda: all(member.stage is Stage.GONE for member in members), "all are closed")
    yield Figure("seconds until all are closed", time.monotonic() - start, "s", CLOSED_S)
    served.ask("await_peers", count=0)
    yield Figure("descriptors left open", served.descriptors - descriptors, "", 0)
    wrong = sum(member.reason is not p2p.DiscReason.READ_TIMEOUT for member in members)
    yield Figure("closed for another reason than the read time-out", wrong, "peers", 0)


def join(crowd: Crowd, count: int) -> list[Announcer]:
    """So many peers."""
    members: list[Announcer] = []
    while len(members) < count:
        more = [Announcer(crowd) for _ in range(min(JOINING, count - len(members)))]
        crowd.until(lambda more=more: all(one.stage is Stage.OPEN for one in more), "all joined")
        members += more
    return members


def await_read(served: Served, frames: int, size_bytes: int) -> None:
    """Wait until the server has read all that was sent."""
    deadline = time.monotonic() + CLOSED_S
    while served.ask("announced") != {"frames": frames, "bytes": size_bytes}:
        assert time.monotonic() < deadline, "the server does not read"


def simulated_end(count: int) -> float:
    """Seconds of a simulated clock from the announcements until the last socket is closed."""

    def idle(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        list(rw)

    stress = p2p.Protocol(CAP.name, CAP.version, LENGTH, idle)
    with (
        target(protocols=[stress], max_peers=2 * count) as victim,
        Crowd(victim.server.self) as crowd,
    ):
        members = join(crowd, count)
        eventually(lambda: victim.sessions()[1] == 0)
        for member in members:
            member.announce()
        crowd.until(lambda: not any(member.unsent for member in members), "all have announced")
        eventually(lambda: announced(victim) == count)
        start = victim.clock.monotonic()
        while victim.sessions()[2]:
            elapsed = victim.clock.monotonic() - start
            assert elapsed < 2 * CLOSED_S, "they are not closed"
            victim.clock.advance(1.0)
            for _ in range(3):  # time-outs, last words, sockets: a pass each
                inspect.settle(victim.server)
        return victim.clock.monotonic() - start


def announced(victim: Target) -> int:
    """How many headers the server has read."""
    sessions = inspect.open_sessions(victim.server)
    readers = [session.machine._reader for session in sessions]
    return sum(reader is not None and reader._body is not None for reader in readers)
