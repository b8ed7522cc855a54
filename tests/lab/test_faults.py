"""Links and partitions of a lab, on simulated time: messages arrive when they must, or do not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import p2p
from p2p.errors import ArgumentError, DialTimeout, LabError
from p2p.lab import Lab, LabClock, LabEvent, LabNode, Link, LinkNoise, Partitions
from tests.kit.waiting import PATIENCE_S
from tests.lab.test_lab import STAY, names, stay

PING, PONG = 0, 1


class Echo:
    """The protocols of nodes that answer each ping, and note each pong."""

    def __init__(self) -> None:
        self.rws: dict[tuple[str, str], p2p.MsgReadWriter] = {}
        self.changed = threading.Condition()

    def __call__(self, node: LabNode) -> list[p2p.Protocol]:
        def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            with self.changed:
                self.rws[node.name, peer.fullname] = rw
                self.changed.notify_all()
            for msg in rw:
                if msg.code == PING:
                    rw.send_items(PONG)
                else:
                    node.note("pong")

        return [p2p.Protocol("echo", 1, 2, run)]

    def ping(self, one: str, other: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: (one, other) in self.rws, PATIENCE_S)
        self.rws[one, other].send_items(PING)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def lab(echo: Echo) -> Iterator[Lab]:
    """A ring of four nodes whose links take 0.1 s."""
    link = Link(latency_s=0.1, jitter=0.0)
    with Lab(nodes=4, protocols=echo, link=link, clock=LabClock()) as lab:
        yield lab


def round_trip(lab: Lab, echo: Echo, one: str, other: str) -> float:
    """Seconds of the lab from a ping until its pong was noted."""
    begun = lab.time_s
    with lab.subscribe_events() as events:
        echo.ping(one, other)
        pongs: list[LabEvent] = []

        def has_pong() -> bool:
            while True:
                try:
                    event = events.get(0)
                except p2p.Timeout:
                    return bool(pongs)
                if event.type == "note":
                    pongs.append(event)

        lab.wait_until(has_pong, 60)
    return pongs[0].time_s - begun


def test_messages_take_the_time_of_their_link(lab: Lab, echo: Echo) -> None:
    assert round_trip(lab, echo, "n0", "n1") == pytest.approx(0.2)
    lab.set_link(0, "n1", latency_s=0.5)
    assert round_trip(lab, echo, "n0", "n1") == pytest.approx(1.0)
    assert round_trip(lab, echo, "n1", "n0") == pytest.approx(1.0)
    assert round_trip(lab, echo, "n1", "n2") == pytest.approx(0.2)
    lab.set_link(0, 1, one_way=True, latency_s=0.1)
    assert round_trip(lab, echo, "n0", "n1") == pytest.approx(0.6)
    lab.set_link(latency_s=0.3)
    assert round_trip(lab, echo, "n1", "n2") == pytest.approx(0.6)
    assert round_trip(lab, echo, "n0", "n1") == pytest.approx(0.6)
    assert lab.link_of(1, 0).latency_s == (0.5, 0.5)
    assert lab.link_of(2, 3).latency_s == (0.3, 0.3)


def test_nothing_passes_a_partition_until_it_heals(lab: Lab, echo: Echo) -> None:
    lab.partition([0, "n3"])
    assert round_trip(lab, echo, "n0", "n3") == pytest.approx(0.2)
    with lab.subscribe_events() as events:
        echo.ping("n0", "n1")
        lab.run_for(2.0)
        with pytest.raises(p2p.Timeout):
            events.get(0)
        lab.heal()
        lab.wait_until(lambda: has_note(events), 60)


def has_note(events: p2p.Subscription[LabEvent]) -> bool:
    try:
        return events.get(0).type == "note"
    except p2p.Timeout:
        return False


def test_edges_across_a_partition_are_left_out_until_it_heals(lab: Lab) -> None:
    lab.partition([0])
    lab.stop_node(1)
    lab.stop_node(2)
    lab.start_node(2)
    lab.start_node(1)  # its edge to n0 would fail
    assert "n0-n1" not in names(lab.edges) and "n1-n2" in names(lab.edges)
    lab.heal()
    lab.reconnect()
    assert names(lab.edges) == names(lab.wanted_edges)


def test_a_dial_across_a_partition_takes_its_time_out(lab: Lab) -> None:
    lab.partition([0, 1], [2, 3])
    begun = lab.time_s
    with pytest.raises(LabError) as caught:
        lab.connect(0, 2, timeout=7.0)
    ((edge, error),) = caught.value.failures
    assert edge == "n0 - n2" and isinstance(error, DialTimeout)
    assert lab.time_s - begun == pytest.approx(7.0, abs=1.0)


def test_faults_are_events(lab: Lab) -> None:
    with lab.subscribe_events() as events:
        lab.set_link(1, 2, loss=0.25)
        lab.set_link(bandwidth=1000)
        lab.partition([0], [1, 2])
        lab.heal()
        told = [events.get(PATIENCE_S).to_json() for _ in range(4)]
    for event in told:
        del event["time_s"]
    assert told == [
        {"type": "link", "node": "n1", "peer": "n2", "data": {"loss": 0.25}},
        {"type": "link", "data": {"bandwidth": 1000}},
        {"type": "partition", "data": {"sides": [["n0"], ["n1", "n2"]]}},
        {"type": "healed"},
    ]


def test_faults_go_on_after_a_snapshot(lab: Lab, echo: Echo) -> None:
    lab.set_link(latency_s=0.2)
    lab.set_link(0, 1, loss=0.5)
    lab.set_link(0, 1, one_way=True, latency_s=0.4)
    lab.partition([2])
    snapshot = lab.snapshot()
    again = Lab.from_snapshot(snapshot, protocols=echo, clock=LabClock())
    assert again.link_of(2, 3) == Link(latency_s=0.2, jitter=0.0)
    assert (again.link_of(0, 1).latency_s, again.link_of(1, 0).loss) == ((0.4, 0.4), 0.5)
    assert again.snapshot().sides == ((2,),)
    assert again.snapshot().links == snapshot.links


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda lab: lab.set_link(0), "other: wanted two nodes, or none"),
        (lambda lab: lab.set_link(one_way=True, loss=0.1), "other: wanted two nodes"),
        (lambda lab: lab.set_link(0, 1, loss=2), "loss: wanted a probability"),
        (lambda lab: lab.set_link(latency_s=-1), "latency_s: wanted"),
        (lambda lab: lab.set_link(0, 9, loss=0.1), "node: wanted a node of this lab"),
        (lambda lab: lab.partition([0, 1], [1]), "sides: wanted each node on one side"),
        (lambda lab: lab.partition([9]), "node: wanted a node of this lab"),
        (lambda lab: lab.link_of(0, "x"), "node: wanted a node of this lab"),
    ],
)
def test_wrong_faults_are_refused(call: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call(Lab(nodes=2))


def test_partitions_come_and_go_by_script() -> None:
    """The edges across one that ended, as their ends have missed answers, are there again."""
    lab = Lab(nodes=6, protocols=[STAY], clock=LabClock(), scripts=[Partitions(10.0, 40.0)])
    events = lab.subscribe_events()
    with lab:
        lab.run_for(100.0)
        assert names(lab.edges) == names(lab.wanted_edges)
    seen = [(round(event.time_s), event.type) for event in events]
    kinds = ("partition", "healed")
    assert [item for item in seen if item[1] in kinds] == [
        (10, "partition"), (50, "healed"), (60, "partition"), (100, "healed"),
    ]  # fmt: skip
    assert "dropped" in [kind for _, kind in seen if kind not in kinds]


def test_links_change_by_script() -> None:
    noise = LinkNoise(1.0, (0.1, 0.2), loss=0.25, bandwidth=(1000, 2000))
    lab = Lab(nodes=3, protocols=[STAY], clock=LabClock(), scripts=[noise])
    events = lab.subscribe_events()
    with lab:
        lab.run_for(5.5)
    changes = [event for event in events if event.type == "link"]
    first_s = changes[0].time_s  # the start of the network may take some of the time
    assert [round(event.time_s - first_s, 6) for event in changes] == [0, 1, 2, 3, 4]
    for event in changes:
        data = event.data or {}
        assert 0.1 <= data["latency_s"] <= 0.2 and data["loss"] == 0.25
        assert 1000 <= data["bandwidth"] <= 2000


def test_handlers_of_an_idle_lab_do_not_hold_its_time_up() -> None:
    """An hour of four servers that ping each other every 15 s."""
    with Lab(nodes=4, protocols=[p2p.Protocol("stay", 1, 1, stay)], clock=LabClock()) as lab:
        lab.run_for(3600.0)
        assert lab.time_s >= 3600.0
        assert names(lab.edges) == names(lab.wanted_edges)
