"""go-ethereum's conformance suites for discovery v4 and v5, against one node of ours.

The program is go-ethereum's ``devp2p discv4 test`` or ``devp2p discv5 test``, of the version in
``go/go.mod``; its tester listens on 127.0.0.1 and 127.0.0.2, with new keys in each test. From the
command line a suite runs many times in a row against the same node, with a line for each run::

    python -m tests.interop.suite --runs 100
    python -m tests.interop.suite --protocol v5 --runs 100

The node of the v5 suite searches the network, as that of a server does until it has enough peers.
Each run leaves five nodes in its table that have answered and are dead, and it must tell the five
of the next run, in a response of sixteen. Lookups find out the dead ones. An idle node pings one
node of the table in some seconds: with ``--idle`` runs fail, and they do with ``--node go``, which
is go-ethereum's own node, as well.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import p2p

from .discovery import OurDiscovery
from .program import BUILD, Program, ProgramV5

PROGRAM = BUILD / "devp2p"
#: Tests of each suite.
TESTS = {"v4": 15, "v5": 10}
#: How long one run may take, in seconds; it takes 2 on an idle machine.
RUN_TIMEOUT_S = 120.0


def run_suite(node: p2p.Node, protocol: str = "v4") -> tuple[list[str], list[str]]:
    """Run the suite of a protocol against a node. Returns the names of tests passed and failed.

    Raises subprocess.TimeoutExpired when it does not end, AssertionError when it says nothing.
    """
    if not PROGRAM.exists():
        raise AssertionError(f"{PROGRAM.name} is not built; run tests/interop/build.sh go")
    target = ["--remote", node.url] if protocol == "v4" else [str(node)]
    command = [str(PROGRAM), f"disc{protocol}", "test", "--tap", *target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    passed: list[str] = []
    failed: list[str] = []
    for line in done.stdout.splitlines():
        verdict, _, name = line.rpartition(" ")
        if verdict.startswith("ok "):
            passed.append(name)
        elif verdict.startswith("not ok "):
            failed.append(name)
    assert passed or failed, f"the suite says nothing: {done.stdout}{done.stderr}"
    return passed, failed


@contextmanager
def node_of(implementation: str, protocol: str, searches: bool) -> Iterator[p2p.Node]:
    """A node of ours, or of go-ethereum."""
    if implementation == "ours":
        with OurDiscovery(protocol=protocol) as ours, ExitStack() as stack:
            if searches:
                stack.enter_context(searching(ours))
            yield ours.node
        return
    program: Program
    if protocol == "v4":
        program = Program("go", bootnodes=(), dial=searches)
    else:
        program = ProgramV5("go", dial=searches)
    try:
        yield program.node
    finally:
        program.stop()


@contextmanager
def searching(ours: OurDiscovery) -> Iterator[None]:
    """Have a node look for others."""

    def search() -> None:
        for _ in nodes:
            pass

    with ours.udp.random_nodes() as nodes:
        thread = threading.Thread(target=search, name="interop-search")
        thread.start()
        yield
    thread.join()


def main() -> int:
    """Run the suite many times against one node; the status is 1 when a test has failed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=100, help="runs in a row (default: 100)")
    parser.add_argument("--protocol", choices=sorted(TESTS), default="v4", help="(default: v4)")
    parser.add_argument("--node", choices=("ours", "go"), default="ours", help="(default: ours)")
    parser.add_argument("--idle", action="store_true", help="a node that does not search")
    arguments = parser.parse_args()
    runs, protocol, tests = arguments.runs, arguments.protocol, TESTS[arguments.protocol]
    good = 0
    searches = protocol == "v5" and not arguments.idle
    with node_of(arguments.node, protocol, searches) as node:
        for number in range(1, runs + 1):
            begun = time.monotonic()
            passed, failed = run_suite(node, protocol)
            took_s = time.monotonic() - begun
            names = f"; failed: {', '.join(failed)}" if failed else ""
            print(f"run {number}: {len(passed)} of {tests} in {took_s:.1f} s{names}", flush=True)
            good += len(passed) == tests
    print(f"{good} of {runs} runs with {tests} of {tests}")
    return 0 if good == runs else 1


if __name__ == "__main__":
    sys.exit(main())
