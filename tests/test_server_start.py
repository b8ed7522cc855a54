"""A start that fails or is interrupted leaves nothing behind, and tells whether to try again."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

import p2p
from tests.kit.names import Names
from tests.kit.nodes import HOST, Nodes, unused_port
from tests.kit.swarm import stay
from tests.kit.waiting import PATIENCE_S, eventually
from tests.test_threads import no_more_threads


class Source:
    """Candidates of a program that has something to do before there can be any."""

    def __init__(self, prepare: Callable[[], object]) -> None:
        self._prepare = prepare

    def __iter__(self) -> Iterator[p2p.Node]:
        self._prepare()
        return iter(())


def protocols(prepare: Callable[[], object]) -> list[p2p.Protocol]:
    return [p2p.Protocol("test", 1, 8, stay, dial_candidates=Source(prepare))]


class Start:
    """A start in a thread of its own, which waits in the program's own code."""

    def __init__(self, nodes: Nodes) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.outcome: SimpleQueue[BaseException | None] = SimpleQueue()
        self.server = nodes.new(
            listen_addr=f"{HOST}:{unused_port()}", protocols=protocols(self._wait)
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self.begun.wait(PATIENCE_S)

    def end(self) -> BaseException | None:
        """Let the start go on; returns what it raised."""
        self.go_on.set()
        outcome = self.outcome.get(timeout=PATIENCE_S)
        self._thread.join(PATIENCE_S)
        return outcome

    def _wait(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)

    def _run(self) -> None:
        try:
            self.server.start()
        except BaseException as error:
            self.outcome.put(error)
        else:
            self.outcome.put(None)


def names() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("p2p-")]


def await_state(server: p2p.Server, state: str) -> None:
    """Wait until commands are refused because the server is in this state."""

    def refusal() -> str:
        with pytest.raises(p2p.errors.ServerStateError) as raised:
            server.add_trusted_peer(server.self)
        return str(raised.value)

    eventually(lambda: refusal() == f"the server is {state}")


def assert_stopped(server: p2p.Server) -> None:
    assert names() == []
    server.wait()
    assert list(server.subscribe_events()) == []
    for use in (server.start, lambda: server.dial_attempts(server.self)):
        with pytest.raises(p2p.errors.ServerStateError, match="stopped"):
            use()


def test_server_that_is_starting_takes_no_commands_yet(nodes: Nodes) -> None:
    start = Start(nodes)
    for use in (start.server.start, lambda: start.server.add_trusted_peer(start.server.self)):
        with pytest.raises(p2p.errors.ServerStateError, match="starting"):
            use()
    assert start.end() is None
    start.server.add_trusted_peer(start.server.self)


def test_stop_while_the_server_starts_waits_until_nothing_is_left(nodes: Nodes) -> None:
    start = Start(nodes)
    stopped = threading.Thread(target=lambda: start.server.stop(PATIENCE_S))
    stopped.start()
    await_state(start.server, "stopping")
    assert isinstance(start.end(), p2p.ServerStopped)
    stopped.join(PATIENCE_S)
    assert not stopped.is_alive()
    assert_stopped(start.server)


def test_stop_gives_up_waiting_for_a_long_start_which_ends_all_the_same(nodes: Nodes) -> None:
    start = Start(nodes)
    assert start.server.stop(timeout=0.05) == []
    assert isinstance(start.end(), p2p.ServerStopped)
    assert_stopped(start.server)


def test_stop_from_the_program_s_code_within_the_start(nodes: Nodes) -> None:
    server = nodes.new(protocols=protocols(lambda: server.stop(timeout=0.05)))
    with pytest.raises(p2p.ServerStopped):
        server.start()
    assert_stopped(server)


def test_start_that_fails_while_another_thread_stops_the_server(nodes: Nodes) -> None:
    def prepare() -> None:
        server.stop(timeout=0)
        raise ZeroDivisionError

    server = nodes.new(protocols=protocols(prepare))
    with pytest.raises(ZeroDivisionError):
        server.start()
    assert_stopped(server)


def test_start_can_be_repeated_when_candidates_failed(nodes: Nodes) -> None:
    def prepare() -> None:
        if tries.append(1) or len(tries) == 1:  # type: ignore[func-returns-value]
            raise ZeroDivisionError

    tries: list[int] = []
    port = unused_port()
    server = nodes.new(listen_addr=f"{HOST}:{port}", protocols=protocols(prepare))
    with pytest.raises(ZeroDivisionError):
        server.start()
    assert names() == []
    with pytest.raises(p2p.errors.ServerStateError, match="new"):
        server.add_trusted_peer(server.self)
    server.start()
    assert str(server.listen_addr) == f"{HOST}:{port}"


def test_start_without_threads_leaves_nothing(nodes: Nodes) -> None:
    server = nodes.new(listen_addr=f"{HOST}:{unused_port()}")
    with no_more_threads(), pytest.raises(RuntimeError):
        server.start()
    assert names() == []
    assert server.stop() == []


def test_listening_on_a_host_name(nodes: Nodes) -> None:
    server = nodes.start(listen_addr="localhost:0")
    assert server.listen_addr == server.self.tcp_endpoint


def test_discovery_on_a_host_name(nodes: Nodes) -> None:
    server = nodes.start(disc_addr="localhost:0", no_discovery=False)
    assert server.discovery_v4 is not None
    assert str(server.discovery_v4.address[0]) == HOST


NAME = "host.example"


def test_first_address_of_a_host_name_on_this_machine_is_bound(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = ["203.0.113.1", "127.0.0.2", "127.0.0.3"]
    server = nodes.start(listen_addr=f"{NAME}:0", no_discovery=False)
    assert server.listen_addr is not None and server.discovery_v4 is not None
    assert server.discovery_v4.address == server.listen_addr
    assert str(server.listen_addr.ip) == "127.0.0.2"


def test_error_names_each_address_of_a_host_name(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = ["203.0.113.1", "203.0.113.2"]
    with pytest.raises(OSError, match=r"on 203\.0\.113\.1:7: .*on 203\.0\.113\.2:7: ") as caught:
        nodes.new(listen_addr=f"{NAME}:7").start()
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_address_in_use_is_no_reason_to_take_the_next(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = [HOST, "127.0.0.2"]
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"on {HOST}:{port}: ") as caught:
            nodes.new(listen_addr=f"{NAME}:{port}").start()
    assert caught.value.errno == errno.EADDRINUSE


def test_host_name_without_an_address_is_told_and_leaves_nothing(nodes: Nodes) -> None:
    server = nodes.new(listen_addr="x.invalid:0")
    with pytest.raises(OSError, match=r"cannot look up x\.invalid"):
        server.start()
    assert names() == []
