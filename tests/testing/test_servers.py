"""Servers that are connected when the block begins."""

from __future__ import annotations

import pytest

import p2p
from p2p import testing

TALK = p2p.Protocol("talk", 1, 1)


def test_two_servers_talk() -> None:
    with testing.connected_servers(TALK) as (one, other):
        ours, theirs = testing.peer_of(one, other), testing.peer_of(other, one)
        assert not ours.inbound and theirs.inbound
        assert (ours.name, theirs.name) == ("node 1", "node 0")
        ours.open("talk").send(0, "foo")
        assert theirs.open("talk").read_msg(testing.PATIENCE_S).decode(str) == "foo"
    assert not ours.is_connected and not theirs.is_connected


def test_more_servers_are_a_full_mesh() -> None:
    with testing.connected_servers(TALK, count=4) as servers:
        assert [server.peer_count for server in servers] == [3] * 4


def test_options_are_those_of_servers() -> None:
    with testing.connected_servers(TALK, max_peers=3, name="mine") as (one, other):
        assert one.config.max_peers == 3
        assert testing.peer_of(one, other).name == "mine"


def test_servers_of_a_program_are_connected() -> None:
    with testing.connected_servers(TALK, count=1) as (one,):
        with testing.connected_servers(TALK, count=1) as (other,):
            with pytest.raises(AssertionError, match="is not connected with"):
                testing.peer_of(one, other)
            testing.connect_servers(one, other)
            assert testing.peer_of(other, one).inbound


def test_servers_without_a_shared_protocol_are_not_connected() -> None:
    with testing.connected_servers(TALK, count=1) as (one,):
        with testing.connected_servers(p2p.Protocol("other", 1, 1), count=1) as (other,):
            with pytest.raises(p2p.errors.NoSharedCapability):
                testing.connect_servers(one, other)
