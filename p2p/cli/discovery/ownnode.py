"""Our own discovery node for a command, with the options of go-ethereum's ``devp2p``.

:func:`node_options` adds them to a command, :func:`open_discovery` runs the node. Main thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import p2p
from p2p import discover, enode
from p2p.cli.options import (
    External,
    with_addr,
    with_bootnodes,
    with_extaddr,
    with_network,
    with_nodedb,
    with_nodekey,
)
from p2p.cli.parameters import NETWORKS
from p2p.netutil import is_unspecified

F = TypeVar("F", bound=Callable[..., object])
#: A discovery of either protocol.
Front: TypeAlias = "discover.UDPv4 | discover.UDPv5"


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


def node_options(function: F) -> F:
    """Add the options of our own node to a command, which gets ``node`` (NodeOptions)."""

    @with_bootnodes
    @with_network("mainnet")
    @with_nodekey
    @with_nodedb
    @with_addr(":0")
    @with_extaddr
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
