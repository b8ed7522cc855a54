"""The IP similarity tree (discv5-theory, "IP Similarity Tree")."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.discover.v5.topics.iptree import IPTree, Vertex
from p2p.discover.v5.topics.lowerbound import NO_BOUND, LowerBound
from p2p.netutil import IPAddress

# Few bits differ, so that prefixes of every length are shared.
addresses = st.builds(
    lambda bits: IPv4Address(sum(1 << bit for bit in bits)),
    st.sets(st.sampled_from([0, 1, 8, 15, 16, 24, 30, 31])),
)


def tree_of(ips: list[IPAddress], levels: int = 32) -> IPTree:
    tree = IPTree(levels)
    for ip in ips:
        tree.add(ip)
    return tree


def score_of(ips: list[IPAddress], ip: IPAddress) -> float:
    return tree_of(ips).match(ip).score


def vertices(vertex: Vertex) -> int:
    return 1 + sum(vertices(child) for child in (vertex.zero, vertex.one) if child is not None)


def by_definition(ips: list[IPAddress], ip: IPAddress) -> float:
    """The score as the specification puts it: each level's count against a balanced tree's."""
    above = 0
    for level in range(1, 33):
        same = sum(int(other) >> 32 - level == int(ip) >> 32 - level for other in ips)
        above += same > len(ips) / 2**level
    return above / 32


def test_address_is_not_similar_to_an_empty_tree() -> None:
    assert IPTree(32).match(IPv4Address("1.2.3.4")).score == 0.0


def test_same_address_is_as_similar_as_can_be() -> None:
    ip = IPv4Address("1.2.3.4")
    assert score_of([ip], ip) == 1.0


@pytest.mark.parametrize("common", [0, 1, 8, 24, 31])
def test_score_beside_one_address_is_the_part_of_the_bits_in_common(common: int) -> None:
    ip = IPv4Address("77.88.99.11")
    other = IPv4Address(int(ip) ^ 1 << 31 - common)
    assert score_of([ip], other) == common / 32


def test_prefixes_of_a_balanced_tree_count_nothing() -> None:
    ips: list[IPAddress] = [IPv4Address(first << 24) for first in range(256)]
    assert score_of(ips, IPv4Address("7.128.0.0")) == 0.0
    assert score_of(ips, IPv4Address("7.0.0.0")) == 24 / 32


def test_prefix_with_more_than_its_part_counts() -> None:
    ips: list[IPAddress] = [IPv4Address(first << 24) for first in range(256)]
    ips += [IPv4Address("7.1.0.0")]
    # 2 of 257 is more than 1/256 at level 8, and 2^-9 at level 9, and so on: 15 bits are common.
    assert score_of(ips, IPv4Address("7.3.0.0")) > 0.0
    assert score_of(ips, IPv4Address("7.3.0.0")) == by_definition(ips, IPv4Address("7.3.0.0"))


@given(st.lists(addresses, max_size=12), addresses)
def test_score_is_that_of_the_definition(ips: list[IPAddress], ip: IPAddress) -> None:
    score = score_of(ips, ip)
    assert score == by_definition(ips, ip) and 0.0 <= score <= 1.0


@given(st.lists(addresses, max_size=12), addresses)
def test_own_address_does_not_count(ips: list[IPAddress], ip: IPAddress) -> None:
    assert tree_of([*ips, ip]).match(ip, own=1).score == score_of(ips, ip)


@given(st.lists(addresses, max_size=12), st.lists(addresses, max_size=12))
def test_removed_addresses_leave_nothing(kept: list[IPAddress], removed: list[IPAddress]) -> None:
    tree = tree_of([*kept, *removed])
    for ip in removed:
        tree.remove(ip)
    assert len(tree) == len(kept)
    assert vertices(tree._root) == vertices(tree_of(kept)._root)


def test_size_is_bounded_by_addresses_times_levels() -> None:
    ips: list[IPAddress] = [IPv6Address(number << 64 | number << 100) for number in range(50)]
    assert vertices(tree_of(ips, 128)._root) <= 1 + 50 * 128


def test_score_of_ipv6_is_over_128_bits() -> None:
    tree = tree_of([IPv6Address("2001:db8::1")], 128)
    assert tree.match(IPv6Address("2001:db8:0:0:8000::1")).score == 64 / 128
    assert tree.match(IPv6Address("2001:db8::1")).score == 1.0


# Vertices and their bounds.


def test_match_is_the_longest_prefix_in_the_tree() -> None:
    tree = tree_of([IPv4Address("10.0.0.0"), IPv4Address("10.0.128.0")])
    near, far = IPv4Address("10.0.64.0"), IPv4Address("10.0.65.0")
    assert tree.match(near).vertex is tree.match(far).vertex
    assert tree.match(near).vertex is not tree.match(IPv4Address("10.0.0.0")).vertex
    assert tree.match(IPv4Address("200.0.0.0")).vertex is tree._root


def test_looking_for_an_address_makes_no_vertex() -> None:
    tree = tree_of([IPv4Address("10.0.0.0")])
    before = vertices(tree._root)
    tree.match(IPv4Address("10.0.0.1"))
    tree.match(IPv4Address("200.0.0.0"))
    assert vertices(tree._root) == before


def test_new_vertex_starts_with_the_bound_of_its_parent() -> None:
    tree = tree_of([IPv4Address("10.0.0.0")])
    ip = IPv4Address("10.128.0.0")
    bound = LowerBound(50.0, 0.0)
    tree.match(ip).vertex.bound = bound
    tree.add(ip)
    assert tree.match(ip).vertex.bound is bound
    assert tree.match(IPv4Address("10.0.0.0")).vertex.bound is NO_BOUND
