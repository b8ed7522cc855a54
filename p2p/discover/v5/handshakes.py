"""Handshakes: challenges that we send, and answers to those of others.

Pure. A node that cannot decrypt a message sends a WHOAREYOU, the challenge; the sender repeats the
message in a handshake packet, which proves its identity and makes the session (discv5-theory,
"Handshake Steps"). One challenge at a time is open for a node at an endpoint. Further messages get
the same one again, as go-ethereum's suite wants it, since the answer to it may be under way.

A challenge is smaller than the message that it answers, so it cannot amplify. Only the owner of an
endpoint can answer one. Challenges are bounded in number and in time; beyond that there is silence.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from p2p.crypto import Entropy, PrivateKey, PublicKey
from p2p.discover.local import LocalView
from p2p.discover.v5.keys import initiator_keys, recipient_keys, sign_identity, verify_identity
from p2p.discover.v5.packet import (
    ID_NONCE_SIZE,
    IV_SIZE,
    NONCE_SIZE,
    HandshakePacket,
    WhoAreYou,
    handshake_head,
    mask,
    message_head,
    whoareyou_head,
)
from p2p.discover.v5.sessions import Remote, Sealed, Session
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.errors import InvalidKey, InvalidNode, PacketError

#: Time in which a challenge can be answered, in seconds (discv5-wire, "UDP Communication").
CHALLENGE_TIMEOUT_S = 1.0
#: Open challenges at most. At the rate limit of unverified sources there are half as many.
MAX_CHALLENGES = 4096
#: Size of the random message that asks for a challenge, in bytes, as go-ethereum has it.
_RANDOM_SIZE = 20


@dataclass(frozen=True, slots=True)
class _Challenge:
    head: bytes
    known: Node | None
    expires: float


class Accepted(NamedTuple):
    """A handshake that a node has passed: its session, its node, and the message in it."""

    session: Session
    node: Node
    plaintext: bytes


class Handshakes:
    """The handshakes of the node with ``private_key``."""

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        entropy: Entropy,
        max_challenges: int = MAX_CHALLENGES,
    ) -> None:
        self._private_key = private_key
        self._own_id = NodeID.from_public_key(private_key.public_key)
        self._local = local
        self._entropy = entropy
        self._max = max_challenges
        # oldest first
        self._challenges: OrderedDict[Remote, _Challenge] = OrderedDict()

    # As initiator.

    def random_message(self, remote: Remote) -> Sealed:
        """Return a message with random content, to be answered with a challenge."""
        nonce = self._entropy(NONCE_SIZE)
        head = message_head(self._entropy(IV_SIZE), nonce, self._own_id)
        return Sealed(mask(head, remote[0]) + self._entropy(_RANDOM_SIZE), nonce)

    def answer(
        self, challenge: WhoAreYou, node: Node, plaintext: bytes
    ) -> tuple[bytes, Session]:
        """Return the handshake packet for ``node`` with a message, and the session of both."""
        ephemeral = PrivateKey.generate(self._entropy)
        ephemeral_key = ephemeral.public_key.to_compressed()
        ids = self._own_id, node.id
        keys = initiator_keys(ephemeral, node.public_key, ids, challenge.head)
        session = Session(keys, True, self._entropy)
        signature = sign_identity(self._private_key, challenge.head, ephemeral_key, node.id)
        record = self._local.record
        # discv5-wire, "Handshake Message Packet": left out if the remote has the current one.
        rlp = record.to_rlp() if challenge.enr_seq < record.seq else b""
        nonce = session.next_nonce()
        iv = self._entropy(IV_SIZE)
        head = handshake_head(iv, nonce, self._own_id, signature, ephemeral_key, rlp)
        return mask(head, node.id) + session.encrypt(nonce, plaintext, head), session

    # As recipient.

    def challenge(
        self, remote: Remote, nonce: bytes, known: Node | None, now: float
    ) -> bytes | None:
        """Return a WHOAREYOU for a message that cannot be decrypted; None when too many are open.

        ``known`` is the node as it is known, with its record, or None.
        """
        self._expire(now)
        opened = self._challenges.get(remote)
        if opened is None:
            if len(self._challenges) >= self._max:
                return None
            seq = 0 if known is None else known.seq
            id_nonce = self._entropy(ID_NONCE_SIZE)
            head = whoareyou_head(self._entropy(IV_SIZE), nonce, id_nonce, seq)
            opened = _Challenge(head, known, now + CHALLENGE_TIMEOUT_S)
            self._challenges[remote] = opened
        return mask(opened.head, remote[0])

    def accept(self, remote: Remote, packet: HandshakePacket, now: float) -> Accepted:
        """Check a handshake packet, and close the challenge that it answers.

        Raises PacketError, whose ``reason`` is ``handshake``. The challenge then stays open: the
        source of the packet may be forged.
        """
        self._expire(now)
        opened = self._challenges.get(remote)
        if opened is None:
            raise _refused("no challenge of ours")
        node = _node_of(opened.known, remote[0], packet.record)
        head, key = opened.head, packet.ephemeral_key
        if not verify_identity(node.public_key, packet.signature, head, key, self._own_id):
            raise _refused("the signature is not the node's, or of another challenge")
        session = self._session_of(remote[0], key, head)
        plaintext = session.decrypt(packet.nonce, packet.ciphertext, packet.head)
        if plaintext is None:
            raise _refused("the message cannot be decrypted")
        del self._challenges[remote]
        return Accepted(session, node, plaintext)

    def _session_of(self, initiator_id: NodeID, ephemeral_key: bytes, challenge: bytes) -> Session:
        try:
            ephemeral = PublicKey.from_compressed(ephemeral_key)
        except InvalidKey as error:
            raise _refused("the ephemeral key is none") from error
        ids = initiator_id, self._own_id
        keys = recipient_keys(self._private_key, ephemeral, ids, challenge)
        return Session(keys, False, self._entropy)

    def _expire(self, now: float) -> None:
        while self._challenges:
            remote, opened = next(iter(self._challenges.items()))
            if opened.expires > now:
                return
            del self._challenges[remote]

    def __len__(self) -> int:
        """Return the number of open challenges."""
        return len(self._challenges)


def _node_of(known: Node | None, node_id: NodeID, rlp: bytes) -> Node:
    """Return the initiator's node, from its record or as it was known."""
    if not rlp:
        if known is None:
            raise _refused("there is no record")
        return known
    try:
        node = Node.from_record(Record.from_rlp(rlp))
    except InvalidNode as error:
        raise _refused(f"invalid record: {error}") from error
    if node.id != node_id:
        raise _refused("the record is of another node")
    return node if known is None or known.seq < node.seq else known


def _refused(why: str) -> PacketError:
    return PacketError("handshake", f"handshake refused: {why}")
