"""Replay of a recording against a handler: the recorded peer says again what it said.

The handler runs in a thread of :func:`p2p.testing.run_handler`, over a message pipe; the calling
thread plays the peer. The format of recordings is in :mod:`p2p.capture.recording`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from p2p.arguments import check_type
from p2p.capture.recording import Recorded, Recording
from p2p.clock import nonnegative_timeout
from p2p.errors import PeerDisconnected, Timeout
from p2p.message import Msg, MsgReadWriter
from p2p.peers.peer import Peer
from p2p.protocol import Protocol
from p2p.testing.handlers import HandlerRun, run_handler
from p2p.testing.readwriter import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Difference:
    """A message that the handler wrote otherwise than in the recording.

    ``number`` counts the messages of our side from 0; ``recorded`` or ``written`` is None for a
    message that the other one does not have.
    """

    number: int
    recorded: Msg | None
    written: Msg | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of a replay.

    ``written`` are the messages of the handler, ``differences`` those that are not as recorded;
    ``error`` is what the handler raised, None if it returned or was ended by the recorded end.
    """

    written: tuple[Msg, ...]
    differences: tuple[Difference, ...]
    error: BaseException | None

    @property
    def is_same(self) -> bool:
        """Whether the handler has said what was recorded, and has not failed."""
        return not self.differences and self.error is None


def replay(
    recording: Recording,
    handler: Callable[[Peer, MsgReadWriter], object],
    *,
    timeout: float = PATIENCE_S,
    logger: logging.Logger | None = None,
) -> Replayed:
    """Play the peer of a recording against ``handler(peer, rw)``, and return what it did::

        recording = p2p.capture.Recording.load("talk.jsonl")
        assert p2p.testing.replay(recording, handler).is_same

    The order of both sides is that of the recording: where a message of ours stands in it, the
    handler must write one before the peer goes on. If it writes none within ``timeout`` seconds,
    the replay ends there. Delays are not repeated. ``logger`` is that of the peer. At the end the
    peer leaves, for the recorded reason. Raises AssertionError if the handler then does not return,
    or does not read within ``timeout`` seconds. Any thread; the handler runs on one of its own.
    """
    check_type("recording", recording, Recording, "a p2p.capture.Recording")
    timeout = nonnegative_timeout(timeout)
    protocol = Protocol(recording.name, recording.version, recording.length, handler)
    written: list[Msg] = []
    peer = recording.peer or "peer"
    with run_handler(protocol, timeout=timeout, name=peer, logger=logger) as remote:
        error = _play(recording, remote, written, timeout)
    ours = [entry.msg for entry in recording.entries if not entry.from_peer and entry.msg]
    return Replayed(tuple(written), _compare(ours, written), error)


def _play(
    recording: Recording, remote: HandlerRun, written: list[Msg], timeout: float
) -> BaseException | None:
    """Say all that the peer said; return the error of the handler."""
    try:
        for entry in recording.entries:
            if not _play_entry(entry, remote, written, timeout):
                break
    except PeerDisconnected:
        pass  # the handler has ended it
    remote.close()
    return _error_of(remote, timeout)


def _play_entry(entry: Recorded, remote: HandlerRun, written: list[Msg], timeout: float) -> bool:
    """Play one step; return False if the handler does not take part in it in time."""
    if entry.from_peer and entry.end is not None:
        remote.close(entry.end)
    elif entry.from_peer and entry.msg is not None:
        remote.write_msg(entry.msg)
    else:
        try:
            # of an end of ours: the end, or a message that was not recorded
            written.append(remote.read_msg(timeout))
        except Timeout:
            return False
    return True


def _error_of(remote: HandlerRun, timeout: float) -> BaseException | None:
    try:
        remote.result(timeout)
    except PeerDisconnected:
        return None  # the recorded end
    except BaseException as error:  # of the program's handler, whatever it is
        if not remote.has_returned:
            raise
        return error
    return None


def _compare(recorded: list[Any], written: list[Msg]) -> tuple[Difference, ...]:
    count = max(len(recorded), len(written))
    pairs = zip(
        recorded + [None] * (count - len(recorded)),
        [*written, *[None] * (count - len(written))],
        strict=True,
    )
    return tuple(
        Difference(number, one, other)
        for number, (one, other) in enumerate(pairs)
        if one != other
    )
