"""Captures of tcpdump and Wireshark, decrypted and decoded.

:func:`read` yields the events of a capture file, with the secrets of a key log (option ``key_log``
of a server)::

    for event in p2p.capture.read("node.pcap", keylog="keys.log"):
        if isinstance(event, p2p.capture.MessageSeen):
            print(event.source, event.cap, event.name, event.value)

An event (``Event``) is a :class:`ConnectionSeen`, a :class:`MessageSeen`, :class:`MessagesLost`, a
:class:`ConnectionEnded`, a :class:`PacketSeen` of discovery, or a :class:`Remark` about the capture
itself. A :class:`MessageDecoder` decodes the messages of a protocol.

Import it explicitly; it needs the extra ``capture``.
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

__all__ = [
    "ConnectionEnded",
    "ConnectionSeen",
    "Event",
    "MessageDecoder",
    "MessageSeen",
    "MessagesLost",
    "PacketSeen",
    "Remark",
    "read",
]
