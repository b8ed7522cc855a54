"""Recordings of a protocol's messages: what both ends said, as JSON lines.

The format is for people and other programs as well: each line is an object, the first one the
head. Unknown keys are to be ignored::

    {"p2p-recording": 1, "name": "chat", "version": 1, "length": 8, "peer": "...", "time": 1.7e9}
    {"at": 0.25, "from": "peer", "code": 1, "payload": "c88568656c6c6f01"}
    {"at": 0.31, "from": "us", "code": 2, "payload": "c0"}
    {"at": 9.02, "from": "peer", "end": 8}

``time`` is the wall-clock time of the start, ``at`` seconds since then; ``peer`` describes the
remote; ``payload`` is hex digits; ``end`` is the reason of a Disconnect, by ``from``. The thread
that reads or writes a message also writes its line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import IO, Any

from p2p.arguments import NUMBER, check_type
from p2p.clock import SYSTEM_CLOCK
from p2p.discreason import DiscReason
from p2p.errors import DecodeError, PeerDisconnected
from p2p.message import Msg, MsgReadWriter
from p2p.netutil import printable
from p2p.rlpx.frame import MAX_MESSAGE_SIZE

#: Version of the format.
FORMAT = 1
_FORMAT_KEY = "p2p-recording"
#: Longest line that is read: the largest message in hex digits, and the rest.
MAX_LINE_SIZE = 2 * MAX_MESSAGE_SIZE + 1024
#: Latest time of an entry, in seconds: a billion, which are 32 years.
MAX_DURATION_S = 1e9
#: Longest text of ``peer``.
MAX_PEER_SIZE = 300


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message of a recording, ``at`` seconds after its start; or the end, with its reason."""

    at: float
    from_peer: bool
    msg: Msg | None
    end: DiscReason | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording: the protocol, and all that was said."""

    name: str
    version: int
    length: int
    peer: str = ""
    entries: tuple[Recorded, ...] = field(default=(), repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a file. Raises OSError, and DecodeError with the number of a broken line.

        Raises ArgumentTypeError for anything but a path.
        """
        check_type("path", path, (str, os.PathLike), "the path of a recording")
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = enumerate(iter(lambda: file.readline(MAX_LINE_SIZE), ""), 1)
            head: Recording | None = None
            entries = []
            for number, line in lines:
                try:
                    if head is None:
                        head = _read_head(_read_line(line))
                    elif line.strip():
                        entries.append(_read_entry(_read_line(line), head))
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    text = f"line {number} is none of a recording: {_reason(error)}"
                    raise DecodeError(text) from None
        if head is None:
            raise DecodeError("the file is empty, not a recording")
        return cls(head.name, head.version, head.length, head.peer, tuple(entries))

    def of_peer(self) -> Iterator[Recorded]:
        """Yield what the peer said."""
        return (entry for entry in self.entries if entry.from_peer)


class RecordingReadWriter(MsgReadWriter):
    """A read-writer that records what passes another one, in ``file``, a text file::

        with open("talk.jsonl", "w") as file:
            rw = p2p.capture.RecordingReadWriter(rw, file, CHAT, peer=str(peer.node))

    ``protocol`` has a name, version and length: a :class:`p2p.Protocol` or
    :class:`p2p.messages.Messages`. ``peer`` describes the remote. Any threads may use it. The file
    belongs to the caller; its errors are raised by the call that reads or writes the message.
    """

    def __init__(
        self, rw: MsgReadWriter, file: IO[str], protocol: Any, *, peer: str = ""
    ) -> None:
        check_type("rw", rw, MsgReadWriter, "a read-writer")
        # fixed after __init__
        self._rw = rw
        self._file = file
        self.connection_id = rw.connection_id
        self._request_totals = rw._request_totals
        self._start = SYSTEM_CLOCK.monotonic()
        # guards the file
        self._lock = Lock()
        self._has_ended = False
        head = {
            _FORMAT_KEY: FORMAT,
            "name": protocol.name,
            "version": protocol.version,
            "length": protocol.length,
            "peer": printable(peer, MAX_PEER_SIZE),
            "time": SYSTEM_CLOCK.time_unix(),
        }
        self._write(head)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._rw.is_closed

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the end; None while open."""
        return self._rw.disconnect_reason

    def read_msg(self, timeout: float | None = None) -> Msg:
        try:
            msg = self._rw.read_msg(timeout)
        except PeerDisconnected as ended:
            self._note_end(ended.by_remote, ended.reason)
            raise
        self._note(True, {"code": msg.code, "payload": msg.payload.hex()})
        return msg

    def write_msg(self, msg: Msg) -> None:
        self._rw.write_msg(msg)
        self._note(False, {"code": msg.code, "payload": msg.payload.hex()})

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the stream, as the other read-writer does."""
        if not self._rw.is_closed:
            self._note_end(False, reason)
        self._rw.close(reason)

    def _note_end(self, from_peer: bool, reason: int) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._note(from_peer, {"end": int(reason)})

    def _note(self, from_peer: bool, values: dict[str, Any]) -> None:
        at = round(SYSTEM_CLOCK.monotonic() - self._start, 6)
        self._write({"at": at, "from": "peer" if from_peer else "us", **values})

    def _write(self, values: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()

    def __repr__(self) -> str:
        return f"<recording of {self._rw!r}>"


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _read_line(line: str) -> dict[str, Any]:
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("no object")
    return values


def _read_head(values: dict[str, Any]) -> Recording:
    if values[_FORMAT_KEY] != FORMAT:
        raise ValueError(f"format {FORMAT} wanted")
    name, peer = values["name"], values.get("peer", "")
    if not (isinstance(name, str) and isinstance(peer, str)):
        raise ValueError("name and peer are texts")
    return Recording(name, _uint(values["version"]), _uint(values["length"]), peer)


def _read_entry(values: dict[str, Any], head: Recording) -> Recorded:
    at, sender = _seconds(values["at"]), values["from"]
    if sender not in ("peer", "us"):
        raise ValueError('"from" is "peer" or "us"')
    if "end" in values:
        return Recorded(at, sender == "peer", None, DiscReason(_uint(values["end"])))
    code = _uint(values["code"])
    if code >= head.length:
        raise ValueError(f"code {code} is not below the length {head.length}")
    return Recorded(at, sender == "peer", Msg(code, bytes.fromhex(values["payload"])))


def _seconds(value: object) -> float:
    is_number = isinstance(value, NUMBER) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_DURATION_S:  # type: ignore[operator]
        raise ValueError("a number of seconds from 0 up wanted")
    return float(value)  # type: ignore[arg-type]


def _uint(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise ValueError("a number from 0 to 2**32 - 1 wanted")
    return value
