"""The page shows what the messages of a monitor say, moment by moment, with made-up messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .seen import details, drawn, rows
from .story import LabStory, Story

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import OpenPage, StartStory

WIDE = {"viewport": {"width": 1600, "height": 1000}}


def names(page: Page) -> set[str]:
    return {row["Name"] for row in rows(page, "Peers")}


def test_peers_are_those_of_the_state_nearest_first(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=23))
    page = open_page(server.url, **WIDE)
    peers = server.story.state["peers"].values()
    expected = sorted((peer["distance"], peer["id"], peer["name"]) for peer in peers)
    shown = rows(page, "Peers")
    assert [(row["Distance"], row["Name"]) for row in shown] == [
        (str(d), name) for d, _, name in expected
    ]
    assert [row["Direction"] for row in shown].count("in") == sum(peer["inbound"] for peer in peers)
    assert page.locator("svg g.peer").count() == 23
    assert page.locator("#peers .count").inner_text() == "23 of at most 50, 8 inbound, 15 outbound"


def test_peers_that_come_and_go_do_so_on_the_page(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    story = server.story
    newcomer = {**story.state["peers"]["0"], "name": "newcomer", "id": "ab" * 32}
    update = story.happened(set={"peers": {"77": newcomer}}, remove={"peers": ["1", "2"]})
    server.tell(update)
    drawn(page, update["n"])
    assert names(page) == {story.state["peers"]["0"]["name"], "newcomer"}
    assert page.locator("svg g.peer").count() == 2


def test_details_of_a_peer(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    page.locator("#peers tbody tr").first.click()
    key = page.locator("#peers tbody tr").first.get_attribute("data-key")
    peer = server.story.state["peers"][key]
    page.wait_for_selector("#peers .detail:not([hidden])")
    shown = details(page, "peers")
    assert (shown["Name"], shown["Node ID"], shown["Address"]) == (
        peer["name"],
        peer["id"],
        peer["addr"],
    )
    assert shown["Announced"] == ", ".join(peer["caps"])
    request = server.wait_for("watch")
    assert request["peer"] == key


def test_messages_are_counted_by_protocol_and_code(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story()
    page = open_page(server.url)
    counts = server.story.state["counts"].values()
    shown = {
        (row["Protocol"], row["Message"]) for row in rows(page, "Messages by protocol and code")
    }
    assert shown == {(count["cap"], count["name"]) for count in counts}
    hint = (
        page.locator("#messages .kinds tr", has_text="BlockHeaders")
        .last.locator("td")
        .last.get_attribute("title")
    )
    of_kind = {one["direction"]: one["messages"] for one in counts if one["name"] == "BlockHeaders"}
    assert hint == f"{of_kind['in']} received, {of_kind['out']} sent"


def test_samples_with_their_fields(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    sample = dict(
        next(server.story._messages()), m=99_999, t=server.story.t, name="Transactions", size=4321
    )
    update = server.story.happened(messages=[sample])
    server.tell(update)
    drawn(page, update["n"])
    assert rows(page, "Samples of messages")[0]["Size"] == "4.3 kB"
    page.locator("#messages .list tbody tr").first.click()
    shown = details(page, "messages")
    assert shown["request_id"] == "12"
    assert shown["hashes"] == sample["fields"][1][1]
    assert shown["First bytes"] == sample["payload"]


def test_a_kind_is_chosen_and_sampled(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    page.locator("#messages .kinds tr", has_text="PooledTransactions").last.click()
    assert server.wait_for("watch")["protocols"] == ["eth/69"]
    server.tell(update := server.story.update())
    drawn(page, update["n"])
    assert {row["Message"] for row in rows(page, "Samples of messages")} == {"PooledTransactions"}


def test_number_of_samples_is_chosen(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    page.get_by_label("Samples a second").select_option("100")
    assert server.wait_for("watch") == {
        "type": "watch", "samples_per_s": 100, "protocols": None, "peer": None
    }  # fmt: skip


def test_layout_of_a_network_is_the_same_in_each_browser(
    start_story: StartStory, open_page: OpenPage
) -> None:
    """Neighbours end near each other, and another run ends at the very same places."""
    page = open_page(start_story().url)
    first, again = (page.evaluate(LAYOUT) for _ in range(2))
    assert first == again
    near, far = first["near"], first["far"]
    assert near < far / 2


#: A ring of 30 nodes: its places, and mean distances of neighbours and of opposite nodes.
LAYOUT = """async () => {
    const { Springs } = await import("./layout.js");
    const edges = Array.from({ length: 30 }, (_, n) => [n, (n + 1) % 30]);
    const springs = new Springs(30, edges);
    while (!springs.done) springs.advance();
    const places = springs.fitted();
    const apart = (a, b) => Math.hypot(places[a][0] - places[b][0], places[a][1] - places[b][1]);
    const mean = (step) => places.reduce((sum, _, n) => sum + apart(n, (n + step) % 30), 0) / 30;
    return { places, near: mean(1), far: mean(15) };
}"""


def test_nodes_by_bucket(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    nodes = server.story.state["nodes"].values()
    shown = rows(page, "Nodes by bucket")
    assert [row["Bucket"] for row in shown] == [
        str(b) for b in sorted(node["bucket"] for node in nodes)
    ]
    assert [row["State"] for row in shown].count("live") == sum(node["live"] for node in nodes)
    squares = page.locator("#table rect.live, #table rect.unproven").count()
    assert squares == sum(not node["replacement"] for node in nodes)


def test_lookups_as_they_hop(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(past=40)
    page = open_page(server.url)
    lookups, hops = server.story.state["lookups"], server.story.state["hops"]
    latest = max(lookups, key=lambda key: lookups[key]["begun_t"])
    queries = sorted(
        (hop for hop in hops.values() if hop["lookup"] == latest), key=lambda hop: hop["n"]
    )
    shown = rows(page, "Queries of the lookup")
    assert [row["Answer"] for row in shown] == [hop["outcome"] for hop in queries]
    assert [row["Distance"] for row in shown] == [str(hop["distance"]) for hop in queries]
    assert page.locator("#lookups g.query").count() == len(queries)
    drawn_links = page.locator("#lookups path.hop").count()
    assert drawn_links == sum(hop["from"] is not None for hop in queries)


def test_dials_and_their_outcomes(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(past=80)
    page = open_page(server.url)
    dials = sorted(server.story.state["dials"].values(), key=lambda dial: -dial["begun_t"])
    shown = rows(page, "Dials")
    assert [row["Outcome"] for row in shown] == [dial["outcome"] for dial in dials]
    failed = [row["Reason"] for row in shown if row["Outcome"] == "failed"]
    assert failed == [f"{dial['step']}: {dial['text']}" for dial in dials if dial["text"]]


def test_stalled_handlers_with_their_line(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    assert page.locator("#stalls .empty").inner_text() == "Every handler keeps up."
    server.tell(update := server.story.happened(set={"stalls": server.story._stall()}))
    drawn(page, update["n"])
    lines = {row["Stands at"] for row in rows(page, "Stalled handlers")}
    assert lines == {"app.py:118, in store", "sync.py:42, in fetch_bodies"}
    assert page.locator("svg g.peer.stalled").count() == 2
    gone = list(server.story.state["stalls"])
    server.tell(update := server.story.happened(remove={"stalls": gone}))
    drawn(page, update["n"])
    assert page.locator("svg g.peer.stalled").count() == 0


def test_events_are_listed_the_latest_first(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    assert page.locator("#events .empty").is_visible()
    t = server.story.t
    events = [
        {"t": t, "kind": "peer-added", "text": "Geth came", "peer": "7"},
        {"t": t, "kind": "peer-dropped", "text": "Geth: too many peers", "peer": "7"},
    ]
    server.tell(update := server.story.happened(events=events))
    drawn(page, update["n"])
    assert page.locator("#events li bdi").all_inner_texts() == ["Geth: too many peers", "Geth came"]


def test_charts_end_with_the_latest_numbers(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url)
    point = {
        "bytes_in_per_s": 1.5e6,
        "bytes_out_per_s": 2e3,
        "cpu": 0.25,
        "threads": 17,
        "messages_in_per_s": 10_000.0,
        "messages_out_per_s": 3.0,
    }
    server.tell(update := server.story.happened(point=point))
    drawn(page, update["n"])
    values = page.locator(".chart .value").all_inner_texts()
    assert values == ["1.5 MB/s", "2.0 kB/s", "10.0k/s", "3.0/s", "25 %", "17"]
    page.locator("summary", has_text="Charts as a table").click()
    assert (
        "1.5 MB/s" in page.locator(".as-table td").all_inner_texts()
        or page.locator(".as-table tr").count() > 1
    )


def test_a_step_back_shows_the_peers_of_then(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    story = server.story
    for number in range(5):
        newcomer = {
            **story.state["peers"]["0"],
            "name": f"newcomer {number}",
            "id": f"{number:064x}",
        }
        story.t += 1
        server.tell(update := story.happened(set={"peers": {f"10{number}": newcomer}}))
    drawn(page, update["n"])
    assert page.locator("#peers tbody tr").count() == 8
    page.locator("#back").click()
    page.locator("#back").click()
    drawn_now = page.wait_for_function(
        "() => document.querySelectorAll('#peers tbody tr').length === 6"
    )
    assert drawn_now
    assert page.locator("#status-text").inner_text() == "Paused"
    server.tell(story.happened(remove={"peers": ["0"]}))
    assert page.locator("#peers tbody tr").count() == 6, "what is new changes nothing that is shown"
    page.locator("#pause").click()
    page.wait_for_function("() => document.querySelectorAll('#peers tbody tr').length === 7")
    assert page.locator("#status-text").inner_text() == "Live"


def test_the_slider_reaches_all_of_the_history(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(past=50)
    page = open_page(server.url)
    slider = page.locator("#moment")
    assert slider.get_attribute("max") == "50"
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function(
        "() => document.querySelector('#shown').textContent.includes('25 s ago')"
    )
    assert rows(page, "Samples of messages") == []
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('#shown').textContent.startsWith('live')")


def test_the_filter_is_for_all_panels(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(Story(peers=20))
    page = open_page(server.url)
    page.locator("#search").fill("geth")
    page.wait_for_function("() => document.querySelectorAll('#peers tbody tr').length === 3")
    assert all("Geth" in name for name in names(page))
    assert {row["Peer"].split("/")[0] for row in rows(page, "Samples of messages")} == {"Geth"}
    assert page.locator("svg g.peer.dim").count() == 17
    page.locator("#search").fill("nothing like it")
    notes = "document.querySelectorAll('.panel:not([hidden]) .empty:not([hidden])')"
    page.wait_for_function(f"() => {notes}.length >= 7")
    texts = page.evaluate(f"[...{notes}].map((note) => note.textContent)")
    assert set(texts) <= {"Nothing fits the filter.", ""}
    page.locator("#search").press("Escape")
    page.wait_for_function("() => document.querySelectorAll('#peers tbody tr').length === 20")


def test_export_is_what_is_shown(
    start_story: StartStory, open_page: OpenPage, tmp_path: Path
) -> None:
    server = start_story(Story(peers=20))
    page = open_page(server.url)
    page.locator("#search").fill("geth")
    with page.expect_download() as download:
        page.locator("#export").click()
    download.value.save_as(tmp_path / "export.json")
    saved = json.loads((tmp_path / "export.json").read_text(encoding="utf-8"))
    assert {peer["name"] for peer in saved["peers"]} == names(page)
    assert saved["filter"] == "geth"
    assert saved["point"]["peers"] == 20
    assert [peer["id"] for peer in saved["peers"]] == [
        server.story.state["peers"][p["key"]]["id"] for p in saved["peers"]
    ]


def test_a_server_that_goes_is_waited_for(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    server.hang_up()
    page.wait_for_selector("#status[data-state=lost]")
    assert page.locator("#peers tbody tr").count() == 3, "it shows what it knew"
    page.wait_for_selector("#status[data-state=live]")
    assert page.locator("#peers tbody tr").count() == 3


def test_another_snapshot_replaces_the_state(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(Story(peers=5))
    page = open_page(server.url)
    del server.story.state["peers"]["0"]
    server.story._n += 10
    server.tell(server.story.snapshot(missed=9))
    drawn(page, server.story._n)
    assert page.locator("#peers tbody tr").count() == 4
    assert "9 updates missed" in page.locator("#messages .count").inner_text()


def test_messages_of_a_later_contract_are_ignored(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=2))
    page = open_page(server.url)
    server.tell({"type": "weather", "sun": True})
    server.tell(update := server.story.happened(wind=3) | {"set": {"clouds": {"1": {"size": 3}}}})
    drawn(page, update["n"])
    assert page.locator("#peers tbody tr").count() == 2


def test_many_messages_leave_a_document_of_bounded_size(
    start_story: StartStory, open_page: OpenPage
) -> None:
    """Ten thousand messages a second come as samples and counts; here every one is a sample."""
    server = start_story()
    page = open_page(server.url)
    template = next(server.story._messages())
    for second in range(10):
        samples = [
            dict(template, m=1000 * second + n + 100_000, t=server.story.t) for n in range(1000)
        ]
        update = server.story.happened(messages=samples, unseen=9000)
        server.tell(update)
    drawn(page, update["n"])
    assert page.locator("#messages .list tbody tr").count() == 150
    assert f"{sum_unseen(server)} not sampled" in page.locator("#messages .count").inner_text()
    assert page.locator("*").count() < 12_000


def sum_unseen(server: Any) -> int:
    return sum(message.get("unseen", 0) for message in server._past)


def test_peers_beyond_what_is_drawn_are_counted(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=600))
    page = open_page(server.url)
    assert page.locator("svg g.peer").count() == 256
    assert page.locator("#peers tbody tr").count() == 400
    assert page.locator("#peers .count").inner_text().startswith("600 of at most 50")


def test_a_lab_shows_its_topology_and_a_rumour(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(LabStory(nodes=30), kind="lab", past=2)
    page = open_page(server.url, **WIDE)
    assert (
        page.locator("#topology .count").inner_text()
        == f"30 nodes, 30 running, {len(server.story.state['edges'])} edges"
    )
    assert not page.locator("#peers").is_visible()
    assert page.locator("#events").is_visible()
    before = coloured(page)
    while len(server.story._heard) < 30:
        server.tell(update := server.story.update())
    drawn(page, update["n"])
    heard = {
        row["Node"] for row in rows(page, "Nodes of the network") if row["Note"] == "has heard"
    }
    assert heard == {f"node {n}" for n in range(1, 30)}
    page.wait_for_function(f"() => ({COLOURED})() > {before + 100}")


#: How many pixels of the drawing have the colour of a rumour.
COLOURED = """() => {
    const canvas = document.querySelector("#topology canvas");
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
        .getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] > 60 && data[at] > 150 && data[at + 2] < 60) count += 1;
    }
    return count;
}"""


def coloured(page: Page) -> int:
    count: int = page.evaluate(COLOURED)
    return count


@pytest.mark.parametrize("width", [360, 1024, 1600])
def test_nothing_is_wider_than_the_window(
    start_story: StartStory, open_page: OpenPage, width: int
) -> None:
    server = start_story(past=600)  # all of a history
    page = open_page(server.url, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [768, 1024, 1280, 1600])
def test_no_table_is_wider_than_its_place(
    start_story: StartStory, open_page: OpenPage, width: int
) -> None:
    server = start_story(past=425)  # handlers stall
    page = open_page(server.url, viewport={"width": width, "height": 1000})
    wider = page.evaluate(
        """() => [...document.querySelectorAll(".panel .scroll")]
            .filter((place) => place.scrollWidth > place.clientWidth)
            .map((place) => place.querySelector("table").getAttribute("aria-label"))"""
    )
    assert wider == []
