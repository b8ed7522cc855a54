"""The suites by name, and their run. The thread of the caller; it blocks.

A node drops a second connection from the same address within 30 s, except on a LAN (go-ethereum's
throttle of inbound connections), so the cases of RLPx are that far apart elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from p2p.arguments import BYTES, check_each, check_type, wrong, wrong_type
from p2p.clock import SYSTEM_CLOCK, Clock, nonnegative_timeout
from p2p.enode import Node
from p2p.errors import P2PError
from p2p.netutil import is_lan
from p2p.testing.conformance import discv4, discv5, rlpx
from p2p.testing.conformance.case import ANSWER_S, Case, Result, Skip, Target, Verdict

#: Cases of each suite, in the order of their run.
SUITES: Mapping[str, Sequence[Case]] = MappingProxyType(
    {"rlpx": tuple(rlpx.cases), "discv4": tuple(discv4.cases), "discv5": tuple(discv5.cases)}
)
#: Pause between connections to a node that is not on a LAN, in seconds.
THROTTLE_S = 31.0
_NAMES = "names of cases, or None"


def run_suite(
    suite: str, node: Node, only: Collection[str] | None = None, answer_s: float = ANSWER_S
) -> Iterator[Result]:
    """Run the cases of ``suite`` against ``node``; yield each result as soon as it is there::

        for result in p2p.testing.conformance.run_suite("rlpx", node):
            print(result)

    ``only`` are the names of cases to run, by default all. ``answer_s`` is the limit in seconds on
    the wait for each answer. Raises ArgumentError for an unknown suite or case, and for a node
    without an address or a port of the suite's protocol. Any thread, which blocks meanwhile.
    """
    check_type("suite", suite, str, f"one of {', '.join(SUITES)}")
    if suite not in SUITES:
        raise wrong("suite", suite, f"one of {', '.join(SUITES)}")
    check_type("node", node, Node, "a Node")
    target = Target(node, nonnegative_timeout(answer_s))
    endpoint = node.tcp_endpoint if suite == "rlpx" else node.udp_endpoint
    if endpoint is None:
        port = "TCP" if suite == "rlpx" else "UDP"
        raise wrong("node", node, f"a node with an address and a {port} port")
    if only is not None:
        if isinstance(only, (str, *BYTES)) or not isinstance(only, Collection):
            raise wrong_type("only", only, _NAMES)
        check_each("only", tuple(only), str, _NAMES)
    names = {case.name for case in SUITES[suite]}
    for name in only or ():
        if name not in names:
            raise wrong("only", name, f"names of cases of {suite}: {', '.join(sorted(names))}")
    cases = [case for case in SUITES[suite] if only is None or case.name in only]
    pause_s = THROTTLE_S if suite == "rlpx" and not is_lan(endpoint.ip) else 0.0
    return _run(cases, target, pause_s)


def _run(cases: Sequence[Case], target: Target, pause_s: float) -> Iterator[Result]:
    for number, case in enumerate(cases):
        if number and pause_s:
            time.sleep(pause_s)
        yield run_case(case, target)


def run_case(case: Case, target: Target, clock: Clock = SYSTEM_CLOCK) -> Result:
    """Run one case; an error of the network, or of the library about the node, is a failure."""
    begun = clock.monotonic()
    verdict, detail = Verdict.PASSED, ""
    try:
        case.run(target)
    except Skip as error:
        verdict, detail = Verdict.SKIPPED, str(error)
    except (AssertionError, P2PError, OSError) as error:
        verdict, detail = Verdict.FAILED, str(error) or type(error).__name__
    return Result(case, verdict, detail, clock.monotonic() - begun)
