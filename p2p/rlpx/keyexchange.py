"""The key exchange of one connection: auth and ack, and the secrets that both ends get from them.

Pure. Owns the bytes received before the first frame and the packet to be sent, and reports both
packets to the observer; the packets themselves are in :mod:`p2p.rlpx.handshake`, states and
deadlines in :mod:`p2p.rlpx.connection`. One thread may use it at a time (rlpx.md, "Initial
Handshake").
"""

from __future__ import annotations

from p2p.crypto import Entropy, PrivateKey, PublicKey
from p2p.crypto.backend import Bytes
from p2p.rlpx.handshake import (
    PLAIN_ACK_SIZE,
    PLAIN_AUTH_SIZE,
    Initiator,
    PacketBuffer,
    Recipient,
    Secrets,
)
from p2p.rlpx.observer import ConnectionObserver


class KeyExchange:
    """One end of the exchange.

    ``remote`` is the key to dial, None for the end that listens; ``accept_pre_eip8`` accepts
    packets from before EIP-8; ``observer`` gets the packets, the secrets and the entropy.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        remote: PublicKey | None,
        entropy: Entropy,
        accept_pre_eip8: bool,
        observer: ConnectionObserver | None,
    ) -> None:
        # fixed after __init__
        self._private_key = private_key
        self._entropy = entropy
        self._observer = observer
        # input and output
        plain_size = PLAIN_AUTH_SIZE if remote is None else PLAIN_ACK_SIZE
        self._packets = PacketBuffer(private_key, plain_size, refuses_plain=not accept_pre_eip8)
        self._to_send: list[bytes] = []
        self._initiator: Initiator | None = None

        if remote is not None:
            self._initiator = made = Initiator(private_key, remote, self._draw)
            self._send(made.auth, made.auth_body, plain=False)

    def receive_data(self, data: Bytes) -> None:
        """Take bytes received; they are copied."""
        self._packets.receive_data(memoryview(data))

    def poll_secrets(self) -> Secrets | None:
        """Return the secrets, None until the packet of the remote is complete.

        Raises HandshakeError if the packet is wrong. To be called until it has returned secrets.
        """
        opened = self._packets.next_packet()
        if opened is None:
            return None
        if self._observer is not None:
            self._observer.packet_in(*opened)
        if self._initiator is not None:
            secrets = self._initiator.receive_ack(*opened)
        else:
            recipient = Recipient(self._private_key, *opened, self._draw)
            self._send(recipient.ack, recipient.ack_body, plain=opened[2])
            secrets = recipient.secrets
        if self._observer is not None:
            self._observer.secrets(secrets)
        return secrets

    def rest(self) -> bytes:
        """Return the bytes received after the packet: the first frames."""
        return self._packets.rest()

    @property
    def auth_body(self) -> bytes:
        """Body of our auth, before padding and encryption; of the end that dials."""
        assert self._initiator is not None
        return self._initiator.auth_body

    def replace_auth(self, packet: bytes) -> None:
        """Send another auth, for tests of a remote: ``packet`` is the whole of it."""
        assert self._initiator is not None
        self._initiator.auth = packet
        self._to_send = [packet]

    def packets_to_send(self) -> list[bytes]:
        """Return the packets to send that it has not returned before."""
        packets, self._to_send = self._to_send, []
        return packets

    @property
    def has_packets_to_send(self) -> bool:
        """Whether :meth:`packets_to_send` has any."""
        return bool(self._to_send)

    def _send(self, packet: bytes, body: bytes, plain: bool) -> None:
        self._to_send.append(packet)
        if self._observer is not None:
            self._observer.packet_out(packet, body, plain)

    def _draw(self, size: int) -> bytes:
        data = self._entropy(size)
        if self._observer is not None:
            self._observer.entropy(data)
        return data
