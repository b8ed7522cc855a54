"""Nodes that break a rule: for each case of the suites, a fault that it must find.

A fault changes the library within the process of the test, so it must not change the tester, which
uses the same classes: connections of the tester have the name "p2p conformance".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

import p2p
from p2p.crypto import keccak256
from p2p.discover.v4 import engine as engine4
from p2p.discover.v4 import sender as sender4
from p2p.discover.v4.bonds import Bonds
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.packet import NeighborNode, Neighbors, Ping
from p2p.discover.v4.requests import Requests as Requests4
from p2p.discover.v4.sender import Sender
from p2p.discover.v5 import engine as engine5
from p2p.discover.v5 import handshakes as handshakes5
from p2p.discover.v5 import message as message5
from p2p.discover.v5.engine import EngineV5
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.sessions import Sessions
from p2p.errors import CompressionError, FrameError, HandshakeError, HelloError
from p2p.netutil import Endpoint, NodeEndpoint
from p2p.rlpx import connection as rlpx
from p2p.rlpx import handshake as handshake
from p2p.rlpx import snappy
from p2p.rlpx.connection import Connection
from p2p.rlpx.frame import FrameReader
from p2p.rlpx.handshake import PacketBuffer
from p2p.rlpx.messages import HELLO, PING

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]
NOBODY = ip_address("192.0.2.0")


def nothing(*_: Any, **__: Any) -> None:
    """No effect."""


def wrap(patch: Patch, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace an attribute by what ``make`` returns for it."""
    patch.setattr(owner, name, make(getattr(owner, name)))


def without(owner: Any, name: str) -> Fault:
    """A node whose method does nothing."""
    return lambda patch: patch.setattr(owner, name, nothing)


def always(owner: Any, name: str, value: Any) -> Fault:
    """A node whose function returns ``value`` whatever it gets."""
    return lambda patch: patch.setattr(owner, name, lambda *_, **__: value)


# discovery v4


def ignoring(condition: Callable[[Ping, bool], bool]) -> Fault:
    """A node that drops some pings; the condition also gets whether the sender is proven."""

    def make(method: Any) -> Any:
        def on_ping(self, ping, received, from_id, addr, proven, now):
            if not condition(ping, proven):
                method(self, ping, received, from_id, addr, proven, now)

        return on_ping

    return lambda patch: wrap(patch, EngineV4, "_on_ping", make)


def receiving(change: Callable[[EngineV4, bytes, Endpoint, Any], bytes]) -> Fault:
    """A node that changes datagrams before it reads them."""

    def make(method: Any) -> Any:
        def receive(self, data, addr, now):
            return method(self, change(self, data, addr, now), addr, now)

        return receive

    return lambda patch: wrap(patch, EngineV4, "receive_datagram", make)


def with_right_hash(engine: EngineV4, data: bytes, addr: Endpoint, now: Any) -> bytes:
    return keccak256(data[32:]) + data[32:]


def without_more(engine: EngineV4, data: bytes, addr: Endpoint, now: Any) -> bytes:
    return b"" if b"more" in data else data


def answer_unknown(engine: EngineV4, data: bytes, addr: Endpoint, now: Any) -> bytes:
    if data[97] == 0x42:
        engine._sender.pong(addr, 0, data[:32], True, now)
    return data


def pong_to_nobody(patch: Patch) -> None:
    made = sender4.Pong
    place = NodeEndpoint(NOBODY, 1, 1)
    patch.setattr(sender4, "Pong", lambda _to, *rest: made(place, *rest))


def seventeen(patch: Patch) -> None:
    def on_findnode(self, packet, from_id, addr, now):
        node = NeighborNode(ip_address("127.0.0.1"), 1, 1, bytes(63) + b"\1")
        self._sender.neighbors(from_id, addr, [node] * 12, now)
        self._sender.neighbors(from_id, addr, [node] * 5, now)

    patch.setattr(EngineV4, "_on_findnode", on_findnode)


def believe_neighbors(patch: Patch) -> None:
    told: list[NeighborNode] = []

    def accept(method):
        def accept(self, received, size, addr, now):
            if isinstance(received.packet, Neighbors):
                told.extend(received.packet.nodes)
            return method(self, received, size, addr, now)

        return accept

    def on_findnode(self, packet, from_id, addr, now):
        self._sender.neighbors(from_id, addr, told, now)

    patch.setattr(EngineV4, "_refusal", nothing)
    wrap(patch, EngineV4, "_accept", accept)
    patch.setattr(EngineV4, "_on_findnode", on_findnode)


proves_all = always(Bonds, "is_proven", True)
DISCV4: dict[str, Fault] = {
    "ping": without(Sender, "pong"),
    "pong-fields": pong_to_nobody,
    "ping-back": without(Requests4, "ping_back"),
    "ping-with-wrong-to": ignoring(lambda ping, _: ping.recipient.ip == NOBODY),
    "ping-with-wrong-from": ignoring(lambda ping, _: ping.sender.ip == NOBODY),
    "ping-with-another-version": ignoring(lambda ping, _: ping.version != 4),
    "ping-with-more-data": receiving(without_more),
    "ping-with-more-data-and-wrong-from": receiving(without_more),
    "expired-ping": always(engine4, "is_expired", False),
    "unknown-packet-type": receiving(answer_unknown),
    "wrong-hash": receiving(with_right_hash),
    "bond-then-ping-with-wrong-from": ignoring(lambda ping, p: p and ping.sender.ip == NOBODY),
    "find-node-without-proof": proves_all,
    "find-node": without(EngineV4, "_on_findnode"),
    "find-node-limit": seventeen,
    "unsolicited-neighbors": believe_neighbors,
    "expired-find-node": always(engine4, "is_expired", False),
    "find-node-after-a-wrong-pong": proves_all,
    "find-node-from-another-address": proves_all,
    "enr-request": without(Sender, "enr_response"),
    "enr-request-without-proof": proves_all,
    "expired-enr-request": always(engine4, "is_expired", False),
}


# discovery v5


def accept_without_record(patch: Patch) -> None:
    node = p2p.Node.from_parts(p2p.generate_key().public_key)
    patch.setattr(handshakes5, "_node_of", lambda known, node_id, rlp: replace(node, id=node_id))
    patch.setattr(handshakes5, "verify_identity", lambda *_: True)


def new_challenges(patch: Patch) -> None:
    def make(method):
        def challenge(self, *arguments):
            self._challenges.clear()
            return method(self, *arguments)

        return challenge

    wrap(patch, Handshakes, "challenge", make)


def sessions_of_any_address(patch: Patch) -> None:
    def make(method):
        def decrypt(self, remote, packet):
            for other, entry in list(self._entries.items()):
                if other[0] == remote[0]:
                    self._entries[remote] = entry
            return method(self, remote, packet)

        return decrypt

    wrap(patch, Sessions, "decrypt", make)


def answer_everything(patch: Patch) -> None:
    def make(method):
        def receive(self, data, addr, now):
            self._traffic.send("whoareyou", b"", bytes(63), addr, now)
            return method(self, data, addr, now)

        return receive

    wrap(patch, EngineV5, "receive_datagram", make)


def wrong_pong(patch: Patch) -> None:
    made = engine5.Pong

    class WrongPong(made):
        def __init__(self, request_id, seq, to):
            super().__init__(request_id, seq, Endpoint(to.ip, to.port ^ 1))

    patch.setattr(engine5, "Pong", WrongPong)


def number_as_request_id(patch: Patch) -> None:
    made = engine5.Pong

    class NumberedPong(made):
        def __init__(self, request_id, *rest):
            super().__init__(request_id.lstrip(b"\0"), *rest)

    patch.setattr(engine5, "Pong", NumberedPong)


def answer_unknown_type(patch: Patch) -> None:
    def make(method):
        def decode(self, plaintext):
            if plaintext[0] == 0x7F:
                plaintext = b"\1" + plaintext[1:]
            return method(self, plaintext)

        return decode

    wrap(patch, EngineV5, "_decode", make)


def talking(change: Callable[[Any, bytes], bytes | None]) -> Fault:
    def make(method: Any) -> Any:
        def respond(self, request, response, now):
            changed = change(request, response)
            if changed is not None:
                method(self, request, changed, now)

        return respond

    return lambda patch: wrap(patch, EngineV5, "respond", make)


def telling(records: Callable[[EngineV5], list[bytes]]) -> Fault:
    def records_at(self, distances, remote):
        return records(self)

    return lambda patch: patch.setattr(EngineV5, "_records_at", records_at)


DISCV5: dict[str, Fault] = {
    "whoareyou": without(EngineV5, "_challenge"),
    "handshake": without(EngineV5, "_on_handshake"),
    "handshake-with-a-wrong-signature": always(handshakes5, "verify_identity", True),
    "handshake-without-record": accept_without_record,
    "handshake-resend": new_challenges,
    "session-from-another-address": sessions_of_any_address,
    "wrong-protocol-id": answer_everything,
    "pong-fields": wrong_pong,
    "ping-with-zeros-in-the-request-id": number_as_request_id,
    "ping-with-a-long-request-id": lambda p: p.setattr(message5, "MAX_REQUEST_ID_SIZE", 32),
    "unknown-message-type": answer_unknown_type,
    "talk-of-an-unknown-protocol": talking(lambda request, response: b"x"),
    "talk-with-an-empty-request-id": talking(lambda request, _: b"" if request[2] else None),
    "find-node-at-distance-zero": telling(lambda engine: []),
    "find-node-distances": telling(lambda engine: [engine._local.record.to_rlp()]),
    "find-node-results": telling(lambda engine: []),
}


# RLPx


def of_node(patch: Patch, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a method of the connections of the node; those of the tester keep theirs."""
    original = getattr(Connection, name)
    changed = make(original)

    def method(self, *arguments):
        is_tester = self._hello.name == "p2p conformance"
        return (original if is_tester else changed)(self, *arguments)

    patch.setattr(Connection, name, method)


def refusing_auth(condition: Callable[[bytes], bool]) -> Fault:
    def make(read: Any) -> Any:
        def read_auth(key, body, plain):
            if condition(body):
                raise HandshakeError("refused")
            return read(key, body, plain)

        return read_auth

    return lambda patch: wrap(patch, handshake, "_read_auth", make)


def has_another_version(body: bytes) -> bool:
    return 56 in body[165:180]


def refusing_parts(patch: Patch) -> None:
    def make(method):
        def receive_data(self, data):
            if len(data) < 100:
                raise HandshakeError("a part")
            method(self, data)

        return receive_data

    wrap(patch, PacketBuffer, "receive_data", make)


def answer_any_auth(patch: Patch) -> None:
    def make(method):
        def receive_data(self, data, now):
            self._exchange._to_send.append(b"welcome")
            return method(self, data, now)

        return receive_data

    of_node(patch, "receive_data", make)


def refusing_hello(condition: Callable[[bytes], bool]) -> Fault:
    def make(decode: Any) -> Any:
        def decode_hello(payload):
            if condition(bytes(payload)):
                raise HelloError("refused")
            return decode(payload)

        return decode_hello

    return lambda patch: wrap(patch, rlpx, "decode_hello", make)


def another_identity(patch: Patch) -> None:
    def make(method):
        def accept_identity(self, now):
            self._hello = replace(self._hello, node_key=p2p.generate_key().public_key.to_bytes())
            return method(self, now)

        return accept_identity

    of_node(patch, "accept_identity", make)


def always_compressing(patch: Patch) -> None:
    def make(method):
        def await_hello(self, events):
            method(self, events)
            self._snappy = True

        return await_hello

    of_node(patch, "_await_hello", make)


def passing_over(name: str, condition: Callable[..., bool]) -> Fault:
    """A node whose method does nothing for some arguments."""

    def make(method: Any) -> Any:
        def changed(self, *arguments):
            return None if condition(self, *arguments) else method(self, *arguments)

        return changed

    return lambda patch: of_node(patch, name, make)


def ping_is_no_frame(patch: Patch) -> None:
    def make(method):
        def read_frame(self):
            frames = method(self)
            return [frame for frame in frames if frame[0] != PING]

        return read_frame

    of_node(patch, "_read_frame", make)


def forgiving(name: str, *errors: type[Exception]) -> Fault:
    """A node whose method ignores errors."""

    def make(method: Any) -> Any:
        def changed(self, *arguments):
            try:
                return method(self, *arguments)
            except errors:
                return None

        return changed

    return lambda patch: of_node(patch, name, make)


def ignoring_bad_frames(patch: Patch) -> None:
    def make(method):
        def read(self, most):
            try:
                return method(self, most)
            except FrameError:
                return []

        return read

    wrap(patch, FrameReader, "read", make)


def reading_any_block(patch: Patch) -> None:
    def make(decompress):
        def changed(block):
            try:
                return decompress(block)
            except CompressionError:
                return b"\xc0"

        return changed

    patch.setattr(snappy, "MAX_MESSAGE_SIZE", 1 << 25)
    wrap(patch, rlpx, "decompress", make)


RLPX: dict[str, Fault] = {
    "handshake": another_identity,
    "auth-with-more-items": refusing_auth(lambda body: b"more" in body),
    "auth-with-another-version": refusing_auth(has_another_version),
    "auth-with-random-padding": refusing_auth(lambda body: any(body[-290:-100])),
    "auth-byte-by-byte": refusing_parts,
    "auth-with-a-wrong-mac": answer_any_auth,
    "auth-for-another-node": answer_any_auth,
    "hello-with-more-items": refusing_hello(lambda payload: b"more" in payload),
    "hello-with-a-higher-version": refusing_hello(lambda payload: 99 in payload[:4]),
    "hello-with-version-4": always_compressing,
    "ping-before-hello": ping_is_no_frame,
    "second-hello": passing_over("_receive_base", lambda self, code, *_: code == HELLO),
    "hello-of-another-node": forgiving("_await_hello", p2p.errors.UnexpectedIdentity),
    "malformed-hello": forgiving("_await_hello", HelloError),
    "frame-with-a-wrong-mac": ignoring_bad_frames,
    "header-with-a-wrong-mac": ignoring_bad_frames,
    "frame-byte-by-byte": passing_over("_read_messages", lambda *_: True),
    "ping": passing_over("_receive_base", lambda self, code, *_: code == PING),
    "disconnect": passing_over("_receive_disconnect", lambda *_: True),
    "message-that-is-not-compressed": reading_any_block,
    "message-too-large": reading_any_block,
}

FAULTS = {"rlpx": RLPX, "discv4": DISCV4, "discv5": DISCV5}
