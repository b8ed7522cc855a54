"""The program chooses among the nodes that are found; its filter delays and breaks nothing."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.dial.candidatefilter import (
    MAX_CHECKS,
    NO_RECORD,
    REFUSED,
    CandidateFilter,
    OnRecord,
)
from p2p.enode.iterator import OnNode
from p2p.eth import Chain, eth_entry, node_filter
from p2p.netutil import Endpoint
from tests.kit import inspect
from tests.kit.candidates import naming, refused, stranger
from tests.kit.nodes import Nodes, assert_goes_on, key_far_from
from tests.kit.swarm import stay
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually

LOG = logging.getLogger("p2p").getChild("server")
HEAD = (0, 0)


def described(seq: int = 1, **entries: Any) -> p2p.Node:
    """A node with a record."""
    record = p2p.Record.sign(p2p.generate_key(), seq, {"ip": "127.0.0.1", "tcp": 1, **entries})
    return p2p.Node.from_record(record)


# the filter, on the loop of a server


class Checking:
    """A filter whose source and record requests are answered by the test."""

    def __init__(self, server: p2p.Server, keep: Callable[[p2p.Node], Any], records: bool) -> None:
        self._server = server
        self.clock = p2p.testing.SimulatedClock()
        self.waiting: list[OnNode] = []
        self.requests: dict[p2p.Node, OnRecord] = {}
        self.passed: list[p2p.Node] = []
        self.refused: list[tuple[p2p.Node, str]] = []
        self.filter = CandidateFilter(
            keep,
            self.waiting.append,
            self.requests.__setitem__ if records else None,
            lambda node, reason: self.refused.append((node, reason)),
            inspect.loop(server),
            self.clock,
            LOG,
        )
        self.filter.start()

    def ask(self) -> None:
        inspect.on_io(self._server, self.filter.ask, self.passed.append)

    def found(self, *nodes: p2p.Node) -> None:
        """Let the source answer its request, for each node."""
        for node in nodes:
            inspect.on_io(self._server, self.waiting.pop(), node)

    def settle(self) -> None:
        inspect.settle(self._server)

    def stop(self) -> None:
        thread = self.filter.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def check(nodes: Nodes, request: pytest.FixtureRequest) -> Callable[..., Checking]:
    def make(keep: Callable[[p2p.Node], Any], records: bool = True) -> Checking:
        checking = Checking(nodes.start(), keep, records)
        request.addfinalizer(checking.stop)
        return checking

    return make


def test_node_with_a_record_is_judged_as_it_is(check: Callable[..., Checking]) -> None:
    good, bad = described(good=1), described()
    checking = check(lambda node: b"good" in node.record.pairs)
    checking.ask()
    checking.found(bad, good)
    eventually(lambda: checking.passed == [good])
    assert checking.refused == [(bad, REFUSED)]
    assert checking.requests == {}


def test_node_without_a_record_is_asked_for_it_first(check: Callable[..., Checking]) -> None:
    judged: list[p2p.Node] = []
    checking = check(lambda node: judged.append(node) or True)
    found, silent = described(), stranger()
    asked = p2p.Node.from_parts(found.public_key, "127.0.0.1", 1)
    checking.ask()
    checking.found(silent, asked)
    assert list(checking.requests) == [silent, asked]
    checking.requests[silent](None, p2p.errors.NoResponse("not in this test"))
    checking.requests[asked](found, None)
    eventually(lambda: checking.passed == [found])
    assert checking.refused == [(silent, NO_RECORD)]
    assert judged == [found]


def test_node_without_a_record_is_refused_where_nobody_can_ask_for_it(
    check: Callable[..., Checking],
) -> None:
    checking, node = check(lambda node: True, records=False), stranger()
    checking.ask()
    checking.found(node)
    assert checking.refused == [(node, NO_RECORD)]


def test_number_of_checks_is_bounded(check: Callable[..., Checking]) -> None:
    checking = check(lambda node: True)
    checking.ask()
    nodes = [stranger() for _ in range(MAX_CHECKS)]
    checking.found(*nodes)
    assert list(checking.requests) == nodes
    assert checking.waiting == []  # no more nodes are wanted
    checking.requests[nodes[3]](None, p2p.errors.NoResponse("not in this test"))
    checking.settle()
    assert len(checking.waiting) == 1


def test_nothing_is_checked_unless_a_node_is_wanted(check: Callable[..., Checking]) -> None:
    checking, first, second = check(lambda node: True), described(), described()
    assert checking.waiting == []
    checking.ask()
    checking.found(first)
    eventually(lambda: checking.passed == [first])
    (late,) = checking.waiting  # asked while the first was checked
    checking.found(second)
    checking.settle()
    assert checking.waiting == []
    eventually(lambda: len(checking.filter._passed) == 1)
    checking.ask()
    assert checking.passed == [first, second]
    assert checking.waiting == []


def test_node_that_is_found_again_is_not_checked_again(check: Callable[..., Checking]) -> None:
    judged: list[p2p.Node] = []
    checking = check(judged.append)  # None: refused
    node = described()
    without = p2p.Node.from_parts(node.public_key, "127.0.0.1", 1)
    checking.ask()
    checking.found(without, without)
    assert list(checking.requests) == [without]
    checking.requests[without](node, None)
    eventually(lambda: checking.refused == [(node, REFUSED)])
    checking.found(without, node)
    assert checking.refused == [(node, REFUSED)] * 3
    assert judged == [node]


def test_child_of_a_filter_that_forks_ends(check: Callable[..., Checking]) -> None:
    pids: SimpleQueue[int] = SimpleQueue()

    def keep(node: p2p.Node) -> bool:
        pid = os.fork()
        if pid:
            pids.put(pid)
        return True

    checking, node = check(keep), described()
    checking.ask()
    checking.found(node)
    pid = pids.get(timeout=PATIENCE_S)
    try:
        eventually(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    eventually(lambda: checking.passed == [node])


@pytest.mark.parametrize("error", [ZeroDivisionError("planned"), SystemExit(3)], ids=repr)
def test_filter_that_raises_refuses_the_node_and_is_logged_with_its_line(
    check: Callable[..., Checking], caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    good, bad = described(), described()

    def keep(node: p2p.Node) -> bool:
        if node == bad:
            raise error
        return True

    checking = check(keep)
    checking.ask()
    checking.found(bad, good)
    eventually(lambda: checking.passed == [good])
    assert checking.refused == [(bad, REFUSED)]
    (line,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert line.exc_info is not None and line.exc_info[1] is error
    assert f"candidate_filter failed at {__file__}:" in line.getMessage()
    assert f"for node {bad.id.short}, which is not dialed" in line.getMessage()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_log_that_fails_ends_no_check(check: Callable[..., Checking]) -> None:
    class Failing(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise ZeroDivisionError("planned")

    good, bad, failing = described(), described(), Failing()
    checking = check(lambda node: node == good or 1 // 0)
    LOG.addHandler(failing)
    try:
        checking.ask()
        checking.found(bad, good)
        eventually(lambda: checking.passed == [good])
        assert checking.refused == [(bad, REFUSED)]
    finally:
        LOG.removeHandler(failing)


def test_errors_of_the_filter_are_logged_at_a_limited_rate(
    check: Callable[..., Checking], caplog: pytest.LogCaptureFixture
) -> None:
    checking = check(lambda node: 1 // 0)
    checking.ask()
    for number in range(20):
        checking.found(described())
        eventually(lambda n=number: len(checking.refused) == n + 1)  # type: ignore[misc]
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 5


def test_filter_that_runs_nothing_refuses_the_node(
    check: Callable[..., Checking], caplog: pytest.LogCaptureFixture
) -> None:
    async def keep(node: p2p.Node) -> bool:
        return True

    checking, node = check(lambda node: keep(node)), described()
    checking.ask()
    checking.found(node)
    eventually(lambda: checking.refused == [(node, REFUSED)])
    assert "candidate_filter has run nothing" in caplog.text


# in a server

CHAIN = Chain(b"\x01" * 32, fork_times=(1_700_000_000,))
OTHER = Chain(b"\x02" * 32)


def of_chain(chain: Chain, **options: Any) -> dict[str, Any]:
    """Options of a server that states its chain, and dials nobody."""
    attributes = {"eth": eth_entry(chain.fork_id(*HEAD))}
    protocol = p2p.Protocol("test", 1, 8, stay, attributes=attributes)
    return {"protocols": [protocol], "no_dial": True, "no_discovery": False, **options}


@pytest.mark.slow
@pytest.mark.parametrize("version", ["discovery_v4", "discovery_v5"])
def test_only_nodes_of_the_own_chain_are_dialed(nodes: Nodes, version: str) -> None:
    only = {"discovery_v4": False, "discovery_v5": False, version: True}
    boot = nodes.start(no_discovery=False, no_dial=True, **only)
    common: dict[str, Any] = {"bootstrap_nodes": [boot.self], **only}
    chains = [CHAIN, CHAIN, OTHER, OTHER]
    started = [
        nodes.start(private_key=key_far_from(boot.self), **of_chain(chain), **common)
        for chain in chains
    ]
    ours, theirs = started[:2], started[2:]
    checked: set[p2p.NodeID] = set()

    def keep(node: p2p.Node) -> bool:
        checked.add(node.id)
        return is_of_chain(node)

    is_of_chain = node_filter(CHAIN)
    here = nodes.start(
        **of_chain(CHAIN, no_dial=False), **common, candidate_filter=keep, max_peers=30
    )
    everyone = {server.self.id for server in (boot, *ours, *theirs)}
    eventually(lambda: {server.self.id for server in ours} <= {p.id for p in here.peers})
    eventually(lambda: checked >= everyone)
    eventually(lambda: refused(here).get(REFUSED, 0) >= 3)
    assert {peer.id for peer in here.peers} == {server.self.id for server in ours}
    for server in (boot, *theirs):
        assert here.dial_attempts(server.self) == []
    assert here.connect(theirs[0].self)  # the program's own choice


def test_filter_is_not_asked_about_nodes_of_the_program(nodes: Nodes) -> None:
    asked: list[p2p.Node] = []
    static, own, other = nodes.start(), nodes.start(), nodes.start()
    here = nodes.start(
        static_nodes=[static.self],
        protocols=[naming([own.self])],
        candidate_filter=asked.append,
        no_discovery=False,
    )
    here.connect(other.self)
    eventually(lambda: here.peer_count == 3)
    assert asked == []
    assert "p2p-filter" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.slow
def test_stop_names_the_filter_that_does_not_return(nodes: Nodes) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def keep(node: p2p.Node) -> bool:
        begun.set()
        return go_on.wait(PATIENCE_S)

    options: dict[str, Any] = {"no_discovery": False, "protocols": [naming(None)]}
    boot = nodes.start(**options)
    here = nodes.start(**options, bootstrap_nodes=[boot.self], candidate_filter=keep)
    assert begun.wait(PATIENCE_S)
    assert here.connect(nodes.start().self)  # dials of the program go on
    assert_goes_on(here.stop(timeout=0.3), "p2p-filter")
    go_on.set()


@pytest.mark.slow
def test_filter_that_stops_the_server_during_a_stop_does_not_wait_for_it(nodes: Nodes) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def keep(node: p2p.Node) -> bool:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return bool(here.stop())

    boot = nodes.start(no_discovery=False, no_dial=True)
    here = nodes.start(no_discovery=False, bootstrap_nodes=[boot.self], candidate_filter=keep)
    assert begun.wait(PATIENCE_S)
    stopping = Call(here.stop)
    eventually(lambda: "stopping" in repr(here))
    go_on.set()
    assert stopping.result() == []


@pytest.mark.slow
def test_talk_handler_that_stops_the_server_during_a_stop_does_not_wait_for_it(
    nodes: Nodes,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        here.stop()
        return b""

    there, here = nodes.start(no_discovery=False), nodes.start(no_discovery=False)
    assert there.discovery_v5 is not None and here.discovery_v5 is not None
    here.discovery_v5.on_talk("x", answer)
    asking = Call(there.discovery_v5.talk, here.self, "x", b"")
    assert begun.wait(PATIENCE_S)
    stopping = Call(here.stop)
    eventually(lambda: "stopping" in repr(here))
    go_on.set()
    assert stopping.result() == []
    asking.outcome()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (3, "candidate_filter must be callable"),
        (lambda: True, r"candidate_filter must be callable as candidate_filter\(node\)"),
        (lambda node: (yield), "a generator function"),
    ],
    ids=["no function", "no argument", "generator"],
)
def test_wrong_filter_is_refused_when_it_is_given(nodes: Nodes, wrong: Any, words: str) -> None:
    with pytest.raises(p2p.ConfigError, match=words):
        nodes.new(candidate_filter=wrong)
