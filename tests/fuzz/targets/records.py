"""Node records in both forms, and enode URLs.

The body of a repaired record is what is signed, without the header of its list: sequence number,
keys and values. It gets that header, a signature, and for the text form base64. An accepted record
is looked at through every property and as a node, since that is how remote bytes travel on; made
anew of its entries it must be the same record. Texts may hold what no UTF-8 encodes.
"""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

from p2p.codec import encode, encode_list
from p2p.crypto import PrivateKey, keccak256
from p2p.enode import Node, parse_node
from p2p.enr import Record
from p2p.errors import EncodeError, InvalidNode
from p2p.netutil import Netlist
from tests.fuzz.target import REPAIRED, Target

_VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "testdata" / "enr.json").read_text()
)
KEY = PrivateKey.from_bytes(bytes.fromhex(_VECTORS["valid"][0]["private_key"]))
PROPERTIES = (
    *("seq", "signature", "pairs", "public_key"),
    *("ip", "ip6", "tcp", "tcp6", "udp", "udp6", "quic", "quic6"),
)
NODE_PROPERTIES = (
    *("url", "seq", "public_key", "tcp_endpoint", "udp_endpoint", "quic_endpoint"),
    *("endpoints", "tcp_endpoints", "udp_endpoints"),
)


def sign(content: bytes) -> bytes:
    """A record of ``content``, the encoded items that are signed."""
    signature = KEY.sign(keccak256(encode_list([content])))[:64]
    return encode_list([encode(signature), content])


def look(record: Record) -> Node:
    """Read all that a record says."""
    for name in PROPERTIES:
        getattr(record, name)
    assert str(record) and repr(record).isprintable()
    node = Node.from_record(record)
    for name in NODE_PROPERTIES:
        getattr(node, name)
    assert str(node) and repr(node)
    look_at_endpoints(node)
    return node


def look_at_endpoints(node: Node) -> None:
    """At most one for each family; the node can be had at each."""
    versions = [ip.version for ip, _, _ in node.endpoints if ip is not None]
    assert len(versions) == len(node.endpoints) == len(set(versions))
    assert (node.tcp_endpoint in node.tcp_endpoints) or node.tcp_endpoint is None
    for ip, udp, tcp in node.endpoints:
        assert ip is not None
        there = node.with_endpoint(ip, tcp, udp)
        assert set(there.endpoints) == set(node.endpoints)
        assert node.within(Netlist.parse(f"{ip}/{ip.max_prefixlen}")) == there


# Binary.


def build_record(variant: int, repaired: bool, body: bytes) -> bytes:
    return sign(body) if repaired else body


def read_record(data: bytes) -> Record:
    record = Record.from_rlp(data)
    look(record)
    return record


def check_record(data: bytes, record: Record) -> None:
    assert record.to_rlp() == data
    assert Record.from_text(record.to_text()) == record
    assert pickle.loads(pickle.dumps(record)) == record
    assert parse_node(str(look(record))) == look(record)
    if record.public_key == KEY.public_key:
        check_signing(record)


def check_signing(record: Record) -> None:
    """A record made of the same entries is the same: signatures are deterministic."""
    try:
        again = Record.sign(KEY, record.seq, record.pairs)
    except EncodeError:
        return  # reading is lenient with values that their keys cannot have, writing is not
    assert again.pairs == record.pairs
    if again.signature == record.signature:
        assert again == record


# Text.


def to_text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def build_record_text(variant: int, repaired: bool, body: bytes) -> str:
    if not repaired:
        return to_text(body)
    return "enr:" + base64.urlsafe_b64encode(sign(body)).rstrip(b"=").decode()


def read_record_text(text: str) -> Record:
    record = Record.from_text(text)
    look(record)
    return record


def check_record_text(text: str, record: Record) -> None:
    assert record.to_text() == text.strip()
    check_record(record.to_rlp(), record)


# URLs.


def build_url(variant: int, repaired: bool, body: bytes) -> str:
    return to_text(body)


def read_url(text: str) -> Node:
    node = Node.from_url(text)
    for name in NODE_PROPERTIES:
        getattr(node, name)
    assert repr(node)
    return node


def check_url(text: str, node: Node) -> None:
    again = Node.from_url(node.url)
    if node.ip is None and not node.hostname:
        again = again.with_endpoint(None, node.tcp, node.udp)  # the form has no place for ports
    assert again == node and again.url == node.url
    assert node.public_key == again.public_key


def record_seeds() -> list[bytes]:
    rlps = [bytes.fromhex(case["rlp"]) for case in _VECTORS["valid"] if case.get("rlp")]
    rlps += [bytes.fromhex(c["rlp"]) for c in _VECTORS["constructed"]["cases"] if c.get("rlp")]
    return [b"\0" + rlp for rlp in rlps] + [bytes([REPAIRED]) + body for body in _contents()]


def _contents() -> list[bytes]:
    entries: list[dict[str, object]] = [
        {},
        {"ip": "127.0.0.1", "udp": 30303},
        {"ip": "52.16.188.185", "tcp": 30303, "udp": 30303, "eth": [[b"fork", 1]]},
        {"ip6": "2001:db8::1", "tcp6": 1, "udp6": 65535, "quic6": 7, "quic": 8},
        {"ip": "10.0.0.1", "ip6": "::ffff:1.2.3.4", "tcp": 5, "udp": 6, "a": b"", "z": []},
    ]
    records = [Record.sign(KEY, seq, known) for seq, known in enumerate(entries)]
    return [
        encode(record.seq)
        + b"".join(encode(key) + value for key, value in record.pairs.items())
        for record in records
    ]


def text_seeds() -> list[bytes]:
    cases = [*_VECTORS["valid"], *_VECTORS["invalid"], *_VECTORS["constructed"]["cases"]]
    texts = [case["text"].encode("utf-8", "surrogateescape") for case in cases if case.get("text")]
    return [b"\0" + text for text in texts] + [bytes([REPAIRED]) + body for body in _contents()]


def url_seeds() -> list[bytes]:
    urls = _VECTORS["enode_urls"]
    cases = [*urls["valid"], *urls["invalid"], *urls["constructed"]["cases"], urls["trinity"]]
    key = urls["pubkey"]
    texts = [case["input"] for case in cases if "input" in case]
    texts += [
        f"enode://{key}@[fe80::1%25eth0]:30303?discport=7",
        f"enode://{key}@node.example.org:1/path?a=b&discport=2#part",
        f"enode://{key}@[::ffff:1.2.3.4]:30303",
        f"enode://{key}@fe80::1:30303",
        f"enode://%3{key[:1]}{key[1:]}@1.2.3.4:5",
    ]
    return [b"\0" + text.encode() for text in texts]


_RECORD_WORDS = (
    *(b"\x82id\x82v4", b"\x82ip\x84\x7f\0\0\1", b"\x83tcp\x82\x76\x5f"),
    *(b"\x83udp\x83\1\0\0", b"\x83ip6\x90" + bytes(16), b"\x89secp256k1\xa1"),
    *(b"\x84quic\x80", b"\x83ip6\x90" + bytes(10) + b"\xff" * 6),
)
_URL_WORDS = (
    *(b"enode://", b"ENODE:", b"enr:", b"@", b":", b"[", b"]", b"%25", b"%", b"%5B", b"%00"),
    *(b"?discport=", b"&", b"#", b"/", b"//", b"+", b";", b"=", b"0" * 128, b"65536", b":0"),
    *(b"127.0.0.1", b"[::1]", b"[::]", b"fe80::1%25lo", b"224.0.0.1", b"0x7f.1", b"localhost"),
    *("\u0663".encode(), "\uff10".encode(), "\u00e9.example".encode(), b"xn--", b"\xff", b"\0"),
    *(b"%c3%a9", b"%ff", b"%20", b"%5D", b"\t", b"\n", b" "),
    *(b"::ffff:1.2.3.4", b"256.1.1.1", b"1.2.3.04"),
)

TARGETS = (
    Target(
        "enr",
        seeds=record_seeds,
        build=build_record,
        decode=read_record,
        errors=(InvalidNode,),
        check=check_record,
        shallow=("InvalidNode: invalid node record: invalid signature",),
        words=_RECORD_WORDS,
        max_size=400,
    ),
    Target(
        "enr-text",
        seeds=text_seeds,
        build=build_record_text,
        decode=read_record_text,
        errors=(InvalidNode,),
        check=check_record_text,
        shallow=(
            "InvalidNode: invalid node record: invalid signature",
            "InvalidNode: invalid node record: missing",
            "InvalidNode: invalid node record: illegal base",
            "InvalidNode: invalid node record: base",
        ),
        words=_RECORD_WORDS + _URL_WORDS,
        max_size=500,
    ),
    Target(
        "enode-url",
        seeds=url_seeds,
        build=build_url,
        decode=read_url,
        errors=(InvalidNode,),
        check=check_url,
        words=_URL_WORDS,
        reads_rlp=False,
        repairs=False,
        max_size=600,
    ),
)
