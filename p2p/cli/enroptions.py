"""Options of the commands that sign a record: endpoints and sequence number. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias, TypeVar

import click

from p2p.cli.parameters import IP, PORT

F = TypeVar("F", bound=Callable[..., object])
IPAddress: TypeAlias = IPv4Address | IPv6Address

_OPTIONS = (
    click.option(
        "--ip", type=IP, multiple=True, help="Address of the node; one for each IP version."
    ),
    click.option(
        "--tcp", type=PORT, default=30303, show_default=True, help="Port of RLPx; 0: none."
    ),
    click.option("--udp", type=PORT, help="Port of discovery; 0: none (default: --tcp)."),
)
with_seq = click.option(
    "--seq",
    type=click.IntRange(0, 2**64 - 1),
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="Sequence number; it must grow with each change.",
)


def with_endpoints(function: F) -> F:
    """Add ``--ip``, ``--tcp`` and ``--udp`` to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def endpoint_entries(ips: Sequence[IPAddress], tcp: int, udp: int | None) -> dict[str, object]:
    """Return the entries of a record for these endpoints."""
    names = ["ip" if ip.version == 4 else "ip6" for ip in ips]
    if len(set(names)) < len(names):
        raise click.UsageError("--ip: at most one address for each IP version")
    ports = {"tcp": tcp, "udp": tcp if udp is None else udp}
    return {
        **dict(zip(names, ips, strict=True)),
        **{name: port for name, port in ports.items() if port},
    }
