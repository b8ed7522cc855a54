"""One process of a workload: ``python -m benchmarks.node ROLE [ARGUMENT ...]``.

Roles: ``listen`` waits for peers and runs their jobs; ``dial`` connects to a listener and sends to
it; ``shake`` connects and disconnects; ``crowd`` makes many idle peers. ``discover`` is a node of
discovery, ``network`` has many of them (:mod:`benchmarks.services`), and ``ping`` pings one
(:mod:`benchmarks.pinger`). A process writes a line of JSON to standard output when it is ready,
then answers each line of its standard input with one, and ends with its input.

Between ``dial`` and ``listen`` each job is an exchange of the protocol "bench"::

    dial     BEGIN [job, count, size, busy handlers of the listener]
    listen   READY
    dial     DATA, count times                     listen, for the job "echo": DATA, each at once
    listen   DONE, when all have come in order

The protocols "busy0" to "busy2" represent a program's other handlers: they compute in pure Python
on command.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from itertools import cycle, islice
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import p2p
from benchmarks import codec
from benchmarks.asker_v5 import AskerV5
from benchmarks.memory import STATM
from benchmarks.pinger import Pinger
from benchmarks.services import Network, NetworkV5, Service, ServiceV5
from p2p.peers.handletimes import HandleTimes
from p2p.peers.traffic import Traffic

BEGIN, READY, DATA, DONE = range(4)
LENGTH = 4
MAX_PEERS = 1100
MAX_BUSY = 3
#: Lanes are nodes of one process that connect at the same time.
MAX_LANES = 8
#: Nodes of a lane take turns, so that the other end has time to forget the previous connection.
NODES_OF_A_LANE = 2
CONNECT_TIMEOUT_S = 30.0
#: A limit on bandwidth that no machine reaches, in bytes a second.
UNREACHED = 10**11

Job = Callable[[p2p.MsgReadWriter], dict[str, Any]]


@cache
def numbers(size: int) -> tuple[bytes, ...]:
    """Return the first bytes of the payloads of this size, in turn."""
    return tuple(number.to_bytes(8, "big") for number in range(1024 if size < 1024 else 16))


def payloads(size: int) -> Sequence[bytes]:
    """Return payloads to send in turn, each with its number in front; the rest is random."""
    rest = os.urandom(size - 8)
    return [number + rest for number in numbers(size)]


class BusyHandlers:
    """Handlers that compute, a given number at a time."""

    def __init__(self) -> None:
        # guarded by _changed
        self._changed = threading.Condition()
        self._wanted = 0
        self._computing = 0
        self._closed = False

    def protocols(self) -> list[p2p.Protocol]:
        """Return a protocol for each handler."""
        return [p2p.Protocol(f"busy{i}", 1, 1, partial(self._run, i)) for i in range(MAX_BUSY)]

    @contextmanager
    def computing(self, count: int) -> Iterator[None]:
        """Let ``count`` handlers compute inside the block."""
        self._want(count)
        try:
            yield
        finally:
            self._want(0)

    def close(self) -> None:
        """Let the handlers return."""
        with self._changed:
            self._closed = True
            self._wanted = 0
            self._changed.notify_all()

    def _want(self, count: int) -> None:
        with self._changed:
            self._wanted = count
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._computing == count or self._closed)

    def _run(self, index: int, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted > index or self._closed)
                if self._closed:
                    return
                self._computing += 1
                self._changed.notify_all()
            while self._wanted > index:
                sum(number * number for number in range(1000))
            with self._changed:
                self._computing -= 1
                self._changed.notify_all()


class Player:
    """Base class of the roles with servers."""

    def cpu(self) -> dict[str, Any]:
        """Return the seconds of CPU of this process until now, user and system."""
        return {"cpu_s": time.process_time()}


def take_out_counting() -> None:
    """Have this process count no traffic and time no handlers."""
    for count in ("count_out", "received", "sent"):
        setattr(Traffic, count, lambda self, counted: None)
    Traffic.count_in = lambda self, run: None  # type: ignore[assignment, method-assign, return-value]
    HandleTimes.stopwatch = lambda self, cap: None  # type: ignore[assignment, method-assign]


def limits(options: Sequence[str]) -> dict[str, int]:
    """Return the limits on bandwidth of a server."""
    names = ("max_upload", "max_download", "max_upload_per_peer", "max_download_per_peer")
    return dict.fromkeys(names, UNREACHED) if "limited" in options else {}


def page(options: Sequence[str]) -> dict[str, str]:
    """Return the option for a live page of a server."""
    return {"monitor_addr": "127.0.0.1:0"} if "page" in options else {}


class Listener(Player):
    """The end that receives.

    With the argument "discovery", discovery v4 runs beside it; with "metrics", they are served;
    with "uncounted", nothing is counted; with "limited", bandwidth has limits that are not reached;
    with "page", there is a live page.
    """

    def __init__(self, *options: str) -> None:
        if "uncounted" in options:
            take_out_counting()
        self._busy = BusyHandlers()
        self._arrived = threading.Condition()
        self._arrivals = 0
        self._server = p2p.Server(
            private_key=p2p.generate_key(),
            name="listener",
            max_peers=MAX_PEERS,
            no_dial=True,
            listen_addr="127.0.0.1:0",
            no_discovery="discovery" not in options,
            metrics_addr="127.0.0.1:0" if "metrics" in options else None,
            **limits(options),
            **page(options),
            protocols=[p2p.Protocol("bench", 1, LENGTH, self._serve), *self._busy.protocols()],
        )
        self._server.start()
        address = self._server.metrics_addr
        self.greeting = {
            "url": self._server.self.url,
            "metrics": f"http://{address}/metrics",
            "page": self._server.monitor_url,
        }

    def close(self) -> None:
        self._busy.close()
        self._server.stop()

    def await_arrivals(self, count: int) -> dict[str, Any]:
        """Wait until ``count`` handlers have been started."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._arrivals >= count, CONNECT_TIMEOUT_S):
                raise TimeoutError(f"{self._arrivals} of {count} peers have come")
        return {"arrivals": self._arrivals}

    def memory(self) -> dict[str, Any]:
        """Return the resident bytes of this process, before and after garbage collection."""
        before = resident_bytes()
        gc.collect()
        return {"uncollected_bytes": before, "rss_bytes": resident_bytes()}

    def _serve(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        with self._arrived:
            self._arrivals += 1
            self._arrived.notify_all()
        for msg in rw:
            job, count, size, busy = msg.decode(tuple[str, int, int, int])
            with self._busy.computing(busy):
                p2p.send_items(rw, READY)
                if job == "echo":
                    echo(rw, count)
                else:
                    receive(rw, count, size)
            p2p.send_items(rw, DONE)


def resident_bytes() -> int:
    pages = int(STATM.read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def receive(rw: p2p.MsgReadWriter, count: int, size: int) -> None:
    """Read ``count`` messages, and check their order."""
    read_msg = rw.read_msg
    for number in islice(cycle(numbers(size)), count):
        payload = read_msg().payload
        if payload[:8] != number or len(payload) != size:
            raise RuntimeError(f"got message {payload[:8].hex()} instead of {number.hex()}")


def echo(rw: p2p.MsgReadWriter, count: int) -> None:
    """Send back ``count`` messages."""
    for _ in range(count):
        rw.write_msg(rw.read_msg())


class Dialer(Player):
    """The end that sends, in its handler. Options are those of the listener."""

    def __init__(self, url: str, *options: str) -> None:
        if "uncounted" in options:
            take_out_counting()
        self._busy = BusyHandlers()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._results: SimpleQueue[dict[str, Any] | Exception] = SimpleQueue()
        self._server = server([p2p.Protocol("bench", 1, LENGTH, self._work),
                               *self._busy.protocols()],
                              **limits(options), **page(options))  # fmt: skip
        self._server.start()
        self.greeting = {"page": self._server.monitor_url}
        self._server.connect(p2p.parse_node(url), CONNECT_TIMEOUT_S)

    def close(self) -> None:
        self._busy.close()
        self._jobs.put(None)
        self._server.stop()

    def send(self, count: int, size: int, busy_here: int = 0, busy_there: int = 0) -> Any:
        """Send messages one way, and return the seconds until the last has been read."""
        return self._do(partial(self._send, count, size, busy_here, busy_there))

    def ping_pong(self, count: int, size: int) -> Any:
        """Make round trips, and return the seconds of all, the median and the 99th percentile."""
        return self._do(partial(self._ping_pong, count, size))

    def _do(self, job: Job) -> dict[str, Any]:
        self._jobs.put(job)
        result = self._results.get()
        if isinstance(result, Exception):
            raise result
        return result

    def _work(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._results.put(job(rw))
            except Exception as error:  # raised in the caller of the job
                self._results.put(error)

    def _send(
        self, count: int, size: int, busy_here: int, busy_there: int, rw: p2p.MsgReadWriter
    ) -> dict[str, Any]:
        write_msg = rw.write_msg
        with self._busy.computing(busy_here):
            begin(rw, "send", count, size, busy_there)
            start = perf_counter()
            for payload in islice(cycle(payloads(size)), count):
                write_msg(p2p.Msg(DATA, payload))
            p2p.expect_msg(rw, DONE)
            return {"seconds": perf_counter() - start}

    def _ping_pong(self, count: int, size: int, rw: p2p.MsgReadWriter) -> dict[str, Any]:
        begin(rw, "echo", count, size, 0)
        times = []
        for payload in islice(cycle(payloads(size)), count):
            start = perf_counter()
            rw.write_msg(p2p.Msg(DATA, payload))
            answer = rw.read_msg()
            times.append(perf_counter() - start)
            if answer.payload != payload:
                raise RuntimeError("the echo differs")
        p2p.expect_msg(rw, DONE)
        centiles = statistics.quantiles(times, n=100)
        return {"seconds": sum(times), "p50_s": centiles[49], "p99_s": centiles[98]}


def begin(rw: p2p.MsgReadWriter, job: str, count: int, size: int, busy: int) -> None:
    """Agree with the listener on a job."""
    p2p.send_items(rw, BEGIN, job, count, size, busy)
    p2p.expect_msg(rw, READY)


def server(protocols: Sequence[p2p.Protocol], **options: Any) -> p2p.Server:
    """Return a server that only dials."""
    return p2p.Server(
        private_key=p2p.generate_key(),
        name="dialer",
        max_peers=10,
        protocols=protocols,
        **options,
    )


class Shaker(Player):
    """Nodes that connect and disconnect, several of them at the same time in lanes."""

    def __init__(self, url: str) -> None:
        self.greeting: dict[str, Any] = {}
        self._node = p2p.parse_node(url)
        protocol = p2p.Protocol("bench", 1, LENGTH, lambda peer, rw: list(rw))
        self._servers = [server([protocol]) for _ in range(MAX_LANES * NODES_OF_A_LANE)]
        for one in self._servers:
            one.start()

    def close(self) -> None:
        for one in self._servers:
            one.stop()

    def shake(self, count: int, lanes: int) -> dict[str, Any]:
        """Connect and disconnect ``count`` times, and return the seconds and the refusals."""
        refusals: list[int] = []
        each = count // lanes
        threads = [
            threading.Thread(target=lambda lane=lane: refusals.append(self._lane(lane, each)))
            for lane in range(lanes)
        ]
        start = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = perf_counter() - start
        if len(refusals) < lanes:
            raise RuntimeError("a lane failed")
        return {"seconds": seconds, "count": each * lanes, "refusals": sum(refusals)}

    def _lane(self, lane: int, count: int) -> int:
        refusals = 0
        nodes = self._servers[lane * NODES_OF_A_LANE :][:NODES_OF_A_LANE]
        with ExitStack() as subscriptions:
            feeds = [subscriptions.enter_context(one.subscribe_events()) for one in nodes]
            for one, events in cycle(zip(nodes, feeds, strict=True)):
                if not count:
                    break
                try:
                    peer = one.connect(self._node, CONNECT_TIMEOUT_S)
                except p2p.errors.RefusedByPeer as error:
                    # Its end of the previous connection is not closed yet: not counted.
                    if error.reason is not p2p.DiscReason.ALREADY_CONNECTED:
                        raise
                    refusals += 1
                    continue
                peer.disconnect()
                while events.get(CONNECT_TIMEOUT_S).type != "drop":
                    pass
                count -= 1
        return refusals


class Crowd:
    """Idle peers, made of bare connection machines so that many fit into a process."""

    def __init__(self, url: str) -> None:
        self.greeting: dict[str, Any] = {}
        self._node = p2p.parse_node(url)
        self._sockets: list[socket.socket] = []

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def grow(self, count: int) -> dict[str, Any]:
        """Connect until there are ``count`` peers."""
        while len(self._sockets) < count:
            self._sockets.append(self._join())
        return {"count": count}

    def _join(self) -> socket.socket:
        sock = socket.create_connection((str(self._node.ip), self._node.tcp), CONNECT_TIMEOUT_S)
        machine = codec.machine(p2p.generate_key(), self._node.public_key)
        sock.sendall(b"".join(machine.data_to_send()))
        done = False
        while not done:
            data = sock.recv(65536)
            if not data:
                raise ConnectionError("the listener closed the connection")
            done = codec.advance(machine, machine.receive_data(data, 0.0))
            sock.sendall(b"".join(machine.data_to_send()))
        return sock


ROLES: dict[str, Callable[..., Any]] = {
    "listen": Listener,
    "dial": Dialer,
    "shake": Shaker,
    "crowd": Crowd,
    "discover": Service,
    "network": Network,
    "ping": Pinger,
    "discover-v5": ServiceV5,
    "network-v5": NetworkV5,
    "ask-v5": AskerV5,
}


def main(role: str, *args: str) -> None:
    """Run a role until the input ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    player = ROLES[role](*args)
    print(json.dumps(player.greeting), flush=True)
    try:
        for line in sys.stdin:
            order = json.loads(line)
            result = getattr(player, order.pop("do"))(**order)
            print(json.dumps(result), flush=True)
    finally:
        player.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
