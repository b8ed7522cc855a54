"""The page of a server: what it shows equals what the server says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import p2p
from p2p.enode import log_distance
from p2p.messages import protocol
from p2p.monitor.decoding import MAX_PAYLOAD
from p2p.peers.session import Session
from p2p.rlpx.messages import EMPTY, PING, PONG
from tests.kit import inspect
from tests.kit.chat import CHAT, Data, Greeting
from tests.kit.monitorpage import Page
from tests.kit.nodes import HOST, Nodes
from tests.kit.waiting import PATIENCE_S, eventually

ADDRESS = f"{HOST}:0"
PageOf = Callable[[p2p.Server], Page]
NO_SHELL = "<script>alert(1)</script>\u202e\n" + "x" * 1500


@pytest.fixture
def server(nodes: Nodes) -> p2p.Server:
    return nodes.start(name="watched", monitor_addr=ADDRESS, protocols=[protocol(CHAT)])


@pytest.fixture
def other(nodes: Nodes) -> p2p.Server:
    return nodes.start(name="other", protocols=[protocol(CHAT)])


def test_page_has_our_node(server: p2p.Server, page_of: PageOf) -> None:
    page = page_of(server)
    page.until(lambda: page.state["node"]["self"]["enode"] == server.self.url)
    row = page.state["node"]["self"]
    assert (row["id"], row["name"]) == (str(server.self.id), "watched")
    assert row["listen"] == str(server.listen_addr) and row["enr"] == str(server.self)
    assert row["max_peers"] == server.config.max_peers
    caps = {known["cap"]: known for known in page.hello["protocols"]}
    assert caps["chat/1"] == {
        "cap": "chat/1", "known": True, "codes": {"0": "Greeting", "1": "Data"}
    }  # fmt: skip
    assert caps["p2p/5"]["codes"]["2"] == "Ping"


def test_peers_are_those_of_the_server(
    nodes: Nodes, server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    peer = server.connect(other.self, PATIENCE_S)
    row = page.wait("peers", id=str(other.self.id))
    assert page.state["peers"].keys() == {str(peer.connection_id)}
    assert (row["name"], row["inbound"], row["static"]) == ("other", False, False)
    assert row["addr"] == str(peer.remote_addr) and row["enode"] == peer.node.url
    assert row["caps"] == row["shared"] == ["chat/1"]
    assert row["distance"] == log_distance(server.self.id, peer.id)
    peer.open("chat").send_items(1, b"x" * 1000)
    page.until(lambda: page.rows("peers")[0]["messages_out"] == 1)
    row = page.rows("peers")[0]
    assert row["bytes_out"] == peer.counters.bytes_out
    page.until(lambda: page.rows("peers")[0]["messages_out_per_s"] > 0)
    peer.disconnect(p2p.DiscReason.USELESS_PEER)
    page.until(lambda: page.state["peers"] == {})
    kinds = [(event["kind"], event["id"], event["peer"]) for event in page.events]
    key = str(peer.connection_id)
    assert kinds == [("peer-added", str(peer.id), key), ("peer-dropped", str(peer.id), key)]
    assert "other" in page.events[1]["text"] and "useless" in page.events[1]["text"]


def test_peer_that_comes_and_goes_at_once_is_an_event(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    other.connect(server.self, PATIENCE_S).disconnect()
    page.until(lambda: len(page.events) == 2)
    assert [event["kind"] for event in page.events] == ["peer-added", "peer-dropped"]


def test_hostile_name_is_escaped_and_cut(
    nodes: Nodes, server: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    nodes.remote(server, name=NO_SHELL, caps=[("chat", 1), ("\u202e<b>", 1)]).open()
    page.until(lambda: page.state["peers"])
    (row,) = page.rows("peers")
    assert row["name"].startswith("<script>alert(1)</script>\\u202e\\nxxx")
    assert all(text.isprintable() and len(text) < 260 for text in [row["name"], *row["caps"]])
    assert "\\u202e<b>/1" in row["caps"]


def test_messages_have_their_fields(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    theirs = other.connect(server.self, PATIENCE_S).open("chat")
    page.until(lambda: page.state["peers"])
    page.send(type="watch", samples_per_s=100)
    code, payload = CHAT.encode(Greeting("ann", [b"\x01"]))
    page.until(lambda: page.points)
    sent = p2p.Msg(code, payload)
    theirs.write_msg(sent)
    row = page.message(cap="chat/1", direction="in")
    assert (row["code"], row["name"], row["size"]) == (0, "Greeting", len(payload))
    assert row["payload"] == payload.hex() and row["error"] == ""
    assert row["fields"] == [["name", "ann"], ["tags", "1 item: 01"]]
    assert row["peer"] in page.state["peers"] and row["id"] == str(other.self.id)


def test_messages_that_we_send_are_seen_as_well(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    ours = server.connect(other.self, PATIENCE_S).open("chat")
    page.until(lambda: page.state["peers"])
    ours.write_msg(p2p.Msg(*CHAT.encode(Data(b"\xaa" * 100))))
    row = page.message(cap="chat/1", direction="out")
    assert row["fields"] == [["data", "aa" * 40 + "… (100 bytes)"]]
    assert len(row["payload"]) == 128


def test_messages_of_the_base_protocol_are_seen(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    page.until(lambda: len(page.points) > 1)
    peer = server.connect(other.self, PATIENCE_S)
    row = page.message(cap="p2p/5", name="Hello", direction="in")
    assert ["name", "other"] in row["fields"] and row["id"] == str(other.self.id)
    row = page.message(cap="p2p/5", name="Hello", direction="out")
    assert ["name", "watched"] in row["fields"]
    peer.disconnect(p2p.DiscReason.TOO_MANY_PEERS)
    row = page.message(cap="p2p/5", name="Disconnect", direction="out")
    assert row["fields"] == [["reason", "TOO_MANY_PEERS"]]


def test_pings_and_pongs_of_both_ends_are_seen(
    nodes: Nodes, server: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    page.send(type="watch", samples_per_s=100)
    remote = nodes.remote(server, caps=[("chat", 1)]).open()
    page.until(lambda: page.state["peers"])
    ((key, peer),) = page.state["peers"].items()
    remote.send_frame(PING, EMPTY)
    for name, direction in (("Ping", "in"), ("Pong", "out")):
        row = page.message(cap="p2p/5", name=name, direction=direction)
        assert (row["peer"], row["id"]) == (key, peer["id"])
    inspect.on_io(server, ping, inspect.session_with(server, server.peers[0].id))
    page.message(cap="p2p/5", name="Ping", direction="out")
    remote.send_frame(PONG, EMPTY)
    page.message(cap="p2p/5", name="Pong", direction="in")


def ping(session: Session) -> None:
    """Ping as the timer does after some seconds."""
    session.machine.ping()
    session._pump()


def test_broken_and_large_messages_say_why_they_have_no_fields(
    nodes: Nodes, other: p2p.Server, page_of: PageOf
) -> None:
    chat = protocol(CHAT)
    server = nodes.start(monitor_addr=ADDRESS, protocols=[chat])
    page = page_of(server)
    theirs = other.connect(server.self, PATIENCE_S).open("chat")
    page.until(lambda: page.state["peers"])
    theirs.write_msg(p2p.Msg(0, b"\xc0"))
    assert "Greeting: byte 0" in page.message(cap="chat/1", code=0)["error"]
    theirs.write_msg(p2p.Msg(1, bytes(MAX_PAYLOAD + 1)))
    row = page.message(cap="chat/1", code=1)
    assert row["fields"] is None and str(MAX_PAYLOAD) in row["error"]
    assert row["size"] == MAX_PAYLOAD + 1 and row["payload"] == "00" * 64


def test_filter_leaves_other_protocols_out(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    page.send(type="watch", samples_per_s=100, protocols=["chat/1"])
    eventually(lambda: inspect.sampler(server)._protocols == {"chat/1"})
    ours = server.connect(other.self, PATIENCE_S).open("chat")
    ours.write_msg(p2p.Msg(*CHAT.encode(Data(b"1"))))
    page.message(cap="chat/1")
    assert {row["cap"] for row in page.messages} == {"chat/1"}


def test_samples_are_bounded_and_the_rest_is_counted(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    ours = server.connect(other.self, PATIENCE_S).open("chat")
    page.until(lambda: page.state["peers"])
    page.send(type="watch", samples_per_s=20)
    code, payload = CHAT.encode(Data(b"\xaa" * 10))
    for _ in range(5000):
        ours.write_msg(p2p.Msg(code, payload))
    page.wait("counts", cap="chat/1", direction="out", code=1, messages=5000)

    def samples() -> int:
        return sum(row["cap"] == "chat/1" for row in page.messages)

    page.until(lambda: page.unseen + samples() == 5000)
    assert 0 < samples() < 20 * (len(page.points) + 1)
    row = page.wait("counts", cap="chat/1", direction="out", code=1)
    assert (row["name"], row["bytes"]) == ("Data", 5000 * len(payload))
    metrics = server.metrics
    assert metrics["p2p/egress/chat/1/0x01/packets"].value == row["messages"]


def test_page_that_opens_later_gets_the_history(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    first = page_of(server)
    peer = server.connect(other.self, PATIENCE_S)
    first.until(lambda: first.state["peers"])
    peer.disconnect()
    first.until(lambda: not first.state["peers"])
    later = page_of(server)
    assert later.kinds[0] == "snapshot" and later.numbers[0] == 0
    assert [event["kind"] for event in later.events] == ["peer-added", "peer-dropped"]
    assert later.numbers == list(range(len(later.numbers)))


def test_dials_have_their_outcomes(
    nodes: Nodes, server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    page = page_of(server)
    gone = nodes.start()
    node = gone.self
    gone.stop()
    server.connect(other.self, PATIENCE_S)
    with pytest.raises(p2p.ConnectError):
        server.connect(node, PATIENCE_S)
    row = page.wait("dials", id=str(other.self.id), outcome="connected")
    assert row["step"] == "connected" and row["addr"] == str(other.self.tcp_endpoint)
    row = page.wait("dials", id=str(node.id), outcome="failed")
    (attempt,) = server.dial_attempts(node)
    assert (row["step"], row["ended_t"]) == (str(attempt.step), attempt.time_unix)
    assert row["error"] == type(attempt.error).__name__ and row["text"] == str(attempt.error)


def test_handler_that_stalls_is_shown_with_its_line(
    nodes: Nodes, other: p2p.Server, page_of: PageOf
) -> None:
    goes_on = threading.Event()

    def handler(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.read_msg()
        goes_on.wait(PATIENCE_S)  # the line where it stands
        rw.read_msg()

    server = nodes.start(
        monitor_addr=ADDRESS, protocols=[p2p.Protocol("chat", 1, 8, handler)]
    )
    page = page_of(server)
    theirs = other.connect(server.self, PATIENCE_S).open("chat")
    for _ in range(3):
        theirs.send_items(0)
    page.until(lambda: page.state["stalls"])
    ((key, row),) = page.state["stalls"].items()
    assert key == f"{row['peer']}/chat/1" and row["id"] == str(other.self.id)
    assert row["waiting"] == 2 and row["waiting_bytes"] > 2
    assert "test_server_page.py" in row["where"] and "in handler" in row["where"]
    assert any("in handler" in line for line in row["stack"])
    goes_on.set()
    page.until(lambda: not page.state["stalls"])


def test_handler_that_outlives_its_connection_is_shown(
    nodes: Nodes, other: p2p.Server, page_of: PageOf
) -> None:
    talks = nodes.talks()
    server = nodes.start(monitor_addr=ADDRESS, protocols=[talks.protocol("chat")])
    page = page_of(server)
    peer = other.connect(server.self, PATIENCE_S)
    peer.open("chat").send_items(0)
    page.until(lambda: page.state["peers"])
    peer.disconnect()
    page.until(lambda: not page.state["peers"] and page.state["stalls"])
    talks.release()
    page.until(lambda: not page.state["stalls"])


def test_handler_that_waits_for_messages_does_not_stall(
    server: p2p.Server, nodes: Nodes, page_of: PageOf
) -> None:
    def handler(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        while True:
            rw.read_msg()

    watched = nodes.start(
        monitor_addr=ADDRESS, protocols=[p2p.Protocol("chat", 1, 8, handler)]
    )
    page = page_of(watched)
    server.connect(watched.self, PATIENCE_S).open("chat").send_items(0)
    page.until(lambda: page.state["peers"])
    page.points.clear()
    page.until(lambda: len(page.points) > 4)
    assert page.state["stalls"] == {}


def test_node_table_lookups_and_packets(nodes: Nodes, page_of: PageOf) -> None:
    boot = nodes.start(no_discovery=False)
    others = [nodes.start(no_discovery=False, bootstrap_nodes=[boot.self]) for _ in range(3)]
    server = nodes.start(
        no_discovery=False, bootstrap_nodes=[boot.self], monitor_addr=ADDRESS
    )
    page = page_of(server)
    page.send(type="watch", samples_per_s=100)
    assert server.discovery_v4 is not None and server.discovery_v5 is not None
    for discovery in (server.discovery_v4, server.discovery_v5):
        for other in others:
            discovery.ping(other.self, PATIENCE_S)
    nodes_there = {str(one.self.id): one.self for one in [boot, *others]}
    for version, discovery in (("v4", server.discovery_v4), ("v5", server.discovery_v5)):
        found = discovery.lookup(bytes(64), PATIENCE_S)
        check_table(page, version, discovery)
        row = page.wait("nodes", protocol=version, id=str(others[0].self.id))
        assert row["bucket"] == max(240, log_distance(server.self.id, others[0].self.id))
        assert row["addr"] == str(others[0].self.udp_endpoint) and not row["replacement"]
        lookup = page.wait("lookups", protocol=version, found=len(found))
        assert lookup["ended_t"] >= lookup["begun_t"]
        hops = [row for row in page.rows("hops") if row["lookup"].startswith(version)]
        assert "answered" in {row["outcome"] for row in hops}
        assert {row["id"] for row in hops} <= nodes_there.keys()
        assert page.message(cap=f"disc{version}", direction="in")["fields"]
        row = page.wait("counts", cap=f"disc{version}", direction="out", name="findnode")
        assert row["messages"] > 0


def check_table(page: Page, version: str, discovery: p2p.discover.Discovery) -> None:
    """The page has the nodes of the table, and the times of their answers."""

    def rows() -> list[dict[str, Any]]:
        return [
            row
            for row in page.rows("nodes")
            if row["protocol"] == version and not row["replacement"]
        ]

    page.until(lambda: {row["id"] for row in rows()} == {str(one.id) for one in discovery.nodes()})
    page.until(lambda: any(row["answered_t"] for row in rows()))


def test_charts_have_a_point_for_each_update(server: p2p.Server, page_of: PageOf) -> None:
    page = page_of(server)
    page.until(lambda: len(page.points) > 2)
    point = page.points[-1]
    assert point["threads"] == threading.active_count()
    assert point["peers"] == 0 and 0 <= point["cpu"] < 64
    assert point.keys() >= {"bytes_in_per_s", "messages_out_per_s", "packets_in_per_s", "nodes"}


def test_no_key_is_on_the_page(
    server: p2p.Server, other: p2p.Server, page_of: PageOf
) -> None:
    secrets = [server.config.private_key, other.config.private_key]
    page = page_of(server)
    ours = server.connect(other.self, PATIENCE_S).open("chat")
    ours.write_msg(p2p.Msg(*CHAT.encode(Data(b"1"))))
    page.message(cap="chat/1")
    text = json.dumps([page.state, page.messages, page.events, page.hello])
    assert not any(key.to_bytes().hex() in text for key in secrets)


def test_page_of_a_server_with_ethereum_knows_its_messages(
    nodes: Nodes, page_of: PageOf
) -> None:
    eth = p2p.Protocol("eth", 69, p2p.eth.ETH69.length)
    server = nodes.start(monitor_addr=ADDRESS, protocols=[eth])
    page = page_of(server)
    codes = {one["cap"]: one["codes"] for one in page.hello["protocols"]}["eth/69"]
    assert codes["0"] == "Status" and codes["3"] == "GetBlockHeaders"
    peer = nodes.start(protocols=[eth]).connect(server.self, PATIENCE_S)
    page.until(lambda: page.state["peers"])
    asked = p2p.eth.GetBlockHeaders(7, p2p.eth.HeadersQuery(15, 1, 0, False))
    peer.open("eth").write_msg(p2p.Msg(*p2p.eth.ETH69.encode(asked)))
    row = page.message(cap="eth/69", name="GetBlockHeaders")
    assert row["fields"][0] == ["request_id", "7"]
    assert "HeadersQuery(" in row["fields"][1][1]
    eventually(lambda: server.peer_count == 1)
