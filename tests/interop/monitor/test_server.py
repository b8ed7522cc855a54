"""The page of a real server: what it shows is what the server says, as things happen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import p2p
from p2p.messages import protocol
from tests.kit.chat import CHAT, Data
from tests.kit.nodes import HOST, Nodes
from tests.kit.waiting import PATIENCE_S

from .seen import details, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from .conftest import OpenPage

pytest.importorskip("websockets", reason="pip install '.[monitor]'")
ADDRESS = f"{HOST}:0"
#: Messages that are sent at once, more than a page can show.
MANY = 30_000
HOSTILE = "<script>document.title='taken'</script>\u202egnp.exe\n" + "x" * 900


@pytest.fixture
def server(nodes: Nodes) -> p2p.Server:
    return nodes.start(name="watched", monitor_addr=ADDRESS, protocols=[protocol(CHAT)])


@pytest.fixture
def others(nodes: Nodes) -> list[p2p.Server]:
    return [nodes.start(name=f"other {n}", protocols=[protocol(CHAT)]) for n in range(4)]


def wait_for_peers(page: Page, count: int) -> None:
    page.wait_for_function(
        "count => document.querySelectorAll('#peers tbody tr').length === count", arg=count
    )


def wait_for_row(page: Page, table: str, **cells: str) -> dict[str, str]:
    """The first row of a table with these texts, as soon as there is one."""
    page.wait_for_function(
        """([label, wanted]) => {
            const table = document.querySelector(`table[aria-label="${label}"]`);
            const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
            return [...table.tBodies[0].rows].some((row) => Object.entries(wanted).every(
                ([title, text]) => row.cells[titles.indexOf(title)].textContent === text));
        }""",
        arg=[table, cells],
    )
    found = [row for row in rows(page, table) if all(row[k] == v for k, v in cells.items())]
    return found[0]


def shown_peers(page: Page) -> dict[str, tuple[str, str, str]]:
    """Of each peer by its connection: name, direction and distance."""
    keys = [row.get_attribute("data-key") for row in page.locator("#peers tbody tr").all()]
    shown = [(row["Name"], row["Direction"], row["Distance"]) for row in rows(page, "Peers")]
    return {str(key): one for key, one in zip(keys, shown, strict=True)}


def peers_of(server: p2p.Server) -> dict[str, tuple[str, str, str]]:
    """The same, as the server says."""
    return {
        str(peer.connection_id): (
            peer.name,
            "in" if peer.inbound else "out",
            str(p2p.enode.log_distance(server.self.id, peer.id)),
        )
        for peer in server.peers
    }


def test_peers_are_those_of_the_server_after_connects_and_drops(
    server: p2p.Server, others: list[p2p.Server], open_page: OpenPage
) -> None:
    page = open_page(server.monitor_url)
    assert page.locator("#name").inner_text() == "watched"
    mine = [server.connect(other.self, PATIENCE_S) for other in others[:2]]
    for other in others[2:]:
        other.connect(server.self, PATIENCE_S)
    wait_for_peers(page, 4)
    assert shown_peers(page) == peers_of(server)
    assert [one[1] for one in shown_peers(page).values()].count("in") == 2
    mine[0].disconnect(p2p.DiscReason.USELESS_PEER)
    others[3].stop(PATIENCE_S)
    wait_for_peers(page, 2)
    assert shown_peers(page) == peers_of(server)
    page.wait_for_function("() => document.querySelectorAll('#events li').length === 6")
    assert page.locator("#events [data-kind=peer-dropped]").count() == 2


def test_ten_thousand_messages_a_second_are_counted_and_sampled(
    server: p2p.Server, others: list[p2p.Server], open_page: OpenPage
) -> None:
    page = open_page(server.monitor_url)
    page.locator("#samples").select_option("100")
    ours = server.connect(others[0].self, PATIENCE_S).open("chat")
    wait_for_peers(page, 1)
    code, payload = CHAT.encode(Data(b"\xaa" * 10))
    for _ in range(MANY):
        ours.write_msg(p2p.Msg(code, payload))
    total = f"td[title='0 received, {MANY} sent']"
    page.wait_for_selector(f"#messages .kinds {total}")
    count = page.locator("#messages .count").inner_text()
    left_out = int(re.search(r"(\d+) not sampled", count)[1])  # type: ignore[index]
    samples = [row for row in rows(page, "Samples of messages") if row["Message"] == "Data"]
    assert 0 < len(samples) <= MANY - left_out
    assert left_out > MANY * 0.9
    assert page.locator("*").count() < 10_000
    page.locator("#messages .list tr", has_text="Data").first.press("Enter")
    assert details(page, "messages")["data"] == "aa" * 10


def test_hostile_name_is_text(nodes: Nodes, server: p2p.Server, open_page: OpenPage) -> None:
    page = open_page(server.monitor_url, viewport={"width": 360, "height": 800})
    nodes.remote(server, name=HOSTILE, caps=[("chat", 1), ("\u202e<b>", 1)]).open()
    wait_for_peers(page, 1)
    (row,) = rows(page, "Peers")
    assert row["Name"].startswith("<script>document.title='taken'</script>\\u202egnp.exe\\nxxx")
    assert page.title() == "watched · p2p"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_dials_with_outcome_and_reason(
    nodes: Nodes, server: p2p.Server, others: list[p2p.Server], open_page: OpenPage
) -> None:
    page = open_page(server.monitor_url)
    gone = nodes.start()
    node = gone.self
    gone.stop(PATIENCE_S)
    server.connect(others[0].self, PATIENCE_S)
    with pytest.raises(p2p.ConnectError):
        server.connect(node, PATIENCE_S)
    row = wait_for_row(page, "Dials", Outcome="failed", Address=str(node.tcp_endpoint))
    (attempt,) = server.dial_attempts(node)
    assert str(attempt.error) in row["Reason"]
    wait_for_row(page, "Dials", Outcome="connected", Address=str(others[0].self.tcp_endpoint))


def test_handler_that_stalls_with_its_line(
    nodes: Nodes, others: list[p2p.Server], open_page: OpenPage
) -> None:
    talks = nodes.talks()
    server = nodes.start(monitor_addr=ADDRESS, protocols=[talks.protocol("chat")])
    page = open_page(server.monitor_url)
    theirs = others[0].connect(server.self, PATIENCE_S).open("chat")
    theirs.send_items(0)
    page.wait_for_selector("#stalls tbody tr")
    (row,) = rows(page, "Stalled handlers")
    assert (row["Protocol"], row["Peer"], row["Waiting"]) == ("chat/1", "other 0", "1")
    assert re.fullmatch(r"\w+\.py:\d+,? in \w+", row["Stands at"])
    talks.next().read()
    talks.release()
    page.wait_for_function("() => !document.querySelector('#stalls tbody tr')")


def test_node_table_and_lookups(nodes: Nodes, open_page: OpenPage) -> None:
    boot = nodes.start(no_discovery=False)
    options: dict[str, Any] = {"no_discovery": False, "bootstrap_nodes": [boot.self]}
    known = [boot, *(nodes.start(**options) for _ in range(3))]
    server = nodes.start(monitor_addr=ADDRESS, **options)
    page = open_page(server.monitor_url)
    assert server.discovery_v4 is not None
    for other in known:
        server.discovery_v4.ping(other.self, PATIENCE_S)
    server.discovery_v4.lookup(bytes(64), PATIENCE_S)
    for other in known:
        endpoint = str(other.self.udp_endpoint)
        row = wait_for_row(page, "Nodes by bucket", Address=endpoint, By="v4")
        distance = p2p.enode.log_distance(server.self.id, other.self.id)
        assert row["Bucket"] == str(max(240, distance))
    page.wait_for_selector("table[aria-label=Lookups] tbody tr")
    wait_for_row(page, "Queries of the lookup", Answer="answered")
    page.locator("#pause").click()
    page.wait_for_selector("#status[data-state=paused]")
    assert page.locator("#lookups g.query").count() == len(rows(page, "Queries of the lookup"))


def test_page_of_a_server_that_stops_says_so(
    server: p2p.Server, others: list[p2p.Server], open_page: OpenPage
) -> None:
    page = open_page(server.monitor_url)
    server.connect(others[0].self, PATIENCE_S)
    wait_for_peers(page, 1)
    server.stop(PATIENCE_S)
    page.wait_for_selector("#status[data-state=lost]")
    assert "The server has stopped." in page.locator("#notice").inner_text()


def test_page_of_a_server_that_was_started_again_says_so(nodes: Nodes, browser: Browser) -> None:
    """Its address has another token, so that the page asks in vain."""
    server = nodes.start(monitor_addr=ADDRESS)
    url = server.monitor_url
    assert url is not None
    context = browser.new_context()
    try:
        page = context.new_page()  # its console has a line for each try
        page.goto(url)
        page.wait_for_selector("#status[data-state=live]")
        server.stop(PATIENCE_S)
        nodes.start(monitor_addr=urlsplit(url).netloc)
        page.wait_for_function(
            "() => document.querySelector('#notice').innerText.includes('has a new address')"
        )
    finally:
        context.close()
