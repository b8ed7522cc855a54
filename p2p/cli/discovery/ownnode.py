"""Our own discovery node for a command, with the options of go-ethereum's ``devp2p``.

:func:`node_options` adds them to a command, :func:`open_discovery` runs the node. Main thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, TypeAlias, TypeVar

import click

import p2p
from p2p import discover, enode
from p2p.cli.parameters import NETWORK, NETWORKS, NODE_KEY
from p2p.netutil import is_unspecified

F = TypeVar("F", bound=Callable[..., object])
#: A discovery of either protocol.
Front: TypeAlias = "discover.UDPv4 | discover.UDPv5"
#: An address to publish, and its UDP port; 0 is the one that is bound.
External: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class NodeOptions:
    """The options of our node. ``bootnodes`` None: those of ``network``."""

    bootnodes: tuple[p2p.Node, ...] | None
    network: str
    nodekey: p2p.PrivateKey | None
    nodedb: str | None
    addr: str
    extaddr: tuple[External, ...]

    def with_key(self, key: p2p.PrivateKey) -> NodeOptions:
        """Return these options with a key of our node."""
        return replace(self, nodekey=key)

    def first_nodes(self, protocol: str) -> tuple[p2p.Node, ...]:
        """Return the entry points to the network, for the protocol "v4" or "v5"."""
        if self.bootnodes is not None:
            return self.bootnodes
        network = NETWORKS[self.network]
        return network.bootstrap_nodes if protocol == "v4" else network.bootstrap_nodes_v5


def nodes_option(function: F) -> F:
    """Add the option --bootnodes to a command, which gets a tuple of nodes, or None."""
    return click.option(
        "--bootnodes",
        "-bootnodes",
        callback=lambda context, param, value: _nodes(param, value),
        help='First nodes to ask, separated by commas; "" for none (default: of --network).',
    )(function)


def node_options(function: F) -> F:
    """Add the options of our own node to a command, which gets ``node`` (NodeOptions)."""

    @nodes_option
    @click.option(
        "--network",
        type=NETWORK,
        default="mainnet",
        show_default=True,
        help="Network whose bootstrap nodes are asked first.",
    )
    @click.option(
        "--nodekey",
        "-nodekey",
        type=NODE_KEY,
        help="Key of our node: a file, or 64 hex digits (default: new).",
    )
    @click.option("--nodedb", "-nodedb", help="File of known nodes (default: memory).")
    @click.option(
        "--addr", "-addr", default=":0", help="UDP address to listen on, HOST:PORT or :PORT."
    )
    @click.option(
        "--extaddr",
        "-extaddr",
        callback=lambda context, param, value: _external(param, value),
        help="Address in our record, IP or IP:PORT; one for IPv4 and one for IPv6, with a comma.",
    )
    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> object:
        own = {name: options.pop(name) for name in NodeOptions.__dataclass_fields__}
        return function(*arguments, node=NodeOptions(**own), **options)

    return run  # type: ignore[return-value]


@contextmanager
def open_discovery(
    protocol: str, options: NodeOptions, bootnodes: Sequence[p2p.Node] | None = None
) -> Iterator[Front]:
    """Run discovery "v4" or "v5" for a ``with`` block.

    It asks ``bootnodes`` first, by default those of the options. Raises NodeDBError for the file of
    nodes, OSError for an address that cannot be bound.
    """
    with open_fronts([protocol], options, bootnodes) as fronts:
        yield fronts[protocol]


@contextmanager
def open_fronts(
    protocols: Sequence[str], options: NodeOptions, bootnodes: Sequence[p2p.Node] | None = None
) -> Iterator[dict[str, Front]]:
    """Run discovery by some protocols on one socket, as :func:`open_discovery` does."""
    key = options.nodekey or p2p.generate_key()
    with ExitStack() as stack:
        database = stack.enter_context(enode.NodeDB(options.nodedb))
        local = enode.LocalNode(key, database)
        fronts: dict[str, Front] = {}
        # v5 comes first: its header shows at once whether a datagram is its own.
        for protocol in sorted(protocols, reverse=True):
            first = options.first_nodes(protocol) if bootnodes is None else bootnodes
            on = next(iter(fronts.values()), None) or options.addr
            kind = discover.UDPv4 if protocol == "v4" else discover.UDPv5
            front: Front = kind(
                key, on, local=local, store=database, bootnodes=first, ntp_server=None
            )
            fronts[protocol] = front
            stack.callback(front.stop)
        _publish(local, front.address, options.extaddr)
        front.start()
        yield fronts


def _publish(local: enode.LocalNode, bound: p2p.Endpoint, external: Sequence[External]) -> None:
    """Put our endpoint into the record: the one given, else the one that is bound."""
    local.set_fallback_udp(bound.port)
    for ip, port in external:
        local.set_static_endpoint(ip, udp=port or bound.port)
    if not external:
        local.set_fallback_ip("127.0.0.1" if is_unspecified(bound.ip) else bound.ip)


def _nodes(param: click.Parameter, text: str | None) -> tuple[p2p.Node, ...] | None:
    if text is None:
        return None
    try:
        return tuple(p2p.parse_node(part.strip()) for part in text.split(",") if part.strip())
    except p2p.InvalidNode as error:
        raise click.BadParameter(f"{error}; give enode URLs or records", param=param) from None


def _external(param: click.Parameter, text: str | None) -> tuple[External, ...]:
    try:
        parts = [part.strip() for part in (text or "").split(",") if part.strip()]
        return tuple(_address(part) for part in parts)
    except ValueError:
        wanted = "want 203.0.113.7, 203.0.113.7:30303 or [2001:db8::7]:30303"
        raise click.BadParameter(f"{text!r}: {wanted}", param=param) from None


def _address(text: str) -> External:
    """Read "IP", "IP:port" or "[IP]:port". Raises ValueError."""
    try:
        return str(ip_address(text)), 0
    except ValueError:
        host, _, port = text.rpartition(":")
        number = int(port)
        if not 0 < number < 2**16:
            raise
        return str(ip_address(host.removeprefix("[").removesuffix("]"))), number
