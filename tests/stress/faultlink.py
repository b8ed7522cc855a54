"""One connection through the fault proxy: two sockets, and what happens to what passes.

A :class:`Link` is a connection and its continuation to the target; it has two ends, each with its
socket, and two pipes, one for each direction. What happens to it is a :class:`Plan`: a
:class:`Fault` that begins once so many bytes have passed. What is left to chance (sizes, pauses,
which bit) comes from the source of chance that it is given. The proxy's thread only.

::

    fault       what happens from then on
    NONE        nothing: bytes, ends of data and resets pass as they come
    DELAY       every piece waits for a while, in its order
    DRIP        a few bytes at a time, with pauses; much is not even read
    RESET       both ends are reset
    FLIP        one bit of the next piece is another one, the rest passes
    STALL       nothing is read any more, so both ends fill up
    HALF_OPEN   what comes is swallowed, the end of the data and a reset as well

Of a direction, at most ``BUFFER_BYTES`` and one piece wait in the proxy; then it stops reading.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.stress.faultproxy import Door

#: What waits in one direction of a connection until no more is read.
BUFFER_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024
#: How large a piece of a drip is at most, and the pauses, from and to, in seconds.
DRIP_BYTES = 4
DRIP_PAUSE_S = (0.01, 0.05)
DELAY_S = (0.01, 0.2)

_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE
_NO_LINGER = struct.pack("ii", 1, 0)


class Fault(Enum):
    """What can happen to a connection; see the table at the head of the module."""

    NONE = "none"
    DELAY = "delay"
    DRIP = "drip"
    RESET = "reset"
    FLIP = "flip"
    STALL = "stall"
    HALF_OPEN = "half-open"


#: Those with which nothing passes any more.
_STILL = (Fault.STALL, Fault.HALF_OPEN, Fault.RESET)


@dataclass(frozen=True)
class Plan:
    """``fault`` begins when ``after_bytes`` have passed, both directions together."""

    fault: Fault = Fault.NONE
    after_bytes: int = 0


class Link:
    """A connection and its continuation to the target. The proxy's thread only."""

    def __init__(self, door: Door, near: socket.socket, plan: Plan, chance: Random) -> None:
        self.door = door
        self.chance = chance
        self.fault = Fault.NONE
        self._plan = plan
        self._passed_bytes = 0
        far = socket.socket()
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.connect_ex(door.proxy.target)  # sends wait until it is done
        self.ends = (End(self, near), End(self, far))
        there, back = self._pipes = Pipe(self, *self.ends), Pipe(self, *reversed(self.ends))
        self.ends[0].watch(there, back)
        self.ends[1].watch(back, there)

    def count(self, size: int) -> None:
        """So many bytes have come; the planned fault may have to begin."""
        self._passed_bytes += size
        if self._plan.fault is not Fault.NONE and self._passed_bytes >= self._plan.after_bytes:
            fault, self._plan = self._plan.fault, Plan()
            self.begin(fault)

    def begin(self, fault: Fault) -> None:
        """Let a fault begin; NONE ends one."""
        self.fault = fault
        self.door.begun[fault] += 1
        if fault is Fault.RESET:
            self.reset()
            return
        for pipe in self._pipes:
            pipe.push(time.monotonic())

    def flip(self, data: bytes) -> bytes:
        """``data`` with one bit changed; what comes after it passes."""
        self.fault = Fault.NONE
        changed = bytearray(data)
        changed[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        return bytes(changed)

    def broken(self) -> None:
        """An end is reset: so is the other one, unless nothing passes any more."""
        if self.fault is not Fault.HALF_OPEN:
            self.reset()

    def drained(self) -> None:
        """A direction has passed all that it will; close when both have."""
        if all(pipe.is_over for pipe in self._pipes):
            self.close()

    def reset(self) -> None:
        """Reset both ends."""
        for end in self.ends:
            with suppress(OSError):  # closed already
                end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.close()

    def close(self) -> None:
        """Close both ends."""
        for end in self.ends:
            end.close()
        self.door.links.discard(self)


class End:
    """One of the two sockets of a link."""

    def __init__(self, link: Link, sock: socket.socket) -> None:
        self.sock = sock
        self._link = link
        self._selector = link.door.proxy.selector
        self._interest = 0

    def watch(self, outgoing: Pipe, incoming: Pipe) -> None:
        """Begin; ``outgoing`` is the direction that begins here, ``incoming`` ends here."""
        self.outgoing, self.incoming = outgoing, incoming
        self.update()

    def update(self) -> None:
        """Wait for what there is to do, and for nothing else."""
        if self.sock.fileno() < 0:
            return
        wanted = _READ if self.outgoing.wants_data else 0
        wanted |= _WRITE if self.incoming.wants_room else 0
        if wanted == self._interest:
            return
        if not self._interest:
            self._selector.register(self.sock, wanted, self._on_ready)
        elif not wanted:
            self._selector.unregister(self.sock)
        else:
            self._selector.modify(self.sock, wanted, self._on_ready)
        self._interest = wanted

    def close(self) -> None:
        """Close the socket."""
        if self._interest:
            self._selector.unregister(self.sock)
            self._interest = 0
        self.incoming.forget()
        self.sock.close()

    def _on_ready(self, mask: int) -> None:
        if mask & _WRITE:
            self.incoming.push(time.monotonic())
        if mask & _READ and self.sock.fileno() >= 0:
            self.outgoing.pull()


class Pipe:
    """One direction of a link: what has come from ``source`` and not gone to ``sink`` yet."""

    def __init__(self, link: Link, source: End, sink: End) -> None:
        self.due_at = 0.0
        self._link = link
        self._source = source
        self._sink = sink
        self._pieces: deque[tuple[float, bytes]] = deque()  # when each may go, and what
        self._size = 0
        self._blocked = False  # the kernel takes no more
        self._ended = False  # no more will come
        self.is_over = False  # and the sink has been told
        self._timed = link.door.proxy.timed

    @property
    def wants_data(self) -> bool:
        """Whether to read from the source."""
        stalled = self._link.fault is Fault.STALL
        return not self._ended and not stalled and self._size < BUFFER_BYTES

    @property
    def wants_room(self) -> bool:
        """Whether the sink is to take what it would not take before."""
        return self._blocked and self._link.fault not in _STILL

    def pull(self) -> None:
        """Read from the source."""
        link = self._link
        try:
            data = self._source.sock.recv(PIECE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._ended = True
            link.broken()
            self._source.update()
            return
        self._ended = not data
        link.count(len(data))
        if link.fault is Fault.FLIP and data:
            data = link.flip(data)
        now = time.monotonic()
        due_at = now + link.chance.uniform(*DELAY_S) if link.fault is Fault.DELAY else now
        if link.fault is not Fault.HALF_OPEN:
            self._pieces.append((due_at, data))
            self._size += len(data)
        self.push(now)

    def push(self, now: float) -> None:
        """Give the sink what it may have and takes; an empty piece is the end of the data."""
        try:
            self._push(now)
        except (BlockingIOError, InterruptedError):
            self._blocked = True
        except OSError:
            self._pieces.clear()
            self._link.broken()
        self._set_timer()
        self._source.update()
        self._sink.update()

    def forget(self) -> None:
        """Nothing will be sent any more."""
        self._pieces.clear()
        self._timed.discard(self)

    def _push(self, now: float) -> None:
        self._blocked = False
        while self._may_push(now):
            due_at, data = self._pieces[0]
            if not data:
                self._pieces.clear()
                self._sink.sock.shutdown(socket.SHUT_WR)
                self.is_over = True
                self._link.drained()
                return
            drips = self._link.fault is Fault.DRIP
            part = data[: self._link.chance.randint(1, DRIP_BYTES)] if drips else data
            sent = self._sink.sock.send(part)
            self._size -= sent
            if drips:
                due_at = now + self._link.chance.uniform(*DRIP_PAUSE_S)
            if sent < len(data):
                self._pieces[0] = due_at, data[sent:]
            else:
                self._pieces.popleft()
                if drips and self._pieces:
                    self._pieces[0] = due_at, self._pieces[0][1]

    def _may_push(self, now: float) -> bool:
        if not self._pieces or self._link.fault in _STILL:
            return False
        return self._pieces[0][0] <= now

    def _set_timer(self) -> None:
        moves = self._link.fault not in _STILL and self._sink.sock.fileno() >= 0
        if self._pieces and not self._blocked and moves:
            self.due_at = self._pieces[0][0]
            self._timed.add(self)
        else:
            self._timed.discard(self)
