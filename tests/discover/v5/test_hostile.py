"""Hostile remotes: what they cost, and what they do not get."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

import p2p.errors as errors
from p2p.codec import encode as rlp
from p2p.codec import encode_list
from p2p.discover.v5 import packet as packets
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.message import MessageType, Ping, decode, encode
from p2p.discover.v5.requests import TRIES
from p2p.enr.layout import SIZE_LIMIT
from tests.discover.v5.net import DELAY_S, Datagram, Host, Net, address_of
from tests.kit.localrecords import fixed_local

chance = random.Random(1)
ELSEWHERE = address_of(9)


@pytest.fixture
def net() -> Net:
    return Net()


def take_sent(net: Net, to: Host) -> list[Datagram]:
    """The datagrams that were sent to a host since the last call."""
    taken = [datagram for datagram in net.sent if datagram.target == to.address]
    net.sent = [datagram for datagram in net.sent if datagram.target != to.address]
    return taken


def challenge_of(datagram: Datagram, sender: Host, remote: Host) -> bytes:
    """A new WHOAREYOU of ``remote`` for a packet of ``sender``."""
    nonce = packets.decode(datagram.data, remote.engine.id).nonce
    head = packets.whoareyou_head(chance.randbytes(16), nonce, chance.randbytes(16), 0)
    return packets.mask(head, sender.engine.id)


def test_whoareyous_without_end_cost_one_handshake_for_each_try(net: Net) -> None:
    a, hostile = net.host(1), net.host(2)
    net.fault = lambda datagram: [] if datagram.target == hostile.address else [DELAY_S]
    number = a.begin(lambda operations, now: operations.ping(hostile.node, now))
    got: list[str] = []
    while a.done(number) is None:
        sent = take_sent(net, hostile)
        got += [datagram.kind for datagram in sent]
        for datagram in sent:
            net.inject(challenge_of(datagram, a, hostile), hostile.address, a)
        net.step()
    got += [datagram.kind for datagram in take_sent(net, hostile)]
    with pytest.raises(errors.NoResponse):
        a.outcome(number)
    assert got.count("handshake") == TRIES


def test_replayed_request_is_answered_to_its_sender_alone(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    net.kinds()
    a.ping(b)
    (request,) = take_sent(net, b)
    net.kinds()
    net.inject(request.data, ELSEWHERE, b)
    assert [(d.target, len(d.data)) for d in net.sent] == [(ELSEWHERE, packets.MIN_PACKET_SIZE)]
    net.kinds()
    net.inject(request.data, a.address, b)
    assert [datagram.target for datagram in net.sent] == [a.address]
    net.run(1)
    assert a.engine.counters.dropped["unsolicited"] == 1


def test_identity_of_another_gets_no_session_and_ends_none(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    net.kinds()
    # The attacker has a key of its own, and calls itself a.
    attacker = Handshakes(net.host(3).key, a.local, chance.randbytes)
    attacker._own_id = a.engine.id
    for source in (ELSEWHERE, a.address):
        remote = b.engine.id, b.address
        net.inject(attacker.random_message(remote).datagram, source, b)
        challenge = packets.decode(net.sent[-1].data, a.engine.id)
        assert isinstance(challenge, packets.WhoAreYou)
        forged, _ = attacker.answer(challenge, b.node, encode(Ping(b"x", 1)))
        net.inject(forged, source, b)
    assert b.engine.counters.dropped["handshake"] == 2
    assert len(b.engine._sessions) == 1
    net.kinds()
    assert a.ping(b) == b.node.seq
    assert net.kinds() == ["message"] * 2


def test_session_pushed_out_in_the_middle_of_a_request_is_made_anew(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    b.engine._sessions._max = 3
    number = b.begin(lambda operations, now: operations.ping(a.node, now))
    for other in range(10, 14):
        net.host(other).ping(b)
    assert b.outcome(number) == a.node.seq
    net.host(14).ping(b)
    assert a.ping(b) == b.node.seq


@pytest.mark.parametrize("size", [SIZE_LIMIT + 1, 1000])
def test_message_with_an_oversized_record_is_refused(size: int) -> None:
    def plaintext(record: bytes) -> bytes:
        items = [rlp(b"\x01"), rlp(1), encode_list([record])]
        return bytes([MessageType.NODES]) + encode_list(items)

    decode(plaintext(list_of(SIZE_LIMIT)))
    with pytest.raises(errors.DecodeError):
        decode(plaintext(list_of(size)))


def test_handshake_with_an_oversized_record_is_refused(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    fat = list_of(SIZE_LIMIT + 1)
    a.engine._handshakes._local = SimpleNamespace(  # type: ignore[assignment]
        record=SimpleNamespace(seq=2, to_rlp=lambda: fat)
    )
    with pytest.raises(errors.NoResponse):
        a.ping(b)
    assert b.engine.counters.dropped["handshake"] == TRIES
    assert len(b.engine._sessions) == 0
    a.engine._handshakes._local = fixed_local(a.key, a.local.endpoint)
    assert a.ping(b) == b.node.seq


def list_of(size: int) -> bytes:
    """A list of one string, ``size`` bytes long when encoded."""
    data = next(n for n in range(size) if len(rlp([bytes(n)])) == size)
    return rlp([bytes(data)])
