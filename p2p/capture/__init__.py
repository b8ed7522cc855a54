"""Captures of tcpdump and Wireshark, decrypted and decoded.

:func:`read` yields the events of a capture file, with the secrets of a key log (option ``key_log``
of a server)::

    for event in p2p.capture.read("node.pcap", keylog="keys.log"):
        if isinstance(event, p2p.capture.MessageSeen):
            print(event.source, event.cap, event.name, event.value)

An event (``Event``) is a :class:`ConnectionSeen`, a :class:`MessageSeen`, :class:`MessagesLost`, a
:class:`ConnectionEnded`, a :class:`PacketSeen` of discovery, or a :class:`Remark` about the capture
itself. A :class:`MessageDecoder` decodes the messages of a protocol.

A :class:`RecordingReadWriter` records what both ends of a protocol say, as JSON lines; a
:class:`Recording` is such a file, with a :class:`Recorded` for each message, which
:func:`p2p.testing.replay` plays against a handler.

Import it explicitly; :func:`read` needs the extra ``capture``.
"""

from __future__ import annotations

from p2p.capture.event import (
    ConnectionEnded,
    ConnectionSeen,
    Event,
    MessageSeen,
    MessagesLost,
    PacketSeen,
    Remark,
)
from p2p.capture.file import read
from p2p.capture.messages import MessageDecoder
from p2p.capture.recording import Recorded, Recording, RecordingReadWriter

__all__ = [
    "ConnectionEnded",
    "ConnectionSeen",
    "Event",
    "MessageDecoder",
    "MessageSeen",
    "MessagesLost",
    "PacketSeen",
    "Recorded",
    "Recording",
    "RecordingReadWriter",
    "Remark",
    "read",
]
