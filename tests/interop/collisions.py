"""Two static nodes of each other, started together: ours with ours, and ours with go-ethereum.

    python -m tests.interop.collisions --rounds 300 --latency-ms 0 5 50

prints, for each kind of pair and each latency (of each direction), how many rounds ended with one
connection within 5 s, how many handlers of ours ran a second time, and how long it took.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import p2p

from .latency import SlowLink
from .program import Program

#: A connection has to be there after this long.
LIMIT_S = 5.0
#: go-ethereum with the smaller or the greater ID than ours, or two nodes of ours.
PAIRS = ("ours-ours", "go-smaller", "go-greater")


@dataclass
class Side:
    """A node of ours, and what its handlers did."""

    server: p2p.Server
    begun: int = 0
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        with self.lock:
            self.begun += 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        for _ in rw:
            pass
        with self.lock:
            self.running -= 1


@dataclass(frozen=True)
class Round:
    """What came of one meeting: the time to one connection (None: there was none), and handlers."""

    seconds: float | None
    extra_handlers: int
    at_once: int


def meet(pair: str, latency_s: float) -> Round:
    """Let two nodes dial each other, and look at what is left when all is settled."""
    with ExitStack() as stack:
        if pair == "ours-ours":
            one, other = _our_side(stack), _our_side(stack)
            there = other.server.self
            sides = [one, other]
        else:
            program = Program("go")
            stack.callback(program.stop)
            there = program.node
            one = _our_side(stack, there.id, smaller=pair == "go-greater")
            sides = [one]
        here = one.server.self
        to_there = stack.enter_context(SlowLink((str(there.ip), there.tcp), latency_s))
        to_here = stack.enter_context(SlowLink((str(here.ip), here.tcp), latency_s))
        seen_there = p2p.Node.from_parts(there.public_key, *to_there.address)
        seen_here = p2p.Node.from_parts(here.public_key, *to_here.address)
        events = one.server.subscribe_events()
        began = time.monotonic()
        if pair == "ours-ours":
            other.server.add_peer(seen_here)
        else:
            program.do("dial", enode=seen_here.url)
        one.server.add_peer(seen_there)
        seconds = _settled_after(events, began, latency_s)
        for side in sides:
            if [peer.id for peer in side.server.peers] not in ([there.id], [here.id]):
                seconds = None
        if pair != "ours-ours" and seconds is not None:
            program.expect("peer_added", within_s=LIMIT_S)
        return Round(
            seconds,
            sum(side.begun - 1 for side in sides if side.begun),
            max(side.most_running for side in sides),
        )


def _settled_after(
    events: p2p.Subscription[p2p.PeerEvent], began: float, latency_s: float
) -> float | None:
    """Return the time to the last "add" that no "drop" followed within some round trips."""
    seconds = None
    try:
        while True:
            patience_s = LIMIT_S if seconds is None else 0.1 + 6 * latency_s
            event = events.get(patience_s)
            seconds = time.monotonic() - began if event.type == "add" else None
    except p2p.Timeout:
        return seconds


def _our_side(stack: ExitStack, other: bytes | None = None, smaller: bool = False) -> Side:
    key = p2p.generate_key()
    while other is not None and (p2p.Node.from_parts(key.public_key).id < other) != smaller:
        key = p2p.generate_key()
    sides: list[Side] = []
    server = p2p.Server(
        private_key=key,
        name="ours",
        max_peers=10,
        listen_addr="127.0.0.1:0",
        no_discovery=True,
        protocols=[p2p.Protocol("foo", 1, 5, lambda peer, rw: sides[0].run(peer, rw))],
    )
    sides.append(Side(server))
    stack.enter_context(server)
    return sides[0]


def main() -> None:
    """Run the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 5, 50])
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    options = parser.parse_args()
    for pair in options.pairs:
        for latency_ms in options.latency_ms:
            rounds = [meet(pair, latency_ms / 1000) for _ in range(options.rounds)]
            times = [r.seconds for r in rounds if r.seconds is not None]
            in_time = sum(seconds <= LIMIT_S for seconds in times)
            print(
                f"{pair} {latency_ms:g} ms: {in_time} of {len(rounds)} connected within"
                f" {LIMIT_S:g} s, median {statistics.median(times or [0]):.3f} s,"
                f" longest {max(times, default=0):.3f} s;"
                f" handlers beyond one {sum(r.extra_handlers for r in rounds)},"
                f" most at once {max(r.at_once for r in rounds)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
