"""Commands for node records (EIP-778): ``p2p enr show | new | verify``. Main thread.

:func:`read_record` takes the forms that go-ethereum's ``devp2p enrdump`` takes: ``enr:…``, base64
without the prefix, and hex. A record with a wrong signature is shown nevertheless, as invalid.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

import p2p
from p2p.cli.command import group
from p2p.cli.enroptions import IPAddress, endpoint_entries, with_endpoints, with_seq
from p2p.cli.entrytext import entry_text, entry_value, key_text
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import KEY, read_text

_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})+)", re.ASCII)
_BASE64 = re.compile(r"(?:enr:)?([A-Za-z0-9_-]+)", re.ASCII)


@dataclass(frozen=True)
class Parts:
    """The parts of a record, valid or not. ``error`` is empty for a valid one."""

    rlp: bytes
    signature: bytes
    seq: int
    entries: dict[bytes, Any]
    error: str
    record: p2p.Record | None

    @property
    def node(self) -> p2p.Node | None:
        """The node that signed it, None if it is not valid."""
        return None if self.record is None else p2p.Node.from_record(self.record)


@group("enr")
def enr() -> None:
    """Show, make and verify node records (EIP-778).

    A RECORD is "enr:…", or the same bytes as hex; "-" reads it from the standard input.
    """


@enr.command("show", examples="p2p enr show enr:…\np2p key to-enr node.key | p2p enr show -")
@click.argument("record")
@with_output
def show(output: Output, record: str) -> int:
    """Show the entries, the sequence number and the signature of RECORD.

    The exit code is 1 if it is not valid.
    """
    parts = read_record(record)
    node = parts.node
    summary: dict[str, Any] = {
        "valid": node is not None,
        **({"error": parts.error} if node is None else {"id": str(node.id), "enode": node.url}),
        "seq": parts.seq,
        "signature": parts.signature.hex(),
        "size": len(parts.rlp),
    }
    entries = {key_text(key): entry_text(key, value) for key, value in parts.entries.items()}
    output.result({**summary, "entries": entries}, _shown(summary, entries))
    return ExitCode.OK if node is not None else ExitCode.NEGATIVE


@enr.command(
    "new",
    examples="""
    p2p enr new node.key --ip 203.0.113.7 --entry color=blue
    p2p key new - | p2p enr new - --seq 7 | p2p enr verify -
    """,
)
@click.argument("key_file", metavar="KEY", type=KEY)
@with_endpoints
@with_seq(1)
@click.option(
    "--entry",
    "entries",
    multiple=True,
    metavar="NAME=VALUE",
    help="Entry: a number, 0x… for bytes, rlp:0x… for any RLP value, else text; may be repeated.",
)
@with_output
def new(
    output: Output,
    key_file: p2p.PrivateKey,
    ip: tuple[IPAddress, ...],
    tcp: int,
    udp: int | None,
    seq: int,
    entries: tuple[str, ...],
) -> None:
    """Make a record, signed with the key of the file KEY."""
    given = {**endpoint_entries(ip, tcp, udp), **_parsed_entries(entries)}
    record = p2p.Record.sign(key_file, seq, given)
    output.result({"record": record.to_text()}, record.to_text())


@enr.command("verify", examples="p2p enr verify enr:…\np2p enr verify - < record.txt")
@click.argument("record")
@with_output
def verify(output: Output, record: str) -> None:
    """Check the form and the signature of RECORD; print the ID of its node.

    The exit code is 1 if it is not valid.
    """
    text = read_text(record)
    try:
        node = p2p.Node.from_record(_valid_record(text))
    except p2p.InvalidNode as error:
        if output.as_json:
            output.result({"valid": False, "error": str(error)}, "")
        raise Failure(str(error)) from error
    output.result({"valid": True, "id": str(node.id), "seq": node.seq}, f"valid: {node.id}")


def read_record(text: str) -> Parts:
    """Read a record, "-" from the standard input. Raises InvalidNode for no record at all."""
    text = read_text(text)
    record, error = None, ""
    try:
        record = _valid_record(text)
    except p2p.InvalidNode as reason:
        error = str(reason)
    try:
        rlp = _bytes_of(text)
        (signature, seq), rest = p2p.rlp.decode_fields(rlp, (bytes, int))
        items: Sequence[Any] = p2p.rlp.decode(rlp, list)[2:]
        entries = dict(zip(items[::2], items[1::2], strict=True))
        if not all(isinstance(key, bytes) for key in entries):
            raise ValueError("a key is a list")
    except (p2p.DecodeError, ValueError, TypeError):
        raise p2p.InvalidNode(error) from None
    return Parts(rlp, signature, seq, entries, error, record)


def _valid_record(text: str) -> p2p.Record:
    """Return the record. Raises InvalidNode with the reason if it is not valid."""
    if _HEX.fullmatch(text) or (_BASE64.fullmatch(text) and not text.startswith("enr:")):
        try:
            return p2p.Record.from_rlp(_bytes_of(text))
        except binascii.Error as error:
            raise p2p.InvalidNode(f"invalid record: {error}") from None
    return p2p.Record.from_text(text)


def _bytes_of(text: str) -> bytes:
    """Return the bytes of a record in any form. Raises ValueError if there are none."""
    if match := _HEX.fullmatch(text):
        return bytes.fromhex(match[1])
    match = _BASE64.fullmatch(text)
    if match is None:
        raise ValueError("neither base64 nor hex")
    return base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))


def _parsed_entries(texts: Sequence[str]) -> dict[str, object]:
    entries: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--entry: want NAME=VALUE, got {text!r}")
        if name in entries:
            raise click.UsageError(f"--entry: {name!r} is given twice")
        try:
            entries[name] = entry_value(value)
        except ValueError as error:
            raise click.UsageError(f"--entry {name}: {error}") from None
    return entries


def _shown(summary: dict[str, Any], entries: dict[str, Any]) -> str:
    heads = {
        "invalid": summary.get("error"),
        "node ID": summary.get("id"),
        "URL": summary.get("enode"),
        "sequence": summary["seq"],
        "size": f"{summary['size']} of at most 300 bytes",
        "signature": summary["signature"],
    }
    lines = [f"{name + ':':11}{value}" for name, value in heads.items() if value is not None]
    width = max(map(len, entries), default=0)
    return "\n".join([*lines, "entries:", *(f"  {k:{width}}  {v}" for k, v in entries.items())])
