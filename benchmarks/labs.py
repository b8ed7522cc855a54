"""Labs: time and memory of a network of servers in one process, and events a second.

    $ python -m benchmarks.labs
    $ python -m benchmarks.labs --only 200

Each row runs in a process of its own. A small world of nodes starts, with a handler at each end of
each edge; *s* is from the first line of the program's own to the last connection, *MiB* the most
memory that the process had, *KiB a node* the part of it that is not there without nodes. Then each
node sends messages to its neighbors, and all of them are reported as events: *events/s*. With
discovery, the lab runs until the nodes have searched for each other. *again s* is from its
snapshot to the last connection of a lab that goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import p2p
from benchmarks.process import ROOT
from p2p.lab import Lab

#: Join, nodes and whether they run discovery.
ROWS = (
    ("loopback", 200, False),
    ("memory", 200, False),
    ("memory", 200, True),
    ("memory", 1000, False),
)
#: Messages of all nodes together, and their size.
MESSAGES, SIZE = 20_000, 100
TIMEOUT_S = 600.0
#: Least time for the nodes of a lab with discovery to find each other, and for each node.
SEARCH_S, NODE_SEARCH_S = 5.0, 0.5
_CODE = 0


def measure(join: str, nodes: int, discovers: bool) -> dict[str, Any]:
    """Run a lab in this process, and return its figures."""
    empty_mib = peak_mib()
    received = threading.Semaphore(0)
    begin = threading.Event()
    each = max(1, MESSAGES // (4 * nodes))

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        begin.wait()
        for _ in range(each):
            rw.send(_CODE, bytes(SIZE))
        for _ in range(each):
            rw.read_msg()
            received.release()
        wait(peer, rw)

    started = time.perf_counter()
    lab = Lab(
        nodes,
        protocols=[p2p.Protocol("bench", 1, 1, run)],
        topology="small-world",
        join=join,
        discovery=discovers,
        message_events=1.0,
        no_dial=True,
    )
    with lab:
        seconds = time.perf_counter() - started
        figures = {
            "edges": len(lab.edges),
            "threads": threading.active_count(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "s": seconds,
            "mib": peak_mib(),
            "kib_a_node": (peak_mib() - empty_mib) * 1024 / nodes,
        }
        count = 2 * len(lab.edges) * each
        with lab.subscribe_events(count) as events:
            begin.set()
            started = time.perf_counter()
            while count:
                count -= events.get(TIMEOUT_S).type == "message"
            taken_s = time.perf_counter() - started
        figures["events_a_second"] = 2 * figures["edges"] * each / taken_s
        if discovers:
            lab.run_for(SEARCH_S + NODE_SEARCH_S * nodes)
        snapshot = lab.snapshot()
        stopping = time.perf_counter()
    figures["stop_s"] = time.perf_counter() - stopping
    figures["known"] = sum(len(node.known) for node in snapshot.nodes) / nodes
    waiting = [p2p.Protocol("bench", 1, 1, wait)]
    started = time.perf_counter()
    with Lab.from_snapshot(snapshot, protocols=waiting) as lab:
        figures["again_s"] = time.perf_counter() - started
        assert len(lab.edges) == figures["edges"]
    return figures


def wait(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """Read until the connection ends."""
    for _ in rw:
        pass


def peak_mib() -> float:
    """Return the most memory that this process has had."""
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def in_process(join: str, nodes: int, discovers: bool) -> dict[str, Any]:
    """Measure a row in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.labs", "--row", join, str(nodes), str(discovers)]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S)
    figures: dict[str, Any] = json.loads(ran.stdout)
    return figures


def table(rows: Sequence[tuple[tuple[str, int, bool], dict[str, Any]]]) -> str:
    """Return the rows as text."""
    lines = [
        f"{'lab':<30} edges threads descriptors     s stop s known again s"
        "   MiB KiB a node  events/s"
    ]
    for (join, nodes, discovers), found in rows:
        name = f"{join}, {nodes} nodes{', discovery' if discovers else ''}"
        lines.append(
            f"{name:<30} {found['edges']:>5} {found['threads']:>7} {found['descriptors']:>11} "
            f"{found['s']:>5.1f} {found['stop_s']:>6.1f} {found['known']:>5.0f} "
            f"{found['again_s']:>7.1f} {found['mib']:>5.0f} "
            f"{found['kib_a_node']:>10.0f} {found['events_a_second']:>9,.0f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labs")
    parser.add_argument("--only", type=int, metavar="NODES", help="rows with this many nodes")
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.row:
        join, nodes, discovers = options.row
        print(json.dumps(measure(join, int(nodes), discovers == "True")))
        return
    rows = [row for row in ROWS if options.only in (None, row[1])]
    print(table([(row, in_process(*row)) for row in rows]))


if __name__ == "__main__":
    main()
