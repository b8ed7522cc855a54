"""Readers of texts and bytes refuse what is neither with an error of their own, and say why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.arguments import bytes_of, text_of
from p2p.enode import LocalNode, NodeDB
from p2p.enr import Record
from p2p.errors import ArgumentTypeError
from p2p.netutil import Netlist, split_listen_addr
from tests.kit.ids import steady

KEY = p2p.PrivateKey.from_bytes(bytes(31) + b"\1")
RECORD = Record.sign(KEY, 1, ip="127.0.0.1", tcp=1, udp=1)
TEXT = RECORD.to_text()
NODE = p2p.Node.from_parts(KEY.public_key, "127.0.0.1", 1, 1)
ID = str(NODE.id)


def local_node(value: Any) -> None:
    with NodeDB() as db:
        LocalNode(KEY, db, clock=p2p.testing.SystemClock()).set_static_ip(value)


def server(**options: Any) -> p2p.Server:
    return p2p.Server(private_key=KEY, name="test", max_peers=1, **options)


READERS: dict[str, Callable[[Any], object]] = {
    "parse_node": p2p.parse_node,
    "Node.from_url": p2p.Node.from_url,
    "Node.from_record": p2p.Node.from_record,
    "Node.from_parts": p2p.Node.from_parts,
    "Node.with_hostname": NODE.with_hostname,
    "Node.with_endpoint, port": lambda value: NODE.with_endpoint(None, value or -1, 70_000),
    "Record.from_text": Record.from_text,
    "Record.from_rlp": Record.from_rlp,
    "NodeID": p2p.NodeID,
    "NodeID.from_hex": p2p.NodeID.from_hex,
    "PublicKey.from_bytes": p2p.PublicKey.from_bytes,
    "PublicKey.from_compressed": p2p.PublicKey.from_compressed,
    "PublicKey.from_uncompressed": p2p.PublicKey.from_uncompressed,
    "PrivateKey": p2p.PrivateKey,
    "PrivateKey.from_bytes": p2p.PrivateKey.from_bytes,
    "load_key": p2p.load_key,
    "load_or_generate_key": p2p.load_or_generate_key,
    "save_key": lambda value: p2p.save_key(value, KEY),
    "save_key, key": lambda value: p2p.save_key("no/such/place", value),
    "Netlist": lambda value: Netlist((value,)),
    "Netlist, no tuple": lambda value: Netlist(value or [value]),
    "Netlist.parse": Netlist.parse,
    "split_listen_addr": split_listen_addr,
    "private_key": lambda value: p2p.Server(private_key=value, name="test", max_peers=1),
    "static_nodes": lambda value: server(static_nodes=[value]),
    "own_networks": lambda value: server(own_networks=[value]),
    "LocalNode.set_static_ip": local_node,
}
#: None may stand for no address.
ADDRESSES: dict[str, Callable[[Any], object]] = {
    "Node.with_ip": NODE.with_ip,
    "Node.from_parts, ip": lambda value: p2p.Node.from_parts(KEY.public_key, value),
    "listen_addr": lambda value: server(listen_addr=value),
    "disc_addr": lambda value: server(disc_addr=value),
    "net_restrict": lambda value: server(net_restrict=value),
}
WRONG = [b"\xff\xfe", bytearray(3), [], ["enr:"], [0] * 32, (), {}, 5, True, 1.5, object()]


@pytest.mark.parametrize("value", [None, *WRONG], ids=steady)
@pytest.mark.parametrize("reader", READERS)
def test_value_of_another_type_is_an_error_of_ours(reader: str, value: Any) -> None:
    with pytest.raises(p2p.P2PError):
        READERS[reader](value)


@pytest.mark.parametrize("value", WRONG, ids=steady)
@pytest.mark.parametrize("reader", ADDRESSES)
def test_address_of_another_type_is_an_error_of_ours(reader: str, value: Any) -> None:
    with pytest.raises(p2p.P2PError):
        ADDRESSES[reader](value)


@pytest.mark.parametrize("reader", [p2p.PrivateKey, p2p.PublicKey.from_bytes, p2p.NodeID])
def test_hex_digits_are_told_from_bytes(reader: Callable[[Any], object]) -> None:
    with pytest.raises(p2p.P2PError, match=r"wanted bytes; got str; bytes.fromhex\(\)") as caught:
        reader(KEY.to_bytes().hex())
    assert KEY.to_bytes().hex() not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (p2p.parse_node, TEXT),
        (p2p.parse_node, NODE.url),
        (p2p.Node.from_url, NODE.url),
        (Record.from_text, TEXT),
        (p2p.NodeID.from_hex, ID),
        (p2p.NodeID.from_hex, "0x" + ID),
        (Netlist.parse, "10.0.0.0/8"),
        (split_listen_addr, "127.0.0.1:30303"),
        (NODE.with_ip, "127.0.0.1"),
        (NODE.with_hostname, "a.example"),
    ],
)
def test_white_space_around_is_passed_over(read: Callable[[str], object], text: str) -> None:
    for around in (text + "\n", "  " + text, "\r\n\t" + text + " \r\n"):
        assert read(around) == read(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT + "=", "padding with '='"),
        (TEXT + "==\n", "padding with '='"),
        (TEXT[:50] + "\n" + TEXT[50:], "white space inside"),
        (TEXT[:50] + " " + TEXT[50:], "white space inside"),
        ("enr: " + TEXT[4:], "white space inside"),
        (f'"{TEXT}"', "quotes around"),
        (f"'{TEXT}'\n", "quotes around"),
        (f"\u201c{TEXT}\u201d", "quotes around"),
        (TEXT + '"', "quotes around"),
        (f'"{NODE.url}"', "quotes around"),
        (TEXT[4:], "missing prefix"),
        (TEXT.upper(), "missing prefix"),
        ("", "missing prefix"),
        ("enr:" + "+" + TEXT[5:], "other alphabet"),
        (TEXT[:-1] + "/", "other alphabet"),
        (TEXT[:-1] + "é", "'é' is not of its alphabet"),
        (TEXT[:-1] + "\x00", "not of its alphabet"),
        (TEXT[:-2], "too many or too few"),
    ],
)
def test_parse_node_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(p2p.InvalidNode, match=why):
        p2p.parse_node(text)


@pytest.mark.parametrize(("text", "why"), [(TEXT[4:], "'enr:' prefix"), (f'"{TEXT}"', "quotes")])
def test_record_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(p2p.InvalidNode, match=why):
        Record.from_text(text)


def test_bytes_of_a_file_are_told_to_be_decoded(tmp_path: Path) -> None:
    with pytest.raises(ArgumentTypeError, match=r"wanted text; got bytes; decode\(\) makes"):
        p2p.parse_node(TEXT.encode())  # type: ignore[arg-type]


def test_reader_gets_text_without_blanks_and_bytes_of_any_kind() -> None:
    assert text_of(" a b\n", "text") == "a b"
    for data in (b"ab", bytearray(b"ab"), memoryview(b"ab")):
        assert bytes_of(data, "data") == b"ab"
