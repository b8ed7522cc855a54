"""The auth and ack packets and the secrets they agree on (rlpx.md, "Initial Handshake"; EIP-8).

Pure: keys, nonces and padding come from the entropy function passed in. Layouts::

    packet   size (2, big-endian) || ECIES(body || padding), the size as shared MAC data
    auth     [signature 65, initiator's public key 64, nonce 32, version, ...]
    ack      [recipient's ephemeral public key 64, nonce 32, version, ...]

    before EIP-8, accepted on request only (option accept_pre_eip8), without size and padding:
    auth     signature 65 || keccak256(ephemeral key) 32 || public key 64 || nonce 32 || 00
    ack      ephemeral public key 64 || nonce 32 || 00

Versions and further list items are ignored. The initiator signs (static shared secret ^ nonce)
with its ephemeral key, so the recipient recovers that key from the signature. None of this proves
the identity of the other end: any signature recovers some key. But only the owner of the static key
that a packet names, or was sealed for, gets the same secrets, and so can make a frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2p.codec import decode_fields, encode
from p2p.crypto import (
    OVERHEAD,
    Entropy,
    PrivateKey,
    PublicKey,
    decrypt,
    encrypt,
    keccak256,
    keccak_hasher,
    recover,
)
from p2p.crypto.backend import Hasher
from p2p.errors import DecodeError, HandshakeError, InvalidKey

#: The limit of go-ethereum since 2024; real packets have 400 to 600 bytes.
MAX_PACKET_SIZE = 2048
#: Padding makes the packet longer than any from before EIP-8 (307 and 210 bytes).
MIN_PADDING, MAX_PADDING = 100, 199
VERSION = 4
NONCE_SIZE = 32

PLAIN_AUTH_SIZE = 194 + OVERHEAD
PLAIN_ACK_SIZE = 97 + OVERHEAD
#: First byte of a packet from before EIP-8: that of an unencrypted public key. The size prefix of
#: one of EIP-8 begins with it only from 1,024 bytes on, which no client sends.
_PLAIN_START = b"\x04"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Result of the handshake, as both ends have computed it. Its ``repr`` shows no secret.

    ``nonces`` and ``packets`` (auth and ack) are the initiator's, then the recipient's;
    ``ephemeral_secret`` is the product of the ephemeral keys, from which all else is derived.
    ``aes`` alone decrypts every frame of a capture; ``mac``, ``nonces`` and ``packets`` check them.
    """

    remote: PublicKey
    initiator: bool
    remote_ephemeral: PublicKey = field(repr=False)
    ephemeral_secret: bytes = field(repr=False)
    nonces: tuple[bytes, bytes] = field(repr=False)
    packets: tuple[bytes, bytes] = field(repr=False)
    aes: bytes = field(repr=False)
    mac: bytes = field(repr=False)


def egress_mac(secrets: Secrets) -> Hasher:
    """Return a new MAC state of this end's frames, as before the first frame."""
    return _mac_state(secrets, 0 if secrets.initiator else 1)


def ingress_mac(secrets: Secrets) -> Hasher:
    """Return a new MAC state of the remote's frames, as before the first frame."""
    return _mac_state(secrets, 1 if secrets.initiator else 0)


def mac_state(mac: bytes, nonce: bytes, packet: bytes) -> Hasher:
    """Return the MAC state of the end that sent ``packet``; ``nonce`` is that of the other end."""
    return keccak_hasher(_xor(mac, nonce) + packet)


def _mac_state(secrets: Secrets, sender: int) -> Hasher:
    """Return the MAC state of the frames of one end: 0 is the initiator, 1 the recipient."""
    return mac_state(secrets.mac, secrets.nonces[1 - sender], secrets.packets[sender])


class PacketBuffer:
    """Buffer for one auth or ack packet of a stream, which it opens.

    ``plain_size`` is the size of a packet from before EIP-8, or 0 to look for none. With
    ``refuses_plain`` such a packet is an error at once, with a hint; without the check it would be
    taken for the beginning of a longer one, and nothing would happen until the deadline. The error
    reveals that a packet can be decrypted only to its sender, who has sealed it for our key.
    """

    def __init__(
        self, private_key: PrivateKey, plain_size: int = 0, refuses_plain: bool = False
    ) -> None:
        self._private_key = private_key
        self._plain_size = plain_size
        self._refuses_plain = refuses_plain
        self._data = b""

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take bytes received."""
        self._data += data

    def next_packet(self) -> tuple[bytes, bytes, bool] | None:
        """Return (packet, body, whether it is from before EIP-8), None until it is complete.

        Raises HandshakeError if it is not a packet for our key.
        """
        if self._plain_size and self._may_be_plain():
            if len(self._data) < self._plain_size:
                return None
            body = self._open_plain()
            if body is not None and self._refuses_plain:
                raise HandshakeError("packet from before EIP-8; accept_pre_eip8=True accepts it")
            if body is not None:
                return self._take(self._plain_size), body, True
            self._plain_size = 0
        if len(self._data) < 2:
            return None
        prefix = self._data[:2]
        size = int.from_bytes(prefix, "big")
        if not OVERHEAD <= size <= MAX_PACKET_SIZE:
            raise HandshakeError("handshake message has an impossible size")
        if len(self._data) < 2 + size:
            return None
        packet = self._take(2 + size)
        return packet, decrypt(self._private_key, packet[2:], prefix), False

    def rest(self) -> bytes:
        """Return the bytes received after the packet."""
        return self._data

    def _take(self, size: int) -> bytes:
        packet, self._data = self._data[:size], self._data[size:]
        return packet

    def _may_be_plain(self) -> bool:
        """Whether to look for a packet from before EIP-8.

        If those are refused, only if the data begins like one, so that a packet of EIP-8 is never
        decrypted twice.
        """
        return not self._refuses_plain or self._data.startswith(_PLAIN_START)

    def _open_plain(self) -> bytes | None:
        try:
            return decrypt(self._private_key, self._data[: self._plain_size], b"")
        except HandshakeError:
            return None


class Initiator:
    """The end that dials: makes ``auth``, takes the ack. ``remote`` is the key to dial."""

    def __init__(self, private_key: PrivateKey, remote: PublicKey, entropy: Entropy) -> None:
        self._remote = remote
        self._ephemeral = PrivateKey.generate(entropy)
        self._nonce = entropy(NONCE_SIZE)
        digest = _xor(private_key.agree(remote), self._nonce)
        body = encode(
            [
                self._ephemeral.sign(digest),
                private_key.public_key.to_bytes(),
                self._nonce,
                VERSION,
            ]
        )
        self.auth_body = body
        self.auth = _seal(body, remote, entropy)

    def receive_ack(self, packet: bytes, body: bytes, plain: bool) -> Secrets:
        """Compute the secrets from a decrypted ack. Raises HandshakeError if it is malformed."""
        try:
            if plain:
                key, nonce = body[:64], body[64:96]
            else:
                (key, nonce, _version), _end = decode_fields(body, (bytes, bytes, int))
            _check_nonce(nonce)
            remote_ephemeral = PublicKey.from_bytes(key)
        except (DecodeError, InvalidKey):
            raise HandshakeError("ack is malformed") from None
        return _secrets(
            self._remote,
            remote_ephemeral,
            self._ephemeral.agree_once(remote_ephemeral),
            initiator=True,
            nonces=(self._nonce, nonce),
            packets=(self.auth, packet),
        )


class Recipient:
    """The end that listens: takes a decrypted auth, makes ``ack`` and the secrets.

    Raises HandshakeError if the auth is malformed. A valid one proves nothing yet: ``remote`` of
    the secrets is the claim of the initiator until it has sent a frame with a valid MAC.
    """

    def __init__(
        self, private_key: PrivateKey, packet: bytes, body: bytes, plain: bool, entropy: Entropy
    ) -> None:
        try:
            remote, nonce, remote_ephemeral = _read_auth(private_key, body, plain)
        except (DecodeError, InvalidKey):
            raise HandshakeError("auth is malformed") from None
        ephemeral = PrivateKey.generate(entropy)
        own_nonce = entropy(NONCE_SIZE)
        own_key = ephemeral.public_key.to_bytes()
        if plain:
            self.ack_body = own_key + own_nonce + b"\0"
            self.ack = _seal_plain(self.ack_body, remote, entropy)
        else:
            self.ack_body = encode([own_key, own_nonce, VERSION])
            self.ack = _seal(self.ack_body, remote, entropy)
        self.secrets = _secrets(
            remote,
            remote_ephemeral,
            ephemeral.agree_once(remote_ephemeral),
            initiator=False,
            nonces=(nonce, own_nonce),
            packets=(packet, self.ack),
        )


def _read_auth(
    private_key: PrivateKey, body: bytes, plain: bool
) -> tuple[PublicKey, bytes, PublicKey]:
    """Return the initiator's key, its nonce and its ephemeral key from an auth body."""
    if plain:
        signature, key_hash, key, nonce = body[:65], body[65:97], body[97:161], body[161:193]
    else:
        (signature, key, nonce, _version), _end = decode_fields(body, (bytes, bytes, bytes, int))
        key_hash = b""
    _check_nonce(nonce)
    remote = PublicKey.from_bytes(key)
    ephemeral = recover(_xor(private_key.agree(remote), nonce), signature)
    if plain and keccak256(ephemeral.to_bytes()) != key_hash:
        raise InvalidKey("ephemeral key does not match its hash")
    return remote, nonce, ephemeral


def _secrets(
    remote: PublicKey,
    remote_ephemeral: PublicKey,
    ephemeral_secret: bytes,
    *,
    initiator: bool,
    nonces: tuple[bytes, bytes],
    packets: tuple[bytes, bytes],
) -> Secrets:
    """Derive the session's keys; nonces and packets are (initiator's, recipient's)."""
    shared = keccak256(ephemeral_secret + keccak256(nonces[1] + nonces[0]))
    aes = keccak256(ephemeral_secret + shared)
    mac = keccak256(ephemeral_secret + aes)
    return Secrets(
        remote, initiator, remote_ephemeral, ephemeral_secret, nonces, packets, aes, mac
    )


def _seal(body: bytes, remote: PublicKey, entropy: Entropy) -> bytes:
    span = MAX_PADDING - MIN_PADDING + 1
    padding = entropy(MIN_PADDING + int.from_bytes(entropy(2), "big") % span)
    prefix = (len(body) + len(padding) + OVERHEAD).to_bytes(2, "big")
    sealed = encrypt(remote, body + padding, prefix, PrivateKey.generate(entropy), entropy(16))
    return prefix + sealed


def _seal_plain(body: bytes, remote: PublicKey, entropy: Entropy) -> bytes:
    return encrypt(remote, body, b"", PrivateKey.generate(entropy), entropy(16))


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_SIZE:
        raise InvalidKey("nonce of wrong size")


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(32, "big")
