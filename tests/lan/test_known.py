"""The nodes known so far: who displaces whom, and which is offered when."""

from __future__ import annotations

import random

import pytest

import p2p
from p2p.errors import InvalidNode
from p2p.lan.known import (
    MAX_NAMES,
    MAX_PER_ADDRESS,
    MAX_PER_NODE,
    OFFER_AGAIN_S,
    KnownNodes,
)
from tests.lan.kit import OTHER_KEY, record

NODE = p2p.Node.from_record(record())
OTHER = p2p.Node.from_record(record(OTHER_KEY))


@pytest.fixture
def known() -> KnownNodes:
    return KnownNodes(random.Random(0))


def many(number: int) -> list[p2p.Node]:
    """Different nodes; their addresses are all different, too."""
    keys = (p2p.PrivateKey.from_bytes((n + 1).to_bytes(32, "big")) for n in range(number))
    return [
        p2p.Node.from_parts(key.public_key, f"10.0.{n // 250}.{n % 250 + 1}", 30303)
        for n, key in enumerate(keys)
    ]


def test_node_is_known_until_its_last_name_goes(known: KnownNodes) -> None:
    assert known.put((1, "a"), NODE, 0.0) and known.put((2, "b"), NODE, 0.0)
    assert (len(known), known.nodes) == (1, [NODE])
    known.remove((1, "a"))
    assert known.nodes == [NODE]
    known.remove((2, "b"))
    known.remove((2, "b"))
    assert (len(known), known.nodes) == (0, [])


def test_same_announcement_again_is_not_new(known: KnownNodes) -> None:
    assert known.put((1, "a"), NODE, 0.0)
    assert not known.put((1, "a"), NODE, 1.0)
    newer = p2p.Node.from_record(record(seq=2))
    assert known.put((1, "a"), newer, 2.0)
    assert [node.seq for node in known.nodes] == [2]


def test_name_that_changes_to_another_node_loses_the_first(known: KnownNodes) -> None:
    known.put((1, "a"), NODE, 0.0)
    known.put((1, "a"), OTHER, 0.0)
    assert known.nodes == [OTHER]


def test_interface_that_goes_takes_its_nodes(known: KnownNodes) -> None:
    known.put((1, "a"), NODE, 0.0)
    known.put((2, "a"), OTHER, 0.0)
    known.remove_interface(1)
    assert known.nodes == [OTHER]


def test_address_announced_first_stays(known: KnownNodes) -> None:
    known.put((1, "a"), NODE, 0.0)
    known.put((1, "b"), NODE.with_ip("192.168.1.66"), 0.0)
    assert [str(node.ip) for node in known.nodes] == ["192.168.1.6"]
    assert str(known.poll_offer(0.0).ip) == "192.168.1.6"  # type: ignore[union-attr]
    assert known.poll_offer(0.0) is None
    known.remove((1, "a"))
    assert [str(node.ip) for node in known.nodes] == ["192.168.1.66"]


def test_number_of_names_is_limited(known: KnownNodes) -> None:
    nodes = many(MAX_NAMES + 1)
    for number, node in enumerate(nodes[:-1]):
        known.put((1, str(number)), node, 0.0)
    with pytest.raises(InvalidNode, match=f"{MAX_NAMES} announcements are known"):
        known.put((1, "one more"), nodes[-1], 0.0)
    known.remove((1, "0"))
    assert known.put((1, "one more"), nodes[-1], 0.0)


def test_number_of_nodes_at_one_address_is_limited(known: KnownNodes) -> None:
    nodes = [node.with_ip("10.9.9.9") for node in many(MAX_PER_ADDRESS + 1)]
    for number, node in enumerate(nodes[:-1]):
        known.put((1, str(number)), node, 0.0)
    with pytest.raises(InvalidNode, match=r"announcements of 10\.9\.9\.9 are known"):
        known.put((1, "one more"), nodes[-1], 0.0)
    assert known.put((1, "another host"), NODE, 0.0)


def test_number_of_names_of_one_node_is_limited(known: KnownNodes) -> None:
    for number in range(MAX_PER_NODE):
        known.put((1, str(number)), NODE.with_ip(f"10.0.0.{number + 1}"), 0.0)
    with pytest.raises(InvalidNode, match="of the node"):
        known.put((1, "one more"), NODE, 0.0)


def test_each_node_is_offered_once_and_again_after_a_while(known: KnownNodes) -> None:
    assert known.next_offer is None and known.poll_offer(0.0) is None
    for number, node in enumerate(many(3)):
        known.put((1, str(number)), node, 5.0)
    assert {known.poll_offer(5.0) for _ in range(3)} == set(many(3))
    assert known.poll_offer(5.0 + OFFER_AGAIN_S - 0.1) is None
    assert known.next_offer == 5.0 + OFFER_AGAIN_S
    assert known.poll_offer(known.next_offer) in many(3)


def test_newer_record_is_offered_at_once(known: KnownNodes) -> None:
    known.put((1, "a"), NODE, 0.0)
    assert known.poll_offer(0.0) == NODE
    newer = p2p.Node.from_record(record(seq=2))
    known.put((1, "a"), newer, 1.0)
    assert known.poll_offer(1.0) == newer
