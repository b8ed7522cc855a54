"""What a stranger can do to a listening server before it is a peer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import p2p
from p2p import DiscReason
from p2p.codec import encode
from p2p.crypto import OVERHEAD, PrivateKey, decrypt, encrypt, keccak256
from p2p.rlpx import ConnectionFailed
from p2p.rlpx.handshake import PLAIN_ACK_SIZE
from p2p.rlpx.messages import HELLO, PING, encode_hello
from tests.kit.nodes import listening, node_at
from tests.kit.remote import Remote, connect
from tests.kit.target import Honest, Inbox, Target, talk, target
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually

HANDSHAKE_TIMEOUT_S = 5.0


@pytest.fixture(scope="module")
def under_attack() -> Iterator[tuple[Target, Honest]]:
    """One server, with an honest peer, for all attacks that leave no trace."""
    with target() as made, talk(made) as honest:
        yield made, honest


@pytest.fixture
def victim(under_attack: tuple[Target, Honest]) -> Iterator[Target]:
    """The server; after the attack nothing is left of it, and the honest peer goes on."""
    made, honest = under_attack
    yield made
    made.await_quiet(peers=1)
    honest.exchange()


# auth


def truncated(auth: bytes) -> bytes:
    return auth[:-1]


def oversized(auth: bytes) -> bytes:
    return (2049).to_bytes(2, "big") + bytes(2049)


def with_flipped_bit(position: int) -> Callable[[bytes], bytes]:
    def flip(auth: bytes) -> bytes:
        changed = bytearray(auth)
        changed[position] ^= 1
        return bytes(changed)

    return flip


def with_bad_point(auth: bytes) -> bytes:
    # x = 5 is on no point of secp256k1: y would be no square.
    return auth[:3] + (5).to_bytes(32, "big") + bytes(32) + auth[67:]


REFUSED = {
    "random bytes": lambda auth: auth[:2] + os.urandom(len(auth) - 2),
    "zeros": lambda auth: bytes(2),
    "text": lambda auth: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "oversized": oversized,
    "undersized": lambda auth: (OVERHEAD - 1).to_bytes(2, "big"),
    "point not on the curve": with_bad_point,
    "hybrid point": lambda auth: auth[:2] + bytes([6 + auth[66] % 2]) + auth[3:],
    "compressed point": lambda auth: auth[:2] + b"\x02" + auth[3:],
    "flipped in the point": with_flipped_bit(10),
    "flipped in the IV": with_flipped_bit(70),
    "flipped in the body": with_flipped_bit(120),
    "flipped in the MAC": with_flipped_bit(-1),
}


@pytest.mark.parametrize("spoil", REFUSED.values(), ids=REFUSED.keys())
def test_bad_auth_is_answered_by_a_plain_end_of_data(
    victim: Target, spoil: Callable[[bytes], bytes]
) -> None:
    with victim.attack() as remote:
        remote.send_raw(spoil(remote.pending()))
        assert remote.expect_closed() == b""


def test_bad_auth_is_refused_as_a_breach_of_protocol(victim: Target) -> None:
    with victim.attack() as remote:
        remote.send_raw(oversized(b""))
        remote.expect_closed()
        address = f"127.0.0.1:{remote.sock.getsockname()[1]}"
        line = victim.log.await_line(f"connection with {address} failed")
    assert "breach of protocol" in line and "impossible size" in line


def test_every_failure_of_ecies_looks_the_same_in_the_log(victim: Target) -> None:
    texts = set()
    for kind in ("random bytes", "point not on the curve", "flipped in the body"):
        with victim.attack() as remote:
            remote.send_raw(REFUSED[kind](remote.pending()))
            remote.expect_closed()
            address = f"127.0.0.1:{remote.sock.getsockname()[1]}"
            line = victim.log.await_line(f"connection with {address} failed")
        texts.add(line.partition("failed")[2])
    assert len(texts) == 1, texts


@pytest.mark.parametrize("sent", [0, 1, 2, 100])
def test_truncated_auth_is_given_up_after_five_seconds(victim: Target, sent: int) -> None:
    with victim.attack() as remote:
        remote.send_raw(remote.pending()[:sent])
        eventually(lambda: victim.sessions()[1] == 1)
        victim.clock.advance(HANDSHAKE_TIMEOUT_S)
        assert remote.expect_closed() == b""


@pytest.mark.parametrize("sent", [0, 1, 2, 100])
def test_end_of_data_inside_auth_ends_the_connection(victim: Target, sent: int) -> None:
    with victim.attack() as remote:
        remote.send_raw(remote.pending()[:sent])
        remote.sock.shutdown(socket.SHUT_WR)
        assert remote.expect_closed() == b""


def test_replayed_auth_gains_nothing_but_an_ack(victim: Target) -> None:
    """Whoever replays an auth cannot know the secrets that follow from it."""
    with victim.attack() as honest:
        auth = honest.pending()
        honest.send_raw(auth)
        assert not isinstance(honest._next_event(), ConnectionFailed)
        hello = honest.frame(HELLO, encode_hello(honest.hello))
        honest.send_raw(hello)
        honest.expect_hello()
    victim.await_quiet(peers=1)
    with connect(victim.server) as replay:
        replay.sendall(auth + hello)
        heard = _read_all(replay)
    # The ack, and a Disconnect that nobody but the owner of the key can read.
    assert 2 + int.from_bytes(heard[:2], "big") < len(heard)
    victim.log.await_line("bad header MAC")


def test_replayed_auth_and_silence_is_given_up_after_five_seconds(victim: Target) -> None:
    with victim.attack() as first:
        auth = first.pending()
        first.send_raw(auth)
        first._next_event()
    with connect(victim.server) as replay:
        replay.sendall(auth)
        assert replay.recv(2)
        victim.clock.advance(HANDSHAKE_TIMEOUT_S)
        _read_all(replay)


# before EIP-8


def plain_auth(key: PrivateKey, to: p2p.PublicKey) -> bytes:
    """An auth in the form that was used before EIP-8 (rlpx.md, "Initial Handshake")."""
    ephemeral, nonce = p2p.generate_key(), os.urandom(32)
    shared = key.agree(to)
    digest = bytes(a ^ b for a, b in zip(shared, nonce, strict=True))
    body = ephemeral.sign(digest) + keccak256(ephemeral.public_key.to_bytes())
    body += key.public_key.to_bytes() + nonce + b"\0"
    return encrypt(to, body, b"", p2p.generate_key(), os.urandom(16))


def test_auth_from_before_eip8_is_refused(victim: Target) -> None:
    """At once, with one line that names the option."""
    with connect(victim.server) as sock:
        sock.sendall(plain_auth(p2p.generate_key(), victim.key))
        assert _read_all(sock) == b""
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    assert "accept_pre_eip8" in victim.log.await_line(f"connection with {address} failed")
    assert len([line for line in victim.log.lines() if address in line]) == 1


def test_ack_from_before_eip8_is_told_in_the_attempts() -> None:
    key = p2p.generate_key()
    with target() as victim, listening() as listener:
        node = node_at(listener, key)
        connecting = Call(victim.server.connect, node, PATIENCE_S)
        sock, _ = listener.accept()
        with sock:
            sock.recv(2)
            body = p2p.generate_key().public_key.to_bytes() + os.urandom(32) + b"\0"
            sock.sendall(encrypt(victim.key, body, b"", p2p.generate_key(), os.urandom(16)))
            with pytest.raises(p2p.errors.HandshakeFailed, match="accept_pre_eip8"):
                connecting.result()
        (attempt,) = victim.server.dial_attempts(node)
    assert attempt.step is p2p.errors.DialStep.ACK and "accept_pre_eip8" in attempt.outcome


def test_auth_from_before_eip8_is_answered_in_kind_with_the_option_on() -> None:
    key = p2p.generate_key()
    with target(accept_pre_eip8=True) as victim, connect(victim.server) as sock:
        sock.sendall(plain_auth(key, victim.key))
        ack = b""
        while len(ack) < PLAIN_ACK_SIZE:
            ack += sock.recv(PLAIN_ACK_SIZE - len(ack))
        assert len(decrypt(key, ack, b"")) == 97


def test_auth_of_eip8_passes_with_the_option_on() -> None:
    with target(accept_pre_eip8=True) as victim, victim.attack() as remote:
        assert remote.open().machine.remote_hello is not None


# hello


def hello_of(remote: Remote, *more: object, **changes: object) -> bytes:
    fields = {
        "version": 5,
        "name": "remote",
        "caps": [["test", 1]],
        "port": 0,
        "key": remote.hello.node_key,
        **changes,
    }
    return encode([*fields.values(), *more])


def other_key() -> bytes:
    return p2p.generate_key().public_key.to_bytes()


REFUSED_HELLOS: dict[str, tuple[dict[str, Any], DiscReason]] = {
    "other key": ({"key": other_key()}, DiscReason.UNEXPECTED_IDENTITY),
    "short key": ({"key": bytes(63)}, DiscReason.INVALID_IDENTITY),
    "empty key": ({"key": b""}, DiscReason.INVALID_IDENTITY),
    "zero key": ({"key": bytes(64)}, DiscReason.INVALID_IDENTITY),
    "no capability": ({"caps": []}, DiscReason.USELESS_PEER),
    "other capability": ({"caps": [["eth", 68]]}, DiscReason.USELESS_PEER),
    "other version of the capability": ({"caps": [["test", 2]]}, DiscReason.USELESS_PEER),
    "500 capabilities": ({"caps": [["a", 1]] * 500}, DiscReason.USELESS_PEER),
    "1,000 capabilities": ({"caps": [["a", 1]] * 1000}, DiscReason.PROTOCOL_ERROR),
    "over 2 KiB": ({"name": "x" * 2048}, DiscReason.PROTOCOL_ERROR),
    "capabilities of another shape": ({"caps": [["test"]]}, DiscReason.PROTOCOL_ERROR),
    "version of another kind": ({"version": []}, DiscReason.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("kind", REFUSED_HELLOS)
def test_bad_hello_is_refused_with_its_reason(victim: Target, kind: str) -> None:
    changes, reason = REFUSED_HELLOS[kind]
    with victim.attack() as remote:
        remote.shake_hands()
        remote.send_hello(hello_of(remote, **changes))
        remote.expect_hello()
        assert remote.disconnect_reason() is reason


BAD_PAYLOADS = {
    "empty": b"",
    "empty list": b"\xc0",
    "string": b"\x83abc",
    "nested lists": b"\xc1" * 2000 + b"\xc0",
    "not RLP": b"\xff" * 100,
    "short list": encode([5, "name"]),
}


@pytest.mark.parametrize("payload", BAD_PAYLOADS.values(), ids=BAD_PAYLOADS.keys())
def test_malformed_hello_is_a_breach_of_protocol(victim: Target, payload: bytes) -> None:
    with victim.attack() as remote:
        remote.shake_hands()
        remote.send_hello(payload)
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR


ACCEPTED_HELLOS: dict[str, tuple[tuple[object, ...], dict[str, Any]]] = {
    "extra fields": ((b"more", [b"and", [b"more"]], 7), {}),
    "version 4": ((), {"version": 4}),
    "version 6": ((), {"version": 6}),
    "500 capabilities and ours": ((), {"caps": [["a", 1]] * 300 + [["test", 1]]}),
    "a name that is not UTF-8": ((), {"name": b"\xff\xfe"}),
    "an empty name": ((), {"name": ""}),
}


@pytest.mark.parametrize("kind", ACCEPTED_HELLOS)
def test_odd_hello_makes_a_peer(victim: Target, kind: str) -> None:
    more, changes = ACCEPTED_HELLOS[kind]
    with victim.attack() as remote:
        remote.shake_hands()
        remote.send_hello(hello_of(remote, *more, **changes))
        remote.expect_hello()
        remote.send_frame(PING, b"\xc0" if changes.get("version") == 4 else b"\x01\x00\xc0")
        victim.log.await_line(f"added peer {remote.node.id.short}")


@pytest.mark.parametrize("version", [4, 5])
def test_messages_are_compressed_from_version_5_on(version: int) -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack(version=version) as remote:
        remote.open()
        assert remote.machine.compresses is (version == 5)
        remote.send_payloads((3, b"\x83foo"))
        msg = inbox.message()
    assert (msg.code, msg.payload) == (3, b"\x83foo")


@pytest.mark.parametrize("code", [PING, 0x10, 0x7F])
def test_another_message_before_hello_is_a_breach_of_protocol(victim: Target, code: int) -> None:
    with victim.attack() as remote:
        remote.shake_hands()
        remote.send_frame(code, b"\xc0")
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR


@pytest.mark.parametrize("part", ["header", "header MAC", "body", "frame MAC"])
def test_bit_flipped_in_hello_is_a_breach_of_protocol(victim: Target, part: str) -> None:
    position = {"header": 0, "header MAC": 16, "body": 40, "frame MAC": -1}[part]
    with victim.attack() as remote:
        remote.shake_hands()
        frame = bytearray(remote.frame(HELLO, encode_hello(remote.hello)))
        frame[position] ^= 0x80
        remote.send_raw(bytes(frame))
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR


def test_missing_hello_is_a_read_timeout_after_five_seconds(victim: Target) -> None:
    with victim.attack() as remote:
        remote.shake_hands()
        victim.clock.advance(HANDSHAKE_TIMEOUT_S)
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.READ_TIMEOUT


DISCONNECTS = {
    "a list": (b"\xc1\x04", DiscReason.TOO_MANY_PEERS),
    "a bare integer": (b"\x04", DiscReason.TOO_MANY_PEERS),
    "nothing": (b"", DiscReason.REQUESTED),
    "an empty list": (b"\xc0", DiscReason.REQUESTED),
    "a zero": (b"\x80", DiscReason.REQUESTED),
    "an unknown number": (b"\xc1\x42", DiscReason(0x42)),
    "no number": (b"\xc1\xc0", DiscReason.INVALID),
    "garbage": (b"\xff" * 50, DiscReason.INVALID),
}


@pytest.mark.parametrize("kind", DISCONNECTS)
def test_disconnect_before_hello_is_understood(victim: Target, kind: str) -> None:
    payload, reason = DISCONNECTS[kind]
    with victim.attack() as remote:
        remote.shake_hands()
        remote.say_disconnect(payload)
        address = f"127.0.0.1:{remote.sock.getsockname()[1]}"
        line = victim.log.await_line(f"connection with {address} failed")
    assert f"{reason} (remote)" in line


# who it is


def test_server_does_not_connect_to_itself() -> None:
    key = p2p.generate_key()
    with target(private_key=key) as victim, victim.attack(key=key) as remote:
        remote.shake_hands()
        assert remote.disconnect_reason() is DiscReason.SELF


def test_second_connection_of_an_identity_is_refused_and_the_first_stays() -> None:
    inbox = Inbox()
    key = p2p.generate_key()
    with target(inbox.run) as victim, victim.attack(key=key) as first:
        first.open()
        inbox.peer()
        with victim.attack(key=key) as second:
            second.shake_hands()
            assert second.disconnect_reason() is DiscReason.ALREADY_CONNECTED
        victim.await_quiet(peers=1)
        first.send_payloads((0, b"still here"))
        assert inbox.message().payload == b"still here"


def test_of_two_handshakes_of_an_identity_the_first_hello_wins() -> None:
    inbox = Inbox()
    key = p2p.generate_key()
    with target(inbox.run) as victim:
        with victim.attack(key=key) as slow, victim.attack(key=key) as quick:
            slow.shake_hands()
            quick.open()
            inbox.peer()
            slow.send_hello()
            slow.expect_hello()
            assert slow.disconnect_reason() is DiscReason.ALREADY_CONNECTED
            quick.send_payloads((1, b""))
            assert inbox.message().code == 1
            assert victim.sessions()[1] == 0


def test_peer_beyond_max_peers_is_told_so_and_a_trusted_one_gets_in() -> None:
    key, inbox = p2p.generate_key(), Inbox()
    trusted = p2p.Node.from_parts(key.public_key)
    with target(inbox.run, max_peers=2, trusted_nodes=[trusted]) as victim:
        with victim.attack() as first, victim.attack() as second, victim.attack(key=key) as third:
            first.open()
            inbox.peer()
            second.shake_hands()
            assert second.disconnect_reason() is DiscReason.TOO_MANY_PEERS
            third.open()
            assert inbox.peer().trusted


def test_address_outside_net_restrict_is_closed_at_once() -> None:
    with target(net_restrict="10.0.0.0/8") as victim, victim.attack() as remote:
        assert remote.expect_closed() == b""
        assert victim.sessions() == (0, 0, 0)


def _read_all(sock: socket.socket) -> bytes:
    heard = b""
    while data := sock.recv(65536):
        heard += data
    return heard
