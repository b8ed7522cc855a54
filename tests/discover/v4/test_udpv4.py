"""Discovery v4 that a program makes by itself, of public names."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.discover.v4.udpv4 import UDPv4
from p2p.enode import LocalNode, NodeDB
from tests.kit.waiting import PATIENCE_S

HOST = "127.0.0.1"
KEY = p2p.PrivateKey.from_bytes(b"\x07" * 32)


def test_two_of_an_address_and_a_key_find_each_other() -> None:
    with UDPv4(KEY, f"{HOST}:0", ntp_server=None) as first:
        assert str(first.self.udp_endpoint) == str(first.address)
        other = UDPv4(p2p.generate_key(), f"{HOST}:0", bootnodes=[first.self], ntp_server=None)
        with other as second, second.random_nodes() as nodes:
            assert second.ping(first.self, PATIENCE_S) == first.self.seq
            assert next(nodes).id == first.self.id


def test_find_node_asks_one_node_for_those_near_a_target() -> None:
    with UDPv4(KEY, f"{HOST}:0", ntp_server=None) as first, first.subscribe_events() as events:
        known = [first.self]
        with UDPv4(p2p.generate_key(), f"{HOST}:0", bootnodes=known, ntp_server=None) as second:
            assert events.get(PATIENCE_S).node.id == second.self.id
            with UDPv4(p2p.generate_key(), f"{HOST}:0", ntp_server=None) as third:
                target = second.self.public_key
                found = third.find_node(first.self, target, PATIENCE_S)
                assert second.self.udp_endpoint in [node.udp_endpoint for node in found]
                with pytest.raises(p2p.ArgumentError, match="target: wanted a PublicKey"):
                    third.find_node(first.self, b"short")


def test_own_node_of_an_address_for_all_is_at_loopback_until_others_tell() -> None:
    discovery = UDPv4(KEY, ":0", ntp_server=None)
    assert str(discovery.self.udp_endpoint) == f"{HOST}:{discovery.address[1]}"
    discovery.stop()


def test_local_node_and_database_of_the_program_are_used_and_left_open(tmp_path: Path) -> None:
    with NodeDB(tmp_path / "nodes.db") as db:
        local = LocalNode(KEY, db)
        local.set("test", b"yes")
        with UDPv4(KEY, f"{HOST}:0", local=local, store=db, ntp_server=None) as discovery:
            assert discovery.self == local.node()
        assert db.local_seq(local.id) >= local.seq


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"private_key": bytes(32)}, "private_key: wanted a PrivateKey"),
        ({"sock": 30303}, "sock: wanted text such as"),
        ({"net_restrict": "10.0.0.0/8"}, "net_restrict: wanted a Netlist"),
        ({"own_networks": ["10.0.0.0/8"]}, "own_networks: wanted a Netlist"),
        ({"sock": "no port"}, "port"),
    ],
)
def test_wrong_argument_is_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(p2p.ArgumentError, match=words):
        UDPv4(**{"private_key": KEY, "sock": f"{HOST}:0", **arguments})


def test_address_that_is_taken_is_an_error_of_the_system() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        with pytest.raises(OSError, match="cannot receive UDP"):
            UDPv4(KEY, f"{HOST}:{taken.getsockname()[1]}", ntp_server=None)
