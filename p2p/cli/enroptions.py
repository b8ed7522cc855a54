"""Options of the commands that sign a record: endpoints and sequence number. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias, TypeVar

import click

from p2p.cli.parameters import IP, PORT

F = TypeVar("F", bound=Callable[..., object])
IPAddress: TypeAlias = IPv4Address | IPv6Address

_TCP = click.option(
    "--tcp", type=PORT, default=30303, show_default=True, help="Port of RLPx; 0: none."
)
_UDP = click.option("--udp", type=PORT, help="Port of discovery; 0: none (default: --tcp).")
with_ip = click.option("--ip", type=IP, help="Address of the node.")
_IPS = click.option(
    "--ip", type=IP, multiple=True, help="Address of the node; may be repeated."
)


def with_seq(default: int | None) -> Callable[[F], F]:
    """Add ``--seq``; None is the last number of a file plus 1."""
    return click.option(
        "--seq",
        type=click.IntRange(0, 2**64 - 1),
        default=default,
        show_default=True if default is not None else "the last plus 1",
        metavar="NUMBER",
        help="Sequence number; it must grow with each change.",
    )


def with_ports(function: F) -> F:
    """Add ``--tcp`` and ``--udp`` to a command."""
    return _TCP(_UDP(function))


def with_endpoints(function: F) -> F:
    """Add ``--ip``, for each IP version, ``--tcp`` and ``--udp`` to a command."""
    return _IPS(with_ports(function))


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
