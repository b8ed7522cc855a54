"""The live page of a lab: what it shows is what the lab says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import p2p
from p2p.errors import ArgumentError, ConfigError
from p2p.lab import Lab, LabClock, LabEvent, LabNode, Link
from p2p.lab import page as lab_page
from p2p.monitor import front
from tests.kit.monitorpage import Page

ADDRESS = "127.0.0.1:0"
HOSTILE = "<script>\u202e\n" + "x" * 1000
GREETING = 0
ELLIPSIS = len("...")


def protocols_of(node: LabNode) -> list[p2p.Protocol]:
    """A protocol whose nodes note what they receive."""

    def handle(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            node.note(msg.decode(str))

    return [p2p.Protocol("greet", 1, 1, handle)]


def greet(one: LabNode, other: LabNode, text: str = "hello") -> None:
    """Let one node send a message to another."""
    (peer,) = [peer for peer in one.peers if peer.id == other.id]
    peer._running[0].send(GREETING, text)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "TICK_S", 0.1)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(nodes=4, protocols=protocols_of, monitor_addr=ADDRESS) as lab:
        yield lab


@pytest.fixture
def page(lab: Lab) -> Iterator[Page]:
    with Page(lab.monitor_url) as page:
        yield page


def states(page: Page) -> dict[str, str]:
    return {key: row["state"] for key, row in sorted(page.state["edges"].items())}


UP = {"0-1": "up", "0-3": "up", "1-2": "up", "2-3": "up"}


def test_nodes_and_edges_are_those_of_the_lab(lab: Lab, page: Page) -> None:
    assert page.hello["kind"] == "lab" and page.hello["title"] == "lab of 4 nodes"
    page.until(lambda: states(page) == UP)
    page.wait("lab_nodes", name="n3", peers=2)
    shown = page.state["lab_nodes"]
    for node in lab:
        row = shown[str(node.index)]
        assert (row["name"], row["id"], row["running"]) == (node.name, str(node.id), True)


def test_nodes_that_stop_and_edges_that_go_are_seen(lab: Lab, page: Page) -> None:
    page.until(lambda: states(page) == UP)
    lab.stop_node(1)
    row = page.wait("lab_nodes", name="n1", running=False)
    assert row["peers"] == 0
    page.until(lambda: states(page) == {**UP, "0-1": "down", "1-2": "down"})
    lab.disconnect(2, 3)
    page.until(lambda: "2-3" not in states(page))
    lab.remove(1)
    page.until(lambda: list(states(page)) == ["0-3"] and "1" not in page.state["lab_nodes"])
    kinds = {event["kind"]: event for event in page.events}
    assert "n1" in kinds["node-stopped"]["text"]
    assert re.search("n2 - n3|n3 - n2", kinds["peer-dropped"]["text"])


def test_a_partition_and_changed_links_are_seen(lab: Lab, page: Page) -> None:
    lab.partition([0, 1])
    page.until(lambda: states(page) == {**UP, "0-3": "cut", "1-2": "cut"})
    lab.heal()
    lab.set_link(0, 1, latency_s=0.01, loss=0.5, bandwidth=1000)
    page.until(lambda: states(page) == UP)
    row = page.wait("edges", a="0", b="1", loss=0.5)
    assert (row["latency_s"], row["bandwidth"]) == (0.01, 1000)
    page.until(lambda: {"partition", "healed", "link"} <= {row["kind"] for row in page.events})
    texts = {row["kind"]: row["text"].partition(" s")[2] for row in page.events}
    assert texts["partition"] == ": sides n0 n1" and texts["healed"] == ""


def test_a_message_lights_up_its_edge_and_a_note_its_node(lab: Lab, page: Page) -> None:
    greet(lab[0], lab[1])
    page.wait("lab_nodes", name="n1", note="hello")
    page.until(lambda: page.activity)
    (activity,) = page.activity
    assert (activity["from"], activity["to"], activity["label"]) == ("0", "1", "greet/1 0")
    note = next(row for row in page.events if row["kind"] == "note")
    assert note["node"] == "1" and note["text"].endswith(" s: n1 hello")
    assert page.unseen == 0


def test_more_messages_than_are_drawn_are_counted(
    lab: Lab, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_page, "MAX_ACTIVITY", 5)
    for _ in range(200):
        greet(lab[0], lab[1])
    page.until(lambda: len(page.activity) + page.unseen == 200)
    assert page.unseen > 0


def test_only_the_last_message_from_a_node_to_another_is_drawn() -> None:
    events = [LabEvent(float(n), "message", f"n{n % 3}", "n7") for n in range(9)]
    assert [*lab_page._last_of_each(events)] == events[-3:]


@pytest.mark.parametrize("lab_s", [0.2, 60.0])
def test_messages_of_an_update_come_one_after_the_other(lab_s: float) -> None:
    """Also those of simulated time, of which a minute may pass at once."""
    events = [LabEvent(lab_s * n / 10, "message") for n in range(11)]
    t = [lab_page._times(events, 1000.0, 0.5)(event) for event in events]
    assert t == sorted(set(t))
    assert 999.5 <= t[0] and t[-1] == 1000.0
    assert t[-1] - t[0] == pytest.approx(min(lab_s, 0.5))


def test_hostile_notes_are_short_and_escaped(lab: Lab, page: Page) -> None:
    greet(lab[0], lab[1], HOSTILE)
    page.until(lambda: page.state["lab_nodes"]["1"]["note"])
    note = page.state["lab_nodes"]["1"]["note"]
    assert note.startswith("<script>\\u202e\\n") and len(note) <= lab_page.MAX_NOTE + ELLIPSIS
    page.until(lambda: any(row["kind"] == "note" for row in page.events))
    assert all(len(row["text"]) <= lab_page.MAX_TEXT + ELLIPSIS for row in page.events)


def test_the_page_costs_simulated_time_nothing() -> None:
    """Its thread is awake while the network is at rest."""
    arguments: dict[str, Any] = {"link": Link(0.05), "clock": LabClock(), "join": "memory"}
    with (
        Lab(3, protocols=protocols_of, monitor_addr=ADDRESS, **arguments) as lab,
        Page(lab.monitor_url) as page,
    ):
        before_s = lab.time_s
        greet(lab[0], lab[1])
        lab.run_for(60)
        assert lab.time_s == pytest.approx(before_s + 60)
        page.wait("lab_nodes", name="n1", note="hello")


def test_without_an_address_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.server", None)
    with Lab(2) as lab:
        assert lab.monitor_url is None
    with pytest.raises(ConfigError, match=r"p2p-blocking\[monitor\]"):
        Lab(2, monitor_addr=ADDRESS)


@pytest.mark.parametrize("addr", ["192.0.2.1:0", "somewhere", ":80"])
def test_a_wrong_address_is_refused_before_the_start(addr: str) -> None:
    with pytest.raises(ArgumentError, match="monitor_addr"):
        Lab(2, monitor_addr=addr)
