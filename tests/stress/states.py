"""Remotes in every state that a connection can be in, for a server that is about to stop.

:data:`STATES` names them. A remote that is a peer tells the server with its first message what its
handler shall do, one of the :data:`HANDLERS`; then it does what its state says. The rest is in the
handshake, and stays there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from selectors import EVENT_READ, EVENT_WRITE

import p2p
from p2p.rlpx import BASE_LENGTH, Event, IdentityKnown
from p2p.rlpx.handshake import Initiator
from tests.stress.chain import Chain, ChainBroken
from tests.stress.crowd import Crowd, Member, Stage

ROLE, DATA = range(2)
SMALL_BUFFER_BYTES = 4096
FLOOD = [(DATA, os.urandom(4000))] * 12
HALF_FRAME_OF_BYTES = 1024 * 1024

#: What a handler does, in a word: see ``Host`` in endings.py.
READ, WRITE, FEED, COMPUTE, DAWDLE = HANDLERS = ("read", "write", "feed", "compute", "dawdle")


class Peer(Member):
    """A connected peer that says nothing more; its handler is blocked in read_msg."""

    handler = READ
    buffer_bytes = 0

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd, self.buffer_bytes)

    def opened(self) -> None:
        self.send([(ROLE, self.handler.encode())])

    def begin(self) -> None:
        """All are connected: do what would have taken time from them."""

    @property
    def is_ready(self) -> bool:
        """Whether it is connected, and has sent what it had to."""
        return self.stage is Stage.OPEN and not self.unsent


class Flooding(Peer):
    """Sends as fast as it is read."""

    begun = False

    def begin(self) -> None:
        self.begun = True
        self.flush()

    def sent_all(self) -> None:
        self.send(FLOOD)

    def flush(self) -> None:
        super().flush()
        # Once in each step of the crowd, whether the kernel took all of it or not.
        if self.begun and self.stage is Stage.OPEN:
            self.crowd.want(self, EVENT_READ | EVENT_WRITE)


class Overfilled(Flooding):
    """Sends more than the handler reads: inbox and buffers are full, and reading is held."""

    handler = DAWDLE


class Stalled(Peer):
    """Reads nothing of all that the handler writes, which is blocked in write_msg."""

    handler = WRITE
    buffer_bytes = SMALL_BUFFER_BYTES

    def opened(self) -> None:
        super().opened()
        self.stop_reading()


class Fed(Peer):
    """Reads all that the handler writes, and counts."""

    handler = FEED

    def __init__(self, crowd: Crowd) -> None:
        self.chain = Chain()
        self.fault = ""
        super().__init__(crowd)

    def received(self, code: int, payload: bytes) -> None:
        try:
            self.chain.check(payload)
        except ChainBroken as error:
            self.fault = str(error)


class Computing(Peer):
    """Says "now" and no more; its handler computes, and looks for messages now and then."""

    handler = COMPUTE

    def begin(self) -> None:
        self.send([(DATA, b"now")])


class Vanished(Peer):
    """Is gone without a word: a half-open connection."""

    def opened(self) -> None:
        super().opened()
        self.vanish()


class MidFrame(Peer):
    """Has sent a part of a frame, and says no more."""

    def opened(self) -> None:
        super().opened()
        self.machine.send_messages([(BASE_LENGTH + DATA, os.urandom(HALF_FRAME_OF_BYTES))])
        frame = b"".join(self.machine.data_to_send())
        self.send_raw(frame[: len(frame) // 2])


class Proved(Member):
    """In its handshake: both have proved their keys, and it sends no hello."""

    is_over = False

    def __init__(self, crowd: Crowd) -> None:
        self.is_ready = False
        super().__init__(crowd)

    def ended(self, stage: Stage) -> None:
        self.is_over = True

    def _handle(self, events: Iterable[Event]) -> None:
        for event in events:
            self.is_ready = self.is_ready or isinstance(event, IdentityKnown)


class Stranger:
    """In its handshake: it has connected, and sends what it has prepared and no more."""

    is_ready = True
    is_over = False

    def __init__(self, crowd: Crowd, data: bytes = b"") -> None:
        node = crowd.node
        self.sock = socket.create_connection((str(node.ip), node.tcp))
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()


def half_auth(crowd: Crowd) -> Stranger:
    """A stranger that has sent half of an auth."""
    key = p2p.generate_key()
    auth = Initiator(key, crowd.node.public_key, os.urandom).auth
    return Stranger(crowd, auth[: len(auth) // 2])


Made = Peer | Proved | Stranger

#: The peers, by state.
STATES: dict[str, Callable[[Crowd], Peer]] = {
    "idle": Peer,
    "flooding": Flooding,
    "inbox full": Overfilled,
    "stalled": Stalled,
    "fed": Fed,
    "computing": Computing,
    "vanished": Vanished,
    "in a frame": MidFrame,
}

#: Those in their handshake, who have 5 seconds.
PENDING: dict[str, Callable[[Crowd], Proved | Stranger]] = {
    "silent": Stranger,
    "half an auth": half_auth,
    "proved": Proved,
}
