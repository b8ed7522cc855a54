"""Two servers with the fault-injecting proxy between them, and a clock that is real or simulated.

A :class:`Pair` has a listener and a dialer, one protocol with a :class:`Handler` at each end, and
one connection at most. Time passes by :meth:`Pair.wait`: a real clock is looked at, a simulated one
moves on by ``STEP_S`` when both servers have done what was due before.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import Any

import p2p
import p2p.testing
from p2p.net import sockaddr_of
from p2p.peers.session import Session
from tests.kit import inspect
from tests.kit.target import unacked
from tests.stress.crowd import CAP, LENGTH, Crowd, Member, Stage
from tests.stress.faultlink import Plan
from tests.stress.faultproxy import FaultProxy

PATIENCE_S = 60.0
#: How far a simulated clock moves at a time, and how often a real one is looked at.
STEP_S = 0.25
LOOK_S = 0.005
PIECE_BYTES = 16 * 1024

_logger = logging.getLogger("p2p.stress.detection")
_logger.setLevel(logging.CRITICAL)


class Handler:
    """A handler that does nothing until the case calls :meth:`read` or :meth:`write`."""

    def __init__(self) -> None:
        self.error: p2p.PeerDisconnected | None = None
        self.begun = threading.Event()
        self.ended = threading.Event()
        self._act = threading.Event()
        self._action: Callable[[p2p.MsgReadWriter], None] = _read

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """The handler."""
        self.begun.set()
        self._act.wait()
        try:
            while True:
                self._action(rw)
        except p2p.PeerDisconnected as error:
            self.error = error
        finally:
            self.ended.set()

    def read(self) -> None:
        """Read until the connection ends."""
        self._act.set()

    def write(self) -> None:
        """Write until the connection ends."""
        self._action = _write
        self._act.set()

    def write_once(self, size: int) -> None:
        """Write a message of this size and read from then on."""
        payload = Random(1).randbytes(size)

        def action(rw: p2p.MsgReadWriter) -> None:
            self._action = _read
            rw.write_msg(p2p.Msg(0, payload))

        self._action = action
        self._act.set()


def _read(rw: p2p.MsgReadWriter) -> None:
    rw.read_msg()


def _write(rw: p2p.MsgReadWriter) -> None:
    rw.write_msg(p2p.Msg(0, _noise))


#: Nothing that compresses: it has to fill buffers.
_noise = Random(0).randbytes(PIECE_BYTES)


class Pair:
    """Two servers and the proxy between them. Leaving its block ends them."""

    def __init__(self, clock: p2p.testing.Clock, plan: Plan | None = None) -> None:
        self.clock = clock
        self.handlers = {"listener": Handler(), "dialer": Handler()}
        self.sessions: dict[str, Session] = {}  # the one of each, once they are connected
        self._stack = ExitStack()
        self.listener = self._serve("listener", listen_addr="127.0.0.1:0")
        self.dialer = self._serve("dialer")
        assert self.listener.listen_addr is not None
        proxy = FaultProxy(sockaddr_of(self.listener.listen_addr))
        self._stack.enter_context(proxy)
        self.door = proxy.door((lambda number, chance: plan) if plan else _no_plan)
        self.node = self.door.node(self.listener.self.public_key)

    def connect(self) -> Pair:
        """Connect the two."""
        self.dialer.connect(self.node, timeout=PATIENCE_S)
        for name, server in (("dialer", self.dialer), ("listener", self.listener)):
            self._note_session(name, server)
        return self

    def connect_member(self, crowd: Crowd) -> Member:
        """Connect a member of a crowd, without the proxy, in the dialer's place."""
        member = Member(crowd)
        crowd.until(lambda: member.stage is Stage.OPEN, "the member is a peer")
        self._note_session("listener", self.listener)
        return member

    def _note_session(self, name: str, server: p2p.Server) -> None:
        assert self.handlers[name].begun.wait(PATIENCE_S)
        (self.sessions[name],) = inspect.sessions(server)

    def time(self, name: str) -> float:
        """Wait until one end has given up and its handler knows, and return what time it is."""
        session, handler = self.sessions[name], self.handlers[name]
        self.wait(lambda: session.ending is not None or session.outbox.is_closed)
        assert handler.ended.wait(PATIENCE_S), f"the handler of the {name} was told nothing"
        return self.clock.monotonic()

    def wait(self, noticed: Callable[[], bool]) -> None:
        """Let time pass until something was noticed."""
        most = self.clock.monotonic() + PATIENCE_S
        pause = threading.Event()
        while not noticed():
            assert self.clock.monotonic() < most, "it was not noticed"
            if not isinstance(self.clock, p2p.testing.SimulatedClock):
                pause.wait(LOOK_S)
                continue
            self.clock.advance(STEP_S)
            for server in (self.listener, self.dialer) * 3:
                inspect.settle(server)

    def _serve(self, name: str, **options: Any) -> p2p.Server:
        handler = self.handlers[name]
        self._stack.callback(handler.read)
        server = p2p.Server(
            private_key=p2p.generate_key(),
            name=name,
            max_peers=10,
            no_discovery=True,
            protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, handler.run)],
            clock=self.clock,
            logger=_logger,
            **options,
        )
        return self._stack.enter_context(server)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *exception: object) -> None:
        for handler in self.handlers.values():
            handler.read()
        self._stack.close()


def _no_plan(number: int, chance: object) -> Plan:
    return Plan()


def await_session(server: p2p.Server) -> Session:
    """The session of a server that has just been dialed, or has dialed."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / LOOK_S)):
        found = inspect.sessions(server)
        if found:
            return found[0]
        pause.wait(LOOK_S)
    raise AssertionError("there is no connection")


def await_full(pair: Pair, name: str, *, answered: bool = True) -> None:
    """Wait, in real time, until nothing of what an end writes can go anywhere.

    Each batch that the kernel still takes would have its own time limit. ``answered`` says that the
    kernel at the other end acknowledges what it gets; what is under way to it may make room yet.
    """
    session, pause = pair.sessions[name], threading.Event()

    def is_full() -> bool:
        sock = session.channel._sock
        moves = (answered and unacked(sock)) or select.select([], [sock], [], 0)[1]
        return session.outbox.is_full and session.channel.unsent_bytes > 0 and not moves

    for _ in range(int(PATIENCE_S / LOOK_S)):
        if session.loop.call(is_full):
            return
        pause.wait(LOOK_S)
    raise AssertionError("the outbox has not filled up")
