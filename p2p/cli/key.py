"""Commands for keys: ``p2p key new | show | to-enode | to-enr``. Main thread; files."""

from __future__ import annotations

from pathlib import Path

import click

import p2p
from p2p.cli.command import group
from p2p.cli.enroptions import (
    IPAddress,
    endpoint_entries,
    with_endpoints,
    with_ip,
    with_ports,
    with_seq,
)
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import KEY


@group("key")
def key() -> None:
    """Make keys, and show their node IDs, URLs and records.

    A key file has the format of go-ethereum: the private key as 64 hex digits. A program that
    can read it can act as the node.
    """


@key.command("new", examples="p2p key new node.key\np2p key new - | p2p key to-enr -")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@with_output
def new(output: Output, file: Path, force: bool) -> None:
    """Make a private key, write it to FILE with mode 0600, and print its node ID.

    If FILE is "-", the key itself is printed, for a pipe.
    """
    made = p2p.generate_key()
    node_id = p2p.NodeID.from_public_key(made.public_key)
    if str(file) == "-":
        digits = made.to_bytes().hex()
        output.result({"private_key": digits, "id": str(node_id)}, digits)
        return
    if not force and file.exists():
        raise Failure(f"{file} exists; --force replaces it, and its key is lost", ExitCode.SYSTEM)
    p2p.save_key(file, made)
    output.result({"file": str(file), "id": str(node_id)}, f"{node_id}")


@key.command("show", examples="p2p key show node.key\ncat node.key | p2p key show -")
@click.argument("key_file", metavar="FILE", type=KEY)
@with_output
def show(output: Output, key_file: p2p.PrivateKey) -> None:
    """Show the node ID and the public key of FILE."""
    public_key = key_file.public_key
    node_id = p2p.NodeID.from_public_key(public_key)
    digits = public_key.to_bytes().hex()
    output.result(
        {"id": str(node_id), "public_key": digits}, f"id:         {node_id}\npublic key: {digits}"
    )


@key.command("to-enode", examples="p2p key to-enode node.key --ip 203.0.113.7 --tcp 30303")
@click.argument("key_file", metavar="FILE", type=KEY)
@with_ip
@with_ports
@with_output
def to_enode(
    output: Output, key_file: p2p.PrivateKey, ip: IPAddress | None, tcp: int, udp: int | None
) -> None:
    """Print the enode URL of FILE's node."""
    udp = tcp if udp is None else udp
    node = p2p.Node.from_parts(key_file.public_key, ip, tcp, udp)
    output.result({"enode": node.url}, node.url)


@key.command(
    "to-enr",
    examples="""
    p2p key to-enr node.key --ip 203.0.113.7 --tcp 30303
    p2p key to-enr node.key --ip 203.0.113.7 --ip 2001:db8::7 | p2p enr show -
    """,
)
@click.argument("key_file", metavar="FILE", type=KEY)
@with_endpoints
@with_seq(1)
@with_output
def to_enr(
    output: Output,
    key_file: p2p.PrivateKey,
    ip: tuple[IPAddress, ...],
    tcp: int,
    udp: int | None,
    seq: int,
) -> None:
    """Print the record of FILE's node, signed with its key.

    "p2p enr new" makes records with more entries.
    """
    record = p2p.Record.sign(key_file, seq, endpoint_entries(ip, tcp, udp))
    output.result({"record": record.to_text()}, record.to_text())
