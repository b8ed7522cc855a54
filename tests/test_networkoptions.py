"""The option ``network`` sets what is not given, for a server that can use it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.config import Config
from p2p.dial.candidatefilter import REFUSED
from p2p.eth import Chain, eth_entry, fork_id_of
from p2p.networks import HOODI, MAINNET, SEPOLIA, Network
from tests.kit.candidates import naming, refused, stranger
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S, eventually

CHAIN = Chain(b"\x01" * 32, fork_blocks=(5,), fork_times=(1_700_000_000, 1_800_000_000))
BOOT = stranger().with_endpoint("127.0.0.1", 1, 1)


def config(**options: Any) -> Config:
    chosen = {"private_key": p2p.generate_key(), "name": "test", "max_peers": 10}
    return Config(**{**chosen, "listen_addr": "127.0.0.1:0", **options})


@pytest.mark.parametrize("network", [MAINNET, SEPOLIA, HOODI], ids=str)
def test_network_sets_the_options_that_are_not_given(network: Network) -> None:
    made = config(network=network)
    assert made.bootstrap_nodes == network.bootstrap_nodes
    assert made.bootstrap_nodes_v5 == network.bootstrap_nodes_v5
    assert made.dns_discovery == network.dns_trees
    assert made.candidate_filter is not None
    assert not made.candidate_filter(BOOT)


@pytest.mark.parametrize("nodes", [[], [BOOT]], ids=["none", "one"])
def test_bootstrap_nodes_that_are_given_serve_both_protocols(nodes: list[p2p.Node]) -> None:
    made = config(network=SEPOLIA, bootstrap_nodes=nodes)
    assert made.bootstrap_nodes == tuple(nodes)
    assert made.bootstrap_nodes_v5 is None  # as without a network
    assert made.dns_discovery == SEPOLIA.dns_trees


def test_each_option_can_be_given() -> None:
    def everyone(node: p2p.Node) -> bool:
        return True

    url = HOODI.dns_trees[0]
    made = config(network=SEPOLIA, dns_discovery=[url], bootstrap_nodes_v5=[BOOT])
    assert (made.dns_discovery, made.bootstrap_nodes_v5) == ((url,), (BOOT,))
    assert made.bootstrap_nodes == SEPOLIA.bootstrap_nodes
    assert config(network=SEPOLIA, dns_discovery=[]).dns_discovery == ()
    assert config(network=SEPOLIA, candidate_filter=everyone).candidate_filter is everyone


@pytest.mark.parametrize("off", [{"listen_addr": None}, {"no_discovery": True}], ids=str)
def test_bootstrap_nodes_are_not_set_without_discovery(off: dict[str, Any]) -> None:
    made = config(network=SEPOLIA, **off)
    assert (made.bootstrap_nodes, made.bootstrap_nodes_v5) == ((), None)
    assert made.dns_discovery == SEPOLIA.dns_trees


def test_node_lists_are_not_set_for_a_server_that_dials_no_node() -> None:
    assert config(network=SEPOLIA, no_dial=True).dns_discovery == ()


def test_network_without_records_has_the_same_nodes_for_both_protocols() -> None:
    made = config(network=Network("own", 1337, CHAIN, [BOOT.url]))
    assert (made.bootstrap_nodes, made.bootstrap_nodes_v5) == ((BOOT,), None)


def test_without_a_network_nothing_is_set() -> None:
    made = config()
    assert (made.bootstrap_nodes, made.dns_discovery, made.candidate_filter) == ((), (), None)


@pytest.mark.parametrize("field", ["bootstrap_urls", "bootstrap_records"])
def test_wrong_text_of_a_network_is_refused_as_that_option(field: str) -> None:
    wrong = replace(SEPOLIA, **{field: ["enode://x"]})
    with pytest.raises(p2p.ConfigError, match="^network: "):
        config(network=wrong)


def test_node_lists_are_left_out_with_a_warning_if_dnspython_is_missing(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "dns", None)
    monkeypatch.delitem(sys.modules, "dns.resolver", raising=False)
    network = Network("own", 1337, CHAIN, dns_trees=SEPOLIA.dns_trees)
    words = "the node lists of network are not used: dnspython is not installed"
    nodes.start(network=replace(network, dns_trees=()))
    nodes.start(network=network, no_dial=True)
    nodes.start(network=network, dns_discovery=[])
    assert words not in caplog.messages
    assert nodes.start(network=network).config.dns_discovery is None
    assert words in caplog.messages


# the entry of our record


def entry(server: p2p.Server) -> bytes | None:
    assert server.self.record is not None
    return server.self.record.pairs.get(b"eth")


OWN = Network("own", 1337, CHAIN)


@pytest.mark.parametrize("time_unix", [1_600_000_000.5, 1_750_000_000.0])
def test_record_states_the_forks_of_the_time_of_the_start(nodes: Nodes, time_unix: float) -> None:
    clock = p2p.testing.SimulatedClock(start_unix=time_unix)
    server = nodes.start(network=OWN, clock=clock)
    assert fork_id_of(server.self) == CHAIN.fork_id_at(int(time_unix))


def test_entry_of_a_protocol_has_precedence(nodes: Nodes) -> None:
    ours = eth_entry(CHAIN.fork_id(5, 0))
    protocol = p2p.Protocol("eth", 68, 17, attributes={"eth": ours})
    server = nodes.start(network=OWN, protocols=[protocol])
    assert entry(server) == ours


def test_entry_can_be_replaced_and_removed(nodes: Nodes) -> None:
    server = nodes.start(network=OWN)
    server.set_entry("eth", eth_entry(CHAIN.fork_id(5, 0)))
    assert fork_id_of(server.self) == CHAIN.fork_id(5, 0)
    server.delete_entry("eth")
    assert entry(server) is None


def test_record_that_has_no_space_for_the_entry_is_refused() -> None:
    full = p2p.Protocol("test", 1, 1, attributes={"x": bytes(110)})
    config(protocols=[full])
    with pytest.raises(p2p.ConfigError, match="at most 300 allowed"):
        config(protocols=[full], network=OWN)


# two networks on one loopback network


@pytest.mark.slow
@pytest.mark.parametrize("version", ["discovery_v4", "discovery_v5"])
def test_servers_of_two_networks_find_their_own(nodes: Nodes, version: str) -> None:
    options: dict[str, Any] = {"no_discovery": False, "discovery_v4": False, "discovery_v5": False}
    options[version] = True
    boot = nodes.start(no_dial=True, **options)
    networks = [
        Network(f"net {number}", number, Chain(bytes([number] * 32)), [boot.self.url])
        for number in (1, 2)
    ]
    if version == "discovery_v5":
        networks = [replace(network, bootstrap_records=[str(boot.self)]) for network in networks]
    groups = [
        [
            nodes.start(network=network, max_peers=30, protocols=[naming(None)], **options)
            for _ in range(3)
        ]
        for network in networks
    ]
    for group in groups:
        ids = {server.self.id for server in group}
        for server in group:
            eventually(lambda s=server, w=ids: {p.id for p in s.peers} == w - {s.self.id})  # type: ignore[misc]
    for here, others in ((groups[0][0], groups[1]), (groups[1][0], groups[0])):
        eventually(lambda s=here: refused(s).get(REFUSED, 0) > 1)  # type: ignore[misc]
        assert [here.dial_attempts(other.self) for other in (boot, *others)] == [[]] * 4
    discovery = getattr(groups[0][0], version)
    found = discovery.request_enr(groups[1][0].self, PATIENCE_S)
    assert fork_id_of(found) == networks[1].chain.fork_id(0, 0)
