"""A lab of servers over loopback: start and stop, edges, nodes that come and go, its events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import p2p
from p2p.errors import ArgumentError, LabError, ServerStateError
from p2p.lab import Lab, LabEvent, LabNode
from tests.kit.waiting import PATIENCE_S

PING = 0


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """A handler that ends when the peer has left."""
    for _ in rw:
        pass


STAY = p2p.Protocol("stay", 1, 1, stay)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A ring of six nodes."""
    with Lab(nodes=6, protocols=[STAY]) as lab:
        yield lab


def names(pairs: list[tuple[LabNode, LabNode]]) -> list[str]:
    return [f"{one.name}-{other.name}" for one, other in pairs]


def rest(events: p2p.Subscription[LabEvent]) -> list[LabEvent]:
    """The events of a lab that was stopped."""
    return list(events)


RING = ["n0-n1", "n0-n5", "n1-n2", "n2-n3", "n3-n4", "n4-n5"]


def test_all_edges_of_the_topology_are_connected_at_both_ends(lab: Lab) -> None:
    assert names(lab.edges) == names(lab.wanted_edges) == RING
    assert [node.name for node in lab[0].neighbors] == ["n1", "n5"]
    for one, other in lab.edges:
        assert other.id in [peer.id for peer in one.peers]
        assert one.id in [peer.id for peer in other.peers]


def test_nodes_are_found_by_index_and_by_name(lab: Lab) -> None:
    assert len(lab) == 6 and list(lab) == lab.nodes == lab.running
    assert lab[3] is lab["n3"] is lab[lab[3]] and lab[3].index == 3
    for missing in (6, "n6", Lab(nodes=1)[0]):
        with pytest.raises(ArgumentError, match="node: wanted a node of this lab"):
            lab[missing]


def test_keys_come_from_the_seed() -> None:
    ids = [node.id for node in Lab(nodes=3)]
    assert ids == [node.id for node in Lab(nodes=3)]
    assert len(set(ids)) == 3
    assert not set(ids) & {node.id for node in Lab(nodes=3, seed=2)}


def test_a_stopped_node_starts_with_its_key_address_and_edges(lab: Lab) -> None:
    node, server = lab[2].node, lab[2].server
    assert lab.stop_node(2) == []
    assert not lab[2].is_running and lab[2].peers == lab[2].neighbors == []
    assert lab[2] not in lab.running
    lab.wait_until(lambda: names(lab.edges) == ["n0-n1", "n0-n5", "n3-n4", "n4-n5"], PATIENCE_S)
    with pytest.raises(ServerStateError, match="n2 is stopped"):
        lab[2].server  # noqa: B018
    lab[2].start()
    assert names(lab.edges) == RING
    assert lab[2].server is not server
    assert lab[2].node.url == node.url


def test_starting_a_node_that_runs_does_nothing(lab: Lab) -> None:
    server = lab[1].server
    lab.start_node(1)
    assert lab[1].server is server
    assert lab[1].stop() == lab[1].stop() == []


def test_edges_are_connected_and_disconnected(lab: Lab) -> None:
    lab.connect(0, "n3")
    lab.connect(0, 3)  # connected already
    assert lab.is_connected(3, 0) and "n0-n3" in names(lab.wanted_edges)
    lab.disconnect(3, 0)
    lab.disconnect(3, 0)  # disconnected already
    assert not lab.is_connected(0, 3) and names(lab.wanted_edges) == RING
    assert lab[0].id not in [peer.id for peer in lab[3].peers]


def test_an_edge_to_a_stopped_node_fails_with_its_names_and_the_cause(lab: Lab) -> None:
    lab.stop_node(3)
    with pytest.raises(LabError) as caught:
        lab.connect(0, 3)
    ((edge, error),) = caught.value.failures
    assert edge == "n0 - n3" and isinstance(error, p2p.ConnectError)
    assert str(caught.value).startswith("1 of 1 could not be connected: n0 - n3: DialRefused: ")
    assert caught.value.__cause__ is error
    with pytest.raises(LabError, match="n3 - n0: ServerStateError: n3 is stopped"):
        lab.connect(3, 0)


def test_all_edges_that_fail_are_named() -> None:
    """n0 has no protocol in common with the others."""
    other = p2p.Protocol("other", 1, 1, stay)
    lab = Lab(nodes=4, topology="star", protocols=lambda node: [STAY if node.index else other])
    with pytest.raises(LabError) as caught:
        lab.start()
    assert [edge for edge, _ in caught.value.failures] == ["n0 - n1", "n0 - n2", "n0 - n3"]
    assert "3 of 3 could not be connected: n0 - n1: " in str(caught.value)
    assert lab.running == []


def test_nodes_are_added_and_removed(lab: Lab) -> None:
    node = lab.add(neighbors=[0, "n3"])
    assert (node.name, node.index) == ("n6", 6)
    assert [other.name for other in node.neighbors] == ["n0", "n3"]
    key = p2p.generate_key()
    ann = lab.add("ann", private_key=key, start=False)
    assert ann.private_key is key and not ann.is_running and len(lab) == 8
    for taken in ({"name": "ann"}, {"private_key": key}):
        with pytest.raises(ArgumentError, match="a name and a key not taken yet"):
            lab.add(**taken)
    lab.remove("ann")
    lab.remove(0)
    assert [other.name for other in lab] == ["n1", "n2", "n3", "n4", "n5", "n6"]
    lab.wait_until(lambda: lab.edges == lab.wanted_edges, PATIENCE_S)
    assert names(lab.edges) == ["n1-n2", "n2-n3", "n3-n4", "n3-n6", "n4-n5"]
    assert lab.add().name == "n8"


def test_handlers_are_made_for_their_node() -> None:
    def protocols_of(node: LabNode) -> list[p2p.Protocol]:
        def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            rw.send(PING, node.index)
            node.note("got", index=rw.read_msg().decode(int))
            stay(peer, rw)

        return [p2p.Protocol("index", 1, 1, run)]

    lab = Lab(nodes=3, protocols=protocols_of, topology="full")
    with lab.subscribe_events() as events, lab:
        notes: list[LabEvent] = []
        while len(notes) < 6:
            event = events.get(PATIENCE_S)
            notes += [event] if event.type == "note" else []
    got = sorted((event.node, (event.data or {})["index"]) for event in notes)
    assert got == [("n0", 1), ("n0", 2), ("n1", 0), ("n1", 2), ("n2", 0), ("n2", 1)]


def test_events_tell_the_whole_course() -> None:
    lab = Lab(nodes=2, protocols=[STAY])
    events = lab.subscribe_events()
    with lab:
        lab.note("half", share=0.5)
        lab.stop_node(1)
        lab.wait_until(lambda: not lab.edges, PATIENCE_S)
    told = rest(events)
    kinds = [event.type for event in told]
    assert sorted(kinds[:2]) == ["started", "started"] and kinds[-1] == "stopped"
    assert kinds[2:4] == ["connected", "note"]
    connected, note = told[2:4]
    assert (connected.node, connected.peer) == ("n0", "n1")  # n0 has dialed
    assert note.to_json() == {
        "time_s": note.time_s, "type": "note", "text": "half", "data": {"share": 0.5},
    }  # fmt: skip
    (dropped,) = [event for event in told if event.type == "dropped"]
    assert {dropped.node, dropped.peer} == {"n0", "n1"} and "quitting" in dropped.text
    times = [event.time_s for event in told]
    assert times == sorted(times) and times[0] >= 0
    json.dumps([event.to_json() for event in told])


@pytest.mark.parametrize("share, expected", [(1.0, 8), (0.25, 2), (0.0, 0)])
def test_messages_are_reported_by_their_share(share: float, expected: int) -> None:
    def protocols_of(node: LabNode) -> list[p2p.Protocol]:
        def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            if node.index == 0:
                for _ in range(8):
                    rw.send(PING, b"12345")
                stay(peer, rw)
            for _ in range(8):
                rw.read_msg()
            lab.note("all read")
            stay(peer, rw)

        return [p2p.Protocol("pings", 3, 1, run)]

    lab = Lab(nodes=2, protocols=protocols_of, message_events=share)
    with lab.subscribe_events() as events, lab:
        told: list[LabEvent] = []
        while "note" not in [event.type for event in told]:
            told.append(events.get(PATIENCE_S))
    messages = [event for event in told if event.type == "message"]
    assert len(messages) == expected
    for event in messages:
        assert (event.node, event.peer, event.protocol) == ("n1", "n0", "pings/3")
        assert (event.msg_code, event.msg_size) == (PING, 6)


def test_peers_from_outside_are_reported_with_their_id() -> None:
    lab = Lab(nodes=1, protocols=[STAY], join="loopback")
    with lab.subscribe_events() as events, lab:
        assert events.get(PATIENCE_S).type == "started"
        with p2p.connect(lab[0].node, name="stay", version=1, length=1, timeout=PATIENCE_S):
            connected = events.get(PATIENCE_S)
            (peer,) = lab[0].peers
        dropped = events.get(PATIENCE_S)
    assert (connected.type, connected.peer) == ("connected", peer.id.hex())
    assert (dropped.type, dropped.peer) == ("dropped", peer.id.hex())
    assert lab.edges == []


def test_the_wait_for_a_condition_has_a_limit(lab: Lab) -> None:
    with pytest.raises(p2p.Timeout, match=r"not within 0 s: pigs fly"):
        lab.wait_until(lambda: False, 0, "pigs fly")
    lab.wait_until(lambda: True, 0)
    with pytest.raises(ArgumentError, match="condition"):
        lab.wait_until(5)  # type: ignore[arg-type]


def test_options_are_those_of_a_server() -> None:
    seen: list[str] = []

    class Seen(p2p.observe.Observer):
        def peer_event(self, event: p2p.PeerEvent) -> None:
            seen.append(event.type)

    options: dict[str, Any] = {"max_peers": 7, "observer": Seen()}
    ratio_of = lambda node: {"dial_ratio": 2 + node.index}  # noqa: E731
    with Lab(2, protocols=[STAY], node_options=ratio_of, **options) as lab:
        assert [node.server.config.max_peers for node in lab] == [7, 7]
        assert [node.server.config.dial_ratio for node in lab] == [2, 3]
        assert lab[0].server.config.name == "n0"
        assert seen == ["add", "add"]


def test_wrong_options_of_servers_are_named_and_all_is_stopped() -> None:
    lab = Lab(nodes=2, protocols=[STAY], max_peers=-1)
    with pytest.raises(LabError, match="2 of 2 could not be started: n0: ConfigError: max_peers"):
        lab.start()
    with pytest.raises(LabError, match="TypeError"):
        Lab(nodes=1, colour="red").start()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"nodes": -1}, "nodes: wanted an int from 0"),
        ({"seed": "x"}, "seed: wanted an int"),
        ({"topology": "cube"}, "topology: wanted one of"),
        ({"protocols": 5}, "protocols: wanted a list of Protocol"),
        ({"protocols": lambda: []}, "protocols must be callable as protocols.node."),
        ({"discovery": 1}, "discovery: wanted True or False"),
        ({"message_events": 2}, "message_events: wanted a probability"),
        ({"node_options": {}}, "node_options must be callable"),
        ({"clock": None}, "clock: wanted a clock"),
        ({"message_events": 10**400}, "message_events: wanted a finite number"),
        ({"name": "x"}, "name: wanted an option that the lab does not set"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Lab(**options)


def test_a_lab_runs_once() -> None:
    lab = Lab(nodes=1)
    for call in (lab.reconnect, lambda: lab.start_node(0)):
        with pytest.raises(ServerStateError, match="the lab is new"):
            call()
    lab.start()
    assert lab.stop() == lab.stop() == []
    with pytest.raises(ServerStateError, match="cannot start: the lab is stopped"):
        lab.start()
    with pytest.raises(ServerStateError, match="the lab is stopped"):
        lab.start_node(0)


def test_texts_say_what_it_is(lab: Lab) -> None:
    lab.stop_node(5)
    lab.wait_until(lambda: len(lab.edges) == 4, PATIENCE_S)
    assert repr(lab) == "<Lab, running, 5 of 6 nodes, 4 edges>"
    assert repr(lab[1]) == f"<LabNode 1 'n1' {lab[1].id.short}, 2 peers>"
    assert repr(lab[5]) == f"<LabNode 5 'n5' {lab[5].id.short}, stopped>"


def test_discovery_finds_the_nodes_of_the_lab() -> None:
    with Lab(nodes=5, topology="none", protocols=[STAY], discovery=True) as lab:
        lab.wait_until(lambda: len(lab.edges) >= 4, PATIENCE_S)
        assert all(node.server.discovery_v4 for node in lab)


@pytest.mark.parametrize("name", ["", "\x1b[3m", "n\n", "\ud800"])
def test_a_name_that_no_server_may_have_is_refused_at_once(name: str) -> None:
    lab = Lab(nodes=1)
    with pytest.raises(ArgumentError, match="name: wanted printable text"):
        lab.add(name, start=False)
    assert len(lab) == 1


@pytest.mark.parametrize("change", ["latency_s", "jitter", "bandwidth"])
def test_an_int_that_is_no_float_is_no_quality_of_a_link(change: str) -> None:
    with pytest.raises(ArgumentError, match=change):
        Lab(nodes=2).set_link(0, 1, **{change: 10**400})
