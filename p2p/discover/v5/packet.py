"""The packets of discovery v5: masking, header, and the three kinds of authdata.

Pure. Owns the layout of a datagram; whether a message can be decrypted, and with what, is the
session's affair (:mod:`p2p.discover.v5.sessions`). Specification: discv5-wire, "Packet Encoding".
A datagram has 63 to 1,280 bytes::

    masking-iv     16  random
    static-header  23  masked: "discv5" || version(2) || flag(1) || nonce(12) || authdata-size(2)
    authdata        n  masked, by flag
    message            encrypted; absent in WHOAREYOU

    flag 0, message    source-id(32)
    flag 1, WHOAREYOU  id-nonce(16) || enr-seq(8)
    flag 2, handshake  source-id(32) || signature-size(1) || key-size(1)
                       || signature || ephemeral key || record, perhaps empty

Masked parts are one AES-128-CTR stream; its key is the first half of the recipient's ID. The
message is AES-128-GCM of its plaintext, with the unmasked bytes before it as associated data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from p2p.crypto import ctr_streams
from p2p.discover.v5.keys import EPHEMERAL_KEY_SIZE, SIGNATURE_SIZE
from p2p.errors import PacketError

MIN_PACKET_SIZE = 63
MAX_PACKET_SIZE = 1280
NONCE_SIZE = 12
ID_NONCE_SIZE = 16
IV_SIZE = 16
_ID_SIZE = 32
_PROTOCOL = b"discv5"
_VERSION = 1
_HEADER_SIZE = 23
_HEAD_SIZE = IV_SIZE + _HEADER_SIZE
#: Smallest authdata with a message after it, as go-ethereum has it: source-id and tag.
_MIN_MESSAGE_SIZE = 48
_WHOAREYOU_SIZE = ID_NONCE_SIZE + 8
_HANDSHAKE_HEAD_SIZE = _ID_SIZE + 2

MESSAGE, WHOAREYOU, HANDSHAKE = range(3)
_KINDS = ("message", "whoareyou", "handshake")


class MessagePacket(NamedTuple):
    """An ordinary message; ``head`` are the unmasked bytes before ``ciphertext``."""

    nonce: bytes
    source: bytes
    head: bytes
    ciphertext: bytes


class WhoAreYou(NamedTuple):
    """A challenge, in response to the packet with ``nonce``; ``head`` are all unmasked bytes.

    ``enr_seq`` is the sequence number of the record that the sender has of the recipient, 0 for
    none.
    """

    nonce: bytes
    id_nonce: bytes
    enr_seq: int
    head: bytes


class HandshakePacket(NamedTuple):
    """A message that answers a challenge; ``record`` is RLP, or empty."""

    nonce: bytes
    source: bytes
    signature: bytes
    ephemeral_key: bytes
    record: bytes
    head: bytes
    ciphertext: bytes


Packet: TypeAlias = MessagePacket | WhoAreYou | HandshakePacket
#: Begins the stream of an IV.
Mask: TypeAlias = Callable[[bytes], Callable[[bytes], bytes]]


def mask_of(recipient_id: bytes) -> Mask:
    """Return the masks of packets to a node; for one thread at a time. It pays to keep it."""
    return ctr_streams(recipient_id[:16])


def message_head(iv: bytes, nonce: bytes, source: bytes) -> bytes:
    """Return the unmasked head of an ordinary message."""
    return _head(iv, MESSAGE, nonce, source)


def whoareyou_head(iv: bytes, nonce: bytes, id_nonce: bytes, enr_seq: int) -> bytes:
    """Return the unmasked WHOAREYOU packet, which is a head alone."""
    return _head(iv, WHOAREYOU, nonce, id_nonce + enr_seq.to_bytes(8, "big"))


def handshake_head(
    iv: bytes, nonce: bytes, source: bytes, signature: bytes, ephemeral_key: bytes, record: bytes
) -> bytes:
    """Return the unmasked head of a handshake message."""
    sizes = bytes((len(signature), len(ephemeral_key)))
    return _head(iv, HANDSHAKE, nonce, source + sizes + signature + ephemeral_key + record)


def mask(head: bytes, recipient_id: bytes, kept: Mask | None = None) -> bytes:
    """Return the head as it is sent to ``recipient_id``; or, for our own ID, the unmasked head.

    ``kept`` is :func:`mask_of` of the recipient, if it was kept.
    """
    iv = head[:IV_SIZE]
    return iv + (kept or mask_of(recipient_id))(iv)(head[IV_SIZE:])


def is_ours(datagram: bytes, own_id: bytes) -> bool:
    """Whether a datagram begins as a packet of this protocol for ``own_id``."""
    if not MIN_PACKET_SIZE <= len(datagram) <= MAX_PACKET_SIZE:
        return False
    head = mask_of(own_id)(datagram[:IV_SIZE])(datagram[IV_SIZE:_HEAD_SIZE])
    return head.startswith(_PROTOCOL)


def kind_of(datagram: bytes, own_id: bytes) -> str | None:
    """Name of the packet kind, by the flag alone; None unless it is for ``own_id``."""
    if not is_ours(datagram, own_id):
        return None
    flag = mask(datagram[:_HEAD_SIZE], own_id)[IV_SIZE + 8]
    return _KINDS[flag] if flag < len(_KINDS) else None


def decode(datagram: bytes, own_id: bytes, kept: Mask | None = None) -> Packet:
    """Read a datagram for ``own_id``; ``kept`` is :func:`mask_of` of it, if it was kept.

    Raises PacketError, whose ``reason`` is one of ``size``, ``header``, ``version``, ``flag`` and
    ``authdata``. The first two are those of datagrams of other protocols.
    """
    if not MIN_PACKET_SIZE <= len(datagram) <= MAX_PACKET_SIZE:
        raise PacketError("size", f"a datagram of {len(datagram)} bytes is no packet")
    unmask = (kept or mask_of(own_id))(datagram[:IV_SIZE])
    header = unmask(datagram[IV_SIZE:_HEAD_SIZE])
    flag, size = _read_header(header, len(datagram) - _HEAD_SIZE)
    authdata = unmask(datagram[_HEAD_SIZE : _HEAD_SIZE + size])
    head = datagram[:IV_SIZE] + header + authdata
    nonce, message = header[9:21], datagram[_HEAD_SIZE + size :]
    if flag == MESSAGE:
        return MessagePacket(nonce, _exactly(_ID_SIZE, authdata), head, message)
    if flag == HANDSHAKE:
        return HandshakePacket(nonce, *_split_handshake(authdata), head, message)
    _exactly(_WHOAREYOU_SIZE, authdata)
    if message:
        raise PacketError("authdata", "a WHOAREYOU with a message")
    enr_seq = int.from_bytes(authdata[ID_NONCE_SIZE:], "big")
    return WhoAreYou(nonce, authdata[:ID_NONCE_SIZE], enr_seq, head)


def _head(iv: bytes, flag: int, nonce: bytes, authdata: bytes) -> bytes:
    header = _PROTOCOL + _VERSION.to_bytes(2, "big") + bytes((flag,)) + nonce
    return iv + header + len(authdata).to_bytes(2, "big") + authdata


def _read_header(header: bytes, rest_size: int) -> tuple[int, int]:
    """Return flag and size of the authdata; ``rest_size`` bytes follow the header."""
    if not header.startswith(_PROTOCOL):
        raise PacketError("header", "no packet of this protocol for this node")
    if int.from_bytes(header[6:8], "big") < _VERSION:
        raise PacketError("version", "a version below 1")
    flag, size = header[8], int.from_bytes(header[21:23], "big")
    if flag > HANDSHAKE:
        raise PacketError("flag", f"unknown flag {flag}")
    if size > rest_size or flag != WHOAREYOU and rest_size < _MIN_MESSAGE_SIZE:
        raise PacketError("authdata", "the datagram is shorter than its header says")
    return flag, size


def _exactly(size: int, authdata: bytes) -> bytes:
    if len(authdata) != size:
        raise PacketError("authdata", f"an authdata of {len(authdata)} bytes, want {size}")
    return authdata


def _split_handshake(authdata: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return source, signature, ephemeral key and record."""
    if len(authdata) < _HANDSHAKE_HEAD_SIZE + SIGNATURE_SIZE + EPHEMERAL_KEY_SIZE:
        raise PacketError("authdata", "an authdata too small for a handshake")
    if authdata[_ID_SIZE:_HANDSHAKE_HEAD_SIZE] != bytes((SIGNATURE_SIZE, EPHEMERAL_KEY_SIZE)):
        raise PacketError("authdata", "sizes of another identity scheme")
    key_at = _HANDSHAKE_HEAD_SIZE + SIGNATURE_SIZE
    record_at = key_at + EPHEMERAL_KEY_SIZE
    signature = authdata[_HANDSHAKE_HEAD_SIZE:key_at]
    return authdata[:_ID_SIZE], signature, authdata[key_at:record_at], authdata[record_at:]
