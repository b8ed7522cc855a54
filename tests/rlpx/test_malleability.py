"""A point and its negative give the same secret, so somebody on the way can exchange them."""

from __future__ import annotations

import pytest

from p2p.crypto import PublicKey
from p2p.errors import FrameError
from p2p.rlpx import Connection, IdentityKnown
from tests.rlpx.handshakes import dialer, listener, outcome
from tests.rlpx.pair import ALICE, failure_of

FIELD = 2**256 - 2**32 - 977
#: Where the y coordinate of the sender's point stands: behind the size, 0x04 and x.
Y = slice(2 + 1 + 32, 2 + 1 + 64)


def negated(packet: bytes) -> bytes:
    """The packet with the negative of its point."""
    y = FIELD - int.from_bytes(packet[Y], "big")
    return packet[: Y.start] + y.to_bytes(32, "big") + packet[Y.stop :]


def packet_of(machine: Connection) -> bytes:
    return b"".join(machine.data_to_send())


@pytest.mark.parametrize("changed", ["auth", "ack"])
def test_packet_with_the_negative_of_its_point_does_not_get_past_the_first_frame(
    changed: str,
) -> None:
    """It opens, but both ends begin their MACs with the packets as they saw them."""
    initiator, recipient = dialer(), listener()
    auth = packet_of(initiator)
    assert outcome(recipient, negated(auth) if changed == "auth" else auth) == ALICE.public_key
    ack = packet_of(recipient)
    opened = outcome(initiator, negated(ack) if changed == "ack" else ack)
    assert isinstance(opened, PublicKey)
    sender, receiver = (initiator, recipient) if changed == "auth" else (recipient, initiator)
    assert not any(isinstance(event, IdentityKnown) for event in sender.accept_identity(0.0))
    receiver.accept_identity(0.0)
    packet_of(receiver)
    error = failure_of(receiver.receive_data(packet_of(sender), 0.0))
    assert isinstance(error, FrameError)


def test_unchanged_packets_get_past_it() -> None:
    initiator, recipient = dialer(), listener()
    outcome(recipient, packet_of(initiator))
    outcome(initiator, packet_of(recipient))
    initiator.accept_identity(0.0)
    recipient.accept_identity(0.0)
    assert failure_of(recipient.receive_data(packet_of(initiator), 0.0)) is None
    assert failure_of(initiator.receive_data(packet_of(recipient), 0.0)) is None
