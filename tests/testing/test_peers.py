"""Peers without a connection have what real ones have."""

from __future__ import annotations

import pytest

import p2p
from p2p import testing

R = p2p.DiscReason


def test_peer_has_a_node_and_an_address() -> None:
    peer = testing.make_peer()
    assert peer.node.id == peer.id and peer.node.tcp_endpoint is not None
    assert peer.node.tcp_endpoint == peer.remote_addr
    assert str(peer).startswith(peer.id.short)
    assert peer.is_connected and peer.disconnect_reason is None


def test_options_are_its_attributes() -> None:
    key = p2p.generate_key()
    peer = testing.make_peer(
        name="a name of more than twenty characters",
        caps=[("eth", 68), ("snap", 1)],
        private_key=key,
        remote_addr=("203.0.113.7", 4000),
        static_dialed=True,
        trusted=True,
    )
    assert peer.name == "a name of more than ..." and peer.node.public_key == key.public_key
    assert [str(cap) for cap in peer.caps] == ["eth/68", "snap/1"]
    assert str(peer.remote_addr) == "203.0.113.7:4000"
    assert peer.static_dialed and peer.trusted and not peer.dyn_dialed and not peer.inbound


def test_node_may_be_given() -> None:
    node = p2p.Node.from_parts(p2p.generate_key().public_key, "203.0.113.7", 30303)
    assert testing.make_peer(node=node).node is node


def test_disconnect_closes_the_pipe() -> None:
    ours, theirs = testing.msg_pipe()
    peer = testing.make_peer(theirs)
    peer.disconnect(R.USELESS_PEER)
    with pytest.raises(p2p.PipeClosed) as caught:
        ours.read_msg(timeout=0)
    assert caught.value.reason is R.USELESS_PEER and caught.value.by_remote
    peer.wait_closed(0)
    assert peer.disconnect_reason is not None and not peer.disconnect_reason.by_remote


def test_remote_that_closes_ends_the_peer() -> None:
    ours, theirs = testing.msg_pipe()
    peer = testing.make_peer(theirs)
    ours.close(R.TOO_MANY_PEERS)
    peer.wait_closed(0)
    assert peer.disconnect_reason is not None
    assert peer.disconnect_reason.reason is R.TOO_MANY_PEERS and peer.disconnect_reason.by_remote
    ended = peer.lifetime
    assert peer.lifetime == ended


def test_peer_without_a_pipe_can_be_disconnected() -> None:
    peer = testing.make_peer()
    peer.disconnect()
    assert not peer.is_connected


def test_what_is_no_pipe_is_refused() -> None:
    with pytest.raises(p2p.ArgumentError, match="pipe: wanted an end of a message pipe"):
        testing.make_peer(object())  # type: ignore[arg-type]
    with pytest.raises(p2p.ArgumentError, match="node: wanted a Node"):
        testing.make_peer(node="enode://")  # type: ignore[arg-type]
