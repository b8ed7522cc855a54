"""The command ``p2p doctor``: why nodes are not found, or do not find us. Main thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import click

import p2p
from p2p.cli import reach
from p2p.cli.command import command
from p2p.cli.doctor import checks, running
from p2p.cli.doctor.finding import Finding, Level
from p2p.cli.doctor.lan import lan as lan_nodes
from p2p.cli.exitcode import ExitCode
from p2p.cli.options import (
    with_addr,
    with_bootnodes,
    with_caps,
    with_lan,
    with_nat,
    with_network,
    with_nodedb,
    with_timeout,
)
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import HOST_PORT, NETWORKS, NODE
from p2p.cli.shown import milliseconds, number_of

_SIGNS = {Level.OK: "ok", Level.WARNING: "!", Level.PROBLEM: "x", Level.SKIPPED: "-"}


@command(
    "doctor",
    examples="""
        p2p doctor
        p2p doctor --addr :30303 --nat any --nodedb nodes.db
        p2p doctor --bootnodes "" --lan
        p2p doctor --bootnodes "" --node-metrics 127.0.0.1:6060
        p2p doctor enode://…@203.0.113.7:30303 --cap eth/69 --network sepolia
    """,
)
@click.argument("node", type=NODE, required=False)
@with_addr(":30303")
@with_nat("any")
@with_nodedb
@with_network("mainnet")
@with_bootnodes
@with_caps
@with_lan
@click.option(
    "--node-metrics",
    type=HOST_PORT,
    metavar="ADDRESS",
    help="Look into a node that runs, by the address of its option --metrics.",
)
@with_timeout("10s")
@with_output
def doctor(
    output: Output,
    node: p2p.Node | None,
    addr: str,
    nat: str,
    nodedb: str | None,
    network: str,
    bootnodes: tuple[p2p.Node, ...] | None,
    caps: tuple[p2p.Cap, ...],
    lan: bool,
    node_metrics: tuple[str, int] | None,
    timeout: float,
) -> int:
    """Check what a node needs, and the way to NODE; each finding has a remedy.

    The checks: routes of IPv4 and IPv6, ports, clock, node lists in DNS, the node database,
    bootnodes, our address and who states it, the router, and the limits: what they have refused
    or delayed, with --node-metrics at a node that has run for a while. --lan lists the nodes that
    announce themselves on the local network, and tries each. Of NODE each step to its
    hello, its capabilities, compared with those of --cap, and its chain. --timeout is for each
    check. With --bootnodes, a network of your own, the checks of the Internet are left out. The
    exit code is 1 if there is a problem, 0 with warnings only.
    """
    findings: list[Finding] = []
    with output.progress("checking") as update:
        for finding in _all(node, addr, nat, nodedb, network, bootnodes, caps, timeout):
            update(text=f"checking; the last was {finding.check}")
            show(output, finding)
            findings.append(finding)
        more = lan_nodes(addr, timeout) if lan else iter(())
        met = iter(()) if node_metrics is None else running.met_limits(node_metrics, timeout)
        for finding in chain(more, met):
            show(output, finding)
            findings.append(finding)
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    output.text(f"{number_of(problems, 'problem')}, {number_of(warnings, 'warning')}")
    return ExitCode.NEGATIVE if counts[Level.PROBLEM] else ExitCode.OK


def _all(
    node: p2p.Node | None,
    addr: str,
    nat: str,
    nodedb: str | None,
    network: str,
    bootnodes: tuple[p2p.Node, ...] | None,
    caps: Sequence[p2p.Cap],
    timeout_s: float,
) -> Iterator[Finding]:
    chosen = NETWORKS[network]
    own = bootnodes is not None
    first = {
        "v4": bootnodes if bootnodes is not None else chosen.bootstrap_nodes,
        "v5": bootnodes if bootnodes is not None else chosen.bootstrap_nodes_v5,
    }
    routes = list(checks.families())
    yield from routes
    is_offline = any(each.level is Level.PROBLEM for each in routes)
    yield from checks.ports(addr)
    yield from checks.database(nodedb)
    if is_offline:
        yield Finding("internet", Level.SKIPPED, "clock, DNS, bootnodes and router: offline")
    elif not own:
        yield from checks.clock(timeout_s)
        yield from checks.node_lists(chosen.dns_trees, timeout_s)
    if own or not is_offline:
        yield from checks.reachability(addr, nat, first, timeout_s)
    if node is not None:
        yield from of_node(node, caps, chosen, timeout_s)


def of_node(
    node: p2p.Node, caps: Sequence[p2p.Cap], network: p2p.networks.Network, timeout_s: float
) -> Iterator[Finding]:
    """Check the way to a node, step by step, and what we have in common with it."""
    key = p2p.generate_key()
    if node.udp:
        for protocol in ("v4", "v5"):
            for answer in reach.discovery(protocol, key, node, timeout_s):
                yield _of_answer(answer, Level.WARNING)
    if node.tcp:
        for answer in reach.rlpx(key, node, timeout_s, caps):
            yield _of_answer(answer, Level.PROBLEM)
            if answer.step == "hello" and answer.error is None:
                yield from _shared(caps, answer.facts["capabilities"])
    yield from _chain(node, network)


def _of_answer(answer: reach.Answer, level: Level) -> Finding:
    check = f"node {answer.step}"
    if answer.error is not None:
        return checks.of_error(check, answer.error, level)
    facts = {"ms": round(answer.seconds * 1000, 3), **answer.facts}
    name = f": {answer.facts['name']}" if "name" in answer.facts else ""
    text = f"{answer.address} answers in {milliseconds(answer.seconds)}{name}"
    return Finding(check, Level.OK, text, facts=facts)


def _shared(ours: Sequence[p2p.Cap], theirs: Sequence[str]) -> Iterator[Finding]:
    names = ", ".join(theirs) or "none"
    if not ours:
        text = f"the node has {names}"
        yield Finding("capabilities", Level.OK, text, "name yours with --cap to compare")
        return
    common = sorted(set(map(str, ours)) & set(theirs))
    if common:
        yield Finding("capabilities", Level.OK, f"in common: {', '.join(common)}")
        return
    text = f"none in common: ours {', '.join(map(str, ours))}, theirs {names}"
    remedy = "offer a protocol with the same name and version"
    yield Finding("capabilities", Level.PROBLEM, text, remedy)


def _chain(node: p2p.Node, network: p2p.networks.Network) -> Iterator[Finding]:
    fork_id = p2p.eth.fork_id_of(node)
    if fork_id is None:
        return
    verdict = network.chain.check(fork_id, 0, 0)
    text = f"fork identifier {fork_id.hash.hex()}, {network.name}: {verdict}"
    if verdict.is_compatible:
        yield Finding("chain", Level.OK, f"a node of {network.name}")
    else:
        yield Finding("chain", Level.PROBLEM, text, "use a node of this chain, or --network")


def show(output: Output, finding: Finding) -> None:
    """Print a finding."""
    record = {
        "check": finding.check,
        "level": finding.level.value,
        "text": finding.text,
        "remedy": finding.remedy,
        **finding.facts,
    }
    text = f"{_SIGNS[finding.level]:>2}  {finding.check:<14} {finding.text}"
    if finding.remedy:
        text += f"\n{'':<19}-> {finding.remedy}"
    output.result(record, text)
