"""The command ``p2p capture``: tcpdump with the filter for a node. Main thread; a process."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

import click

import p2p
from p2p.cli.command import command
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.options import with_duration, with_keylog
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NODE, PORT

#: The usual port of Ethereum nodes.
DEFAULT_PORT = 30303
#: tcpdump's buffer, in KiB: it loses packets when many come at once.
BUFFER_KIB = 32_768
#: Words of tcpdump when it has begun.
_BEGUN = "listening on "


@command(
    "capture",
    examples="""
        p2p capture node.pcap
        p2p capture node.pcap --port 30304 --keylog keys.log
        p2p capture node.pcap --node enode://…@203.0.113.7:30303 --print
    """,
)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--port",
    "ports",
    type=PORT,
    multiple=True,
    help=f"Port of your node; may be repeated (default: {DEFAULT_PORT}, or none with --node).",
)
@click.option("--node", "nodes", type=NODE, multiple=True, help="Another node; may be repeated.")
@click.option("--interface", default="any", show_default=True, help="Network interface.")
@with_keylog
@with_duration
@click.option("--print", "only_print", is_flag=True, help="Print the command, and run nothing.")
@with_output
def capture(
    output: Output,
    file: str,
    ports: tuple[int, ...],
    nodes: tuple[p2p.Node, ...],
    interface: str,
    keylog: str | None,
    duration: float | None,
    only_print: bool,
) -> int:
    """Capture the traffic of a node into FILE with tcpdump, for p2p decode.

    The filter has TCP and UDP of the ports, and of the nodes at their addresses. Ctrl-C ends it.
    tcpdump needs the rights of root; without them, and with --print, the command is printed, to be
    run where they are. For the secrets, start your node with the option key_log, or with
    P2P_KEYLOGFILE in its environment.
    """
    arguments = _command(file, interface, _filter(ports, nodes))
    line = shlex.join(arguments)
    keys = keylog or "keys.log"
    if only_print:
        output.result({"command": arguments, "filter": arguments[-1]}, line)
        output.note(f"the secrets: start your node with P2P_KEYLOGFILE={shlex.quote(keys)}")
        return ExitCode.OK
    if shutil.which("tcpdump") is None:
        raise Failure(f"tcpdump is not installed; install it, and run: {line}", ExitCode.SYSTEM)
    with output.progress(f"capturing into {file}, Ctrl-C ends it"):
        said = _run(arguments, duration, lambda: _tell_begin(output, file))
    counts = _counts(said)
    decode = shlex.join(["p2p", "decode", file, "--keylog", keys])
    text = f"{counts} packets captured; to read them: {decode}"
    output.result({"file": file, "packets": counts, "decode": decode}, text)
    return ExitCode.OK


def _filter(ports: tuple[int, ...], nodes: tuple[p2p.Node, ...]) -> str:
    """Return the filter of tcpdump for our ports, and for nodes at their addresses."""
    parts = []
    for node in nodes:
        host = node.hostname or node.ip
        if host is None:
            raise Failure(f"node {node.id.short} has no address; give --port", ExitCode.USAGE)
        own = " or ".join(f"port {port}" for port in sorted({node.tcp, node.udp} - {0}))
        parts.append(f"(host {host} and ({own}))" if own else f"host {host}")
    chosen = ports or (() if nodes else (DEFAULT_PORT,))
    return " or ".join([f"port {port}" for port in chosen] + parts)


def _command(file: str, interface: str, wanted: str) -> list[str]:
    # --immediate-mode: else the packets of the last second are lost at the end.
    options = ["-i", interface, "-s", "0", "-U", "-B", str(BUFFER_KIB), "--immediate-mode"]
    if os.geteuid() == 0:
        options += ["-Z", "root"]  # else it could not write where root alone may
    return ["tcpdump", *options, "-w", file, wanted]


def _tell_begin(output: Output, file: str) -> None:
    if not sys.stderr.isatty():  # where the progress shows it
        output.note(f"capturing into {file}, Ctrl-C or SIGINT ends it")


def _run(arguments: list[str], duration: float | None, on_begin: Callable[[], object]) -> str:
    """Run tcpdump until Ctrl-C or the time is over; return what it has said."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    said = ""
    try:
        said = _begin(process)
        if _BEGUN in said:
            on_begin()
        said += process.communicate(timeout=duration)[1]
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.send_signal(signal.SIGINT)
        said += process.communicate()[1]
    if process.returncode not in (0, -signal.SIGINT):
        line = said.strip().splitlines()[-1] if said.strip() else "tcpdump has failed"
        text = f"{line}; run it as root: sudo {shlex.join(arguments)}"
        raise Failure(text, ExitCode.SYSTEM)
    return said


def _begin(process: subprocess.Popen[str]) -> str:
    """Return the lines of tcpdump up to that of its begin, or all if it fails."""
    lines = []
    for line in iter(process.stderr.readline, "") if process.stderr is not None else ():
        lines.append(line)
        if _BEGUN in line:
            break
    return "".join(lines)


def _counts(said: str) -> int:
    """Return the number of packets that tcpdump has captured."""
    for line in said.splitlines():
        number, _, rest = line.partition(" ")
        if rest.startswith("packet") and "captured" in rest and number.isdecimal():
            return int(number)
    return 0
