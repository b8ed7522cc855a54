"""The service that answers Prometheus, over real sockets."""

from __future__ import annotations

import errno
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import p2p
from p2p import exporter, metricsserver
from p2p.config import Config
from tests.conftest import OpenResources
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes
from tests.kit.waiting import PATIENCE_S, eventually

ADDRESS = f"{HOST}:0"


def scrape(server: p2p.Server) -> tuple[int, str]:
    """The status and the text of an answer."""
    address = server.metrics_addr
    assert address is not None
    connection = http.client.HTTPConnection(str(address.ip), address.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def values(text: str) -> dict[str, float]:
    """The values of metrics without labels."""
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.name: sample.value for sample in samples if not sample.labels}


@pytest.fixture
def server(nodes: Nodes) -> p2p.Server:
    return nodes.start(metrics_addr=ADDRESS)


@pytest.fixture
def client(server: p2p.Server) -> Iterator[socket.socket]:
    """A client that is connected and says nothing."""
    assert server.metrics_addr is not None
    with socket.create_connection((HOST, server.metrics_addr.port)) as sock:
        yield sock


def test_metrics_are_served_as_they_are_at_that_moment(nodes: Nodes, server: p2p.Server) -> None:
    assert values(scrape(server)[1])["p2p_peers"] == 0
    nodes.start(protocols=server.config.protocols).connect(server.self, PATIENCE_S)
    eventually(lambda: server.peer_count == 1)
    status, text = scrape(server)
    assert status == 200
    shown = values(text)
    assert shown["p2p_peers"] == shown["p2p_serves_success_total"] == 1
    assert shown["p2p_ingress_bytes_total"] == server.metrics["p2p/ingress"].value


def test_each_server_serves_its_own(nodes: Nodes, server: p2p.Server) -> None:
    other = nodes.start(metrics_addr=ADDRESS, protocols=server.config.protocols)
    assert other.metrics_addr != server.metrics_addr
    other.connect(server.self, PATIENCE_S)
    dials = [values(scrape(one)[1])["p2p_dials_total"] for one in (server, other)]
    assert dials == [0, 1]


def test_thread_and_port_are_gone_after_the_end(
    nodes: Nodes, open_resources: OpenResources
) -> None:
    server = nodes.start(metrics_addr=ADDRESS)
    assert "p2p-metrics" in [thread.name for thread in threading.enumerate()]
    assert server.metrics_addr is not None
    port = server.metrics_addr.port
    assert server.stop() == []
    assert open_resources.leaked_since() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port)).close()


def test_without_the_option_there_is_no_thread(nodes: Nodes) -> None:
    server = nodes.start()
    assert server.metrics_addr is None
    assert "p2p-metrics" not in [thread.name for thread in threading.enumerate()]


def test_taken_port_is_an_error_of_start_and_the_server_can_start_later(nodes: Nodes) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        server = nodes.new(metrics_addr=f"{HOST}:{port}")
        with pytest.raises(OSError, match=f"{HOST}:{port}"):
            server.start()
        assert server.metrics_addr is None
    server.start()
    assert scrape(server)[0] == 200


def test_system_without_threads_is_an_error_of_start(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, open_resources: OpenResources
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(exporter.threading, "Thread", Refused)
    server = nodes.new(metrics_addr=ADDRESS)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        server.start()
    assert open_resources.leaked_since() == []


def test_failed_accept_is_not_repeated_in_a_loop(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without descriptors left, the thread took a whole processor."""
    attempts: list[None] = []

    class NoDescriptors(socket.socket):
        def accept(self) -> Any:
            attempts.append(None)
            raise OSError(errno.EMFILE, "Too many open files")

    def bind(host: str, port: int) -> socket.socket:
        sock = NoDescriptors()
        sock.bind((host, port))
        sock.listen()
        return sock

    monkeypatch.setattr(exporter, "bind", bind)
    monkeypatch.setattr(exporter, "BACK_OFF_S", PATIENCE_S)
    server = nodes.start(metrics_addr=ADDRESS)
    assert server.metrics_addr is not None
    with socket.create_connection((HOST, server.metrics_addr.port)):
        eventually(lambda: bool(attempts))
        assert server.stop() == []
    assert len(attempts) == 1


def test_after_a_failed_accept_it_answers_again(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "BACK_OFF_S", 0.01)
    monkeypatch.setattr(metricsserver.MetricsServer, "take_accept_failure", lambda server: True)
    server = nodes.start(metrics_addr=ADDRESS)
    assert [scrape(server)[0] for _ in range(3)] == [200] * 3


def test_stop_hangs_up_on_a_client_that_says_nothing(
    server: p2p.Server, client: socket.socket
) -> None:
    client.sendall(b"GET /met")
    eventually(lambda: inspect.asks_for_metrics(server))
    assert server.stop() == []
    assert client.recv(1) == b""


def test_client_that_says_nothing_gives_way(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metricsserver._Handler, "timeout", 0.05)
    server = nodes.start(metrics_addr=ADDRESS)
    assert server.metrics_addr is not None
    with socket.create_connection((HOST, server.metrics_addr.port)):
        assert scrape(server)[0] == 200


@pytest.mark.parametrize(
    "request_",
    [b"", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.0\r\n" + b"x" * 70_000],
    ids=["nothing", "no-http", "long"],
)
def test_broken_request_harms_nothing(
    server: p2p.Server, client: socket.socket, request_: bytes, capfd: Any
) -> None:
    client.sendall(request_)
    client.close()
    assert scrape(server)[0] == 200
    assert capfd.readouterr() == ("", "")


# the option


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.1.2.3:5", "[::1]:6060", "localhost:0"])
def test_addresses_of_loopback_are_accepted(nodes: Nodes, address: str) -> None:
    assert nodes.new(metrics_addr=address).config.metrics_addr == address


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:0", ":6060", "[::]:0", "10.0.0.7:9100", "192.0.2.7:1", "node.example:9100"],
)
def test_other_addresses_are_refused_with_the_way_to_serve_them(
    nodes: Nodes, address: str
) -> None:
    with pytest.raises(p2p.ConfigError, match=r"^metrics_addr: .*loopback.*prometheus_collector"):
        nodes.new(metrics_addr=address)


@pytest.mark.parametrize("address", [6060, b"127.0.0.1:0", "127.0.0.1", "127.0.0.1:x", ""])
def test_what_is_no_address_is_refused(nodes: Nodes, address: Any) -> None:
    with pytest.raises(p2p.ConfigError, match="^metrics_addr: "):
        nodes.new(metrics_addr=address)


def test_localhost_is_an_address(nodes: Nodes) -> None:
    config: Config = nodes.new(metrics_addr="localhost:7").config
    assert config.metrics_endpoint == (HOST, 7)
