"""Node lists in DNS against a real name server, nsd, and against go-ethereum's dnsdisc."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.resolver
import pytest

import p2p
import p2p.testing
from p2p.dnsdisc import NodeLists, SignedTree, Tree
from p2p.dnsdisc.remotetree import RECHECK_INTERVAL_S
from p2p.dnsdisc.resolver import TextResolver
from p2p.eth import Chain, eth_entry, node_filter
from tests.dnsdisc.zone import KEY, records_of
from tests.kit.nodes import Nodes
from tests.kit.swarm import stay
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually

from .nsd import BROKEN, DOMAIN, PROGRAM, Nsd
from .program import Refused, StartProgram

StartNsd = Callable[[Mapping[str, Any]], Nsd]
OTHER = "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@morenodes.example.org"


@pytest.fixture
def start_nsd(tmp_path: Path) -> Iterator[StartNsd]:
    """A function that starts the name server with TXT records."""
    if PROGRAM is None:
        pytest.skip("nsd is missing: tests/interop/build.sh daemons installs it, as root on Debian")
    servers: list[Nsd] = []

    def start(records: Mapping[str, Any]) -> Nsd:
        servers.append(Nsd(tmp_path, records))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def signed(count: int, seq: int = 1, first: int = 0, links: tuple[str, ...] = ()) -> SignedTree:
    return Tree(seq, records_of(count, first), links).sign(KEY, DOMAIN)


def texts_of(count: int, first: int = 0) -> set[str]:
    return {str(record) for record in records_of(count, first)}


class FastClock(p2p.testing.SystemClock):
    """The system's monotonic clock, a thousand times as fast."""

    FACTOR = 1000.0

    def monotonic(self) -> float:
        return time.monotonic() * self.FACTOR

    def sleep_for(self, deadline: float) -> float | None:
        return max(0.0, deadline - self.monotonic()) / self.FACTOR


# look-ups


def test_texts_of_any_length_are_joined(start_nsd: StartNsd) -> None:
    texts = ["x", "y" * 255, "z" * 256, "w" * 700]
    names = [f"{number}.{DOMAIN}" for number in range(len(texts))]
    resolver = TextResolver(start_nsd(dict(zip(names, texts, strict=True))).resolver)
    assert [resolver.look_up(name) for name in names] == [[text] for text in texts]


def test_truncated_answer_is_asked_for_by_tcp(start_nsd: StartNsd) -> None:
    texts = [f"{number}" * 400 for number in range(4)]
    server = start_nsd({DOMAIN: texts})
    assert sorted(TextResolver(server.resolver).look_up(DOMAIN)) == texts
    query = dns.message.make_query(f"{DOMAIN}.", "TXT")
    assert dns.query.udp(query, "127.0.0.1", PATIENCE_S, server.port).flags & dns.flags.TC


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"none.{DOMAIN}", "the name does not exist"),
        (BROKEN, "SERVFAIL"),
        ("elsewhere.org", "REFUSED"),
    ],
)
def test_failure_of_a_look_up_is_an_os_error(start_nsd: StartNsd, name: str, words: str) -> None:
    resolver = TextResolver(start_nsd({DOMAIN: "text"}).resolver)
    with pytest.raises(OSError, match=f"cannot look up {name}: .*{words}"):
        resolver.look_up(name)


def test_silence_is_an_os_error_in_time(
    start_nsd: StartNsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.dnsdisc.resolver.LOOKUP_TIMEOUT_S", 0.2)
    server = start_nsd({DOMAIN: "text"})
    resolver = TextResolver(server.resolver)
    server.silence(True)
    with pytest.raises(OSError, match="no name server answers within"):
        resolver.look_up(DOMAIN)
    server.silence(False)
    monkeypatch.setattr("p2p.dnsdisc.resolver.LOOKUP_TIMEOUT_S", PATIENCE_S)
    assert resolver.look_up(DOMAIN) == ["text"]


# lists


def test_list_is_found_beside_other_records_of_its_domain(start_nsd: StartNsd) -> None:
    tree = signed(3)
    more = {DOMAIN: ["v=spf1 -all", tree.records[DOMAIN], "x" * 400, "y" * 400]}
    server = start_nsd({**tree.records, **more})  # too large for UDP
    with NodeLists([tree.url], resolver=server.resolver, clock=FastClock()) as lists:
        found = {str(node) for node in itertools.islice(lists.random_nodes(), 3)}
    assert found == texts_of(3)


@pytest.mark.parametrize("records", [{}, {DOMAIN: "v=spf1 -all"}], ids=["no root", "no tree"])
def test_list_that_is_published_later_is_found(start_nsd: StartNsd, records: Any) -> None:
    tree = signed(2)
    server = start_nsd(records)
    with NodeLists([tree.url], resolver=server.resolver, clock=FastClock()) as lists:
        reading = Call(next, lists.random_nodes())
        server.publish(tree.records)
        assert str(reading.result()) in texts_of(2)


def test_list_with_an_entry_that_is_missing_gives_the_others(start_nsd: StartNsd) -> None:
    tree = signed(3)
    records = dict(tree.records)
    (gone,) = [name for name, text in records.items() if text == str(records_of(1)[0])]
    del records[gone]
    server = start_nsd(records)
    with NodeLists([tree.url], resolver=server.resolver, clock=FastClock()) as lists:
        found = {str(node) for node in itertools.islice(lists.random_nodes(), 4)}
    assert found == texts_of(2, first=1)


def test_name_server_that_falls_silent_for_a_time(
    start_nsd: StartNsd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("p2p.dnsdisc.resolver.LOOKUP_TIMEOUT_S", 0.2)
    caplog.set_level(logging.DEBUG, "p2p.dnsdisc")
    tree = signed(3)
    server = start_nsd(tree.records)
    with NodeLists([tree.url], resolver=server.resolver, clock=FastClock()) as lists:
        nodes = lists.random_nodes()
        first = str(next(nodes))
        server.silence(True)
        reading = Call(lambda: {str(next(nodes)) for _ in range(3)})
        eventually(lambda: "no name server answers within" in caplog.text)
        assert reading.is_alive()
        server.silence(False)
        assert reading.result() | {first} == texts_of(3)


def test_root_that_changes_is_followed(start_nsd: StartNsd) -> None:
    old, new = signed(1), signed(1, seq=2, first=1)
    server, clock = start_nsd(old.records), p2p.testing.SimulatedClock()
    with NodeLists([old.url], resolver=server.resolver, clock=clock) as lists:
        nodes = lists.random_nodes()
        assert str(next(nodes)) in texts_of(1)
        server.publish(new.records)
        assert str(next(nodes)) in texts_of(1)  # not looked for yet

        def next_after_recheck() -> str:
            clock.advance(RECHECK_INTERVAL_S + 1.0)
            return str(next(nodes))

        while next_after_recheck() not in texts_of(1, first=1):
            pass  # for a moment the old process of nsd may still answer
        assert str(next(nodes)) in texts_of(1, first=1)


@pytest.mark.slow
def test_list_of_3000_nodes_is_found_whole(start_nsd: StartNsd) -> None:
    tree = signed(3000)
    server = start_nsd(tree.records)
    with NodeLists([tree.url], resolver=server.resolver, clock=FastClock()) as lists:
        nodes = lists.random_nodes()
        found: set[str] = set()
        while len(found) < 3000:
            found.add(str(next(nodes)))
    assert found == texts_of(3000)


# a server

CHAIN = Chain(b"\x01" * 32)
FOREIGN = Chain(b"\x02" * 32)


def test_server_dials_the_nodes_of_a_list_that_are_of_its_chain(
    nodes: Nodes, start_nsd: StartNsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(chain: Chain) -> p2p.Server:
        entry = {"eth": eth_entry(chain.fork_id(0, 0))}
        protocol = p2p.Protocol("test", 1, 8, stay, attributes=entry)
        return nodes.start(protocols=[protocol], no_dial=True)

    ours, theirs = [started(CHAIN) for _ in range(3)], [started(FOREIGN) for _ in range(3)]
    tree = Tree(1, [server.self for server in (*ours, *theirs)]).sign(KEY, DOMAIN)
    server = start_nsd(tree.records)
    monkeypatch.setattr(dns.resolver, "default_resolver", server.resolver)
    checked: set[p2p.NodeID] = set()
    is_ours = node_filter(CHAIN)

    def keep(node: p2p.Node) -> bool:
        checked.add(node.id)
        return is_ours(node)

    network = p2p.networks.Network("own", 1337, CHAIN, dns_trees=[tree.url])
    here = nodes.start(
        network=network, candidate_filter=keep, max_peers=30,
        protocols=[p2p.Protocol("test", 1, 8, stay)], clock=FastClock(),
    )  # fmt: skip
    eventually(lambda: {peer.id for peer in here.peers} == {server.self.id for server in ours})
    eventually(lambda: checked == {server.self.id for server in (*ours, *theirs)})
    assert [here.dial_attempts(server.self) for server in theirs] == [[]] * 3


# go-ethereum


class TestGo:
    """go-ethereum's builder and client of trees, and ours."""

    kind = "go"

    @pytest.mark.parametrize("count", [0, 1, 13, 14, 170, 3000])
    def test_trees_are_the_same(self, start_program: StartProgram, count: int) -> None:
        ours = signed(count, seq=7, links=(OTHER,))
        nodes = sorted(texts_of(count))
        theirs = start_program().ask(
            "make_tree", "tree",
            key=KEY.to_bytes().hex(), domain=DOMAIN, seq=7, nodes=nodes, links=[OTHER],
        )  # fmt: skip
        assert theirs["url"] == ours.url
        roots = {theirs["records"].pop(DOMAIN), ours.records[DOMAIN]}
        assert len({root.partition(" sig=")[0] for root in roots}) == 1
        assert theirs["records"] == {n: t for n, t in ours.records.items() if n != DOMAIN}

    def test_tree_of_ours_is_read_by_go(
        self, start_program: StartProgram, start_nsd: StartNsd
    ) -> None:
        tree = signed(300, seq=7, links=(OTHER,))
        server = start_nsd(tree.records)
        found = start_program().ask("sync_tree", "synced", url=tree.url, server=server.address)
        assert set(found["nodes"]) == texts_of(300)
        assert (found["seq"], found["links"]) == (7, [OTHER])

    def test_tree_of_ours_under_another_key_is_refused_by_go(
        self, start_program: StartProgram, start_nsd: StartNsd
    ) -> None:
        tree = signed(3)
        server = start_nsd(tree.records)
        url = f"{OTHER.partition('@')[0]}@{DOMAIN}"
        with pytest.raises(Refused, match="signature"):
            start_program().ask("sync_tree", "synced", url=url, server=server.address)

    def test_tree_of_go_is_read_by_us(
        self, start_program: StartProgram, start_nsd: StartNsd
    ) -> None:
        nodes = sorted(texts_of(300))
        theirs = start_program().ask(
            "make_tree", "tree",
            key=KEY.to_bytes().hex(), domain=DOMAIN, seq=7, nodes=nodes, links=[],
        )  # fmt: skip
        server = start_nsd(theirs["records"])
        found: set[str] = set()
        with NodeLists([theirs["url"]], resolver=server.resolver, clock=FastClock()) as lists:
            iterator = lists.random_nodes()
            while len(found) < 300:
                found.add(str(next(iterator)))
        assert found == set(nodes)
