"""Sessions: the keys shared with a node at an endpoint, and the messages that pass under them.

Pure. A session belongs to a node ID *and* an endpoint, so that a node at a forged address has none
(discv5-theory, "Session Cache"). The cache is bounded; the session used least recently goes.

When both ends begin a handshake at the same time, there are two sessions, and each end may hold the
other one for the newer. So the last but one is kept to read with. A request is written with the
newest, a response with the session of its request: the remote may have kept that one alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, TypeAlias

from p2p.crypto import AEAD, Entropy, gcm
from p2p.discover.v5.keys import SessionKeys
from p2p.discover.v5.packet import (
    IV_SIZE,
    NONCE_SIZE,
    Mask,
    MessagePacket,
    mask,
    mask_of,
    message_head,
)
from p2p.enode.nodeid import NodeID
from p2p.netutil import Endpoint

#: Sessions at most; go-ethereum keeps as many.
MAX_SESSIONS = 1024
_COUNTER_SIZE = 4
_MAX_COUNT = 0xFFFFFFFF

#: A node at an endpoint.
Remote: TypeAlias = tuple[NodeID, Endpoint]


class Sealed(NamedTuple):
    """A datagram, and the nonce by which a WHOAREYOU refers to it."""

    datagram: bytes
    nonce: bytes


class Session:
    """Keys of one session. ``keys`` are as derived; the initiator writes with the first."""

    __slots__ = ("_count", "_entropy", "_reader", "_writer", "keys")

    def __init__(self, keys: SessionKeys, is_initiator: bool, entropy: Entropy) -> None:
        self.keys = keys
        write, read = keys if is_initiator else reversed(keys)
        self._writer: AEAD = gcm(write)
        self._reader: AEAD = gcm(read)
        self._entropy = entropy
        self._count = 0

    @property
    def is_used_up(self) -> bool:
        """Whether no nonce is left."""
        return self._count >= _MAX_COUNT

    def next_nonce(self) -> bytes:
        """Return a nonce: the count of messages, then random bytes."""
        self._count += 1
        return self._count.to_bytes(_COUNTER_SIZE, "big") + self._entropy(
            NONCE_SIZE - _COUNTER_SIZE
        )

    def encrypt(self, nonce: bytes, plaintext: bytes, head: bytes) -> bytes:
        """Return the ciphertext of a message, with ``head`` authenticated."""
        return self._writer.encrypt(nonce, plaintext, head)

    def decrypt(self, nonce: bytes, ciphertext: bytes, head: bytes) -> bytes | None:
        """Return the plaintext; None if it is not of this session."""
        try:
            return self._reader.decrypt(nonce, ciphertext, head)
        except ValueError:
            return None


class _Entry(NamedTuple):
    newest: Session
    previous: Session | None
    last_read: Session  # one of the two
    mask: Mask


class Sessions:
    """The session cache of the node ``own_id``."""

    def __init__(self, own_id: NodeID, entropy: Entropy, max_sessions: int = MAX_SESSIONS) -> None:
        self._own_id = own_id
        self._entropy = entropy
        self._max = max_sessions
        self._entries: OrderedDict[Remote, _Entry] = OrderedDict()

    def get(self, remote: Remote) -> Session | None:
        """Return the session to write a request with, if there is one."""
        entry = self._entries.get(remote)
        return None if entry is None or entry.newest.is_used_up else entry.newest

    def add(self, remote: Remote, session: Session) -> None:
        """Use a new session from now on."""
        last = self._entries.get(remote)
        if last is None:
            entry = _Entry(session, None, session, mask_of(remote[0]))
        else:
            entry = _Entry(session, last.newest, session, last.mask)
        self._entries[remote] = entry
        self._entries.move_to_end(remote)
        if len(self._entries) > self._max:
            self._entries.popitem(last=False)

    def encrypt(self, remote: Remote, session: Session, plaintext: bytes) -> Sealed:
        """Return the datagram of a message."""
        self._entries.move_to_end(remote)
        return self._seal(remote, self._entries[remote].mask, session, plaintext)

    def encrypt_reply(self, remote: Remote, plaintext: bytes) -> bytes | None:
        """Return the datagram of a response, under the session of the last message that came.

        None if there is none.
        """
        entry = self._entries.get(remote)
        if entry is None or entry.last_read.is_used_up:
            return None
        return self._seal(remote, entry.mask, entry.last_read, plaintext).datagram

    def _seal(self, remote: Remote, kept: Mask, session: Session, plaintext: bytes) -> Sealed:
        nonce = session.next_nonce()
        head = message_head(self._entropy(IV_SIZE), nonce, self._own_id)
        ciphertext = session.encrypt(nonce, plaintext, head)
        return Sealed(mask(head, remote[0], kept) + ciphertext, nonce)

    def decrypt(self, remote: Remote, packet: MessagePacket) -> bytes | None:
        """Return the plaintext of a message; None without a session that fits."""
        entry = self._entries.get(remote)
        if entry is None:
            return None
        for session in (entry.newest, entry.previous):
            if session is None:
                continue
            plaintext = session.decrypt(packet.nonce, packet.ciphertext, packet.head)
            if plaintext is not None:
                if session is not entry.last_read:
                    self._entries[remote] = entry._replace(last_read=session)
                self._entries.move_to_end(remote)
                return plaintext
        return None

    def __len__(self) -> int:
        return len(self._entries)
