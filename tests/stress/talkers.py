"""Peers that talk in numbered messages, and the handler that answers them, each with its checks.

A :class:`Talker` sends bursts and awaits the answers; an :class:`Answerer` is the handler of the
server. Both ends of a connection have a chain (chain.py) in each direction, so a message that is
lost, doubled, changed or out of order shows with the next one; what went wrong is kept in
``Answerer.broken``. An end that came too early shows when the counts of both ends are compared
(:meth:`Talker.ask_count`). No two connections say the same, so the messages of one cannot be taken
for another's.
"""

from __future__ import annotations

import time
from itertools import count
from random import Random

import p2p
from tests.stress.chain import Chain, ChainBroken
from tests.stress.crowd import Crowd, Member, Stage

#: Messages that a talker sends at once, and awaits the answers of.
BURST = 8
BODY_BYTES = 400
DATA, COUNT = 0, 1

_noise = Random(5).randbytes(2 * BODY_BYTES)
_connections = count()


class Bodies:
    """What one end says: no two connections say the same, and sizes vary."""

    def __init__(self) -> None:
        self._own = next(_connections).to_bytes(8, "big")

    def of(self, number: int) -> bytes:
        """The body of a message."""
        size = number * 2654435761 % BODY_BYTES
        return self._own + _noise[size : 2 * size]


class Answerer:
    """The server's side: every chain is checked, and every message is answered by its body."""

    def __init__(self) -> None:
        # appended to by handlers
        self.broken: list[str] = []
        self.delivered: list[Chain] = []

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """The handler."""
        heard, said = Chain(), Chain()
        self.delivered.append(heard)
        for msg in rw:
            if msg.code == COUNT:
                rw.write_msg(p2p.Msg(COUNT, heard.count.to_bytes(8, "big")))
                continue
            try:
                text = heard.check(msg.payload)
            except ChainBroken as error:
                self.broken.append(f"from {peer}: {error}")
                return
            rw.write_msg(p2p.Msg(DATA, said.next(text)))


class Talker(Member):
    """A peer that sends bursts of messages, each when all of the last one is answered."""

    def __init__(self, crowd: Crowd, broken: list[str]) -> None:
        self.said, self.heard, self._bodies = Chain(), Chain(), Bodies()
        self.round_trips: list[float] = []
        self.left = 0
        self.counted: int | None = None  # what the server says that it got
        self._broken = broken
        self._sent_at = 0.0
        super().__init__(crowd)

    def begin(self, messages: int) -> None:
        """Begin a round, if it is still connected."""
        self.round_trips = []
        if self.stage is Stage.OPEN:
            self.left = messages
            self._send_burst()

    def received(self, code: int, payload: bytes) -> None:
        if self.stage is Stage.GONE:  # a message before was wrong
            return
        if code == COUNT:
            self.counted = int.from_bytes(payload, "big")
            return
        try:
            if self.heard.check(payload) != self._bodies.of(self.heard.count - 1):
                raise ChainBroken(f"answer {self.heard.count - 1} is another one's")
        except ChainBroken as error:
            self._broken.append(f"to a talker: {error}")
            self.close()
            return
        if self.heard.count == self.said.count:
            self.round_trips.append(time.monotonic() - self._sent_at)
            self._send_burst()

    def ask_count(self) -> None:
        """Ask the server how many messages it got, if it is still connected."""
        if self.stage is Stage.OPEN:
            self.send([(COUNT, b"")])

    @property
    def is_idle(self) -> bool:
        """Whether the round is over: all is said and answered, or nobody is there to answer."""
        if self.stage is Stage.GONE:
            return True
        return not self.left and self.heard.count == self.said.count

    @property
    def is_counted(self) -> bool:
        """Whether the server has said how many it got, or will not."""
        return self.counted is not None or self.stage is Stage.GONE

    @property
    def is_whole(self) -> bool:
        """Whether both ends have all that the other one said."""
        return self.counted == self.said.count == self.heard.count

    def _send_burst(self) -> None:
        size = min(BURST, self.left)
        self.left -= size
        self._sent_at = time.monotonic()
        first = self.said.count
        if size:
            self.send([(DATA, self.said.next(self._bodies.of(first + n))) for n in range(size)])
