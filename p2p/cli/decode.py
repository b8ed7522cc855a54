"""The command ``p2p decode``: a capture of tcpdump, decrypted and decoded. Main thread; files."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

import click

import p2p.capture
from p2p.capture import ConnectionEnded, ConnectionSeen, MessageSeen, MessagesLost, PacketSeen
from p2p.cli.command import command
from p2p.cli.options import with_keylog
from p2p.cli.output import Output, with_output
from p2p.cli.plain import plain, summary
from p2p.cli.programobject import with_protocols
from p2p.cli.shown import number_of, shown

#: Characters of a message's content that are shown.
MAX_CONTENT = 120
#: Names of the events in the JSON output.
_KINDS = {
    ConnectionSeen: "connection",
    MessageSeen: "message",
    MessagesLost: "lost",
    ConnectionEnded: "end",
    PacketSeen: "packet",
    p2p.capture.Remark: "remark",
}


@command(
    "decode",
    examples="""
        p2p decode node.pcap --keylog keys.log
        p2p decode node.pcap --keylog keys.log --protocol chat:CHAT --json
        tcpdump -i any -s 0 -U -w - port 30303 | p2p decode - --keylog keys.log
    """,
)
@click.argument("file", type=click.Path(allow_dash=True))
@with_keylog
@with_protocols
@click.option("--all", "everything", is_flag=True, help="Show payloads of unknown messages whole.")
@with_output
def decode(
    output: Output, file: str, keylog: str | None, protocols: tuple[Any, ...], everything: bool
) -> None:
    """Decrypt and decode the capture FILE, pcap or pcapng; "-" reads the standard input.

    The key log has the secrets of connections and discovery v5: the option key_log of a server,
    or the file in P2P_KEYLOGFILE. Discovery v4 needs none. Messages after a gap in the capture
    are marked with "?", since nothing tells whether they were changed, and messages that were with
    "!".
    """
    limit = 2**30 if everything else MAX_CONTENT
    has_secret_parts = False
    for event in p2p.capture.read(file, keylog=keylog, protocols=protocols):
        output.result(_record(event), _line(event, limit))
        has_secret_parts |= isinstance(event, ConnectionSeen) and not event.has_keys
    if has_secret_parts and keylog is None:
        output.note("to read the connections, give the key log of one end: --keylog FILE")


def _record(event: p2p.capture.Event) -> dict[str, Any]:
    values = {field.name: plain(getattr(event, field.name)) for field in fields(event)}
    return {"event": _KINDS[type(event)], **values}


def _line(event: p2p.capture.Event, limit: int) -> str:
    """Return the line of an event: time, connection, both ends, and the event."""
    time = _time_text(event.time)
    if isinstance(event, p2p.capture.Remark):
        return f"{time}  {shown(event.text, 200)}"
    number = "" if isinstance(event, PacketSeen) else f"#{event.connection}"
    return f"{time}  {number:<4} {event.source} → {event.destination}  {_text(event, limit)}"


def _time_text(time_unix: float) -> str:
    try:
        return datetime.fromtimestamp(time_unix).strftime("%H:%M:%S.%f")
    except (ValueError, OverflowError, OSError):  # a capture may state any time
        return f"{time_unix:.6f}"


def _text(event: p2p.capture.Event, limit: int) -> str:
    if isinstance(event, MessageSeen):
        return _message_text(event, limit)
    if isinstance(event, PacketSeen):
        content = event.error or summary(event.packet, limit)
        return f"{event.protocol} {event.kind or 'packet'}  {shown(content, limit)}"
    if isinstance(event, ConnectionSeen):
        keys = "" if event.has_keys else ", encrypted: no secrets of it in a key log"
        return f"connection{'' if event.from_start else ', from its middle'}{keys}"
    if isinstance(event, MessagesLost):
        if event.count is None and event.size == 0:
            return "earlier messages are not in the capture"
        count = "messages" if event.count is None else number_of(event.count, "message")
        return f"gap: {count} lost, {number_of(event.size, 'byte')}"
    if isinstance(event, ConnectionEnded):
        return f"closed ({event.how})"
    return ""


def _message_text(event: MessageSeen, limit: int) -> str:
    mark = {True: "", None: " ?", False: " !"}[event.is_authentic]
    protocol = "p2p" if event.wire_code < 16 else shown(event.cap or "unknown")
    head = f"{protocol} {shown(event.name)}{mark}"
    if event.error:
        return f"{head}  {shown(event.error)}: {summary(event.payload, limit)}"
    if event.value is None:
        return f"{head}  {summary(event.payload, limit)}" if event.wire_code >= 16 else head
    return f"{head}  {summary(event.value, limit)}"
