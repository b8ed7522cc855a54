from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

import p2p
import p2p.testing
from p2p.enode import LocalNode, NodeDB
from p2p.net import look_up
from p2p.netutil import is_name, read_ip, read_zoned_ip, split_listen_addr
from p2p.sim import Network
from tests.kit.nodes import Nodes

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = p2p.PrivateKey.from_bytes(bytes(31) + b"\1")
NODE = p2p.Node.from_parts(KEY.public_key, "127.0.0.1", 1, 1)

#: To the system's resolver most of them are addresses. The last ones become ASCII before.
FORMS = [
    "010.0.0.5", "1.2.3.04", "1.2.3", "127.1", "1.2.3.4.5", "256.1.1.1", "1.2.3.4.", "2130706433",
    "0x7f.1", "0x7f000001", "1.2.3.0x4", "1.2.3.0X", "a.example.5", "１０.0.0.5", "０１0.0.0.5",
    "010。0。0。5", "010.0.0.5\u00ad", "1.2.3.٣", "٣.0.0.1",
]  # fmt: skip


def local_node(host: str) -> None:
    with NodeDB() as db:
        LocalNode(KEY, db, clock=p2p.testing.SystemClock()).set_static_ip(host)


def config(**options: str) -> None:
    p2p.Server(private_key=KEY, name="test", max_peers=1, **options)


READERS: dict[str, Callable[[str], object]] = {
    "parse_node": lambda host: p2p.parse_node(NODE.url.replace("127.0.0.1", host)),
    "Node.from_url": lambda host: p2p.Node.from_url(NODE.url.replace("127.0.0.1", host)),
    "Node.from_parts": lambda host: p2p.Node.from_parts(KEY.public_key, host),
    "Node.with_ip": NODE.with_ip,
    "Node.with_endpoint": lambda host: NODE.with_endpoint(host, 1, 1),
    "Node.with_hostname": NODE.with_hostname,
    "Record.sign": lambda host: p2p.Record.sign(KEY, 1, ip=host),
    "LocalNode.set_static_ip": local_node,
    "Netlist.parse": lambda host: p2p.Netlist.parse(f"{host}/8"),
    "split_listen_addr": lambda host: split_listen_addr(f"{host}:30303"),
    "listen_addr": lambda host: config(listen_addr=f"{host}:30303"),
    "disc_addr": lambda host: config(disc_addr=f"{host}:30303"),
    "net_restrict": lambda host: config(net_restrict=f"{host}/8"),
    "own_networks": lambda host: config(own_networks=f"{host}/8"),
    "Network.add": lambda host: Network().add(ip=host),
    "Network.add_router": lambda host: Network().add_router(host),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS)
def test_what_looks_like_ipv4_and_is_none_is_refused(reader: str, form: str) -> None:
    with pytest.raises(p2p.P2PError):
        READERS[reader](form)
    assert not is_name(form)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_not_looked_up_either(nodes: Nodes, form: str) -> None:
    with pytest.raises(OSError, match="looks like an IPv4 address"):
        look_up(form)


# A node that was made past all readers.
def test_it_is_not_dialed_either(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None)
    with pytest.raises(p2p.errors.NameNotResolved, match="looks like an IPv4 address"):
        here.connect(replace(NODE, hostname="0x7f.1"))


@pytest.mark.parametrize(
    "name",
    [
        "localhost", "a.example", "a.example.", "1.example", "5a", "0xg", "4.5.example", "", "é",
        "fe80::1%eth0.100", "fe80::1%25", "1-2", "x1",
    ],
)  # fmt: skip
def test_names_are_names(name: str) -> None:
    assert read_ip(name) is None
    assert is_name(name) is bool(name and read_zoned_ip(name) is None)


@pytest.mark.parametrize("text", ["1.2.3.4", "0.0.0.0", "255.255.255.255", "::1", "::ffff:1.2.3.4"])
def test_addresses_are_read(text: str) -> None:
    assert read_ip(text) == ip_address(text)
    assert not is_name(text)


# Each place where the system's resolver is asked.
@pytest.mark.slow
def test_resolver_gets_no_host_unseen() -> None:
    places = []
    for path in sorted((ROOT / "p2p").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.FunctionDef) else ""
            if "getaddrinfo(" in text or "gethostby" in text:
                places.append((path.name, "read_ip(" in text))
    assert places == [("resolver.py", True)]
