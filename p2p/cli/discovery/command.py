"""Commands of both discovery protocols: ``p2p discv4 | discv5 ping | resolve | …``.

They are go-ethereum's ``devp2p discv4`` and ``discv5``, with its options, and ``lookup`` and
``find-node``, which it does not have. Main thread; discovery has its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

import p2p
from p2p import discover, enode
from p2p.cli.command import Command, Group, command
from p2p.cli.crawl.command import crawl_command
from p2p.cli.discovery.lookup import ask, lookup_command
from p2p.cli.discovery.ownnode import Front, NodeOptions, node_options, open_discovery
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.options import with_timeout
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NODE, TargetType
from p2p.cli.shown import address_of, milliseconds

_HELP = """Ask nodes by discovery {}.

The options of our own node are those of go-ethereum's devp2p."""

timeout_option = with_timeout("10s")


def disc_group(protocol: str) -> Group:
    """Return the group of commands of discovery "v4" or "v5"."""
    makers: tuple[Callable[[str], Command], ...] = (
        ping_command,
        resolve_command,
        record_command,
        lookup_command,
        find_command,
        listen_command,
    )
    made = [make(protocol) for make in makers]
    made.append(crawl_command([protocol], f"p2p disc{protocol} crawl"))
    return Group(
        f"disc{protocol}",
        commands={each.name or "": each for each in made},
        help=_HELP.format(protocol),
    )


def ping_command(protocol: str) -> Command:
    """Return the command ``ping``."""

    @command("ping", examples=f"p2p disc{protocol} ping enode://…@203.0.113.7:30303")
    @click.argument("remote", metavar="NODE", type=NODE)
    @timeout_option
    @node_options
    @with_output
    def ping(output: Output, remote: p2p.Node, timeout: float, node: NodeOptions) -> None:
        """Ping NODE, and show the time of its answer."""
        with open_discovery(protocol, node, ()) as front, output.progress("asking the node"):
            began = time.monotonic()
            seq = front.ping(remote, timeout)
            seconds = time.monotonic() - began
        record = {"id": remote.id, "ms": round(seconds * 1000, 3), "record_seq": seq}
        more = "" if seq is None else f", record {seq}"
        at = address_of(remote, udp=True)
        output.result(record, f"{at} answers in {milliseconds(seconds)}{more}")

    return ping


def resolve_command(protocol: str) -> Command:
    """Return the command ``resolve``."""

    @command("resolve", examples=f"p2p disc{protocol} resolve enode://…@203.0.113.7:30303")
    @click.argument("remote", metavar="NODE", type=NODE)
    @timeout_option
    @node_options
    @with_output
    def resolve(output: Output, remote: p2p.Node, timeout: float, node: NodeOptions) -> None:
        """Find NODE in the network, wherever it is now, and print its newest record."""
        with open_discovery(protocol, node) as front, output.progress("looking for the node"):
            show_node(output, front.resolve(remote, timeout))

    return resolve


def record_command(protocol: str) -> Command:
    """Return the command ``request-enr``."""

    @command("request-enr", examples=f"p2p disc{protocol} request-enr enode://…@203.0.113.7:30303")
    @click.argument("remote", metavar="NODE", type=NODE)
    @timeout_option
    @node_options
    @with_output
    def request(output: Output, remote: p2p.Node, timeout: float, node: NodeOptions) -> None:
        """Ask NODE for its record, and print it; "p2p enr show -" explains it."""
        with open_discovery(protocol, node, ()) as front, output.progress("asking the node"):
            show_node(output, front.request_enr(remote, timeout))

    return request


def find_command(protocol: str) -> Command:
    """Return the command ``find-node``."""
    by = "--distance 256 --distance 255" if protocol == "v5" else f"--target {'ab' * 8}…"

    @command("find-node", examples=f"p2p disc{protocol} find-node enode://…@203.0.113.7:30303 {by}")
    @click.argument("remote", metavar="NODE", type=NODE)
    @click.option("--target", type=TargetType(protocol), help="Wanted are nodes next to this one.")
    @click.option(
        "--distance",
        "distances",
        type=click.IntRange(0, 256),
        multiple=True,
        help="Wanted are nodes at this distance from NODE; discovery v5 only; may be repeated.",
    )
    @timeout_option
    @node_options
    @with_output
    def find(
        output: Output,
        remote: p2p.Node,
        target: p2p.PublicKey | p2p.NodeID | None,
        distances: Sequence[int],
        timeout: float,
        node: NodeOptions,
    ) -> None:
        """Ask NODE for other nodes that it knows, by default for those next to a random target."""
        if distances and (protocol == "v4" or target is not None):
            raise click.UsageError("--distance is for discovery v5, and without --target")
        goal = target or p2p.generate_key().public_key
        with open_discovery(protocol, node, ()) as front, output.progress("asking the node"):
            found = _ask(front, remote, goal, distances, timeout)
        for each in found:
            distance = enode.log_distance(remote.id, each.id)
            record = {"distance": distance, "id": each.id, "node": str(each)}
            output.result(record, f"{distance:>4}  {each}")
        if not found:
            raise Failure("the node answers, and knows no such node", ExitCode.NEGATIVE)

    return find


def listen_command(protocol: str) -> Command:
    """Return the command ``listen``."""

    @command("listen", examples=f"p2p disc{protocol} listen --addr :30303 --nodekey node.key")
    @node_options
    @with_output
    def listen(output: Output, node: NodeOptions) -> None:
        """Run a discovery node until Ctrl-C; show its record, and the nodes of its table.

        The exit code is 0 after Ctrl-C.
        """
        with (
            suppress(KeyboardInterrupt),
            open_discovery(protocol, node) as front,
            front.subscribe_events() as events,
        ):
            own = front.self
            output.result({"event": "listening", "id": own.id, "node": str(own)}, str(own))
            output.note(f"listening on UDP {front.address}; Ctrl-C ends it")
            for event in events:
                kind = "added" if isinstance(event, discover.NodeAdded) else "removed"
                record = {"event": kind, "id": event.node.id, "node": str(event.node)}
                output.result(record, f"{kind:<8} {event.node}")

    return listen


def show_node(output: Output, found: p2p.Node) -> None:
    """Print a node."""
    record = {"id": found.id, "seq": found.seq, "node": str(found), "url": found.url}
    output.result(record, str(found))


def _ask(
    front: Front,
    remote: p2p.Node,
    goal: p2p.PublicKey | p2p.NodeID,
    distances: Sequence[int],
    timeout_s: float,
) -> list[p2p.Node]:
    if distances and isinstance(front, discover.UDPv5):
        return front.find_node(remote, distances, timeout_s)
    return ask(front, remote, goal, timeout_s)
