"""What honest nodes notice of an attack: how long echoes and handshakes take meanwhile.

A :class:`LivePeer` is a peer from before, which sends numbered messages to the echo of a
:class:`~tests.stress.served.Served` and checks that each comes back in order, by number and running
hash. A :class:`Newcomer` connects, becomes a peer (its first echo shows that), leaves, and connects
again; an attempt that ends before that is repeated, and its time counts in full. Each has a thread
of its own.
"""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import p2p
from tests.kit.remote import Remote
from tests.stress.chain import Chain
from tests.stress.crowd import CAP, PATIENCE_S

BODY_BYTES = 100
#: Between two echoes of a peer that does not send as fast as it can.
PAUSE_S = 0.01


class Repeated(threading.Thread):
    """Does something over and over, and keeps the seconds that each time took."""

    def __init__(self, name: str, pause_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self._pause_s = pause_s
        self._over = threading.Event()
        # owned by the thread; read by others
        self.times: list[float] = []
        self.error: Exception | None = None

    def once(self) -> float:
        """Do it; returns the seconds."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self.times.append(self.once())
                self._over.wait(self._pause_s)
        except Exception as error:  # told to whoever asks for the times
            self.error = error

    def end(self) -> list[float]:
        """End it; returns the seconds of each time. Raises what it failed of."""
        self._over.set()
        self.join(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return self.times


def dial(node: p2p.Node) -> Remote:
    """A peer of the server."""
    sock = socket.create_connection((str(node.ip), node.tcp), PATIENCE_S)
    try:
        remote = Remote(sock, node.public_key, caps=[CAP], name="honest")
        return remote.open(PATIENCE_S)
    except BaseException:
        sock.close()
        raise


class LivePeer(Repeated):
    """A peer with an echo under way; it is one when this returns."""

    def __init__(self, node: p2p.Node, pause_s: float = PAUSE_S) -> None:
        super().__init__("live-peer", pause_s)
        self._remote = dial(node)
        self._sent, self._received = Chain(), Chain()

    def once(self) -> float:
        payload = self._sent.next(os.urandom(BODY_BYTES))
        start = time.perf_counter()
        self._remote.send_payload(0, payload)
        answer = self._remote.read_msg(PATIENCE_S)
        seconds = time.perf_counter() - start
        self._received.check(answer.payload)
        return seconds

    def close(self) -> None:
        self._over.set()
        self.join(PATIENCE_S)
        self._remote.sock.close()


class Newcomer(Repeated):
    """A node that becomes a peer, and leaves."""

    def __init__(self, node: p2p.Node, pause_s: float = PAUSE_S) -> None:
        super().__init__("newcomer", pause_s)
        self._node = node
        self.given_up = 0  # attempts that the server ended

    def once(self) -> float:
        start = time.perf_counter()
        while not self._join():
            self.given_up += 1
            if time.perf_counter() - start > PATIENCE_S:
                raise TimeoutError("it does not become a peer")
        return time.perf_counter() - start

    def _join(self) -> bool:
        """Become a peer and leave; returns whether it was one."""
        try:
            remote = dial(self._node)
        except (AssertionError, OSError):  # the server has closed the connection
            return False
        with remote.sock:
            try:
                remote.send_payload(0, b"here")
                return remote.read_msg(PATIENCE_S) == p2p.Msg(0, b"here")
            except (p2p.PeerDisconnected, OSError):
                return False
            finally:
                with suppress(OSError):
                    remote.send_disconnect(p2p.DiscReason.REQUESTED)


@contextmanager
def live_peers(node: p2p.Node, count: int, pause_s: float = PAUSE_S) -> Iterator[list[LivePeer]]:
    """So many live peers, connected and echoing."""
    peers: list[LivePeer] = []
    try:
        for _ in range(count):
            peers.append(LivePeer(node, pause_s))
        for peer in peers:
            peer.start()
        yield peers
    finally:
        for peer in peers:
            peer.close()


def while_echoing(peers: list[LivePeer], act: Callable[[], Any]) -> tuple[Any, list[float], float]:
    """What ``act`` returns, the seconds of the echoes meanwhile, and how many a second."""
    counts = [len(peer.times) for peer in peers]
    start = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - start
    times = [one for peer, count in zip(peers, counts, strict=True) for one in peer.times[count:]]
    for peer in peers:
        if peer.error is not None:
            raise peer.error
    return result, times, len(times) / seconds


def p99(times: Sequence[float]) -> float:
    """What 99 of 100 do not exceed."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]
