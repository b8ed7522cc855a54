"""A TCP proxy that does to connections what networks do to them, in one thread.

A :class:`FaultProxy` has doors. A :class:`Door` is a port to connect to; behind all of them is the
same target. A door is given a function that says the plan of its n-th connection (faultlink.py has
the faults), and :meth:`Door.inject` lets a fault begin in the connections that there are. All that
is left to chance comes from one seed and the connection's number at its door.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import Random

import p2p
from tests.stress.faultlink import Fault, Link, Pipe, Plan

Address = tuple[str, int]

#: The plan of a connection, by its number at its door (from 0) and with its own source of chance.
Planner = Callable[[int, Random], Plan]

JOIN_TIMEOUT_S = 10.0

_READ = selectors.EVENT_READ


def no_faults(number: int, chance: Random) -> Plan:
    """The planner of a door without faults."""
    return Plan()


class FaultProxy:
    """Passes connections on to ``target``. Any thread may use it; leaving its block ends it."""

    def __init__(self, target: Address, seed: int = 0) -> None:
        # fixed after __init__
        self.target = target
        self.seed = seed
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._waker, self._wake_end = socket.socketpair()
        self._wake_end.setblocking(False)
        # guarded by the deque's own lock
        self._posted: deque[Callable[[], object]] = deque()
        # owned by the proxy's thread
        self.selector = selectors.DefaultSelector()
        self.timed: set[Pipe] = set()
        self._doors: list[Door] = []
        self._running = True
        self._failure: BaseException | None = None
        self.selector.register(self._wake_end, _READ, self._drain)
        self._thread.start()

    def door(self, planner: Planner = no_faults) -> Door:
        """A further port to connect to."""
        door = Door(self, planner)
        self.call(lambda: self._doors.append(door.open()))
        return door

    def close(self) -> None:
        """Close everything. Raises what the proxy's own thread has failed of, if it has."""
        self._post(self._stop)
        self._thread.join(JOIN_TIMEOUT_S)
        self._waker.close()
        assert not self._thread.is_alive(), "the proxy has not ended"
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def call(self, fn: Callable[[], object]) -> None:
        """Run ``fn`` in the proxy's thread, and wait for it."""
        done = threading.Event()
        self._post(lambda: (fn(), done.set()))
        assert done.wait(JOIN_TIMEOUT_S), f"the proxy has failed: {self._failure!r}"

    def _post(self, fn: Callable[[], object]) -> None:
        self._posted.append(fn)
        with suppress(OSError):  # its thread has failed
            self._waker.send(b"\0")

    # the proxy's thread

    def _run(self) -> None:
        try:
            while self._running:
                self._pass()
        except BaseException as error:
            self._failure = error
        finally:
            for door in self._doors:
                door.shut()
            self.selector.close()
            self._wake_end.close()

    def _pass(self) -> None:
        for key, mask in self.selector.select(self._sleep_time()):
            if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]
                key.data(mask)
        while self._posted:
            self._posted.popleft()()
        now = time.monotonic()
        for pipe in [pipe for pipe in self.timed if pipe.due_at <= now]:
            pipe.push(now)

    def _sleep_time(self) -> float | None:
        if not self.timed:
            return None
        return max(0.0, min(pipe.due_at for pipe in self.timed) - time.monotonic())

    def _drain(self, mask: int) -> None:
        self._wake_end.recv(4096)

    def _stop(self) -> None:
        self._running = False


class Door:
    """A port of the proxy on 127.0.0.1, and the connections that came in by it."""

    def __init__(self, proxy: FaultProxy, planner: Planner) -> None:
        # fixed after __init__
        self.proxy = proxy
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.address: Address = self._listener.getsockname()[:2]
        # owned by the proxy's thread, read by any
        self.links: set[Link] = set()
        self.accepted = 0
        #: How often each fault has begun.
        self.begun: dict[Fault, int] = dict.fromkeys(Fault, 0)
        self.planner = planner

    def node(self, public_key: p2p.PublicKey) -> p2p.Node:
        """A node that is behind the proxy, at this door."""
        return p2p.Node.from_parts(public_key, *self.address)

    def plan(self, planner: Planner) -> None:
        """Have another planner for the connections to come."""
        self.proxy.call(lambda: setattr(self, "planner", planner))

    def inject(self, fault: Fault) -> None:
        """Let a fault begin, now, in all connections that there are."""
        self.proxy.call(lambda: [link.begin(fault) for link in list(self.links)])

    def cut(self) -> None:
        """Reset all connections, whatever has happened to them."""
        self.proxy.call(lambda: [link.reset() for link in list(self.links)])

    # the proxy's thread

    def open(self) -> Door:
        """Begin to listen."""
        self.proxy.selector.register(self._listener, _READ, self._accept)
        return self

    def shut(self) -> None:
        """Close the port and the connections."""
        for link in list(self.links):
            link.close()
        self._listener.close()

    def _accept(self, mask: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        chance = Random(f"{self.proxy.seed} {self.accepted}")
        try:
            plan = self.planner(self.accepted, chance)
        except BaseException:
            sock.close()
            raise
        self.accepted += 1
        link = Link(self, sock, plan, chance)
        self.links.add(link)
        link.count(0)
