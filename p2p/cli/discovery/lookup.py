"""The command ``p2p discv4 | discv5 lookup``, and the run of a lookup that shows each hop.

The main thread decides and prints; the queries wait in three threads of a pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import click

import p2p
from p2p import discover
from p2p.cli.command import Command, command
from p2p.cli.discovery.drawing import draw
from p2p.cli.discovery.ownnode import Front, NodeOptions, node_options, open_discovery
from p2p.cli.discovery.walk import ALPHA, Hop, Walk, distances_to
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure, text_of
from p2p.cli.files.nodes import check_replaceable, replace_file
from p2p.cli.options import with_timeout
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import TargetType
from p2p.cli.shown import address_of, milliseconds, number_of
from p2p.enode import log_distance

#: Seconds for the answer of one node; the retransmissions of discovery are shorter.
QUERY_S = 5.0
_HEAD = f"{'':>3} {'hop':>3} {'distance':>8}  {'node':<16}  {'address':<24} {'time':>10}  answer"


def lookup_command(protocol: str) -> Command:
    """Return the command ``lookup`` of discovery "v4" or "v5"."""

    @command(
        "lookup",
        examples=f"""
            p2p disc{protocol} lookup
            p2p disc{protocol} lookup --explain --svg lookup.svg enode://…@203.0.113.7:30303
        """,
    )
    @click.argument("target", type=TargetType(protocol), required=False)
    @click.option("--explain", is_flag=True, help="Show each hop, and who named it.")
    @click.option(
        "--svg",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Draw the hops into this file (SVG); includes --explain.",
    )
    @with_timeout("60s")
    @node_options
    @with_output
    def lookup(
        output: Output,
        target: p2p.PublicKey | p2p.NodeID | None,
        explain: bool,
        svg: Path | None,
        timeout: float,
        node: NodeOptions,
    ) -> None:
        """Find the nodes of the network that are nearest to TARGET.

        TARGET is a node, its public key (128 hex digits) or, for discovery v5, its ID (64 hex
        digits); by default a random one.
        """
        if svg is not None:
            check_replaceable(svg)
        goal = target or p2p.generate_key().public_key
        with open_discovery(protocol, node) as front, output.progress("looking up") as update:
            if explain or svg is not None:
                start = [*node.first_nodes(protocol), *front.nodes()]
                walk = explained(output, front, goal, start, timeout, update)
                if svg is not None:
                    replace_file(svg, draw(walk.target, walk.hops))
                nodes = walk.result()
            else:
                nodes = front.lookup(goal, timeout)
        show(output, id_of(goal), nodes)

    return lookup


def id_of(target: p2p.PublicKey | p2p.NodeID) -> p2p.NodeID:
    """Return the ID of a target."""
    return target if isinstance(target, p2p.NodeID) else p2p.NodeID.from_public_key(target)


def show(output: Output, target: p2p.NodeID, nodes: Sequence[p2p.Node]) -> None:
    """Print the result of a lookup. Raises Failure if it is empty."""
    if not nodes:
        text = "no node has answered; check the network and the bootnodes (--bootnodes)"
        raise Failure(text, ExitCode.NO_ANSWER)
    output.text(f"nearest nodes to {target}:")
    for found in nodes:
        distance = log_distance(target, found.id)
        record = {"distance": distance, "id": found.id, "node": str(found)}
        output.result(record, f"{distance:>4}  {found}")


def explained(
    output: Output,
    front: Front,
    target: p2p.PublicKey | p2p.NodeID,
    start: Sequence[p2p.Node],
    timeout_s: float,
    update: Callable[..., None] = lambda **_: None,
) -> Walk:
    """Look up ``target`` from the nodes of ``start``, and print each hop as it ends."""
    walk = Walk(id_of(target), front.self.id, start)
    deadline = time.monotonic() + timeout_s
    output.text(f"target {walk.target}\n{_HEAD}")
    with ThreadPoolExecutor(ALPHA, "p2p-lookup") as pool:
        try:
            asked: dict[Future[list[p2p.Node]], tuple[Hop, float]] = {}
            while not walk.is_over:
                for hop in walk.next_hops():
                    query = pool.submit(ask, front, hop.node, target)
                    asked[query] = hop, time.monotonic()
                _take(output, walk, asked, deadline)
                update(text=f"asked {number_of(len(walk.hops), 'node')}")
        except BaseException:
            front.stop()  # ends the queries under way
            raise
    return walk


def ask(
    front: Front,
    node: p2p.Node,
    target: p2p.PublicKey | p2p.NodeID,
    timeout_s: float = QUERY_S,
) -> list[p2p.Node]:
    """Ask a node for those next to a target that it knows. Waits; any thread."""
    if isinstance(front, discover.UDPv5):
        return front.find_node(node, distances_to(id_of(target), node.id), timeout_s)
    assert isinstance(target, p2p.PublicKey)
    return front.find_node(node, target, timeout_s)


def _take(
    output: Output,
    walk: Walk,
    asked: dict[Future[list[p2p.Node]], tuple[Hop, float]],
    deadline: float,
) -> None:
    """Wait for one answer or more, and give them to the walk."""
    left_s = deadline - time.monotonic()
    done, _ = wait(asked, timeout=max(0.0, left_s), return_when=FIRST_COMPLETED)
    if not done:
        raise Failure("the lookup is not over; give more time with --timeout", ExitCode.NO_ANSWER)
    for query in done:
        hop, began = asked.pop(query)
        seconds = time.monotonic() - began
        try:
            walk.answered(hop, query.result(), seconds)
        except p2p.P2PError as error:
            walk.failed(hop, text_of(error), seconds)
        output.result(hop.record(), _line(hop))


def _line(hop: Hop) -> str:
    head = f"{hop.number:>3} {hop.depth:>3} {hop.distance:>8}  {hop.node.id.short:<16}  "
    head += f"{address_of(hop.node, udp=True):<24} {milliseconds(hop.seconds):>10}  "
    if hop.error:
        return head + hop.error
    nearest: Any = "" if hop.nearest is None else f", nearest at {hop.nearest}"
    by = "" if hop.named_by is None else f"; named by {hop.named_by.short}"
    return f"{head}{number_of(hop.named, 'node')}, {hop.new} new{nearest}{by}"
