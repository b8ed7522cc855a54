"""The service of the page, over real sockets: access, slow and many browsers, start and end."""

from __future__ import annotations

import gc
import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import p2p
from p2p.monitor import Monitor, browser, front
from p2p.monitor.access import headers_of
from p2p.monitor.files import page_files
from p2p.monitor.history import MAX_BYTES
from p2p.monitor.source import MAX_SAMPLES_PER_S, Watch
from tests.conftest import OpenResources
from tests.kit.monitorpage import Page, open_socket, origin_of
from tests.kit.nodes import HOST, Nodes
from tests.kit.waiting import PATIENCE_S, eventually

ADDRESS = f"{HOST}:0"
#: Options of a page that does not read ahead.
SLOW: dict[str, Any] = {"max_queue": 1}
PageOf = Callable[[p2p.Server], Page]
Monitored = Callable[..., "tuple[Source, Monitor]"]


class Source:
    """A source whose one row changes with every reading."""

    kind = "server"

    def __init__(self, size: int = 10) -> None:
        self.number = 0
        self.watches: list[Any] = []
        self.fails: Exception | None = None
        self._text = "x" * size

    def about(self) -> dict[str, Any]:
        return {"title": "a source"}

    def watch(self, watch: Any) -> None:
        self.watches.append(watch)

    def state(self) -> dict[str, Any]:
        if self.fails is not None:
            raise self.fails
        self.number += 1
        return {"rows": {"1": {"n": self.number, "text": f"{self.number}{self._text}"}}}

    def happened(self) -> front.Happened:
        return front.Happened()


@pytest.fixture
def monitored(monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitored]:
    """Starts a monitor of a source that changes all the time."""
    monkeypatch.setattr(front, "TICK_S", 0.002)
    monitors: list[Monitor] = []

    def start(size: int = 10) -> tuple[Source, Monitor]:
        source = Source(size)
        monitor = Monitor(source, ADDRESS)
        monitors.append(monitor)
        monitor.start()
        return source, monitor

    yield start
    for monitor in monitors:
        assert monitor.stop() == []


@pytest.fixture
def server(nodes: Nodes) -> p2p.Server:
    return nodes.start(monitor_addr=ADDRESS)


def url_of(server: p2p.Server) -> str:
    assert server.monitor_url is not None
    return server.monitor_url


def ask(
    server: p2p.Server, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body of an answer; ``path`` follows the token."""
    parts = urlsplit(url_of(server))
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_S)
    try:
        connection.request(method, parts.path + path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_page_and_all_its_files_are_served(server: p2p.Server) -> None:
    files = page_files()
    assert len(files) > 10
    for name, file in files.items():
        status, headers, body = ask(server, name)
        assert (status, body, headers["Content-Type"]) == (200, file.data, file.kind)
        assert headers.items() >= dict(headers_of(urlsplit(url_of(server)).netloc)).items()


def test_nothing_is_served_without_the_token(server: p2p.Server) -> None:
    parts = urlsplit(url_of(server))
    for path in ("/", "/main.js", parts.path[:-1], f"/x{parts.path}", "/favicon.ico"):
        connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_S)
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 404
        assert parts.path.strip("/") not in response.read().decode()
        connection.close()


@pytest.mark.parametrize("name", ["nothing", "../front.py", "%2e%2e/front.py", "page/main.js"])
def test_no_other_file_is_served(server: p2p.Server, name: str) -> None:
    assert ask(server, name)[0] == 404


def test_other_hosts_are_refused(server: p2p.Server) -> None:
    assert ask(server, "", Host="evil.example")[0] == 403
    assert ask(server, "", Host="localhost:1234")[0] == 200  # a forwarded port


def test_pages_of_other_sites_are_refused(server: p2p.Server) -> None:
    assert ask(server, "main.js", Origin="http://evil.example")[0] == 403
    assert ask(server, "main.js", Origin=origin_of(url_of(server)))[0] == 200
    for origin in ("http://evil.example", "null", None):
        with pytest.raises(InvalidStatus) as caught:
            open_socket(url_of(server), origin=origin)
        assert caught.value.response.status_code == 403


def test_socket_needs_the_token(server: p2p.Server) -> None:
    url = url_of(server)
    with pytest.raises(InvalidStatus) as caught:
        open_socket(f"{origin_of(url)}/{'x' * 32}/", origin=origin_of(url))
    assert caught.value.response.status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS"])
def test_nothing_but_get_is_answered(server: p2p.Server, method: str) -> None:
    try:
        assert ask(server, "", method)[0] == 405
    except http.client.RemoteDisconnected:
        pass  # versions of websockets before 17


def test_socket_that_is_no_websocket_is_refused(server: p2p.Server) -> None:
    status, _, _ = ask(server, "socket", Origin=origin_of(url_of(server)))
    assert status == 426


def test_noise_is_no_harm(server: p2p.Server, page_of: PageOf) -> None:
    parts = urlsplit(url_of(server))
    for noise in (b"\x16\x03\x01" * 99, b"GET / HTTP/1.1\r\n" + b"x" * 100_000, b"\r\n\r\n"):
        with socket.create_connection((parts.hostname, parts.port), PATIENCE_S) as sock:
            sock.sendall(noise)
            sock.shutdown(socket.SHUT_WR)
            try:
                while sock.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert page_of(server).state["node"]["self"]["name"] == "node"


def test_client_that_says_nothing_is_given_up(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "REQUEST_TIMEOUT_S", 0.05)
    server = nodes.start(monitor_addr=ADDRESS)
    parts = urlsplit(url_of(server))
    with socket.create_connection((parts.hostname, parts.port), PATIENCE_S) as sock:
        assert sock.recv(1) == b""


def test_silent_clients_do_not_keep_a_page_out(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, page_of: PageOf
) -> None:
    monkeypatch.setattr(front, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(browser, "REQUEST_TIMEOUT_S", 10 * PATIENCE_S)
    server = nodes.start(monitor_addr=ADDRESS)
    first = page_of(server)
    parts = urlsplit(url_of(server))
    silent = [
        socket.create_connection((parts.hostname, parts.port), PATIENCE_S) for _ in range(9)
    ]
    assert page_of(server).hello["kind"] == "server"
    assert silent[0].recv(1) == b"", "the oldest one made room"
    first.until(lambda: len(first.points) > 2)
    for sock in silent:
        sock.close()


def test_number_of_pages_is_limited(
    monkeypatch: pytest.MonkeyPatch, server: p2p.Server, page_of: PageOf
) -> None:
    monkeypatch.setattr(front, "MAX_PAGES", 2)
    pages = [page_of(server), page_of(server)]
    with pytest.raises(ConnectionClosed) as caught:
        Page(server.monitor_url)
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1013
    pages[0].close()
    eventually(lambda: opens(server))


def opens(server: p2p.Server) -> bool:
    try:
        Page(server.monitor_url).close()
    except ConnectionClosed:
        return False
    return True


def test_page_that_reads_nothing_costs_a_bounded_amount(monitored: Monitored) -> None:
    """Its updates wait in the history, which all share; later it gets the present state."""
    source, monitor = monitored(size=200_000)
    slow = Page(monitor.url, **SLOW)
    before = source.number
    eventually(lambda: source.number > before + 150)  # 30 MB, more than the kernel keeps
    unsent = [one._channel.unsent_bytes for one in monitor._browsers if one._channel is not None]
    assert 0 < unsent[0] < browser.HIGH_BYTES + 2 * 200_000
    assert monitor._history.size_bytes <= MAX_BYTES
    last = source.number
    slow.until(lambda: slow.missed > 0)
    slow.until(lambda: slow.state["rows"]["1"]["n"] >= last)
    assert slow.missed + len(slow.numbers) >= 150
    slow.close()


def test_slow_page_is_no_burden_for_another(monitored: Monitored) -> None:
    source, monitor = monitored(size=200_000)
    slow, fast = Page(monitor.url, **SLOW), Page(monitor.url)
    before = source.number
    fast.until(lambda: fast.state["rows"]["1"]["n"] > before + 60)
    assert fast.missed == 0
    for page in (slow, fast):
        page.close()


def test_paused_page_gets_nothing_and_then_all_it_missed(monitored: Monitored) -> None:
    source, monitor = monitored()
    page = Page(monitor.url)
    assert source.watches[-1] is not None
    page.send(type="pause")
    eventually(lambda: source.watches[-1] is None)
    paused_at = source.number
    eventually(lambda: source.number > paused_at + 30)
    page.send(type="resume")
    page.kinds.clear()
    page.until(lambda: "live" in page.kinds)
    assert source.watches[-1] is not None
    numbers = page.numbers
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert page.missed == 0 and page.state["rows"]["1"]["n"] > paused_at + 30
    page.close()


def test_page_that_was_paused_for_longer_than_the_history_gets_the_present(
    monitored: Monitored,
) -> None:
    source, monitor = monitored(size=200_000)
    page = Page(monitor.url)
    page.send(type="pause")
    eventually(lambda: source.watches[-1] is None)
    paused_at = source.number
    eventually(lambda: source.number > paused_at + 100)  # 20 MB
    page.send(type="resume")
    page.until(lambda: page.missed > 0)
    page.until(lambda: page.state["rows"]["1"]["n"] > paused_at + 100)
    page.close()


def test_wishes_of_pages_are_joined(monitored: Monitored) -> None:
    source, monitor = monitored()
    pages = [Page(monitor.url), Page(monitor.url)]
    pages[0].send(type="watch", samples_per_s=5, protocols=["a/1"], peer="7")
    pages[1].send(type="watch", samples_per_s=1000, protocols=["b/1"])
    wanted = Watch(MAX_SAMPLES_PER_S, frozenset(["a/1", "b/1"]), None)
    eventually(lambda: source.watches[-1] == wanted)
    pages[1].close()
    wanted = Watch(5, frozenset(["a/1"]), frozenset(["7"]))
    eventually(lambda: source.watches[-1] == wanted)
    pages[0].close()
    eventually(lambda: source.watches[-1] is None)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "nothing"}',
        "{}",
        '{"type": "watch", "samples_per_s": "x"}',
        '{"type": "watch", "samples_per_s": true}',
        '{"type": "watch", "samples_per_s": NaN}',
        '{"type": "watch", "protocols": "eth/69"}',
        '{"type": "watch", "protocols": [1]}',
        '{"type": "watch", "peer": 7}',
        '{"type": ["watch"]}',
    ],
)
def test_wrong_request_is_answered_with_an_error(monitored: Monitored, text: str) -> None:
    source, monitor = monitored()
    page = Page(monitor.url)
    page.socket.send(text)
    page.until(lambda: page.errors)
    page.close()


@pytest.mark.parametrize("text", ["x", "[]", "7", "[" * 4000, "x" * 5000, b"{}"])
def test_what_is_no_request_closes_the_socket(monitored: Monitored, text: str | bytes) -> None:
    _, monitor = monitored()
    page = Page(monitor.url)
    page.socket.send(text)
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            page.step()
    assert caught.value.rcvd is not None and caught.value.rcvd.code in (1008, 1009)


def test_source_that_fails_for_a_moment_leaves_the_page_as_it_is(monitored: Monitored) -> None:
    source, monitor = monitored()
    page = Page(monitor.url)
    source.fails = p2p.ServerStopped("gone")
    page.send(type="watch", samples_per_s=1)
    eventually(lambda: source.watches[-1] == Watch(1))
    source.fails = None
    last = source.number
    page.until(lambda: page.state["rows"]["1"]["n"] > last + 1)
    page.close()


def test_source_with_a_mistake_ends_the_page(
    monitored: Monitored, caplog: pytest.LogCaptureFixture
) -> None:
    source, monitor = monitored()
    page = Page(monitor.url)
    source.fails = ZeroDivisionError()
    with pytest.raises(ConnectionClosed):
        while True:
            page.step()
    assert monitor.stop() == []
    assert "loop p2p-monitor died" in caplog.text


def test_silent_page_is_given_up(monitored: Monitored, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a browser whose machine is gone."""
    monkeypatch.setattr(front, "PING_S", 0.01)
    monkeypatch.setattr(front, "SILENT_S", -1.0)
    _, monitor = monitored()
    with pytest.raises(ConnectionClosed):
        with Page(monitor.url) as page:
            while True:
                page.step()


def test_page_shows_by_its_answers_that_it_is_there(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "PING_S", 0.01)
    _, monitor = monitored()
    with Page(monitor.url):
        (browser,) = monitor._browsers
        first = browser.heard_at
        eventually(lambda: browser.heard_at > first)


def test_page_of_a_source_that_does_not_change_hears_that_the_server_is_there(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "PING_S", 0.01)
    source, monitor = monitored()
    with Page(monitor.url) as page:
        source.fails = p2p.ServerStopped("gone")
        page.kinds.clear()
        page.until(lambda: page.kinds.count("live") > 2)


# start and end


def test_url_is_there_from_start_to_end(nodes: Nodes) -> None:
    server = nodes.new(monitor_addr=ADDRESS)
    assert server.monitor_url is None
    server.start()
    first = url_of(server)
    other = nodes.start(monitor_addr=ADDRESS)
    assert urlsplit(first).path != urlsplit(url_of(other)).path
    assert nodes.start().monitor_url is None


def test_stop_closes_open_pages_and_leaves_no_thread(
    nodes: Nodes, open_resources: OpenResources
) -> None:
    server = nodes.start(monitor_addr=ADDRESS)
    pages = [Page(server.monitor_url) for _ in range(3)]
    assert "p2p-monitor" in [thread.name for thread in threading.enumerate()]
    assert server.stop() == []
    assert "p2p-monitor" not in [thread.name for thread in threading.enumerate()]
    for page in pages:
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                page.step()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
        page.close()
    assert open_resources.leaked_since() == []


def test_stop_waits_only_a_moment_for_a_page_that_does_not_close(nodes: Nodes) -> None:
    server = nodes.start(monitor_addr=ADDRESS)
    parts = urlsplit(url_of(server))
    with socket.create_connection((parts.hostname, parts.port), PATIENCE_S):
        assert server.stop() == []


def test_taken_port_is_an_error_of_start_and_the_server_can_start_later(nodes: Nodes) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        server = nodes.new(monitor_addr=f"{HOST}:{port}")
        with pytest.raises(OSError, match=f"{HOST}:{port}"):
            server.start()
        assert server.monitor_url is None
    server.start()
    assert ask(server, "")[0] == 200


def test_lost_server_takes_its_page_with_it(nodes: Nodes) -> None:
    """The page has no reference that keeps the server alive."""
    server = p2p.Server(
        private_key=p2p.generate_key(), name="lost", max_peers=1, monitor_addr=ADDRESS
    )
    server.start()
    page = Page(server.monitor_url)
    with pytest.warns(ResourceWarning, match="server 'lost'"):
        del server
        gc.collect()
        with pytest.raises(ConnectionClosed):
            while True:
                page.step()
    page.close()


def test_forked_child_serves_no_page(nodes: Nodes) -> None:
    server = nodes.start(monitor_addr=ADDRESS)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            stopped = server.stop() == []
            os.write(writer, b"1" if stopped else b"0")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)
    with Page(server.monitor_url) as page:
        assert page.hello["title"] == "node"


@pytest.mark.parametrize("addr", ["0.0.0.0:0", "192.0.2.7:80", "[::]:0", ":0"])
def test_other_addresses_are_refused_with_the_remedy(nodes: Nodes, addr: str) -> None:
    with pytest.raises(p2p.ConfigError, match="^monitor_addr: wanted"):
        nodes.new(monitor_addr=addr)


def test_address_outside_loopback_has_an_option_of_its_own(nodes: Nodes) -> None:
    with pytest.raises(p2p.ConfigError, match="ssh -L .* monitor_public=True"):
        nodes.new(monitor_addr="0.0.0.0:0")
    server = nodes.start(monitor_addr="0.0.0.0:0", monitor_public=True)
    assert ask(server, "", Host="192.0.2.7:80")[0] == 200
    assert ask(server, "", Host="evil.example")[0] == 403


def test_missing_library_is_one_clear_error(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "websockets.server", None)
    with pytest.raises(p2p.ConfigError, match=r"monitor_addr: needs websockets: pip install "):
        nodes.new(monitor_addr=ADDRESS)


def test_import_of_the_library_does_not_import_websockets() -> None:
    code = '''
import sys, p2p
assert "p2p.monitor" not in sys.modules
import p2p.monitor
assert "websockets" not in sys.modules
'''
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
