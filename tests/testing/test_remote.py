"""Remotes by script: against a real server, with whole connections and with broken ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

import p2p
from p2p import testing
from p2p.testing import Remote, RemoteListener

R = p2p.DiscReason


def echo(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for msg in rw:
        rw.write_msg(msg)


ECHO = p2p.Protocol("echo", 1, 4, echo)
OPEN = p2p.Protocol("open", 1, 4)


@pytest.fixture
def server() -> Iterator[p2p.Server]:
    with testing.connected_servers(ECHO, OPEN, count=1) as (server,):
        yield server


def test_remote_becomes_a_peer_and_talks(server: p2p.Server) -> None:
    with Remote.dial(server, ECHO, name="scripted").open() as remote:
        assert remote.remote_hello is not None and remote.remote_hello.name == "node 0"
        remote.send_items(1, "foo", 5)
        remote.expect(1, ["foo", 5])
        (peer,) = server.peers
        assert (peer.id, peer.name) == (remote.node.id, "scripted")
        peer.disconnect(R.USELESS_PEER)
        remote.expect_end(R.USELESS_PEER)
        assert remote.is_closed


def test_remote_listens_for_a_server(server: p2p.Server) -> None:
    with RemoteListener() as listener:
        server.add_peer(listener.node)
        with listener.accept(ECHO).open() as remote:
            remote.send(0, "foo")
            remote.expect(0, "foo")
            assert remote.hello.caps == [ECHO.cap]


def test_steps_may_be_taken_one_by_one(server: p2p.Server) -> None:
    with Remote.dial(server, OPEN) as remote:
        remote.shake_hands()
        assert remote.expect_hello().name == "node 0"  # a server does not wait for ours
        remote.send_hello()
        rw = server.accept(testing.PATIENCE_S).open("open")
        rw.send(2, "welcome")
        remote.expect(2, "welcome")


@pytest.mark.slow
def test_disconnect_gives_the_reason(server: p2p.Server) -> None:
    with Remote.dial(server, OPEN).open() as remote:
        peer = server.accept(testing.PATIENCE_S)
        remote.send_disconnect(R.TOO_MANY_PEERS)
        peer.wait_closed(testing.PATIENCE_S)
    ended = peer.disconnect_reason
    assert ended is not None and ended.reason is R.TOO_MANY_PEERS and ended.by_remote


def test_close_says_goodbye_and_a_block_does_not(server: p2p.Server) -> None:
    reasons = []
    for closes in (True, False):
        with Remote.dial(server, OPEN).open() as remote:
            peer = server.accept(testing.PATIENCE_S)
            if closes:
                remote.close(R.QUITTING)
                remote.close()
        peer.wait_closed(testing.PATIENCE_S)
        assert peer.disconnect_reason is not None
        reasons.append(peer.disconnect_reason.reason)
    assert reasons == [R.QUITTING, R.NETWORK_ERROR]


def test_reset_is_a_network_error(server: p2p.Server) -> None:
    remote = Remote.dial(server, OPEN).open()
    peer = server.accept(testing.PATIENCE_S)
    remote.reset()
    peer.wait_closed(testing.PATIENCE_S)
    assert peer.disconnect_reason is not None
    assert peer.disconnect_reason.reason is R.NETWORK_ERROR


def test_bad_mac_ends_the_connection(server: p2p.Server) -> None:
    with Remote.dial(server, ECHO).open() as remote:
        remote.send_bad_mac()
        remote.expect_end(R.PROTOCOL_ERROR)


def test_bad_message_ends_the_connection(server: p2p.Server) -> None:
    with Remote.dial(server, ECHO).open() as remote:
        remote.send_frame(16, b"no snappy block")
        remote.expect_end(R.PROTOCOL_ERROR)


def test_wrong_hello_is_refused(server: p2p.Server) -> None:
    with Remote.dial(server, ECHO) as remote:
        remote.shake_hands()
        remote.send_hello(b"\xc0")
        remote.expect_end(R.PROTOCOL_ERROR)


def test_hello_without_a_shared_protocol_is_refused(server: p2p.Server) -> None:
    with Remote.dial(server, p2p.Protocol("other", 1, 1)).open() as remote:
        remote.expect_end(R.USELESS_PEER)


def test_bytes_that_are_no_auth_close_the_connection(server: p2p.Server) -> None:
    with Remote.dial(server, ECHO) as remote:
        remote.send_raw(bytes(1000))
        remote.expect_closed()
    with Remote.dial(server, ECHO) as remote:
        remote.send_raw(bytes(1000))
        with pytest.raises(AssertionError, match="closed|reset"):
            remote.shake_hands()


def test_silent_server_is_named() -> None:
    with RemoteListener() as listener, Remote.dial(listener.node, ECHO) as remote:
        with pytest.raises(AssertionError, match="auth or ack did not come within 0 s"):
            remote.shake_hands(timeout=0)
        with pytest.raises(AssertionError, match="was not closed within 0 s"):
            remote.expect_closed(timeout=0)
        with pytest.raises(p2p.errors.ServerStateError, match="shake_hands"):
            remote.send(0, "foo")
        listener.accept().sock.close()
        with pytest.raises(AssertionError, match="no connection within 0 s"):
            listener.accept(timeout=0)
        assert remote.expect_end().reason is R.NETWORK_ERROR


def test_disconnect_in_place_of_hello_is_named() -> None:
    with RemoteListener() as listener, Remote.dial(listener.node, ECHO) as dialing:
        dialing.flush()
        with listener.accept(ECHO) as listening:
            listening.shake_hands()
            dialing.shake_hands()
            listening.send_disconnect(R.TOO_MANY_PEERS)
            with pytest.raises(AssertionError, match="expected hello; got .*TOO_MANY_PEERS"):
                dialing.expect_hello()


def test_any_stream_socket_will_do() -> None:
    ours, theirs = socket.socketpair()
    listening = Remote(theirs, None, ECHO)
    with Remote(ours, listening.key.public_key, ECHO, caps=[("echo", 1), ("lie", 7)]) as dialing:
        dialing.flush()
        with listening:
            listening.shake_hands()
            dialing.shake_hands().send_hello()
            assert [str(cap) for cap in listening.expect_hello().caps] == ["echo/1", "lie/7"]
            listening.send_hello()
            dialing.expect_hello()
            dialing.send(3, "foo")
            listening.expect(3, "foo")
            assert dialing.node.public_key == dialing.key.public_key and dialing.node.ip is None


def test_node_without_an_address_cannot_be_dialed() -> None:
    with pytest.raises(p2p.ArgumentError, match="a TCP port"):
        Remote.dial(p2p.Node.from_parts(p2p.generate_key().public_key), ECHO)


class Flood(socket.socket):
    """A socket that has always more to read."""

    data = b""
    reads = 0

    def recv(self, *_: Any) -> bytes:
        self.reads += 1
        assert self.reads < 2000, "it reads on"
        return self.data


def test_other_end_that_sends_without_end_does_not_extend_a_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Flood() as flood:
        remote = Remote(flood, None, ECHO)
        monkeypatch.setattr(remote, "_receive", remote._read)  # without a machine that refuses it
        flood.data = b"x"
        for wait in (remote.read_msg, remote._next_event):
            flood.reads = 0
            with pytest.raises(p2p.Timeout):
                wait(0)
        flood.reads = 0
        with pytest.raises(AssertionError, match="was not closed within 0 s"):
            remote.expect_closed(0)
