"""Sessions: which keys a message is read with, and which the answer to it is written with."""

from __future__ import annotations

import random

import pytest

from p2p.discover.v5 import packet as packets
from p2p.discover.v5.keys import SessionKeys
from p2p.discover.v5.packet import MessagePacket
from p2p.discover.v5.sessions import Remote, Session, Sessions
from p2p.enode.nodeid import NodeID

from .net import address_of, key_of

chance = random.Random(1)
OWN_ID, OTHER_ID = (NodeID.from_public_key(key_of(number).public_key) for number in (1, 2))
OWN: Remote = (OWN_ID, address_of(1))
OTHER: Remote = (OTHER_ID, address_of(2))


@pytest.fixture
def ours() -> Sessions:
    return Sessions(OWN_ID, chance.randbytes)


@pytest.fixture
def theirs() -> Sessions:
    return Sessions(OTHER_ID, chance.randbytes)


def two_ends() -> tuple[Session, Session]:
    """Both ends of a new session."""
    keys = SessionKeys(chance.randbytes(16), chance.randbytes(16))
    return Session(keys, True, chance.randbytes), Session(keys, False, chance.randbytes)


def message(sender: Sessions, session: Session, to: Remote) -> MessagePacket:
    packet = packets.decode(sender.encrypt(to, session, b"message").datagram, to[0])
    assert isinstance(packet, MessagePacket)
    return packet


def test_message_of_the_last_but_one_session_is_read(ours: Sessions, theirs: Sessions) -> None:
    (old, their_old), (new, _) = two_ends(), two_ends()
    ours.add(OTHER, old)
    ours.add(OTHER, new)
    theirs.add(OWN, their_old)
    assert ours.decrypt(OTHER, message(theirs, their_old, OWN)) == b"message"
    assert ours.get(OTHER) is new


def reads(session: Session, ours: Sessions) -> bool:
    """Whether our next answer can be read with one of their sessions."""
    answer = ours.encrypt_reply(OTHER, b"answer")
    assert answer is not None
    packet = packets.decode(answer, OTHER_ID)
    assert isinstance(packet, MessagePacket)
    return session.decrypt(packet.nonce, packet.ciphertext, packet.head) == b"answer"


def test_answer_goes_under_the_session_of_the_question(ours: Sessions, theirs: Sessions) -> None:
    # Two handshakes that cross make two sessions. go-ethereum has the other one for the newer,
    # and keeps that alone: it could not read the answer.
    (first, their_first), (second, their_second) = two_ends(), two_ends()
    ours.add(OTHER, first)
    ours.add(OTHER, second)
    theirs.add(OWN, their_second)
    theirs.add(OWN, their_first)
    assert reads(their_second, ours)
    ours.decrypt(OTHER, message(theirs, their_first, OWN))
    assert reads(their_first, ours)
    ours.decrypt(OTHER, message(theirs, their_second, OWN))
    assert reads(their_second, ours)


def test_message_that_cannot_be_read_changes_nothing(ours: Sessions, theirs: Sessions) -> None:
    (known, their_known), (_, unknown) = two_ends(), two_ends()
    ours.add(OTHER, known)
    theirs.add(OWN, unknown)
    assert ours.decrypt(OTHER, message(theirs, unknown, OWN)) is None
    assert reads(their_known, ours)


def test_new_session_is_that_of_the_next_answer(ours: Sessions, theirs: Sessions) -> None:
    (old, their_old), (new, their_new) = two_ends(), two_ends()
    ours.add(OTHER, old)
    theirs.add(OWN, their_old)
    ours.decrypt(OTHER, message(theirs, their_old, OWN))
    ours.add(OTHER, new)
    assert reads(their_new, ours)


def test_nobody_has_no_session(ours: Sessions) -> None:
    assert ours.encrypt_reply(OTHER, b"answer") is None
    assert ours.get(OTHER) is None


def test_session_without_nonces_is_not_used(
    ours: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.add(OTHER, two_ends()[0])
    monkeypatch.setattr("p2p.discover.v5.sessions._MAX_COUNT", 1)
    assert ours.encrypt_reply(OTHER, b"answer") is not None
    assert ours.encrypt_reply(OTHER, b"answer") is None
    assert ours.get(OTHER) is None
