"""A verdict counts for a while, until the node has a newer record; the newest are kept."""

from __future__ import annotations

import pytest

import p2p
from p2p.dial.verdicts import MAX_VERDICTS, VERDICT_S, Verdicts

WHY = "candidate_filter"


def described() -> p2p.Node:
    """A node with a record."""
    return renewed(p2p.generate_key(), 1)


def renewed(key: p2p.PrivateKey, seq: int) -> p2p.Node:
    return p2p.Node.from_record(p2p.Record.sign(key, seq, {"ip": "127.0.0.1", "tcp": 1}))


def test_verdict_counts_for_its_time() -> None:
    verdicts, node = Verdicts(), described()
    verdicts.add(node, WHY, 10.0)
    known = verdicts.get(node, 10.0 + VERDICT_S - 1)
    assert known is not None and (known.node, known.refusal) == (node, WHY)
    assert verdicts.get(node, 10.0 + VERDICT_S) is None


@pytest.mark.parametrize(("was", "found", "counts"), [(2, 2, True), (2, 1, True), (1, 2, False)])
def test_verdict_counts_until_there_is_a_newer_record(was: int, found: int, counts: bool) -> None:
    verdicts, key = Verdicts(), p2p.generate_key()
    verdicts.add(renewed(key, was), WHY, 0.0)
    assert (verdicts.get(renewed(key, found), 1.0) is not None) is counts


def test_verdict_about_a_record_counts_for_the_node_without_it() -> None:
    verdicts, node = Verdicts(), described()
    without = p2p.Node.from_parts(node.public_key, node.ip, node.tcp)
    verdicts.add(node, None, 0.0)
    known = verdicts.get(without, 1.0)
    assert known is not None and known.node.record is not None
    verdicts.add(without, WHY, 0.0)
    assert verdicts.get(without, 1.0) is not None
    assert verdicts.get(node, 1.0) is None


def test_verdicts_are_bounded_and_the_oldest_go() -> None:
    verdicts, nodes = Verdicts(), [described() for _ in range(MAX_VERDICTS + 1)]
    for node in nodes:
        verdicts.add(node, WHY, 0.0)
    assert len(verdicts) == MAX_VERDICTS
    assert verdicts.get(nodes[0], 1.0) is None
    assert verdicts.get(nodes[-1], 1.0) is not None
