from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from p2p.netutil import Endpoint
from p2p.peers.event import PeerEvent

ID = bytes(range(32))


def test_peer_event_has_the_keys_of_go_ethereum() -> None:
    event = PeerEvent(
        type="msgrecv",
        peer=ID,
        error="e",
        protocol="foo",
        msg_code=1,
        msg_size=2,
        local=Endpoint(IPv4Address("127.0.0.1"), 1),
        remote=Endpoint(IPv6Address("::1"), 2),
    )
    assert event.to_json() == {
        "type": "msgrecv",
        "peer": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "error": "e",
        "protocol": "foo",
        "msg_code": 1,
        "msg_size": 2,
        "local": "127.0.0.1:1",
        "remote": "[::1]:2",
    }


def test_peer_event_leaves_out_what_is_empty() -> None:
    assert PeerEvent(type="add", peer=ID).to_json() == {"type": "add", "peer": ID.hex()}


def test_peer_event_keeps_a_message_code_and_size_of_zero() -> None:
    event = PeerEvent(type="msgsend", peer=ID, protocol="foo", msg_code=0, msg_size=0).to_json()
    assert (event["msg_code"], event["msg_size"]) == (0, 0)
