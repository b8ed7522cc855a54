"""The cost of options: messages one way with metrics, without counts, with limits, with a page.

Pairs of processes take turns. In one, the counting is taken out (``uncounted``), also that of
``Peer.counters``, which is older than the metrics. Another counts, and its receiver is scraped
at the start of each turn and then once a second, which Prometheus does once a minute. Compared are
the seconds of CPU of both processes, since other load of the machine changes the rates by more than
the cost. A third pair has limits on bandwidth that are never reached, beside one without options.
A fourth has a live page at each end: first nobody looks at it, then both are open.

``python -m benchmarks.options`` compares single turns: each kind, and a second pair without
options, with the turn without options that is just before it. So what is left of the noise shows.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks.process import Process
from benchmarks.scale import FULL, SMALL, Scale

#: Turns of each pair in a round.
TURNS = 8
SCRAPE_INTERVAL_S = 1.0
SCRAPE_TIMEOUT_S = 10.0
#: Kinds that are compared with no options turn by turn, with the option of their processes.
OPEN = "the page open at both ends"
COMPARED = {
    "no options, in another pair": "plain",
    "limits never reached": "limited",
    "a page that is not open": "page",
    OPEN: "page",
}


class Pair:
    """Two connected processes with the same options."""

    def __init__(self, processes: ExitStack, option: str) -> None:
        self.listener = processes.enter_context(Process("listen", option))
        url = self.listener.greeting["url"]
        self.dialer = processes.enter_context(Process("dial", url, option))

    def cpu_s(self) -> float:
        """Return the seconds of CPU of both processes so far."""
        return float(sum(end.ask("cpu")["cpu_s"] for end in (self.listener, self.dialer)))

    def send(self, count: int) -> float:
        """Send messages one way, and return the seconds of CPU of both ends for each."""
        before = self.cpu_s()
        self.dialer.ask("send", count=count, size=SMALL)
        return (self.cpu_s() - before) / count


class Options:
    """All pairs, kept for all rounds."""

    def __init__(self, processes: ExitStack) -> None:
        self._counted = Pair(processes, "metrics")
        self._uncounted = Pair(processes, "uncounted")
        self._limited = Pair(processes, "limited")
        self._plain = Pair(processes, "plain")
        self._with_page = Pair(processes, "page")

    def measure(self, scale: Scale) -> dict[str, float]:
        """Return the seconds of CPU of both ends for one message of each pair."""
        kinds = ("counted", "uncounted", "limited", "plain", "page closed", "page open")
        seconds = dict.fromkeys(kinds, 0.0)
        count = scale.messages(SMALL)
        for _ in range(TURNS):
            seconds["uncounted"] += self._uncounted.send(count) / TURNS
            with scraped(self._counted.listener.greeting["metrics"]):
                seconds["counted"] += self._counted.send(count) / TURNS
            seconds["plain"] += self._plain.send(count) / TURNS
            seconds["limited"] += self._limited.send(count) / TURNS
            seconds["page closed"] += self._with_page.send(count) / TURNS
            with opened(self._with_page):
                seconds["page open"] += self._with_page.send(count) / TURNS
        return {f"{name} one-way": value for name, value in seconds.items()}


@contextmanager
def scraped(url: str) -> Iterator[None]:
    """Read the metrics at ``url`` at once and again and again, inside the block."""
    done = threading.Event()

    def scrape() -> None:
        while True:
            with urllib.request.urlopen(url, timeout=SCRAPE_TIMEOUT_S) as response:
                response.read()
            if done.wait(SCRAPE_INTERVAL_S):
                return

    thread = threading.Thread(target=scrape, name="scrape")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def opened(pair: Pair) -> Iterator[None]:
    """Have the pages of both ends open inside the block, and read what they get."""
    with ExitStack() as pages:
        for end in (pair.listener, pair.dialer):
            page = pages.enter_context(page_socket(end.greeting["page"]))
            reader = threading.Thread(target=lambda page=page: list(page), name="page")
            pages.callback(reader.join)
            pages.callback(page.close)
            reader.start()
        yield


def page_socket(url: str) -> ClientConnection:
    """Return the socket of a page, with the Origin that a browser sends."""
    origin = url.rpartition("/")[0].rpartition("/")[0]
    socket = f"{url.replace('http', 'ws', 1)}socket"
    return connect(socket, origin=Origin(origin), proxy=None, max_size=None)


def compare(rounds: int, turns: int, count: int) -> dict[str, list[float]]:
    """Return the CPU without options over that of each kind, turn by turn.

    Each round has new processes, since two processes that do the same differ by some percent.
    """
    ratios: dict[str, list[float]] = {kind: [] for kind in COMPARED}
    for _ in range(rounds):
        with ExitStack() as processes:
            pairs = {kind: Pair(processes, option) for kind, option in COMPARED.items()}
            plain = Pair(processes, "plain")
            for _ in range(turns):
                for kind, pair in pairs.items():
                    base = plain.send(count)
                    with opened(pair) if kind == OPEN else nullcontext():
                        ratios[kind].append(base / pair.send(count))
    return ratios


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.options")
    parser.add_argument("--rounds", type=int, default=6, help="rounds, with new processes each")
    parser.add_argument("--turns", type=int, default=10, help="turns of each kind in a round")
    parser.add_argument("--count", type=int, default=FULL.messages(SMALL), help="messages a turn")
    options = parser.parse_args(arguments)
    print(f"{'CPU without options over':<34}median  quartiles")
    for kind, found in compare(options.rounds, options.turns, options.count).items():
        low, median, high = statistics.quantiles(found, n=4)
        print(f"{kind:<34}{median:>6.3f}  {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
