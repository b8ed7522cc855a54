"""The programs of the how-to about Sepolia, on a network of this name on loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.resolver
import pytest

import p2p
from p2p.dial.candidatefilter import REFUSED
from p2p.eth import Chain, fork_id_of
from p2p.networks import HOODI, SEPOLIA, Network
from tests.dnsdisc.zone import tree
from tests.kit.candidates import naming, refused
from tests.kit.nameserver import name_server
from tests.kit.nodes import Nodes
from tests.kit.waiting import eventually

from .test_documents import DOCS, sources

DOCUMENT = "howto/sepolia.md"


def names_of(number: int, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a program of the how-to, with the names of those before."""
    names = {} if names is None else names
    exec(sources(DOCUMENT)[number], names)
    return names


@pytest.fixture
def local(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Network:
    """Sepolia with a bootstrap node on loopback and without a list, in place of the real one."""
    boot = nodes.start(no_discovery=False, no_dial=True)
    urls, records = [boot.self.url], [str(boot.self)]
    network = replace(SEPOLIA, bootstrap_urls=urls, bootstrap_records=records, dns_trees=())
    monkeypatch.setattr(p2p.networks, "SEPOLIA", network)
    return network


@contextmanager
def node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The first program of the how-to in a folder of its own, with its server running."""
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        names = names_of(0)
        with names["server"]:
            yield names


def known(server: p2p.Server) -> set[p2p.NodeID]:
    assert server.discovery_v4 is not None
    return {node.id for node in server.discovery_v4.nodes()}


def ids(*programs: dict[str, Any]) -> set[p2p.NodeID]:
    return {names["server"].self.id for names in programs}


@pytest.mark.slow
def test_nodes_find_each_other_and_no_node_of_another_chain(
    local: Network,
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other, boot = replace(local, chain=HOODI.chain), local.bootstrap_nodes[0]
    foreign = nodes.start(
        network=other, no_discovery=False, no_dial=True, protocols=[naming(None, "eth")]
    )
    with node(tmp_path / "a", monkeypatch) as one, node(tmp_path / "b", monkeypatch) as two:
        eventually(lambda: {peer.id for peer in one["server"].peers} == ids(two))
        shown = ""

        def both_have_said_so() -> bool:
            nonlocal shown
            shown += capsys.readouterr().out
            return shown.count("node: same forks\n") == 2

        eventually(both_have_said_so)
        eventually(lambda: {boot.id, foreign.self.id} <= known(one["server"]))
        # those two, each time that a walk finds them
        eventually(lambda: refused(one["server"]).get(REFUSED, 0) > 2)
        assert one["server"].dial_attempts(foreign.self) == []
        assert (tmp_path / "a" / "nodes.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["network_id", "genesis", "fork"])
def test_handler_leaves_a_peer_of_another_chain(
    local: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    others: dict[str, Network] = {
        "network_id": replace(local, network_id=1),
        "genesis": replace(local, chain=HOODI.chain),
        "fork": replace(local, chain=Chain(local.genesis_hash, [1])),
    }
    with node(tmp_path / "a", monkeypatch) as here:
        monkeypatch.setattr(p2p.networks, "SEPOLIA", others[change])
        with node(tmp_path / "b", monkeypatch) as there:
            there["HEAD"] = 5  # past the fork
            peer = there["server"].connect(here["server"].self)
            eventually(lambda: peer.disconnect_reason is not None)
            assert peer.disconnect_reason is not None
            assert peer.disconnect_reason.reason == p2p.DiscReason.USELESS_PEER


@pytest.mark.slow
def test_record_and_filter_follow_the_head(
    local: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with node(tmp_path / "a", monkeypatch) as names:
        names_of(1, names)
        assert names["candidate_filter"](names["server"].self)
        names_of(2, names)
        assert fork_id_of(names["server"].self) == local.chain.fork_id(0, 0)
        names["HEAD"], names["HEAD_TIME"] = 2_000_000, local.chain.fork_times[0]
        assert names["candidate_filter"](names["server"].self)
        names_of(2, names)
        assert fork_id_of(names["server"].self) == local.chain.fork_id(*names["head"]())


def test_fork_is_added(local: Network) -> None:
    newer = names_of(3, {"SEPOLIA": local})["newer"]
    assert newer.chain.fork_times == (*local.chain.fork_times, 1_900_000_000)
    assert newer.chain.fork_id(0, 0) == local.chain.fork_id(0, 0)
    assert newer.bootstrap_nodes == local.bootstrap_nodes


def test_network_of_a_program(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False)
    devnet = names_of(4, {"p2p": p2p, "server": server})["devnet"]
    node = nodes.start(network=devnet, no_discovery=False)
    assert [boot.id for boot in node.config.bootstrap_nodes or ()] == [server.self.id]
    assert fork_id_of(node.self) is not None


@pytest.mark.slow
def test_list_is_read_without_a_server(
    local: Network,
    nodes: Nodes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = nodes.start(network=local)
    published = tree("nodes.example.org", [server.self])
    with name_server(published.records) as dns_server:
        monkeypatch.setattr(dns.resolver, "default_resolver", dns_server.resolver)
        listed = replace(local, dns_trees=[published.url])
        names_of(5, {"p2p": p2p, "SEPOLIA": listed})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"127.0.0.1 {fork_id_of(server.self)}"] * 10


def test_document_has_no_other_program() -> None:
    assert len(sources(DOCUMENT)) == 6
    text = (DOCS / DOCUMENT).read_text(encoding="utf-8")
    options = re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    assert options == ["bootstrap_nodes", "dns_discovery", "candidate_filter"]
    assert all(hasattr(p2p.Config, option) for option in options)
