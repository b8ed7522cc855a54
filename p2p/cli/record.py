"""The command ``p2p record``: what a node says, as JSON lines. Main thread; a file."""

from __future__ import annotations

import time
from typing import Any

import click

import p2p
from p2p.capture import RecordingReadWriter
from p2p.cli.command import command
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.options import with_duration, with_nodekey
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import CAP, NODE
from p2p.cli.plain import summary
from p2p.cli.programobject import with_protocol
from p2p.cli.shown import number_of, shown

#: Characters of a message's content that are shown.
MAX_CONTENT = 100


@command(
    "record",
    examples="""
        p2p record enode://…@203.0.113.7:30303 --protocol eth/69 status.jsonl
        p2p record enode://… --raw chat/1 --length 8 --duration 1m talk.jsonl
    """,
)
@click.argument("node", type=NODE)
@click.argument("file", type=click.Path(dir_okay=False))
@with_protocol
@click.option("--raw", type=CAP, help="Protocol without known messages, NAME/VERSION.")
@click.option("--length", type=click.IntRange(1, 2**32), help="Number of its message codes.")
@with_nodekey
@with_duration
@with_output
def record(
    output: Output,
    node: p2p.Node,
    file: str,
    protocol: Any,
    raw: p2p.Cap | None,
    length: int | None,
    nodekey: p2p.PrivateKey | None,
    duration: float | None,
) -> int:
    """Connect to NODE, and record what it says in FILE, for p2p replay.

    Nothing is said to it, so a node that waits for a message leaves after a while. It ends when the
    node leaves, at Ctrl-C, or after --duration.
    """
    spoken = _protocol(protocol, raw, length)
    count = 0
    with (
        p2p.connect(
            node,
            name=spoken.name,
            version=spoken.version,
            length=spoken.length,
            private_key=nodekey,
        ) as rw,
        open(file, "w", encoding="utf-8") as lines,
    ):
        output.note(f"connected to {shown(rw.peer.name)}, recording into {file}")
        recorder = RecordingReadWriter(rw, lines, spoken, peer=rw.peer.name)
        with output.progress("recording, Ctrl-C ends it"):
            for msg in _read(recorder, duration):
                count += 1
                _show(output, msg, protocol)
    output.text(f"{number_of(count, 'message')} recorded in {file}")
    if not count:
        output.note("the node waits for a message first: record in a handler, RecordingReadWriter")
    return ExitCode.OK


def _protocol(protocol: Any, cap: p2p.Cap | None, length: int | None) -> Any:
    """Return an object with name, version and length."""
    if protocol is not None and cap is None and length is None:
        return protocol
    if protocol is None and cap is not None and length is not None:
        return p2p.Protocol(cap.name, cap.version, length)
    raise Failure("give --protocol, or both --raw and --length", ExitCode.USAGE)


def _read(rw: p2p.MsgReadWriter, duration: float | None) -> Any:
    """Yield the messages until the node leaves, the time is over, or Ctrl-C."""
    end = None if duration is None else time.monotonic() + duration
    try:
        while True:
            yield rw.read_msg(None if end is None else max(0.0, end - time.monotonic()))
    except (p2p.Timeout, p2p.PeerDisconnected, KeyboardInterrupt):
        return


def _show(output: Output, msg: p2p.Msg, protocol: Any) -> None:
    name, content = f"0x{msg.code:02x}", summary(msg.payload, MAX_CONTENT)
    if protocol is not None:
        name = protocol.name_of(msg.code)
        try:
            content = summary(protocol.decode(msg.code, msg.payload), MAX_CONTENT)
        except p2p.P2PError as error:
            content = f"{shown(error)}: {content}"
    record = {"code": msg.code, "name": name, "payload": msg.payload}
    output.result(record, f"{name}  {content}")
