"""Commands that take apart what is on the wire: ``p2p explain handshake | packet | message``.

Main thread; ``handshake`` with a node uses the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import p2p
from p2p.cli.command import group
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.options import with_timeout
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NODE, HexType
from p2p.cli.programobject import with_protocol
from p2p.explain import Explanation, explain_handshake, explain_message, explain_packet
from p2p.messages import Messages

_HEX = HexType()
_HTML = click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page of HTML to this file; it needs no other.",
)


@group("explain")
def explain() -> None:
    """Take apart handshakes, packets and messages: each value, its length, its formula."""


@explain.command(
    "handshake",
    examples='p2p explain handshake\np2p explain handshake "enode://…" --html handshake.html',
)
@click.argument("node", type=NODE, required=False)
@with_timeout("15s")
@_HTML
@with_output
def handshake(output: Output, node: p2p.Node | None, timeout: float, html: Path | None) -> None:
    """Explain the handshake of RLPx with NODE, or, without it, that of EIP-8.

    The node is dialed with a new key, which is shown, and used for nothing else.
    """
    _show(output, explain_handshake(node, timeout), html)


@explain.command(
    "packet",
    examples="p2p explain packet 577be4349c4dd26768081f58de4c6f37…\n"
    "p2p explain packet - --to enr:… <packet.hex",
)
@click.argument("packet", metavar="HEX", type=_HEX)
@click.option("--to", "recipient", metavar="NODE|ID", help="Recipient of a packet of v5.")
@click.option(
    "--session-key", type=_HEX, help="Session key of the sender, 16 bytes, for its message."
)
@_HTML
@with_output
def packet(
    output: Output,
    packet: bytes,
    recipient: str | None,
    session_key: bytes | None,
    html: Path | None,
) -> None:
    """Explain a datagram of discovery v4 or v5; "-" reads it from the standard input."""
    to = None if recipient is None else _recipient_of(recipient)
    with _of_the_caller():
        explanation = explain_packet(packet, to, session_key)
    _show(output, explanation, html)


@explain.command(
    "message",
    examples="p2p explain message c88363617483646f67\n"
    "p2p explain message 08… --compressed --protocol eth/69 --code 0x08",
)
@click.argument("payload", metavar="HEX", type=_HEX)
@with_protocol
@click.option("--code", default="0", help="Code of the message, within its protocol.")
@click.option("--compressed", is_flag=True, help="The payload is compressed, as in a frame.")
@_HTML
@with_output
def message(
    output: Output,
    payload: bytes,
    protocol: Messages[Any] | None,
    code: str,
    compressed: bool,
    html: Path | None,
) -> None:
    """Explain the payload of a message: its RLP, and its fields if --protocol is given."""
    try:
        number = int(code, 0)
    except ValueError:
        raise click.BadParameter(f"{code!r} is no number", param_hint="--code") from None
    with _of_the_caller():
        explanation = explain_message(payload, protocol, number, compressed)
    _show(output, explanation, html)


@contextmanager
def _of_the_caller() -> Iterator[None]:
    """Let input that cannot be read be a wrong argument: no node has sent it now."""
    try:
        yield
    except p2p.errors.RemoteProtocolError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


def _recipient_of(text: str) -> p2p.Node | p2p.NodeID:
    """Return a node, or its ID by 64 hex digits."""
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return p2p.NodeID(bytes.fromhex(text))
    return p2p.parse_node(text)


def _show(output: Output, explanation: Explanation, html: Path | None) -> None:
    if html is not None:
        html.write_text(explanation.html(), encoding="utf-8")
        output.result({"file": str(html)}, f"written: {html}")
        return
    for section in explanation.sections if output.as_json else ():
        for value in section.values:
            record = {
                "section": section.title,
                "name": value.name,
                "value": value.shown,
                "size": len(value.data) if isinstance(value.data, bytes) else None,
                "formula": value.formula,
                "note": value.note,
            }
            output.result(record, "")
    output.text(explanation.text())
