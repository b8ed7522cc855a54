"""Labs over loopback: addresses of their own, and sockets of the system."""

from __future__ import annotations

import pytest

from p2p.clock import SYSTEM_CLOCK
from p2p.errors import LabError
from p2p.lab import Lab, Link
from p2p.lab.network import LoopbackBlock
from tests.lab.test_lab import STAY, names


def test_two_labs_with_one_seed_do_not_meet() -> None:
    with (
        Lab(3, protocols=[STAY], join="loopback") as one,
        Lab(3, protocols=[STAY], join="loopback") as other,
    ):
        assert names(one.edges) == names(other.edges) == ["n0-n1", "n0-n2", "n1-n2"]
        addresses = [node.node.tcp_endpoint for lab in (one, other) for node in lab]
        assert len(set(addresses)) == 6
        assert all(address and address.ip.is_loopback for address in addresses)


def test_hosts_have_networks_of_their_own_while_there_are_any() -> None:
    network = LoopbackBlock(1, Link(), SYSTEM_CLOCK, None)
    ips = [network.host().ip for _ in range(600)]
    assert len(set(ips)) == 600 and len({int(ip) >> 8 for ip in ips}) == 256
    assert len({int(ip) >> 16 for ip in ips}) == 1


def test_links_are_those_of_any_lab() -> None:
    lab = Lab(2, join="loopback", link=Link(0.1))
    lab.set_link(0, 1, loss=0.25)
    assert lab.link_of(1, 0) == Link(0.1, loss=0.25)


def test_an_address_that_is_taken_is_named() -> None:
    with Lab(1, join="loopback", protocols=[STAY]) as lab:
        again = Lab.from_snapshot(lab.snapshot(), protocols=[STAY])
        with pytest.raises(LabError, match="n0: OSError: .*already in use"):
            again.start()
