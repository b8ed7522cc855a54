"""Draw the pictures of the page in the documents: ``python -m tests.interop.monitor.pictures``.

They show a real server with three peers, and a real lab of 30 nodes with a rumour on its way. So
what they tell is true, and each run draws it a little differently.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

import p2p
from p2p.lab import Lab, LabNode
from p2p.messages import protocol
from tests.kit.chat import CHAT, Data

from .conftest import CHROMIUM, sandboxed

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "howto" / "pictures"
QUALITY = 70
#: Time for the charts to grow, for the layout of a lab and for the colours, in milliseconds.
TALK_MS, LAYOUT_MS, SETTLE_MS = 20_000, 1_500, 700
#: Time between two messages of a peer, in seconds.
PAUSE_S = 0.2
#: Nodes of the lab, latency of its links in seconds, and nodes that have heard of the rumour.
NODES, LATENCY_S, HEARD = 30, 1.5, 12
ADDRESS = "127.0.0.1:0"
WIDE, NARROW = (1600, 1000), (360, 1000)


@contextmanager
def opened(browser: Browser, url: str, scheme: str, size: tuple[int, int]) -> Iterator[Page]:
    """Open a page in a window of its own."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": size[0], "height": size[1]},
        reduced_motion="reduce",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("html[data-drawn]")
    yield page
    context.close()


def save(page: Page, name: str) -> None:
    """Draw a page into a file."""
    path = FOLDER / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY)
    print(f"{path}: {path.stat().st_size} bytes")


# a server


def new_server(name: str, **options: Any) -> p2p.Server:
    """Return a server on loopback that talks the protocol of the tests."""
    values: dict[str, Any] = {"max_peers": 10, "listen_addr": ADDRESS, **options}
    return p2p.Server(
        private_key=p2p.generate_key(), name=name, protocols=[protocol(CHAT)], **values
    )


def talk(peer: p2p.Peer, over: threading.Event) -> None:
    """Send messages of different sizes until the end."""
    rw, number = peer.open("chat"), 0
    while not over.wait(PAUSE_S):
        number += 1
        code, payload = CHAT.encode(Data(bytes([number % 256]) * (number % 90 * 10)))
        rw.write_msg(p2p.Msg(code, payload))


@contextmanager
def talking_server() -> Iterator[p2p.Server]:
    """A server with three peers, which know each other by discovery and talk all the time."""
    over = threading.Event()
    with ExitStack() as stack:
        server = stack.enter_context(new_server("node", monitor_addr=ADDRESS))
        threads = []
        for name in ("ann", "bob", "carl"):
            other = new_server(name, bootstrap_nodes=[server.self], no_dial=True)
            stack.enter_context(other)
            one, two = (server, other) if name == "ann" else (other, server)
            peers = one.connect(two.self), two.accept()
            threads += [threading.Thread(target=talk, args=(peer, over)) for peer in peers]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            over.set()
            for thread in threads:
                thread.join()


# a lab


class Rumour:
    """The protocol of all nodes: a node that hears it for the first time tells its peers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # guarded by _lock
        self.heard: dict[str, int] = {}
        self._links: dict[str, list[p2p.MsgReadWriter]] = {}

    def protocols(self, node: LabNode) -> list[p2p.Protocol]:
        def handle(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            with self._lock:
                self._links.setdefault(node.name, []).append(rw)
            for msg in rw:
                self.hear(node, msg.decode(int))

        return [p2p.Protocol("rumour", 1, 1, handle)]

    @property
    def links(self) -> int:
        """Number of handlers that read."""
        with self._lock:
            return sum(map(len, self._links.values()))

    def hear(self, node: LabNode, hops: int) -> None:
        with self._lock:
            if node.name in self.heard:
                return
            self.heard[node.name] = hops
            links = list(self._links[node.name])
        node.note(f"heard, hop {hops}")
        for rw in links:
            rw.send(0, hops + 1)


@contextmanager
def rumour_on_its_way() -> Iterator[tuple[Lab, Rumour]]:
    """A lab whose nodes are connected and have heard nothing yet."""
    rumour = Rumour()
    topology = "small-world"
    with Lab(NODES, topology=topology, protocols=rumour.protocols, monitor_addr=ADDRESS) as lab:
        lab.wait_until(lambda: rumour.links == 2 * len(lab.edges))
        lab.set_link(latency_s=LATENCY_S)
        yield lab, rumour


def draw_server(browser: Browser) -> None:
    """Draw the page of a server, light and dark."""
    with talking_server() as server, ExitStack() as stack:
        assert server.monitor_url is not None
        looks = ("live-page-light", "light", WIDE), ("live-page-narrow", "dark", NARROW)
        pages = [
            (name, stack.enter_context(opened(browser, server.monitor_url, scheme, size)))
            for name, scheme, size in looks
        ]
        pages[0][1].wait_for_timeout(TALK_MS)
        for name, page in pages:
            save(page, name)


def draw_lab(browser: Browser) -> None:
    """Draw the page of a lab, light and dark, at moments of a rumour."""
    with rumour_on_its_way() as (lab, rumour), ExitStack() as stack:
        assert lab.monitor_url is not None
        looks = ("live-page-lab", "dark"), ("lab-rumour", "light")
        pages = [
            (name, stack.enter_context(opened(browser, lab.monitor_url, scheme, WIDE)))
            for name, scheme in looks
        ]
        for _, page in pages:
            page.wait_for_timeout(LAYOUT_MS)
        rumour.hear(lab[0], 0)
        lab.wait_until(lambda: len(rumour.heard) >= HEARD)
        for name, page in pages:
            page.wait_for_timeout(SETTLE_MS)
            save(page, name)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=sandboxed())
        draw_server(browser)
        draw_lab(browser)
        browser.close()


if __name__ == "__main__":
    main()
