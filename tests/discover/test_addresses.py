"""Discovery on every address of a machine: the second of a family, and both families."""

from __future__ import annotations

import socket

import pytest

import p2p
from p2p.discover.front import Discovery
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.udpv5 import UDPv5
from tests.kit.waiting import PATIENCE_S

has_ipv6 = pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="this machine has no dual-stack IPv6"
)


@pytest.mark.parametrize("front", [UDPv4, UDPv5])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", pytest.param("::1", marks=has_ipv6)])
def test_node_on_all_addresses_answers_at_each(front: type[UDPv4 | UDPv5], host: str) -> None:
    asked: Discovery
    with front(p2p.generate_key(), ":0") as asked, front(p2p.generate_key(), ":0") as asking:
        node = asked.self.with_endpoint(host, 0, asked.address.port)
        assert asking.ping(node, PATIENCE_S) == asked.self.seq
        assert asking.request_enr(node, PATIENCE_S).record == asked.self.record
