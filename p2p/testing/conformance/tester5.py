"""One node of discovery v5 under the control of a case: packets sent and read one by one.

A :class:`TesterV5` has one key, sessions, and any number of sockets; it answers nothing on its own.
It uses the packets, the handshake and the sessions of :mod:`p2p.discover.v5`, without its engine.
One thread.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TypeVar

from p2p.clock import Deadline
from p2p.crypto import PrivateKey
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.message import (
    FindNode,
    Message,
    Nodes,
    Ping,
    Pong,
    decode,
    encode,
)
from p2p.discover.v5.packet import HandshakePacket, MessagePacket, Packet, WhoAreYou
from p2p.discover.v5.packet import decode as decode_packet
from p2p.discover.v5.requests import new_request_id
from p2p.discover.v5.sessions import Session, Sessions
from p2p.enode import NodeID, generate_key
from p2p.enode.localrecord import LocalRecord
from p2p.enr import Record
from p2p.errors import PacketError
from p2p.net import bind_udp
from p2p.net.sockaddr import endpoint_of
from p2p.testing.conformance.case import Target
from p2p.testing.packets import local_host, receive_from

M = TypeVar("M", bound=Message)
#: Messages of a response to FINDNODE at most; 16 records in single messages are enough.
MAX_TOTAL = 16


class TesterV5:
    """A node with a new key that talks to the target. The end of a ``with`` block closes it."""

    def __init__(self, target: Target) -> None:
        to = target.node.udp_endpoint
        assert to is not None
        self.to = to
        self.node = target.node
        self.answer_s = target.answer_s
        self.remote = (target.node.id, to)
        self.key = generate_key()
        self._stack = ExitStack()
        self.sock = self.bind(local_host(to))
        self.endpoint = endpoint_of(self.sock.getsockname())
        self.id = NodeID.from_public_key(self.key.public_key)
        self.local = LocalRecord(self.key)
        self.local.set_static_endpoint(*self.endpoint)
        self.handshakes = Handshakes(self.key, self.local, os.urandom)
        self.sessions = Sessions(self.id, os.urandom)

    def bind(self, host: str) -> socket.socket:
        """Return a socket on another address of this machine, closed with the tester."""
        return self._stack.enter_context(bind_udp(host, 0))

    def new_id(self) -> bytes:
        """Return a random request ID."""
        return new_request_id(os.urandom)

    # packets

    def send_raw(self, data: bytes, sock: socket.socket | None = None) -> None:
        """Send a datagram."""
        (sock or self.sock).sendto(data, (str(self.to.ip), self.to.port))

    def send_random(self, sock: socket.socket | None = None) -> bytes:
        """Send a message that the target cannot decrypt; return its nonce."""
        sealed = self.handshakes.random_message(self.remote)
        self.send_raw(sealed.datagram, sock)
        return sealed.nonce

    def send_under_session(self, plaintext: bytes, sock: socket.socket | None = None) -> bytes:
        """Send a message under the session; return its nonce."""
        session = self.sessions.get(self.remote)
        assert session is not None, "there is no session"
        sealed = self.sessions.encrypt(self.remote, session, plaintext)
        self.send_raw(sealed.datagram, sock)
        return sealed.nonce

    def answer(
        self, challenge: WhoAreYou, plaintext: bytes, sock: socket.socket | None = None
    ) -> Session:
        """Answer a challenge with a handshake packet; the session counts from here on."""
        datagram, session = self.handshakes.answer(challenge, self.node, plaintext)
        self.sessions.add(self.remote, session)
        self.send_raw(datagram, sock)
        return session

    def read_packet(self, timeout: float, sock: socket.socket | None = None) -> Packet | None:
        """Return the next packet of the target, None after ``timeout`` seconds."""
        data = receive_from(self.to, sock or self.sock, Deadline(timeout))
        return None if data is None else decode_packet(data, self.id)

    def packets(self, seconds: float, sock: socket.socket | None = None) -> Iterator[Packet]:
        """Yield the packets of the target that come within ``seconds``."""
        deadline = Deadline(seconds)
        while (packet := self.read_packet(deadline.left_at_least(0.0), sock)) is not None:
            yield packet
            if deadline.is_over:  # the target may send without end
                return

    def sign_with(self, key: PrivateKey) -> None:
        """Sign handshakes with another key; the session keys stay right."""
        self.handshakes._private_key = key

    # conversation

    def expect_whoareyou(self, nonce: bytes, sock: socket.socket | None = None) -> WhoAreYou:
        """Return the challenge to the packet with ``nonce``; other packets are skipped."""
        for packet in self.packets(self.answer_s, sock):
            if isinstance(packet, WhoAreYou):
                assert packet.nonce == nonce, "the WHOAREYOU names another packet"
                return packet
        raise AssertionError(f"no WHOAREYOU in {self.answer_s:g} s")

    def handshake(self, sock: socket.socket | None = None) -> Pong:
        """Make a session with a ping, and return the pong."""
        challenge = self.expect_whoareyou(self.send_random(sock), sock)
        ping = Ping(self.new_id(), self.local.record.seq)
        self.answer(challenge, encode(ping), sock)
        return self.expect(Pong, ping.request_id, sock=sock)

    def ask(self, request: Message, kind: type[M]) -> M:
        """Send a request under the session, which is made first; return the response."""
        if self.sessions.get(self.remote) is None:
            self.handshake()
        self.send_under_session(encode(request))
        return self.expect(kind, request.request_id)

    def find_node(self, distances: list[int]) -> list[Record]:
        """Return the records in all messages of the response to a FINDNODE."""
        request = FindNode(self.new_id(), distances)
        nodes = self.ask(request, Nodes)
        assert nodes.total <= MAX_TOTAL, f"the response has {nodes.total} messages"
        records = list(nodes.records)
        for _ in range(nodes.total - 1):
            records += self.expect(Nodes, request.request_id).records
        return [Record.from_rlp(record) for record in records]

    def expect(
        self,
        kind: type[M],
        request_id: bytes,
        timeout: float | None = None,
        sock: socket.socket | None = None,
    ) -> M:
        """Return the response to ``request_id``; requests of the target are answered meanwhile."""
        timeout = self.answer_s if timeout is None else timeout
        for packet in self.packets(timeout, sock):
            message = self.open(packet, sock)
            if isinstance(message, kind) and message.request_id == request_id:
                return message
        raise AssertionError(f"no {kind.__name__} in {timeout:g} s")

    def open(self, packet: Packet, sock: socket.socket | None = None) -> Message | None:
        """Decrypt a packet; a challenge is answered with a ping, and a request by its response."""
        if isinstance(packet, WhoAreYou):
            return None
        plaintext = self._plaintext(packet)
        if plaintext is None:
            if isinstance(packet, MessagePacket):
                self._challenge(packet, sock)
            return None
        message = decode(plaintext)
        self._respond(message, sock)
        return message

    def _plaintext(self, packet: MessagePacket | HandshakePacket) -> bytes | None:
        if isinstance(packet, MessagePacket):
            return self.sessions.decrypt(self.remote, packet)
        try:
            accepted = self.handshakes.accept(self.remote, packet, 0.0)
        except PacketError:
            return None
        self.sessions.add(self.remote, accepted.session)
        return accepted.plaintext

    def _challenge(self, packet: MessagePacket, sock: socket.socket | None) -> None:
        datagram = self.handshakes.challenge(self.remote, packet.nonce, self.node, 0.0)
        if datagram is not None:
            self.send_raw(datagram, sock)

    def _respond(self, message: Message, sock: socket.socket | None) -> None:
        response: Message
        if isinstance(message, Ping):
            response = Pong(message.request_id, self.local.record.seq, self.to)
        elif isinstance(message, FindNode):
            records = [self.local.record.to_rlp()] if 0 in message.distances else []
            response = Nodes(message.request_id, 1, records)
        else:
            return
        datagram = self.sessions.encrypt_reply(self.remote, encode(response))
        if datagram is not None:
            self.send_raw(datagram, sock)

    def close(self) -> None:
        """Close all sockets."""
        self._stack.close()

    def __enter__(self) -> TesterV5:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
