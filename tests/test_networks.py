"""The public networks: each address parses, each record verifies, each fork identifier is known."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b32decode
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.eth import Chain, ForkID, fork_id_of
from p2p.networks import HOODI, MAINNET, SEPOLIA, Network

DATA: dict[str, Any] = json.loads(
    (Path(__file__).parent / "testdata" / "forkid.json").read_text(encoding="utf-8")
)
NETWORKS = {network.name: network for network in (MAINNET, SEPOLIA, HOODI)}
networks = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


@networks
def test_fork_id_at_the_newest_fork_is_known(network: Network) -> None:
    chain = network.chain
    block, time = max(chain.fork_blocks, default=0), chain.fork_times[-1]
    *_, (_, _, digits, following) = DATA["creation"][network.name]
    assert chain.fork_id(block, time) == ForkID(bytes.fromhex(digits), following)
    assert following == 0


@networks
def test_forks_are_in_order_and_after_genesis(network: Network) -> None:
    chain = network.chain
    assert list(chain.fork_times) == sorted(set(chain.fork_times))
    assert chain.fork_times[0] > max(chain.genesis_time, 1_600_000_000)
    assert network.genesis_hash == chain.genesis_hash and len(chain.genesis_hash) == 32


@networks
def test_bootstrap_nodes_can_be_reached_over_ip(network: Network) -> None:
    nodes = network.bootstrap_nodes
    assert len({node.id for node in nodes}) == len(network.bootstrap_urls) >= 3
    assert all(node.udp_endpoint and node.ip is not None and node.ip.is_global for node in nodes)
    assert [node.url for node in nodes] == list(network.bootstrap_urls)


@networks
def test_records_of_bootstrap_nodes_verify(network: Network) -> None:
    nodes = network.bootstrap_nodes_v5
    assert len({node.id for node in nodes}) == len(network.bootstrap_records) >= 10
    assert all(node.record is not None and node.udp_endpoint for node in nodes)
    assert [str(node) for node in nodes] == list(network.bootstrap_records)
    assert {fork_id_of(node) for node in nodes} == {None}  # as the module says


@networks
def test_urls_of_node_lists_have_a_key_and_a_name(network: Network) -> None:
    assert network.dns_trees
    for url in network.dns_trees:
        found = re.fullmatch(r"enrtree://([A-Z2-7]{53})@((?:[a-z0-9-]+\.)+[a-z]+)", url)
        assert found
        assert p2p.PublicKey.from_compressed(b32decode(found[1] + "==="))
        assert f".{network.name}." in found[2]


@networks
def test_source_has_a_commit_and_a_date(network: Network) -> None:
    assert re.search(r"\b[0-9a-f]{12}, 20[0-9]{2}-[0-9]{2}-[0-9]{2}$", network.source)


def test_networks_differ() -> None:
    assert len({network.network_id for network in NETWORKS.values()}) == 3
    assert len({network.genesis_hash for network in NETWORKS.values()}) == 3


def test_nodes_are_options_of_a_server() -> None:
    server = p2p.Server(
        private_key=p2p.generate_key(), name="test", max_peers=0,
        bootstrap_nodes=SEPOLIA.bootstrap_nodes, bootstrap_nodes_v5=SEPOLIA.bootstrap_nodes_v5,
    )  # fmt: skip
    assert tuple(server.config.bootstrap_nodes) == SEPOLIA.bootstrap_nodes


def test_import_parses_no_node() -> None:
    program = (
        "import p2p, p2p.networks as n\n"
        "assert n._nodes.cache_info().currsize == 0\n"
        "n.MAINNET.bootstrap_nodes\n"
        "assert n._nodes.cache_info().currsize == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_network_of_a_program() -> None:
    network = Network("own", 1337, Chain(bytes(32)), [MAINNET.bootstrap_urls[0]])
    assert network.bootstrap_urls == MAINNET.bootstrap_urls[:1]
    assert network.bootstrap_nodes == MAINNET.bootstrap_nodes[:1]
    assert network.bootstrap_nodes_v5 == ()
    assert repr(network) == "Network('own', id 1337)"


def test_text_that_is_no_node_is_refused_at_the_access() -> None:
    network = Network("own", 1337, Chain(bytes(32)), ["enode://x"])
    with pytest.raises(p2p.InvalidNode, match="node ID; got 'enode://x'"):
        _ = network.bootstrap_nodes


@pytest.mark.parametrize("name, number, text", [("", 1, "name: "), ("own", -1, "network_id: ")])
def test_refusal_names_the_argument(name: str, number: int, text: str) -> None:
    with pytest.raises(p2p.ArgumentError, match=f"^{text}wanted"):
        Network(name, number, Chain(bytes(32)))
