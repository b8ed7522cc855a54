"""Key exchange: both ends get the same secrets, however the packets arrive."""

from __future__ import annotations

import pytest

from p2p.errors import HandshakeError
from p2p.rlpx.handshake import Secrets
from p2p.rlpx.keyexchange import KeyExchange
from tests.rlpx.handshakes import KEY_A, KEY_B
from tests.rlpx.pair import seeded


def dialer() -> KeyExchange:
    return KeyExchange(KEY_A, KEY_B.public_key, seeded("dialer"), False, None)


def listener() -> KeyExchange:
    return KeyExchange(KEY_B, None, seeded("listener"), False, None)


def pass_on(sender: KeyExchange, receiver: KeyExchange, size: int, more: bytes = b"") -> Secrets:
    """Pass on all packets of ``sender`` and ``more`` in pieces of ``size`` bytes."""
    data = b"".join(sender.packets_to_send()) + more
    secrets = None
    for start in range(0, len(data), size):
        assert secrets is None
        receiver.receive_data(data[start : start + size])
        secrets = receiver.poll_secrets()
    assert secrets is not None
    return secrets


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_both_ends_have_the_same_secrets(size: int) -> None:
    here, there = dialer(), listener()
    theirs = pass_on(here, there, size)
    ours = pass_on(there, here, size)
    assert (ours.aes, ours.mac, ours.packets) == (theirs.aes, theirs.mac, theirs.packets)
    assert (ours.remote, theirs.remote) == (KEY_B.public_key, KEY_A.public_key)


def test_packet_is_returned_once() -> None:
    here = dialer()
    assert here.has_packets_to_send
    assert len(here.packets_to_send()) == 1
    assert not here.has_packets_to_send
    assert here.packets_to_send() == []


def test_bytes_after_the_ack_are_the_first_frames() -> None:
    here, there = dialer(), listener()
    pass_on(here, there, 10_000)
    pass_on(there, here, 10_000, more=b"frames")
    assert here.rest() == b"frames"


def test_auth_for_another_node_is_refused() -> None:
    other = KeyExchange(KEY_A, KEY_A.public_key, seeded("dialer"), False, None)
    with pytest.raises(HandshakeError):
        pass_on(other, listener(), 10_000)


def test_replaced_auth_is_sent_in_place_of_the_first() -> None:
    here = dialer()
    here.replace_auth(b"another")
    assert here.packets_to_send() == [b"another"]
