"""Options that several commands have: one name, one meaning and one help for each.

Names are go-ethereum's where it has the option, of ``geth``, ``bootnode`` or ``devp2p``. Each name
here adds the option to a command; a function makes one with a default of the command. Main thread.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeAlias, TypeVar

import click

import p2p
from p2p.cli.parameters import CAP, DURATION, NETWORK, NODE_KEY
from p2p.netutil import join_host_port

F = TypeVar("F", bound=Callable[..., object])
#: An address to publish, and its port; 0 is the one that is bound.
External: TypeAlias = tuple[str, int]

_NETWORK_HELP = "Network of Ethereum: its bootnodes, its node lists, its chain."

with_nodekey = click.option(
    "--nodekey",
    type=NODE_KEY,
    help="Key of our node: a file, or 64 hex digits (default: a new key).",
)
with_nodedb = click.option(
    "--nodedb",
    type=click.Path(dir_okay=False),
    help="File of known nodes (default: memory).",
)
with_caps = click.option(
    "--cap",
    "caps",
    type=CAP,
    multiple=True,
    help="Capability of ours, NAME/VERSION, for the hello; may be repeated.",
)
with_keylog = click.option(
    "--keylog",
    type=click.Path(dir_okay=False),
    help="Key log: the secrets of a node's connections, to decrypt captures.",
)
with_lan = click.option(
    "--lan", is_flag=True, help="Find the nodes of the local network, and be found by them."
)
with_duration = click.option(
    "--duration", type=DURATION, help="Time after which to end, such as 30s."
)


def with_addr(default: str) -> Callable[[F], F]:
    """Add ``--addr``."""
    return click.option(
        "--addr",
        default=default,
        show_default=True,
        metavar="ADDRESS",
        help="Address to listen on, HOST:PORT or :PORT; port 0 takes a free one.",
    )


def with_network(default: str | None = None) -> Callable[[F], F]:
    """Add ``--network``."""
    shown = default is not None
    return click.option(
        "--network", type=NETWORK, default=default, show_default=shown, help=_NETWORK_HELP
    )


def with_nat(default: str) -> Callable[[F], F]:
    """Add ``--nat``."""
    return click.option(
        "--nat",
        default=default,
        show_default=True,
        metavar="WAY",
        help="Way through a router: none, any, upnp, pmp, stun, stun:HOST:PORT or extip:ADDRESS.",
    )


def with_timeout(default: str) -> Callable[[F], F]:
    """Add ``--timeout``; the help of a command has what is limited, if it is not clear."""
    return click.option(
        "--timeout",
        type=DURATION,
        default=default,
        show_default=True,
        help="Time limit, such as 15s or 30m.",
    )


def with_bootnodes(function: F) -> F:
    """Add ``--bootnodes``; the command gets a tuple of nodes, or None."""
    return click.option(
        "--bootnodes",
        metavar="NODES",
        callback=lambda context, param, value: _nodes(param, value),
        help='First nodes to ask, separated by commas; "" for none (default: of --network).',
    )(function)


def with_extaddr(function: F) -> F:
    """Add ``--extaddr``; the command gets a tuple of :data:`External`."""
    return click.option(
        "--extaddr",
        metavar="ADDRESSES",
        callback=lambda context, param, value: _external(param, value),
        help="Address in our record, IP or IP:PORT; one for IPv4 and one for IPv6, with a comma.",
    )(function)


def external_text(external: External) -> str:
    """Return an address to publish as text, for the option ``advertise`` of a server."""
    host, port = external
    return join_host_port(host, port) if port else host


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
