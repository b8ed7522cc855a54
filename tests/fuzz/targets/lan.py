"""TXT records of nodes announced on the local network, and the addresses beside them.

Bits of the variant choose the addresses that are announced. Unrepaired, the body is the TXT record.
Repaired, it is either rows of text, one a line, that become its strings after the version, or what
is signed of the node record in it. A node that is accepted is at an address of the interface, and
has a record that can be announced again.
"""

from __future__ import annotations

from ipaddress import ip_address

from p2p.enode import Node
from p2p.enr.layout import format_text
from p2p.errors import InvalidNode
from p2p.lan.announcement import Announcement
from p2p.lan.txt import STRING_SIZE, record_of, txt_of
from p2p.netutil import is_lan
from tests.fuzz.target import REPAIRED, Target
from tests.fuzz.targets import records
from tests.lan.kit import ETH0, PORT, checks, record

ADDRESSES = (
    (),
    ("192.168.1.7",),
    ("8.8.8.8", "fd00::7"),
    ("127.0.0.1", "0.0.0.0", "::", "fe80::1", "10.0.0.1"),
)
_CHECKS = checks()


def build(variant: int, repaired: bool, body: bytes) -> Announcement:
    ips = tuple(map(ip_address, ADDRESSES[variant % len(ADDRESSES)]))
    if not repaired:
        return Announcement(body, PORT, ips)
    if variant & 4:
        text = format_text(records.sign(body)).encode()
        rows = [b"enr=" + text[: STRING_SIZE - 4], b"enr2=" + text[STRING_SIZE - 4 :]]
    else:
        rows = body.split(b"\n")
    strings = [row[:STRING_SIZE] for row in (b"txtvers=1", *rows)]
    return Announcement(b"".join(bytes([len(row)]) + row for row in strings), PORT, ips)


def read(given: Announcement) -> Node | None:
    return _CHECKS.node_of(given, ETH0)


def check(given: Announcement, node: Node | None) -> None:
    assert node is not None and node.record is not None and node.ip is not None and node.tcp
    assert any(node.ip in network for network in ETH0.networks)
    assert all(is_lan(ip) for ip, _, _ in node.endpoints if ip is not None)
    assert record_of(txt_of(node.record)) == node.record


def seeds() -> list[bytes]:
    usual = record()
    rows = b"enr=" + usual.to_text().encode()
    outside = record(ip="8.8.8.8", ip6="fd00::8")
    bodies = [rows, b"\n".join([b"x=y", b"ENR=" + outside.to_text()[:100].encode(), b"enr2="])]
    found = [bytes([n << 1 | REPAIRED]) + body for body in bodies for n in range(len(ADDRESSES))]
    contents = records.record_seeds()
    found += [bytes([(4 + n % 4) << 1 | REPAIRED]) + seed[1:] for n, seed in enumerate(contents)]
    return [*found, b"\0" + txt_of(usual), b"\2" + txt_of(outside)]


TARGETS = (
    Target(
        "lan-txt",
        seeds=seeds,
        build=build,
        decode=read,
        errors=(InvalidNode,),
        check=check,
        size=lambda built: len(built.txt),
        words=(
            *(b"txtvers=1", b"enr=", b"enr2=", b"enr:", b"\n", b"\xff", b"=", b"\x82ip\x84"),
            *(b"\xc0\xa8\1\6", b"\x83tcp\x82v_", b"\x83ip6\x90\xfd" + bytes(15)),
        ),
        max_size=700,
    ),
)
