"""Servers in a network namespace whose address families are unlike those of this machine.

``python -m tests.interop.families CASE`` runs one case in the namespace that it was started in, as
``unshare --net`` makes one, and writes ``ok`` at its end. :mod:`tests.interop.test_families` runs
all. An error ends it with a traceback.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import p2p
from p2p.discover.front import Discovery
from p2p.discover.v4 import requests as v4
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5 import requests as v5
from p2p.enr import Record

PATIENCE_S = 30.0
#: Nodes that must agree on an address of ours.
VOICES = 10

CASES: dict[str, Callable[[ExitStack], None]] = {}


def case(run: Callable[[ExitStack], None]) -> Callable[[ExitStack], None]:
    CASES[run.__name__] = run
    return run


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def add(*addresses: str) -> None:
    """Add addresses with their prefix lengths, and wait for the kernel to make their routes."""
    for address in addresses:
        ip("addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
    wanted = {f"local {each.partition('/')[0]} " for each in addresses}
    wait(lambda: all(route in local_routes() for route in wanted), "the addresses are not ready")


def local_routes() -> str:
    shown = [
        subprocess.check_output(["ip", family, "route", "show", "table", "local"], text=True)
        for family in ("-4", "-6")
    ]
    return "".join(shown)


def wait(is_true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def set_ipv6(name: str, value: int) -> None:
    Path("/proc/sys/net/ipv6", name).write_text(str(value))


def server(stack: ExitStack, listen_addr: str | None = ":0", **options: Any) -> p2p.Server:
    return stack.enter_context(
        p2p.Server(
            private_key=p2p.generate_key(),
            name="families",
            max_peers=25,
            protocols=[p2p.Protocol("families", 1, 1)],
            listen_addr=listen_addr,
            **options,
        )
    )


def at(there: p2p.Server, host: str) -> p2p.Node:
    """The server as it is reached at one of its addresses, with one port for all."""
    assert there.listen_addr is not None and there.discovery_v4 is not None
    port = there.listen_addr.port
    assert port == there.discovery_v4.address.port
    return p2p.Node.from_parts(there.config.private_key.public_key, host, port, port)


def reach(stack: ExitStack, there: p2p.Server, hosts: Iterable[str], here: str = ":0") -> None:
    """A peer and both protocols of discovery at each address, each from a new server."""
    for host in hosts:
        one = server(stack, here, no_dial=True)
        assert one.discovery_v4 is not None and one.discovery_v5 is not None
        node = at(there, host)
        assert one.discovery_v4.ping(node, PATIENCE_S) == there.self.seq, host
        assert one.discovery_v5.ping(node, PATIENCE_S) == there.self.seq, host
        peer = one.connect(node, PATIENCE_S)
        assert peer.id == there.self.id
        one.stop()


def find(stack: ExitStack, there: p2p.Server, **ips: str) -> None:
    """The server is found by a record that prefers an address in the family that is missing."""
    assert there.listen_addr is not None
    port = there.listen_addr.port
    record = p2p.Record.sign(there.config.private_key, 1, ips, tcp=port, udp=port)
    node = p2p.Node.from_record(record)
    set_reply_timeout(2.0)  # the address that is missing answers nothing
    one = server(stack, static_nodes=[node], bootstrap_nodes=[node])
    wait(lambda: there.self.id in {peer.id for peer in one.peers}, "the node was not dialed")
    for discovery in (one.discovery_v4, one.discovery_v5):
        assert discovery is not None
        assert discovery.resolve(node, PATIENCE_S).record == there.self.record
        wait(partial(knows, discovery, there), "the bootnode was not found")


@case
def separated(stack: ExitStack) -> None:
    """The system gives a socket of IPv6 no IPv4 unless the program asks for it."""
    set_ipv6("bindv6only", 1)
    reach(stack, server(stack), ["127.0.0.1", "127.0.0.2", "::1"])


@case
def without_ipv6(stack: ExitStack) -> None:
    set_ipv6("conf/all/disable_ipv6", 1)
    there = server(stack)
    reach(stack, there, ["127.0.0.1", "127.0.0.2"])
    find(stack, there, ip="127.0.0.1", ip6="fd00::1")


@case
def without_ipv4(stack: ExitStack) -> None:
    ip("addr", "del", "127.0.0.1/8", "dev", "lo")
    there = server(stack)
    reach(stack, there, ["::1"])
    find(stack, there, ip="127.0.0.1", ip6="::1")


@case
def second_addresses(stack: ExitStack) -> None:
    """Answers leave from the address that was asked, in both families."""
    add("10.1.0.1/24", "fd00:1::1/64", "fd00:1::2/64")
    hosts = ["10.1.0.1", "127.0.0.3", "fd00:1::1", "fd00:1::2"]
    reach(stack, server(stack), hosts)
    reach(stack, server(stack), hosts[:2], "127.0.0.1:0")
    reach(stack, server(stack), hosts[2:], "[::1]:0")


@case
def one_link(stack: ExitStack) -> None:
    """Addresses of a link, with the interface as their zone."""
    add("fe80::1/64", "fe80::2/64")
    there = server(stack, "[fe80::1%lo]:0")
    assert there.self.record is not None and str(there.self.record.ip6) == "fe80::1"
    reach(stack, there, ["fe80::1%lo"], "[fe80::2%lo]:0")
    reach(stack, there, ["fe80::1%lo"])
    # One that is on all addresses answers by the interface that it was asked on.
    everywhere = server(stack)
    reach(stack, everywhere, ["fe80::1%lo", "fe80::2%lo"], "[fe80::2%1]:0")
    reach(stack, everywhere, ["fe80::1%lo", "fe80::2%1"])
    guest = server(stack, bootstrap_nodes=[at(there, "fe80::1%lo")], no_dial=True)
    for discovery in (guest.discovery_v4, guest.discovery_v5):
        assert discovery is not None
        wait(partial(knows, discovery, there), "the bootnode was not found")
    try:
        server(stack, "[fe80::1]:0")
    except OSError as error:
        assert "its interface is needed" in str(error), error
    else:
        raise AssertionError("an address of a link was bound without its interface")


def knows(discovery: Discovery, there: p2p.Server) -> bool:
    return there.self.id in {node.id for node in discovery.nodes()}


@case
def own_addresses(stack: ExitStack) -> None:
    """Each family's address of ours is learned from those that see it."""
    voices = range(1, VOICES + 1)
    voices4 = [f"10.1.{number}.1" for number in voices]
    voices6 = [f"fd00:{number}::1" for number in voices]
    add("10.99.0.1/16", "fd00:99::1/64", *(f"{each}/16" for each in voices4))
    add(*(f"{each}/64" for each in voices6))
    there = server(stack, no_dial=True)
    assert there.listen_addr is not None
    port = there.listen_addr.port
    learn(stack, there, "10.99.0.1", voices4)
    assert entries(there) == {"ip": "10.99.0.1", "udp": port, "tcp": port}
    learn(stack, there, "fd00:99::1", voices6)
    assert entries(there) == {"ip": "10.99.0.1", "ip6": "fd00:99::1", "udp": port, "tcp": port}
    # Nodes with an own address of both families see the same in the record, the node and the API.
    places = [str(endpoint) for endpoint in there.self.tcp_endpoints]
    assert places == [f"10.99.0.1:{port}", f"[fd00:99::1]:{port}"]
    assert there.self.udp_endpoints == there.self.tcp_endpoints
    info = there.node_info()
    assert info["enr"] == str(there.self) and info["enode"] == there.self.url
    assert (info["ip"], info["ports"]) == ("10.99.0.1", {"discovery": port, "listener": port})
    reach(stack, there, ["10.99.0.1", "fd00:99::1"])


def learn(stack: ExitStack, there: p2p.Server, host: str, voices: list[str]) -> None:
    """Let nodes in as many networks ping the server at one of its addresses."""
    before = there.self.seq
    for voice in voices:
        assert there.self.seq == before
        place = f"[{voice}]:0" if ":" in voice else f"{voice}:0"
        one = stack.enter_context(UDPv4(p2p.generate_key(), place, ntp_server=None))
        one.ping(at(there, host), PATIENCE_S)
    wait(lambda: there.self.seq > before, f"{host} was not learned")


def entries(there: p2p.Server) -> dict[str, Any]:
    """The entries of the record that are about its endpoints."""
    record = there.self.record
    assert isinstance(record, Record)
    names = ("ip", "ip6", "tcp", "tcp6", "udp", "udp6")
    found = {name: getattr(record, name) for name in names}
    numbers = {name: each for name, each in found.items() if isinstance(each, int)}
    return numbers | {k: str(v) for k, v in found.items() if v is not None and k not in numbers}


def set_reply_timeout(seconds: float) -> None:
    v4.REPLY_TIMEOUT_S = v5.REPLY_TIMEOUT_S = seconds


def main() -> None:
    set_reply_timeout(PATIENCE_S)  # a busy machine takes its time
    ip("link", "set", "lo", "up")
    with ExitStack() as stack:
        CASES[sys.argv[1]](stack)
    print("ok")


if __name__ == "__main__":
    main()
