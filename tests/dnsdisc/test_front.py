"""Node lists in DNS with a real resolver and a real name server, and in a server."""

from __future__ import annotations

import gc
import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import dns.rcode
import dns.resolver
import pytest

import p2p
from p2p.clock import SimulatedClock
from p2p.dnsdisc.client import MAX_TREES, STEPS_PER_S
from p2p.dnsdisc.front import NodeLists
from p2p.dnsdisc.remotetree import RECHECK_INTERVAL_S
from p2p.dnsdisc.resolver import TextResolver
from p2p.dnsdisc.tree import Tree
from tests.dnsdisc.zone import OTHER_KEY, records_of, tree
from tests.kit.nameserver import NameServer, name_server
from tests.kit.nodes import Nodes
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually, pass_until

DOMAIN = "nodes.example.org"


@contextmanager
def lists_of(url: str, server: NameServer, clock: Any = None) -> Iterator[NodeLists]:
    lists = NodeLists([url], clock=clock, resolver=server.resolver)
    lists.start()
    try:
        yield lists
    finally:
        assert lists.stop(PATIENCE_S) == []


def node_of(lists: NodeLists) -> p2p.Node:
    found: SimpleQueue[p2p.Node] = SimpleQueue()
    lists._ask(found.put)
    return found.get(timeout=PATIENCE_S)


def settle(lists: NodeLists) -> None:
    """Let the look-up under way end."""
    walker = lists._walker
    eventually(lambda: not walker.loop.call(lambda: walker._is_looking_up))


# look-ups


def look_up(value: object) -> list[str]:
    with name_server({DOMAIN: value}) as server:
        return TextResolver(server.resolver).look_up(DOMAIN)


def test_strings_of_a_record_are_joined() -> None:
    text = "x" * 400
    assert look_up(text) == [text]


def test_all_records_of_a_name_are_returned() -> None:
    assert sorted(look_up(["v=spf1 -all", "text"])) == ["text", "v=spf1 -all"]


def test_truncated_answer_is_asked_for_by_tcp() -> None:
    texts = [f"{number}" * 400 for number in range(4)]
    with name_server({DOMAIN: texts}) as server:
        assert sorted(TextResolver(server.resolver).look_up(DOMAIN)) == texts
        assert server.asked == [(DOMAIN, "udp"), (DOMAIN, "tcp")]


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_failure_of_a_look_up_is_an_os_error_with_the_name(rcode: dns.rcode.Rcode) -> None:
    with pytest.raises(OSError, match=f"cannot look up {DOMAIN}"):
        look_up(rcode)


def test_name_without_records_is_an_os_error() -> None:
    with pytest.raises(OSError, match="has no TXT records"):
        look_up(dns.rcode.NOERROR)


def test_silent_name_server_is_an_os_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.dnsdisc.resolver.LOOKUP_TIMEOUT_S", 0.1)
    with pytest.raises(OSError, match="no name server answers within"):
        look_up(None)


# lists


def test_nodes_of_a_list_are_found() -> None:
    published = tree(DOMAIN, records_of(3))
    with name_server(published.records) as server, lists_of(published.url, server) as lists:
        found = {str(node_of(lists)) for _ in range(3)}
    assert found == {str(record) for record in records_of(3)}


def test_nothing_is_looked_up_before_a_node_is_wanted() -> None:
    published = tree(DOMAIN, records_of(1))
    with name_server(published.records) as server, lists_of(published.url, server) as lists:
        lists._walker.loop.call(int)
        assert server.asked == []
        node_of(lists)
        count = len(server.asked)
        lists._walker.loop.call(int)
        assert len(server.asked) == count


@pytest.mark.parametrize("value", [dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, "garbage", "\\255"])
def test_failed_look_up_is_made_again_after_a_pause(value: object) -> None:
    published = tree(DOMAIN, records_of(1))
    clock = SimulatedClock()
    with name_server(published.records) as server, lists_of(published.url, server, clock) as lists:
        server.records[DOMAIN] = value  # type: ignore[assignment]
        found: SimpleQueue[p2p.Node] = SimpleQueue()
        lists._ask(found.put)
        eventually(lambda: server.names() == [DOMAIN])
        server.records[DOMAIN] = published.records[DOMAIN]
        pass_until(clock, lambda: not found.empty(), lambda: settle(lists))
        assert found.get(timeout=PATIENCE_S).record == records_of(1)[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (dns.rcode.NXDOMAIN, "cannot look up nodes.example.org: the name does not exist"),
        (Tree(1, []).sign(OTHER_KEY, DOMAIN).records[DOMAIN], "is refused: "),
    ],
    ids=["no such name", "another key"],
)
def test_first_failure_of_a_list_is_a_warning(
    value: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The next ones are not, and neither is that of an entry."""
    caplog.set_level(logging.DEBUG, "p2p.dnsdisc")
    published = tree(DOMAIN, records_of(1))
    clock = SimulatedClock()
    with name_server(published.records) as server, lists_of(published.url, server, clock) as lists:
        server.records[DOMAIN] = value
        lists._ask(SimpleQueue().put)
        pass_until(clock, lambda: len(server.names()) > 2, lambda: settle(lists))
    first, *more = [(line.levelname, line.getMessage()) for line in caplog.records]
    assert first[0] == "WARNING" and first[1].startswith(f"no nodes of the list {DOMAIN} yet: ")
    assert reason in first[1]
    assert {level for level, _ in more} == {"DEBUG"}


def test_new_root_is_found() -> None:
    old, new = tree(DOMAIN, records_of(1)), tree(DOMAIN, records_of(1, first=1), seq=2)
    clock = SimulatedClock()
    with name_server(old.records) as server, lists_of(old.url, server, clock) as lists:
        assert node_of(lists).record == records_of(1)[0]
        server.records.update({name.lower(): text for name, text in new.records.items()})
        clock.advance(RECHECK_INTERVAL_S + 1 / STEPS_PER_S)
        assert node_of(lists).record == records_of(1, first=1)[0]


def test_look_up_that_hangs_is_given_up_by_a_stop() -> None:
    published = tree(DOMAIN, records_of(1))
    with name_server({DOMAIN: None}) as server:
        server.retry_s = 0.1
        with lists_of(published.url, server) as lists:
            lists._ask(lambda node: None)
            eventually(lambda: server.asked)
            assert lists.stop(PATIENCE_S) == []
            assert is_looking_up()  # the stop has not waited for it
            answer_next_try(server)


def answer_next_try(server: NameServer) -> None:
    """End the look-up that hangs, while the name server is there to be asked again."""
    server.records[DOMAIN] = dns.rcode.NXDOMAIN
    eventually(lambda: not is_looking_up())


def is_looking_up() -> bool:
    return "p2p-names" in [thread.name for thread in threading.enumerate()]


def test_end_without_a_start() -> None:
    with name_server({}) as server:
        url = tree(DOMAIN, []).url
        lists = NodeLists([url], resolver=server.resolver)
        assert lists.stop(PATIENCE_S) == []
        lists._ask(lambda node: None)
        assert server.asked == []


# an iterator, for a program without a server


def test_nodes_are_iterated_over_again_and_again() -> None:
    published = tree(DOMAIN, records_of(3))
    with name_server(published.records) as server:
        with p2p.dnsdisc.NodeLists([published.url], resolver=server.resolver) as lists:
            found = [str(node) for node in itertools.islice(lists.random_nodes(), 7)]
    assert set(found) == {str(record) for record in records_of(3)}


def test_threads_share_an_iterator_or_have_their_own() -> None:
    published = tree(DOMAIN, records_of(4))
    with name_server(published.records) as server, lists_of(published.url, server) as lists:
        shared = lists.random_nodes()
        calls = [Call(next, shared), Call(next, shared), Call(next, lists.random_nodes())]
        assert {str(call.result()) for call in calls} <= {str(r) for r in records_of(4)}


@pytest.mark.parametrize("way", ["close", "stop"])
def test_waiting_reader_is_woken_by(way: str) -> None:
    published = tree(DOMAIN, records_of(1))
    with name_server({DOMAIN: dns.rcode.NXDOMAIN}) as server:
        with lists_of(published.url, server) as lists:
            nodes = lists.random_nodes()
            reading = Call(next, nodes, None)
            eventually(lambda: server.asked)
            if way == "close":
                nodes.close()
            else:
                lists.stop()
            assert reading.result() is None
            assert next(nodes, None) is None


def test_stop_does_not_keep_readers_waiting_for_a_look_up_that_hangs() -> None:
    with name_server({DOMAIN: None}) as server:
        server.retry_s = 0.1
        with lists_of(tree(DOMAIN, records_of(1)).url, server) as lists:
            reading = Call(next, lists.random_nodes(), None)
            eventually(lambda: server.asked)
            assert lists.stop(PATIENCE_S) == []
            assert reading.result() is None
            assert is_looking_up()
            answer_next_try(server)


def test_iterator_raises_after_a_crash() -> None:
    def fail(name: str, *more: object, **options: object) -> list[object]:
        raise SystemExit("planned")

    class Broken:
        resolve = staticmethod(fail)

    with NodeLists([tree(DOMAIN, []).url], resolver=Broken()) as lists:
        nodes = lists.random_nodes()
        with pytest.raises(p2p.LoopCrashed, match="p2p-dns died of SystemExit"):
            next(nodes)
        with pytest.raises(p2p.LoopCrashed):
            next(lists.random_nodes())


def test_order_of_start_and_stop() -> None:
    with name_server({}) as server:
        lists = NodeLists([tree(DOMAIN, []).url], resolver=server.resolver)
        with pytest.raises(p2p.errors.ServerStateError, match="not started"):
            lists.random_nodes()
        with lists:
            with pytest.raises(p2p.errors.ServerStateError, match="cannot start"):
                lists.start()
            nodes = lists.random_nodes()
        assert list(nodes) == list(lists.random_nodes()) == []
        with pytest.raises(p2p.errors.ServerStateError, match="cannot start"):
            lists.start()


def test_lists_that_the_program_has_lost_are_stopped_with_a_warning() -> None:
    with name_server({}) as server:
        lists = NodeLists([tree(DOMAIN, []).url], resolver=server.resolver)
        lists.start()
        loop, nodes = lists._walker.loop, lists.random_nodes()
        with pytest.warns(ResourceWarning, match="<NodeLists, enrtree://.*> was running"):
            del lists
            gc.collect()
        assert next(nodes, None) is None
        assert loop.join(PATIENCE_S)


@pytest.mark.parametrize(
    ("urls", "error"),
    [
        (["enrtree://x"], p2p.errors.InvalidTree),
        ([], p2p.ArgumentError),
        (3, p2p.errors.ArgumentTypeError),
        ("enrtree://x", p2p.errors.ArgumentTypeError),
        ([tree(DOMAIN, []).url] * (MAX_TREES + 1), p2p.ArgumentError),
    ],
    ids=["no-url", "none", "number", "text", "many"],
)
def test_wrong_urls_are_refused(urls: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        NodeLists(urls)


def test_resolver_that_is_none_is_refused() -> None:
    """The address of a name server, say."""
    with pytest.raises(p2p.errors.ArgumentTypeError, match="^resolver: wanted a dns.resolver"):
        NodeLists([tree(DOMAIN, []).url], resolver="192.0.2.1")  # type: ignore[arg-type]


# in a server


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """A name server that dnspython asks by default."""
    with name_server({}) as server:
        server.retry_s = 0.1
        monkeypatch.setattr(dns.resolver, "default_resolver", server.resolver)
        yield server


def publish(server: NameServer, *nodes: p2p.Node) -> str:
    """Publish a list of nodes. Returns its URL."""
    published = tree(DOMAIN, [node.record for node in nodes if node.record is not None])
    server.records.update({name.lower(): text for name, text in published.records.items()})
    return published.url


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"listen_addr": None}, {"no_discovery": False}], ids=str)
def test_server_dials_a_node_that_is_in_a_list_only(
    nodes: Nodes, resolver: NameServer, options: dict[str, Any]
) -> None:
    talks = nodes.talks()
    there = nodes.start(protocols=[talks.protocol()])
    url = publish(resolver, there.self)
    here = nodes.start(name="here", dns_discovery=[url], **options)
    assert talks.next().peer.name == "here"
    eventually(lambda: [peer.id for peer in here.peers] == [there.self.id])


@pytest.mark.slow
def test_server_dials_the_nodes_of_a_list_that_its_filter_chooses(
    nodes: Nodes, resolver: NameServer
) -> None:
    chosen, other = nodes.start(no_dial=True), nodes.start(no_dial=True)
    url = publish(resolver, chosen.self, other.self)
    asked: set[p2p.NodeID] = set()

    def keep(node: p2p.Node) -> bool:
        asked.add(node.id)
        return node.id == chosen.self.id

    here = nodes.start(dns_discovery=[url], candidate_filter=keep)
    eventually(lambda: [peer.id for peer in here.peers] == [chosen.self.id])
    eventually(lambda: asked == {chosen.self.id, other.self.id})
    assert here.dial_attempts(other.self) == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"no_dial": True}, {"max_peers": 0}], ids=str)
def test_server_without_a_free_slot_looks_nothing_up(
    nodes: Nodes, resolver: NameServer, options: dict[str, Any]
) -> None:
    server = nodes.start(dns_discovery=[publish(resolver)], **options)
    assert server.stop() == []
    assert resolver.asked == []


@pytest.mark.slow
def test_protocol_with_candidates_of_its_own_replaces_the_lists(
    nodes: Nodes, resolver: NameServer
) -> None:
    protocol = nodes.talks().protocol(dial_candidates=())
    server = nodes.start(protocols=[protocol], dns_discovery=[publish(resolver)])
    assert server.stop() == []
    assert resolver.asked == []


@pytest.mark.slow
def test_lists_without_dials_are_a_warning(
    nodes: Nodes, resolver: NameServer, caplog: pytest.LogCaptureFixture
) -> None:
    nodes.start(dns_discovery=[publish(resolver)], no_dial=True)
    assert "dns_discovery is ignored: no_dial is set" in caplog.messages


@pytest.mark.slow
def test_stop_of_a_server_does_not_wait_for_a_look_up_that_hangs(
    nodes: Nodes, resolver: NameServer
) -> None:
    url = publish(resolver)
    resolver.records[DOMAIN] = None
    dns.resolver.get_default_resolver().timeout = 0.1
    server = nodes.start(dns_discovery=[url])
    eventually(lambda: resolver.asked)
    assert server.stop(PATIENCE_S) == []
    assert is_looking_up()
    answer_next_try(resolver)


@pytest.mark.slow
def test_missing_configuration_of_name_servers_is_a_warning(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dns.resolver, "default_resolver", None)
    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", _not_configured)
    server = nodes.start(dns_discovery=[tree(DOMAIN, records_of(1)).url])
    assert server.stop() == []
    assert [line for line in caplog.messages if "no name server is configured" in line]


def _not_configured(self: dns.resolver.Resolver, file: object) -> None:
    raise dns.resolver.NoResolverConfiguration("planned")


PROGRAM = """\
import sys
sys.modules["dns.resolver"] = sys.modules["dns"] = None
import p2p
try:
    p2p.Server(private_key=p2p.generate_key(), name="x", max_peers=1, dns_discovery=[sys.argv[1]])
except p2p.errors.ConfigError as error:
    print(error)
p2p.Server(private_key=p2p.generate_key(), name="x", max_peers=1)
"""


def test_missing_dnspython_is_named_with_the_way_to_install_it() -> None:
    command = [sys.executable, "-c", PROGRAM, tree(DOMAIN, records_of(1)).url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (
        run.stdout
        == "node lists in DNS (dns_discovery) need dnspython: pip install 'p2p-blocking[dns]'\n"
    )
    assert run.returncode == 0, run.stderr


def test_dnspython_is_not_imported_without_lists() -> None:
    program = "import sys, p2p.server; print('dns' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr
