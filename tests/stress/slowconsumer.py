"""Slow handler, handler that never reads, and remote that never reads, beside ten healthy peers.

Round after round, ten healthy peers send numbered messages and await the answers, in turn without
the three and beside them. In a round beside them, nothing moves any more for the three: two inboxes
are full, so their sockets are not read, and an outbox is full, so a handler waits in ``write_msg``.
What the server keeps for each is looked at all the time, against the bounds that the library names.
Then the slow handler catches up, and has to get all that was sent, in order; the connections of the
other two are reset, and the write that waits has to end with its error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import p2p
from p2p.mailbox import ITEM_BYTES, LIMIT_BYTES, ROOM_AGAIN_BYTES
from p2p.net.channel import _READ_SIZE_BYTES
from p2p.peers.session import BATCH_BYTES, Session
from tests.kit import inspect
from tests.stress.chain import HEAD_BYTES, Chain, ChainBroken
from tests.stress.crowd import CAP, LENGTH, Crowd, Leave, Member, Stage
from tests.stress.figure import Figure, Scale
from tests.stress.talkers import DATA, Answerer, Talker

HEALTHY = 10
#: The message that says what a peer is there for.
ROLE = 2
TALKER, SLOW, NEVER, DEAF = b"talker", b"slow", b"never", b"deaf"
SLOW_PAUSE_S = 0.05
PIECE_BYTES = 16 * 1024
PIECES = 8
RECEIVE_BUFFER_BYTES = 32 * 1024
MIB = 1024 * 1024
_ITEM_BYTES = PIECE_BYTES + ITEM_BYTES
#: What a full inbox holds at most: one read, and the message that it completed, came into a little
#: room that was left.
INBOX_BYTES = LIMIT_BYTES + (_READ_SIZE_BYTES // PIECE_BYTES + 1) * _ITEM_BYTES
#: What a full outbox holds at most, and with it the batch in the channel and the one framed ahead.
OUTBOX_BYTES = LIMIT_BYTES + _ITEM_BYTES
UNSENT_BYTES = OUTBOX_BYTES + 2 * (BATCH_BYTES + _ITEM_BYTES)

#: How often the server's mailboxes are looked at.
LOOK_S = 0.002
#: How many times the healthy peers talk in a round.
TALKS = 8
#: Of the rate without the three, how much is to be left beside them.
LEAST_SHARE = 0.8

_body = Random(6).randbytes(PIECE_BYTES - HEAD_BYTES)  # nothing that compresses


@dataclass(frozen=True)
class Load:
    """How many rounds, and the messages of a healthy peer each time it talks.

    Rates are compared by the best of each kind: what else runs on the machine only ever makes them
    lower. When it does so in all rounds of a kind, more of them are played.
    """

    messages: int
    least_rounds: int
    most_rounds: int

    def wants_more(self, rounds: int, without: list[float], beside: list[float]) -> bool:
        """Whether to play another round."""
        if rounds < self.least_rounds:
            return True
        return rounds < self.most_rounds and max(beside) < LEAST_SHARE * max(without)


LOADS = {Scale.SHORT: Load(80, 2, 12), Scale.FULL: Load(400, 10, 20)}


@dataclass
class Records:
    """What handlers have seen and how they ended; one of each for a round."""

    catch_up: threading.Event = field(default_factory=threading.Event)
    heard: dict[bytes, Chain] = field(default_factory=lambda: {SLOW: Chain(), NEVER: Chain()})
    broken: list[str] = field(default_factory=list)
    # of the handler that writes to the deaf remote
    written: int = 0
    error: p2p.P2PError | None = None
    ended: dict[bytes, float] = field(default_factory=dict)  # and when


class Handlers:
    """The server's side of all roles."""

    def __init__(self) -> None:
        self.answerer = Answerer()
        self.records = Records()  # of the present round

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """The handler."""
        records, role = self.records, rw.read_msg().payload
        if role == TALKER:
            self.answerer.run(peer, rw)
            return
        try:
            self._play(role, rw, records)
        except ChainBroken as error:
            records.broken.append(f"{role!r}: {error}")
        except p2p.PeerDisconnected as error:
            if role == DEAF:
                records.error = error
        records.ended[role] = time.monotonic()

    def _play(self, role: bytes, rw: p2p.MsgReadWriter, records: Records) -> None:
        if role == DEAF:
            said = Chain()
            while True:
                rw.write_msg(p2p.Msg(DATA, said.next(_body)))
                records.written = said.count
        if role == NEVER:
            records.catch_up.wait()
        heard = records.heard[role]
        while True:
            heard.check(rw.read_msg().payload)
            if not records.catch_up.is_set():
                records.catch_up.wait(SLOW_PAUSE_S)


class Named(Talker):
    """A healthy peer that says so first."""

    def opened(self) -> None:
        self.send([(ROLE, TALKER)])


class Pusher(Member):
    """Sends as much as the connection takes, until it is told to stop."""

    def __init__(self, crowd: Crowd, role: bytes) -> None:
        self.said = Chain()
        self.pushes = True
        self._role = role
        super().__init__(crowd)

    def opened(self) -> None:
        self.send([(ROLE, self._role)])
        self.sent_all()

    def sent_all(self) -> None:
        while self.pushes and not self.unsent and self.stage is Stage.OPEN:
            self.send([(DATA, self.said.next(_body)) for _ in range(PIECES)])


class Deaf(Member):
    """Asks for messages and reads none."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd, RECEIVE_BUFFER_BYTES)

    def opened(self) -> None:
        self.send([(ROLE, DEAF)])
        self.stop_reading()


class Round:
    """One round beside the three."""

    def __init__(self, server: p2p.Server, crowd: Crowd, handlers: Handlers) -> None:
        self.records = handlers.records = Records()
        self.inbox_bytes = self.outbox_bytes = self.unsent_bytes = 0
        self.lost = 0
        self._look_at = 0.0
        self.error_after_s = 0.0
        self._server = server
        self._crowd = crowd
        self._slow, self._never = Pusher(crowd, SLOW), Pusher(crowd, NEVER)
        self._deaf = Deaf(crowd)
        three = (self._slow, self._never, self._deaf)
        crowd.until(lambda: all(one.stage is Stage.OPEN for one in three), "all three are peers")
        ids = {one.id for one in three}
        self._sessions = self._await_sessions(ids)

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Drive all remotes, and keep an eye on what the server holds."""
        self._crowd.until(lambda: self._look() or happened(), what)

    def await_stuck(self) -> None:
        """Wait until two inboxes and an outbox are full."""
        slow, never, deaf = (
            self._sessions[one.id] for one in (self._slow, self._never, self._deaf)
        )

        def stuck() -> bool:
            full = deaf.outbox.is_full and deaf.channel.unsent_bytes > 0
            return full and slow._held and never._held and bool(self._slow.unsent)

        self.until(stuck, "nothing moves for the three")

    def end(self) -> None:
        """Let the slow handler catch up, and reset the other two."""
        records = self.records
        self._slow.pushes = self._never.pushes = False
        records.catch_up.set()
        said, heard = self._slow.said, records.heard[SLOW]
        self.until(lambda: heard.count == said.count or SLOW in records.ended, "it has caught up")
        self.lost = said.count - heard.count
        self._slow.leave(Leave.FIN)
        began = time.monotonic()
        self._deaf.leave(Leave.RESET)
        self._never.leave(Leave.RESET)
        self.until(lambda: len(records.ended) == 3, "all three handlers have ended")
        self.error_after_s = records.ended[DEAF] - began

    def _await_sessions(self, ids: set[p2p.NodeID]) -> dict[p2p.NodeID, Session]:
        found: dict[p2p.NodeID, Session] = {}

        def there() -> bool:
            for session in inspect.sessions(self._server):
                if session.peer is not None and session.peer.id in ids:
                    found[session.peer.id] = session
            return len(found) == len(ids)

        self._crowd.until(there, "the server has all three")
        return found

    def _look(self) -> None:
        """What is kept for them at this moment; a glance, without a lock."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        for session in self._sessions.values():
            assert session.peer is not None
            outbox = session.outbox._size
            framed = sum(map(len, session._next_batch)) + session.channel.unsent_bytes
            self.inbox_bytes = max(self.inbox_bytes, session.peer._running[0]._inbox._size)
            self.outbox_bytes = max(self.outbox_bytes, outbox)
            self.unsent_bytes = max(self.unsent_bytes, outbox + framed)


def talk(members: list[Named], messages: int, drive: Callable[..., None]) -> list[float]:
    """Let the healthy peers talk some times; returns the messages answered in a second of each."""
    rates = []
    for _ in range(TALKS):
        began = time.monotonic()
        for member in members:
            member.begin(messages)
        drive(lambda: all(member.is_idle for member in members), "all messages are answered")
        rates.append(len(members) * messages / (time.monotonic() - began))
    return rates


def run(scale: Scale) -> Iterator[Figure]:
    """Do it, and yield what was measured."""
    handlers = Handlers()
    logger = logging.getLogger("p2p.stress.slowconsumer")
    logger.setLevel(logging.CRITICAL)
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="slowconsumer",
        max_peers=50,
        no_dial=True,
        listen_addr="127.0.0.1:0",
        no_discovery=True,
        protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, handlers.run)],
        logger=logger,
    )
    with server, Crowd(server.self) as crowd:
        yield from measure(LOADS[scale], server, crowd, handlers)


def measure(load: Load, server: p2p.Server, crowd: Crowd, handlers: Handlers) -> Iterator[Figure]:
    """Play all rounds."""
    members = [Named(crowd, handlers.answerer.broken) for _ in range(HEALTHY)]
    crowd.until(lambda: all(m.stage is Stage.OPEN for m in members), "all healthy are peers")
    talk(members, load.messages, crowd.until)  # to warm up
    without: list[float] = []
    beside: list[float] = []
    rounds: list[Round] = []
    while load.wants_more(len(rounds), without, beside):
        without += talk(members, load.messages, crowd.until)
        one = Round(server, crowd, handlers)
        rounds.append(one)
        one.await_stuck()
        beside += talk(members, load.messages, one.until)
        one.end()
    for member in members:
        member.ask_count()
    crowd.until(lambda: all(m.is_counted for m in members), "all have counted")
    let_down = sum(not member.is_whole for member in members) + len(handlers.answerer.broken)
    yield Figure("messages of healthy peers", sum(m.said.count for m in members), "messages")
    yield Figure("healthy peers with a message lost or out of order", let_down, "peers", most=0)
    yield Figure("answers without the three", max(without), "messages/s")
    yield Figure("answers beside the three", max(beside), "messages/s")
    share = max(beside) / max(without)
    name = "rate beside the three to the rate without"
    yield Figure(name, share, "", least=LEAST_SHARE, timed=True)
    yield from bounds(rounds)
    yield from endings(rounds)


def bounds(rounds: list[Round]) -> Iterator[Figure]:
    """What was kept for the three.

    Nothing is taken from the inbox of a handler that never reads. The outbox may be left anywhere
    between its bounds by the kernel's last bite.
    """
    inbox = max(one.inbox_bytes for one in rounds)
    outbox = max(one.outbox_bytes for one in rounds)
    unsent = max(one.unsent_bytes for one in rounds)
    for name, held, least, most in (
        ("a full inbox", inbox, LIMIT_BYTES, INBOX_BYTES),
        ("a full outbox", outbox, ROOM_AGAIN_BYTES, OUTBOX_BYTES),
        ("all that waits to be sent", unsent, ROOM_AGAIN_BYTES, UNSENT_BYTES),
    ):
        yield Figure(f"{name} holds at most", held / MIB, "MiB", most=most / MIB)
        yield Figure(f"{name} holds at least, when full", held / MIB, "MiB", least=least / MIB)


def endings(rounds: list[Round]) -> Iterator[Figure]:
    """How it ended for the three."""
    caught_up = sum(one.records.heard[SLOW].count for one in rounds)
    yield Figure("messages that the slow handler got", caught_up, "messages", least=1)
    yield Figure("of them lost", sum(abs(one.lost) for one in rounds), "messages", most=0)
    broken = sum(len(one.records.broken) for one in rounds)
    yield Figure("broken chains of slow handlers", broken, "chains", most=0)
    errors = [one.records.error for one in rounds]
    untold = sum(not isinstance(error, p2p.PeerDisconnected) for error in errors)
    yield Figure("blocked writes that ended without their error", untold, "writes", most=0)
    longest = max(one.error_after_s for one in rounds)
    name = "a blocked write has its error after the reset"
    yield Figure(name, longest, "s", most=1.0, timed=True)
