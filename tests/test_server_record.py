"""The record of a running server: its entries follow the program, and other nodes learn of them."""

from __future__ import annotations

import pytest

import p2p
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S


def entry(node: p2p.Node) -> bytes | None:
    assert node.record is not None
    return node.record.pairs.get(b"key")


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_entry_is_known_to_those_who_ask(nodes: Nodes, version: str) -> None:
    server, asking = nodes.start(no_discovery=False), nodes.start(no_discovery=False)
    before = server.self
    discovery = getattr(asking, f"discovery_{version}")
    assert entry(discovery.request_enr(before, PATIENCE_S)) is None
    server.set_entry("key", [1, b"two"])
    found = discovery.request_enr(before, PATIENCE_S)
    assert entry(found) == p2p.rlp.encode([1, b"two"])
    assert found == server.self
    assert discovery.ping(before, PATIENCE_S) == before.seq + 1
    server.delete_entry("key")
    found = discovery.request_enr(before, PATIENCE_S)
    assert entry(found) is None
    assert found.seq == before.seq + 2


def test_number_grows_only_with_a_change(nodes: Nodes) -> None:
    server = nodes.start()
    before = server.self
    server.delete_entry("key")
    assert server.self == before
    server.set_entry("key", 1)
    after = server.self
    assert after.seq == before.seq + 1
    server.set_entry("key", 1)
    assert server.self == after
    server.set_entry("key", 2)  # nobody has seen it
    server.set_entry("key", 1)
    assert server.self == after


def test_number_is_above_the_last_one_after_a_restart(nodes: Nodes, tmp_path: object) -> None:
    key, path = p2p.generate_key(), f"{tmp_path}/nodes"
    server = nodes.start(private_key=key, node_database=path)
    server.set_entry("key", 1)
    last = server.self.seq
    server.stop()
    assert nodes.start(private_key=key, node_database=path).self.seq > last


@pytest.mark.parametrize("key", ["id", "secp256k1", "ip", "ip6", "tcp", "tcp6", "udp", "udp6"])
def test_entries_of_the_server_itself_are_refused(nodes: Nodes, key: str) -> None:
    server = nodes.start()
    before = server.self
    with pytest.raises(p2p.errors.ArgumentError, match="key"):
        server.set_entry(key, 1)
    with pytest.raises(p2p.errors.ArgumentError, match="key"):
        server.delete_entry(key)
    assert server.self == before


def test_entry_that_does_not_fit_changes_nothing(nodes: Nodes) -> None:
    server = nodes.start()
    before = server.self
    for value in (bytes(300), -1):
        with pytest.raises(p2p.errors.EncodeError):
            server.set_entry("key", value)
    assert server.self == before
