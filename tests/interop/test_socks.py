"""The dialer of examples/socks.py through a real proxy, microsocks, on loopback.

The proxy is Debian's package of that name, which ``build.sh`` installs where it may; without it the
tests are skipped.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

import p2p
from tests.kit.names import Names
from tests.kit.nodes import HOST, Nodes, closed_port, unused_port
from tests.kit.socks import example
from tests.kit.waiting import eventually

PROXY = shutil.which("microsocks")
LOGIN = ("-u", "ann", "-P", "secret")

pytestmark = pytest.mark.skipif(PROXY is None, reason="microsocks is not installed")


@pytest.fixture(scope="module")
def socks() -> Any:
    return example()


@pytest.fixture
def proxy() -> Iterator[Callable[..., int]]:
    """Starts a proxy with arguments, and returns its port."""
    with ExitStack() as stack:

        def start(*arguments: str) -> int:
            port = unused_port()
            command = [str(PROXY), "-i", HOST, "-p", str(port), *arguments]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
            eventually(lambda: process.poll() is not None or listens(port))
            assert process.poll() is None, "the proxy has ended"
            return port

        yield start


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False


def named(node: p2p.Node, name: str = "localhost") -> p2p.Node:
    return node.with_ip(None).with_hostname(name)


@pytest.mark.parametrize("login", [(), LOGIN], ids=["open", "with a password"])
def test_name_is_dialed_through_the_proxy_which_looks_it_up(
    socks: Any,
    proxy: Callable[..., int],
    nodes: Nodes,
    names: Names,
    login: tuple[str, ...],
) -> None:
    names.records["localhost"] = []  # nobody here may ask
    there = nodes.start()
    dialer = socks.SocksDialer(HOST, proxy(*login), *login[1::2])
    here = nodes.start(dialer=dialer, listen_addr=None)
    assert here.connect(named(there.self)).id == there.self.id
    assert names.asked == []


def test_address_is_dialed_through_the_proxy(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    there = nodes.start()
    here = nodes.start(dialer=socks.SocksDialer(HOST, proxy()), net_restrict="127.0.0.0/8")
    assert here.connect(there.self).id == there.self.id


def test_static_node_is_dialed_again_through_the_proxy(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    there = nodes.start()
    nodes.start(
        dialer=socks.SocksDialer(HOST, proxy()),
        listen_addr=None,
        static_nodes=[named(there.self)],
        redial_pause_s=0.1,
    )
    for _ in range(2):
        eventually(lambda: there.peer_count)
        (peer,) = there.peers
        peer.disconnect()
        peer.wait_closed()


def test_messages_of_any_size_pass(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    ours, theirs = nodes.talks(), nodes.talks()
    there = nodes.start(protocols=[theirs.protocol()])
    here = nodes.start(
        dialer=socks.SocksDialer(HOST, proxy()), listen_addr=None, protocols=[ours.protocol()]
    )
    here.connect(named(there.self))
    one, other = ours.next(), theirs.next()
    for size in (0, 1, 1 << 16, 1 << 23):
        p2p.send(one.rw, 0, bytes(size))
        assert other.read().decode(bytes) == bytes(size)


def test_wrong_password_is_an_error(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    here = nodes.start(dialer=socks.SocksDialer(HOST, proxy(*LOGIN), "ann", "wrong"))
    with pytest.raises(p2p.errors.Unreachable, match="refuses the user or the password"):
        here.connect(nodes.start().self)


def test_missing_password_is_an_error(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    here = nodes.start(dialer=socks.SocksDialer(HOST, proxy(*LOGIN)))
    with pytest.raises(p2p.errors.Unreachable, match="wants another way to log in"):
        here.connect(nodes.start().self)


def test_closed_port_is_a_refused_dial(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    here = nodes.start(dialer=socks.SocksDialer(HOST, proxy()), listen_addr=None)
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    with pytest.raises(p2p.errors.DialRefused, match="the proxy says: connection refused"):
        here.connect(node)


def test_name_that_the_proxy_does_not_know_is_unreachable(
    socks: Any, proxy: Callable[..., int], nodes: Nodes
) -> None:
    here = nodes.start(dialer=socks.SocksDialer(HOST, proxy()), listen_addr=None)
    with pytest.raises(p2p.errors.Unreachable, match="the proxy says: "):
        here.connect(named(nodes.start().self, "nobody.invalid"))
