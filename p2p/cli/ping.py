"""The command ``p2p ping``: whether a node answers, and how fast. Main thread."""

from __future__ import annotations

from collections.abc import Iterator

import click

import p2p
from p2p.cli import reach
from p2p.cli.command import command
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure, failure_of, text_of
from p2p.cli.options import with_caps, with_nodekey, with_timeout
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NODE
from p2p.cli.reach import Answer
from p2p.cli.remedy import remedy_of
from p2p.cli.shown import milliseconds

#: The steps that show that a node answers, and the port of each.
_PROOFS = {"discv4": "udp", "discv5": "udp", "hello": "tcp"}


@command(
    "ping",
    examples="""
        p2p ping enode://…@203.0.113.7:30303
        p2p ping --only rlpx --cap eth/69 --json enr:…
    """,
)
@click.argument("node", type=NODE)
@click.option(
    "--only",
    type=click.Choice(["v4", "v5", "rlpx"]),
    multiple=True,
    help="Ask by this protocol only; may be repeated (default: all of them).",
)
@with_caps
@with_nodekey
@with_timeout("15s")
@with_output
def ping(
    output: Output,
    node: p2p.Node,
    only: tuple[str, ...],
    caps: tuple[p2p.Cap, ...],
    nodekey: p2p.PrivateKey | None,
    timeout: float,
) -> int:
    """Ask a node by discovery v4, discovery v5 and RLPx, and show the time of each step.

    The hello of RLPx has the name of the node's program and its capabilities; none needs to be in
    common. The exit code is 0 if each port of the node has answered: UDP by v4 or v5, TCP by the
    hello. --timeout is for each protocol.
    """
    key = nodekey or p2p.generate_key()
    wanted = [each for each in only or ("v4", "v5", "rlpx") if _port_of(node, each)]
    if not wanted:
        raise Failure("the node has no address and port to ask at", ExitCode.USAGE)
    output.text(f"node {node.id}")
    answers: list[Answer] = []
    with output.progress("asking the node", total=None) as update:
        for protocol in wanted:
            update(text=f"asking by {protocol}")
            for answer in _ask(protocol, key, node, timeout, caps):
                answers.append(answer)
                show(output, answer)
    return verdict(answers)


def _port_of(node: p2p.Node, protocol: str) -> int:
    return node.tcp if protocol == "rlpx" else node.udp


def _ask(
    protocol: str,
    key: p2p.PrivateKey,
    node: p2p.Node,
    timeout_s: float,
    caps: tuple[p2p.Cap, ...],
) -> Iterator[Answer]:
    if protocol == "rlpx":
        return reach.rlpx(key, node, timeout_s, caps)
    return reach.discovery(protocol, key, node, timeout_s)


def show(output: Output, answer: Answer) -> None:
    """Print an answer."""
    record = {
        "step": answer.step,
        "ok": answer.error is None,
        "ms": round(answer.seconds * 1000, 3),
        "address": answer.address,
        **answer.facts,
    }
    line = f"{answer.step:<10} {milliseconds(answer.seconds):>10}  "
    if answer.error is None:
        output.result(record, line + _summary(answer))
        return
    record |= {"error": type(answer.error).__name__, "text": text_of(answer.error)}
    record["remedy"] = remedy_of(answer.error)
    text = line + text_of(answer.error)
    if record["remedy"]:
        text += f"\n{'':<24}{record['remedy']}"
    output.result(record, text)


def _summary(answer: Answer) -> str:
    facts = answer.facts
    if answer.step != "hello":
        seq = f", record {facts['record_seq']}" if "record_seq" in facts else ""
        return f"{answer.address} answers{seq}"
    caps = ", ".join(facts["capabilities"]) or "none"
    return f"{facts['name']} (p2p/{facts['p2p_version']})\n{'':<24}capabilities: {caps}"


def verdict(answers: list[Answer]) -> int:
    """Return the exit code: success if each port has answered, and the node has not refused."""
    asked = {_port(answer): False for answer in answers}
    for answer in answers:
        if answer.error is None and answer.step in _PROOFS:
            asked[_PROOFS[answer.step]] = True
    refusal = next((each for each in answers if each.step == "connected" and each.error), None)
    failed = [each for each in answers if each.error and not asked[_port(each)]]
    for answer in [*failed, *([refusal] if refusal else [])]:
        assert isinstance(answer.error, Exception)
        return failure_of(answer.error).exit_code
    return ExitCode.OK


def _port(answer: Answer) -> str:
    return "udp" if answer.step.startswith("disc") else "tcp"
