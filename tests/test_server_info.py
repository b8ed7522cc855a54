"""What a server tells about itself, its peers and what happens to them, in go-ethereum's keys.

The keys and their order are those of the JSON of go-ethereum's ``NodeInfo`` (p2p/server.go),
``PeerInfo`` and ``PeerEvent`` (p2p/peer.go).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import p2p
import p2p.testing
from tests.kit.nodes import HOST, Nodes, await_event
from tests.kit.waiting import PATIENCE_S

NODE_INFO = ["id", "name", "enode", "enr", "ip", "ports", "listenAddr", "protocols"]
PEER_INFO = ["enode", "id", "name", "caps", "network", "protocols"]
NETWORK = ["localAddress", "remoteAddress", "inbound", "trusted", "static"]
PEER_EVENT = ["type", "peer", "error", "protocol", "msg_code", "msg_size", "local", "remote"]


# NodeInfo


def test_node_info_has_go_s_keys(nodes: Nodes) -> None:
    server = nodes.start(name="some node")
    info = server.node_info()
    assert list(info) == NODE_INFO
    port = server.self.tcp
    assert info["id"] == str(server.self.id) == server.self.id.hex()
    assert info["name"] == "some node"
    assert info["enode"] == server.self.url
    assert info["enode"].endswith(f"@{HOST}:{port}?discport=0")
    assert info["enr"].startswith("enr:")
    assert info["ip"] == HOST
    assert list(info["ports"]) == ["discovery", "listener"]
    assert info["ports"] == {"discovery": 0, "listener": port}
    assert info["listenAddr"] == f"{HOST}:{port}"
    assert info["protocols"] == {"test": "unknown"}
    assert json.loads(json.dumps(info)) == info


def test_node_info_of_a_server_that_is_not_started(nodes: Nodes) -> None:
    server = nodes.new(listen_addr=None)
    info = server.node_info()
    assert list(info) == NODE_INFO
    assert (info["ip"], info["listenAddr"]) == ("0.0.0.0", "")
    assert info["ports"] == {"discovery": 0, "listener": 0}


def test_protocols_tell_of_themselves(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(
        protocols=[
            talks.protocol("told", node_info=lambda: {"network": 1}),
            talks.protocol("told", 2, node_info=lambda: {"network": 2}),
            talks.protocol("silent"),
        ]
    )
    assert server.node_info()["protocols"] == {"told": {"network": 1}, "silent": "unknown"}


# the record


def test_own_record_is_signed_and_holds_the_endpoint(nodes: Nodes) -> None:
    server = nodes.start()
    record = p2p.Record.from_text(server.node_info()["enr"])  # checks the signature
    assert record.public_key == server.self.public_key
    assert (str(record.ip), record.tcp, record.udp) == (HOST, server.self.tcp, None)
    assert record.seq > 0


def test_own_record_holds_the_attributes_of_the_protocols(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(
        protocols=[
            talks.protocol("eth", attributes={"eth": [[b"\x01\x02\x03\x04", 0]]}),
            talks.protocol("snap", attributes={"snap": []}),
        ]
    )
    record = server.self.record
    assert record is not None
    assert record.get("eth", list[tuple[bytes, int]]) == [(b"\x01\x02\x03\x04", 0)]
    assert "snap" in record
    assert p2p.parse_node(str(server.self)) == server.self


def test_record_of_an_ipv6_server_has_ip6(nodes: Nodes) -> None:
    record = nodes.start(listen_addr="[::1]:0").self.record
    assert record is not None
    assert (str(record.ip6), record.ip) == ("::1", None)


def test_record_of_a_later_start_counts_as_newer(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    key = p2p.generate_key()
    first = nodes.start(private_key=key, clock=clock).self.seq
    clock.advance(1)
    assert nodes.start(private_key=key, clock=clock).self.seq > first


# PeerInfo


def test_peer_info_has_go_s_keys(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server, name="some peer", caps=[("test", 1), ("other", 7)]).open()
    peer = talks.next().peer
    info = peer.info()
    assert list(info) == PEER_INFO  # nobody has told its record: no "enr"
    assert info["enode"] == remote.node.with_endpoint(HOST, *2 * [remote.node.tcp]).url
    assert info["id"] == str(remote.node.id)
    assert info["name"] == "some peer"
    assert info["caps"] == ["test/1", "other/7"]
    assert list(info["network"]) == NETWORK
    assert info["network"] == {
        "localAddress": str(server.listen_addr),
        "remoteAddress": f"{HOST}:{remote.node.tcp}",
        "inbound": True,
        "trusted": False,
        "static": False,
    }
    assert info["protocols"] == {"test": "unknown"}
    assert json.loads(json.dumps(info)) == info


def test_peer_info_begins_with_the_record_when_it_is_known(nodes: Nodes) -> None:
    here, there = nodes.pair()
    info = here.peer.info()
    assert list(info) == ["enr", *PEER_INFO]
    assert info["enr"] == str(there.server.self)
    assert info["network"]["inbound"] is False


def test_peer_info_of_static_and_trusted_peers(nodes: Nodes) -> None:
    talks = nodes.talks()
    there = nodes.start().self
    nodes.start(protocols=[talks.protocol()], static_nodes=[there], trusted_nodes=[there])
    network = talks.next().peer.info()["network"]
    assert (network["static"], network["trusted"], network["inbound"]) == (True, True, False)


@pytest.mark.parametrize(
    ("told", "shown"), [({"head": 5}, {"head": 5}), (None, "handshake"), (0, 0), ("", "")]
)
def test_protocols_tell_of_their_peers(nodes: Nodes, told: Any, shown: Any) -> None:
    talks = nodes.talks()
    asked: list[bytes] = []

    def peer_info(peer_id: bytes) -> Any:
        asked.append(peer_id)
        return told

    server = nodes.start(protocols=[talks.protocol(peer_info=peer_info)])
    remote = nodes.remote(server).open()
    assert talks.next().peer.info()["protocols"] == {"test": shown}
    assert asked == [remote.node.id]


def test_peers_info_is_sorted_by_id(nodes: Nodes) -> None:
    server = nodes.start()
    assert server.peers_info() == []
    events = server.subscribe_events()
    for _ in range(4):
        nodes.remote(server).open()
        await_event(events, "add")
    ids = [info["id"] for info in server.peers_info()]
    assert ids == sorted(ids) and len(set(ids)) == 4


def test_name_of_a_peer_is_fit_for_a_terminal(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    nodes.remote(server, name="\x1b]0;evil\x07" + "n" * 300).open()
    name = talks.next().peer.info()["name"]
    assert name.startswith("\\x1b]0;evil\\x07nnn") and name.endswith("...")
    assert len(name) <= 258


# PeerEvent


def test_add_and_drop_are_told_with_addresses_and_the_reason(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    added = events.get(PATIENCE_S)
    ends = {"local": str(server.listen_addr), "remote": f"{HOST}:{remote.node.tcp}"}
    assert added.to_json() == {"type": "add", "peer": remote.node.id.hex(), **ends}
    remote.send_disconnect(p2p.DiscReason.TOO_MANY_PEERS)
    remote.sock.close()
    talks.next().end()
    dropped = events.get(PATIENCE_S)
    assert dropped.to_json() == {
        "type": "drop",
        "peer": remote.node.id.hex(),
        "error": "too many peers (remote)",
        **ends,
    }
    assert list(dropped.to_json()) == [key for key in PEER_EVENT if key in dropped.to_json()]


def test_drop_tells_an_error_of_the_remote(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    remote.send_payload(100)
    remote.ending()
    remote.sock.close()
    talks.next().end()
    dropped = await_event(events, "drop")
    text = "message code 100 (116 on the wire) belongs to no protocol"
    assert dropped.error == f"breach of protocol: {text}"


def test_peer_that_was_refused_is_no_event(nodes: Nodes) -> None:
    server = nodes.start(max_peers=0)
    events = server.subscribe_events()
    remote = nodes.remote(server)
    remote.shake_hands()
    remote.ending()
    with pytest.raises(p2p.Timeout):
        events.get(timeout=0)


def test_messages_are_told_on_request_with_go_s_keys(nodes: Nodes) -> None:
    here, there = nodes.pair(enable_msg_events=True)
    server, node_id = here.server, here.peer.id
    events = server.subscribe_events()
    there_events = there.server.subscribe_events()
    here.rw.write_msg(p2p.Msg(0, b"\xc2\x01\x02"))
    there.rw.write_msg(p2p.Msg(5, b""))
    ends = {
        "local": str(here.peer.local_addr),
        "remote": str(here.peer.remote_addr),
    }
    assert there.read().code == 0
    sent = events.get(PATIENCE_S).to_json()
    common = {"peer": node_id.hex(), "protocol": "test"}
    assert sent == {"type": "msgsend", **common, "msg_code": 0, "msg_size": 3, **ends}
    assert list(sent) == [key for key in PEER_EVENT if key != "error"]
    with pytest.raises(p2p.Timeout):
        events.get(timeout=0)  # not told before it is read
    here.read()
    received = events.get(PATIENCE_S).to_json()
    assert received == {"type": "msgrecv", **common, "msg_code": 5, "msg_size": 0, **ends}
    with pytest.raises(p2p.Timeout):
        there_events.get(timeout=0)  # it was not asked to


def test_messages_read_by_iteration_are_told_too(nodes: Nodes) -> None:
    here, there = nodes.pair(enable_msg_events=True)
    events = here.server.subscribe_events()
    there.rw.write_msg(p2p.Msg(3))
    there.end()
    assert [msg.code for msg in here.rw] == [3]
    assert await_event(events, "msgrecv").msg_code == 3


def test_message_that_was_refused_is_not_told(nodes: Nodes) -> None:
    here, _there = nodes.pair(enable_msg_events=True)
    events = here.server.subscribe_events()
    with pytest.raises(p2p.errors.CodeOutOfRange):
        here.rw.write_msg(p2p.Msg(8))
    here.peer.disconnect()
    with pytest.raises(p2p.PeerDisconnected):
        here.rw.write_msg(p2p.Msg(0))
    here.end()
    assert events.get(PATIENCE_S).type == "drop"


def test_every_subscription_hears_everything_from_when_it_was_made(nodes: Nodes) -> None:
    server = nodes.start()
    with server.subscribe_events() as first:
        one = nodes.remote(server).open()
        assert first.get(PATIENCE_S).peer == one.node.id
        with server.subscribe_events() as second:
            other = nodes.remote(server).open()
            assert first.get(PATIENCE_S) == second.get(PATIENCE_S)
            assert other.node.id in {peer.id for peer in server.peers}


def test_events_from_before_the_start_are_heard(nodes: Nodes) -> None:
    server = nodes.new()
    events = server.subscribe_events()
    server.start()
    nodes.remote(server).open()
    assert events.get(PATIENCE_S).type == "add"


def test_slow_subscriber_loses_events_and_is_told_how_many(nodes: Nodes) -> None:
    here, there = nodes.pair(enable_msg_events=True)
    events = here.server.subscribe_events(capacity=2)
    for code in range(5):
        here.rw.write_msg(p2p.Msg(code))
    assert [events.get(PATIENCE_S).msg_code for _ in range(2)] == [3, 4]
    assert events.lost == 3
    assert [there.read().code for _ in range(5)] == [0, 1, 2, 3, 4]
