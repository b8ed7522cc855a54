"""1,000 servers that start and stop, one after the other in one process, and leave nothing.

Every other one has discovery, each fifth a peer that talks with it, by numbered messages with a
running hash, and is still there when the server stops, or has just been reset. All of it happens in
a process of its own.

What is shown: no thread and no descriptor is left after any of them; the memory of the process does
not grow with their number (a line is fitted to it after the warm-up); nor do the objects that the
interpreter keeps count of.
"""

from __future__ import annotations

import gc
import statistics
import threading
from collections.abc import Iterator
from typing import Any

import p2p
from tests.stress.chain import Chain
from tests.stress.child import Child, obey
from tests.stress.crowd import CAP, LENGTH, Crowd, Leave, Member, Stage
from tests.stress.figure import Figure, Scale

CYCLES = {Scale.SHORT: 40, Scale.FULL: 1000}
#: The first ones, in which caches fill.
WARM_UP = {Scale.SHORT: 10, Scale.FULL: 100}
#: Memory may grow so much with each server, KiB: 1 MiB in a thousand of them.
MAX_SLOPE_KIB = 1.0
#: Objects may; one that is left each time is a leak, one in ten times is the interpreter's own.
MAX_OBJECTS = 0.5
MESSAGES = 20
TALK = 0
KIB = 1024


class Talker(Member):
    """Sends some messages, and gets each back."""

    def __init__(self, crowd: Crowd) -> None:
        self.sent, self.back = Chain(), Chain()
        super().__init__(crowd)

    def opened(self) -> None:
        self.send([(TALK, self.sent.next(bytes(number))) for number in range(MESSAGES)])

    def received(self, code: int, payload: bytes) -> None:
        self.back.check(payload)

    @property
    def is_done(self) -> bool:
        """Whether all have come back, or somebody has closed."""
        return self.back.count == MESSAGES or self.stage is Stage.GONE


class Host:
    """The process in which servers come and go."""

    greeting: dict[str, Any] = {}

    def close(self) -> None:
        """Nothing is left to close."""

    def cycle(self, discovery: bool, peer: bool, reset: bool) -> dict[str, Any]:
        """A server's life; returns the threads that did not end, and the messages that are back."""
        server = p2p.Server(
            private_key=p2p.generate_key(),
            name="host",
            max_peers=10,
            dial_ratio=2,
            listen_addr="127.0.0.1:0",
            no_discovery=not discovery,
            protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, _echo)],
        )
        server.start()
        back = 0
        if peer:
            with Crowd(server.self) as crowd:
                talker = Talker(crowd)
                crowd.until(lambda: talker.is_done, "all messages are back")
                back = talker.back.count
                if reset:
                    talker.leave(Leave.RESET)
                left = server.stop()
        else:
            left = server.stop()
        return {"left": left, "back": back}

    def count(self) -> dict[str, int]:
        """What is there when the rubbish is gone."""
        gc.collect()
        return {"objects": len(gc.get_objects()), "threads": threading.active_count()}


def _echo(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for msg in rw:
        rw.write_msg(msg)


def run(scale: Scale) -> Iterator[Figure]:
    """Let servers come and go."""
    cycles, warm_up = CYCLES[scale], WARM_UP[scale]
    left = threads = descriptors = lost = 0
    samples: list[tuple[int, float, int]] = []
    with Child("tests.stress.restarts") as host:
        before = host.threads, host.descriptors
        for number in range(cycles):
            peer = number % 5 == 0
            end = host.ask("cycle", discovery=number % 2 == 0, peer=peer, reset=number % 3 == 0)
            left += len(end["left"])
            lost += (MESSAGES if peer else 0) - end["back"]
            if number >= warm_up and number % 10 == 0:
                count = host.ask("count")
                more = host.more_than(*before)
                threads, descriptors = max(threads, more[0]), max(descriptors, more[1])
                samples.append((number, host.rss_bytes / KIB, count["objects"]))
    numbers, sizes, objects = zip(*samples, strict=True)
    yield Figure("servers started and stopped", cycles, "", least=cycles)
    yield Figure("threads that stop() has named", left, "", most=0)
    yield Figure("messages lost", lost, "", most=0)
    yield Figure("threads more than before, at most", threads, "", most=0)
    yield Figure("descriptors more than before, at most", descriptors, "", most=0)
    growth = statistics.linear_regression(numbers, objects).slope
    yield Figure("objects more with each server", growth, "", most=MAX_OBJECTS)
    if scale is Scale.FULL:
        slope = statistics.linear_regression(numbers, sizes).slope
        yield Figure("memory more with each server", slope, "KiB", most=MAX_SLOPE_KIB)


if __name__ == "__main__":
    obey(Host())
