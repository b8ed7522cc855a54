"""Services of a server, started and stopped: sockets, database, record, discovery."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.clock import Deadline
from p2p.discover.v4.wire import ENRRequest, FindNode, Packet, Ping, Pong, decode, encode
from p2p.net import NameLookups, bind_pair
from p2p.netutil import NodeEndpoint
from p2p.server import STOP_TIMEOUT_S
from p2p.services import Service, Services
from tests.conftest import OpenResources
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes, closed_port
from tests.kit.swarm import Swarm, knows, stay
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow

LOCAL = ip_address(HOST)
NOBODY = NodeEndpoint(LOCAL, 1, 0)


@pytest.fixture
def swarm(nodes: Nodes) -> Swarm:
    return Swarm(nodes)


class Probe:
    """A plain UDP socket with a key, for what no server would say."""

    def __init__(self) -> None:
        self.key = p2p.generate_key()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.settimeout(PATIENCE_S)
        self._misfits = 0  # sent, of a size that no packet has
        self._received = 0

    @property
    def node(self) -> p2p.Node:
        return p2p.Node.from_parts(self.key.public_key, HOST, 0, self.sock.getsockname()[1])

    def send(self, server: p2p.Server, packet: Packet) -> int:
        """Send a packet; returns its size in bytes."""
        datagram, _ = encode(self.key, packet)
        return self.send_raw(server, datagram)

    def send_raw(self, server: p2p.Server, datagram: bytes) -> int:
        self._misfits += not 97 < len(datagram) <= 1280
        return self.sock.sendto(datagram, (HOST, server.self.udp))

    def receive(self) -> Packet:
        return decode(self._receive()).packet

    def received(self, server: p2p.Server) -> list[bytes]:
        """All that has come, when the server, which talks to nobody else, has handled all."""
        discovery = server.discovery_v4
        assert discovery is not None
        self.send_raw(server, b"")  # the last; it is counted, and gets no answer
        eventually(lambda: discovery.counters().dropped["size"] == self._misfits)
        discovery._service.call(int)  # what it says to those before has gone out then
        count = discovery.counters().packets_out.total()
        return [self._receive() for _ in range(count - self._received)]

    def _receive(self) -> bytes:
        datagram = self.sock.recv(2048)
        self._received += 1
        return datagram


@pytest.fixture
def probe() -> Iterator[Probe]:
    probe = Probe()
    yield probe
    probe.sock.close()


def expiration(server: p2p.Server) -> int:
    return int(server.config.clock.time_unix()) + 20


def free_port() -> int:
    """A port that is free for TCP as well as for UDP."""
    tcp, udp = bind_pair(HOST, 0)
    with tcp, udp:
        return int(tcp.getsockname()[1])


# the list


class Noting(Service):
    """A service that notes what becomes of it."""

    def __init__(self, name: str, notes: list[str], fails: bool = False) -> None:
        self._name = name
        self._notes = notes
        self._fails = fails

    def start(self) -> None:
        self._notes.append(f"start {self._name}")
        if self._fails:
            raise OSError("planned")

    def stop(self, deadline: Deadline) -> list[str]:
        self._notes.append(f"stop {self._name}")
        return [f"p2p-{self._name}"]


def services_of(nodes: Nodes, *services: Service) -> Services:
    metrics = p2p.metrics.Metrics(list)
    made = Services(nodes.new().config, logging.getLogger("p2p"), NameLookups(), metrics)
    made._in_order = services  # type: ignore[assignment]
    return made


def test_services_start_in_order_and_stop_in_reverse(nodes: Nodes) -> None:
    notes: list[str] = []
    services = services_of(nodes, Noting("one", notes), Noting("two", notes))
    services.start()
    assert services.stop(Deadline(0.0)) == ["p2p-two", "p2p-one"]
    assert notes == ["start one", "start two", "stop two", "stop one"]


def test_service_that_does_not_start_has_all_others_stopped(nodes: Nodes) -> None:
    notes: list[str] = []
    services = services_of(nodes, Noting("one", notes), Noting("two", notes, fails=True))
    with pytest.raises(OSError, match="planned"):
        services.start()
    assert notes == ["start one", "start two", "stop two", "stop one"]


# whether discovery runs


def test_server_that_listens_discovers_unless_told_otherwise(nodes: Nodes) -> None:
    assert nodes.start(no_discovery=False).discovery_v4 is not None
    assert nodes.start(no_discovery=True).discovery_v4 is None
    assert nodes.start(no_discovery=True, discovery_v4=True).discovery_v4 is None
    assert nodes.start(no_discovery=False, discovery_v4=False).discovery_v4 is None


def test_server_that_does_not_listen_discovers_only_when_told(nodes: Nodes) -> None:
    options: dict[str, Any] = {"no_discovery": False, "listen_addr": None}
    assert nodes.start(**options).discovery_v4 is None
    server = nodes.start(discovery_v4=True, **options)
    assert server.discovery_v4 is not None
    node = server.self
    assert (node.tcp, node.udp) == (0, server.discovery_v4.address[1])
    assert node.record is not None and node.record.tcp is None
    assert server.listen_addr is None


def test_there_is_no_discovery_before_the_start(nodes: Nodes) -> None:
    assert nodes.new(no_discovery=False).discovery_v4 is None


def test_discovery_that_was_stopped_tells_so(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False)
    server.stop()
    assert server.discovery_v4 is not None
    with pytest.raises(p2p.ServerStopped):
        server.discovery_v4.nodes()


# ports


def test_tcp_and_udp_share_a_port(nodes: Nodes) -> None:
    for port in (0, free_port()):
        server = nodes.start(no_discovery=False, listen_addr=f"{HOST}:{port}")
        node = server.self
        assert node.tcp == node.udp != 0
        assert "discport" not in node.url
        assert server.node_info()["ports"] == {"discovery": node.udp, "listener": node.tcp}
        assert server.discovery_v4 is not None
        assert server.discovery_v4.address == (LOCAL, node.udp)


def test_disc_addr_gives_udp_an_address_of_its_own(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False, disc_addr=f"{HOST}:0")
    node = server.self
    assert server.discovery_v4 is not None
    assert server.discovery_v4 is not None
    assert node.tcp == inspect.listener(server).address[1]
    assert node.udp == server.discovery_v4.address[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        taken = sock.getsockname()[1]
    node = nodes.start(no_discovery=False, disc_addr=f"{HOST}:{taken}").self
    assert node.udp == taken


def test_server_of_both_families_is_found_by_either(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False, listen_addr=":0")
    assert (str(server.self.ip), server.self.tcp) == (HOST, server.self.udp)


@pytest.mark.parametrize("option", ["listen_addr", "disc_addr"])
def test_udp_port_in_use_is_an_os_error_and_leaves_nothing_open(
    nodes: Nodes, option: str
) -> None:
    tcp, taken = bind_pair(HOST, 0)
    tcp.close()
    with taken:
        address = f"{HOST}:{taken.getsockname()[1]}"
        server = nodes.new(no_discovery=False, **{option: address})
        before = OpenResources()
        for _ in range(2):
            with pytest.raises(OSError, match="cannot receive UDP on " + address):
                server.start()
        assert before.leaked_since() == []
        assert server.discovery_v4 is None
    server.start()  # now it is free
    assert server.self.udp == int(address.rpartition(":")[2])


def test_tcp_port_in_use_is_an_os_error_and_leaves_udp_free(nodes: Nodes) -> None:
    taken, udp = bind_pair(HOST, 0)
    udp.close()
    with taken:
        port = taken.getsockname()[1]
        server = nodes.new(no_discovery=False, listen_addr=f"{HOST}:{port}")
        with pytest.raises(OSError, match=f"{HOST}:{port}"):
            server.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((HOST, port))
    server.start()


# the database


def test_database_that_cannot_be_opened_is_told_by_its_name_and_leaves_nothing_open(
    nodes: Nodes, tmp_path: Path, open_resources: OpenResources
) -> None:
    port = free_port()
    path = tmp_path / "folder" / "nodes.db"
    server = nodes.new(
        no_discovery=False, listen_addr=f"{HOST}:{port}", node_database=path
    )
    for _ in range(2):
        with pytest.raises(p2p.errors.NodeDBError, match="folder/nodes.db"):
            server.start()
    assert open_resources.leaked_since() == []
    path.parent.mkdir()
    server.start()
    assert server.self.tcp == port and path.exists()


def test_folder_is_no_database(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(p2p.errors.NodeDBError, match=str(tmp_path)):
        nodes.new(node_database=tmp_path).start()


def test_database_of_a_running_server_is_not_shared(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.enode.db.file.LOCK_TIMEOUT_S", 0.05)
    first = nodes.start(node_database=tmp_path / "nodes.db")
    second = nodes.new(node_database=str(tmp_path / "nodes.db"))
    with pytest.raises(p2p.errors.NodeDBError, match="nodes.db"):
        second.start()
    first.stop()
    second.start()


def test_broken_database_is_replaced_and_the_server_starts(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    server = nodes.start(no_discovery=False, node_database=path)
    assert server.discovery_v4 is not None and server.discovery_v4.nodes() == []
    assert len(list(tmp_path.iterdir())) >= 2


# the record


def test_record_tells_what_we_are_and_where(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(
        no_discovery=False,
        protocols=[
            talks.protocol("eth", attributes={"eth": [[b"\x01\x02\x03\x04", 0]]}),
            talks.protocol("snap", attributes={"snap": []}),
        ],
    )
    record = server.self.record
    assert record is not None and server.discovery_v4 is not None
    assert (record.ip, record.tcp, record.udp) == (LOCAL, server.self.tcp, server.self.udp)
    assert record.get("eth", list[tuple[bytes, int]]) == [(b"\x01\x02\x03\x04", 0)]
    assert "snap" in record
    assert server.discovery_v4.self.record == record


def test_attributes_are_seen_by_others(swarm: Swarm) -> None:
    boot = swarm.start()
    other = swarm.start(
        boot, protocols=[p2p.Protocol("test", 1, 8, stay, attributes={"colour": "blue"})]
    )
    swarm.until(lambda: knows(boot, other))
    assert boot.discovery_v4 is not None
    node = swarm.ask(boot.discovery_v4.request_enr, other.self)
    assert node.record == other.self.record
    assert node.record.get("colour", str) == "blue"


def test_sequence_of_the_record_never_falls_even_if_the_clock_does(
    nodes: Nodes, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"private_key": p2p.generate_key(), "no_discovery": False}
    last = 0
    for start_unix in (1_600_000_000.0, 1_500_000_000.0, 1_500_000_000.0):
        clock = p2p.testing.SimulatedClock(start_unix=start_unix)
        server = nodes.start(node_database=tmp_path / "nodes.db", clock=clock, **options)
        assert server.self.seq > last
        last = server.self.seq
        server.stop()


# what goes over the wire


@pytest.mark.parametrize("version", [4, 45])
def test_pings_have_the_version_of_the_network(nodes: Nodes, probe: Probe, version: int) -> None:
    nodes.start(
        no_discovery=False,
        discovery_v5=False,
        bootstrap_nodes=[probe.node],
        discovery_version=version,
    )
    ping = probe.receive()
    assert isinstance(ping, Ping) and ping.version == version


@pytest.mark.parametrize("version", [0, 3, 4, 5, 45, 2**32])
def test_pings_of_any_version_are_answered(nodes: Nodes, probe: Probe, version: int) -> None:
    server = nodes.start(no_discovery=False)
    probe.send(server, Ping(version, NOBODY, NOBODY, expiration(server)))
    assert isinstance(probe.receive(), Pong)


def test_stranger_who_asks_for_nodes_gets_nothing_but_our_ping(
    nodes: Nodes, probe: Probe
) -> None:
    server = nodes.start(no_discovery=False, clock=p2p.testing.SimulatedClock())
    for packet in (FindNode(bytes(64), expiration(server)), ENRRequest(expiration(server))):
        probe.send(server, packet)
    kinds = {type(decode(datagram).packet) for datagram in probe.received(server)}
    assert kinds <= {Ping}


def test_at_most_three_bytes_go_to_a_stranger_for_each_that_came(
    nodes: Nodes, probe: Probe
) -> None:
    server = nodes.start(no_discovery=False, clock=p2p.testing.SimulatedClock())
    assert server.discovery_v4 is not None
    until = expiration(server)
    came = went = 0
    short = FindNode(bytes(64), until)
    for number in range(100):
        if number % 10 == 0:  # a stranger with a new key each time, at the same address
            probe.key = p2p.generate_key()
        for packet in (short, ENRRequest(until), Ping(4, NOBODY, NOBODY, until)):
            went += probe.send(server, packet)
            came += sum(map(len, probe.received(server)))
            assert came <= 3 * went
    assert came > 0
    seen = server.discovery_v4.counters()
    assert (seen.unproven_bytes_in, seen.unproven_bytes_out) == (went, came)
    assert seen.uninvited_bytes_out == 0


def test_junk_gets_no_answer_and_harms_nobody(nodes: Nodes, probe: Probe) -> None:
    server = nodes.start(no_discovery=False, clock=p2p.testing.SimulatedClock())
    for size in (0, 1, 97, 98, 1280, 1281, 2000):
        probe.send_raw(server, b"\x5a" * size)
    assert probe.received(server) == []
    probe.send(server, Ping(4, NOBODY, NOBODY, expiration(server)))
    assert isinstance(probe.receive(), Pong)


# bootnodes


def test_bootnode_may_have_a_name(swarm: Swarm) -> None:
    boot = swarm.start()
    named = boot.self.with_ip(None).with_hostname("localhost")
    here = swarm.start(bootstrap_nodes=[named])
    swarm.until(lambda: knows(here, boot))


def test_bootnode_outside_net_restrict_is_not_asked(
    nodes: Nodes, probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    server = nodes.start(
        no_discovery=False,
        bootstrap_nodes=[probe.node],
        net_restrict="10.0.0.0/8",
        clock=p2p.testing.SimulatedClock(),
    )
    assert probe.received(server) == []
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line == f"bootnode {probe.node.id.short} is left out: {HOST} is outside net_restrict"


# the end


def waiting(server: p2p.Server) -> int:
    """Return the number of calls that wait for an answer of the network."""
    assert server.discovery_v4 is not None
    return server.discovery_v4._runner.waiting


@pytest.mark.parametrize("call", ["ping", "resolve", "request_enr"])
def test_stop_wakes_who_asks_the_network(nodes: Nodes, probe: Probe, call: str) -> None:
    server = nodes.start(no_discovery=False, clock=p2p.testing.SimulatedClock(), no_dial=True)
    asking = Call(getattr(server.discovery_v4, call), probe.node)
    eventually(lambda: waiting(server) == 1)
    begun = time.monotonic()
    assert server.stop() == []
    assert type(asking.outcome()) is p2p.ServerStopped
    assert time.monotonic() - begun < STOP_TIMEOUT_S


def test_stop_while_a_lookup_for_candidates_is_under_way(nodes: Nodes, probe: Probe) -> None:
    server = nodes.start(
        no_discovery=False,
        discovery_v5=False,
        clock=p2p.testing.SimulatedClock(),
        bootstrap_nodes=[probe.node],
    )
    assert isinstance(probe.receive(), Ping)  # never answered, and time stands still
    eventually(lambda: waiting(server) == 1)
    assert server.stop() == []


def test_stop_wakes_a_handler_that_asks_the_network(nodes: Nodes, probe: Probe) -> None:
    ended: list[str] = []

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        assert here.discovery_v4 is not None
        try:
            here.discovery_v4.ping(probe.node)
        except p2p.ServerStopped:
            ended.append(peer.name)

    here = nodes.start(
        no_discovery=False,
        no_dial=True,
        clock=p2p.testing.SimulatedClock(),
        protocols=[p2p.Protocol("test", 1, 8, run)],
    )
    nodes.remote(here).open()
    eventually(lambda: waiting(here) == 1)
    begun = time.monotonic()
    assert here.stop(2.0) == []  # half of it for the remote, which does not close its end
    assert ended == ["remote"] and time.monotonic() - begun < 2.0


def test_stop_while_a_static_node_is_searched_for(nodes: Nodes, probe: Probe) -> None:
    lost = probe.node.with_endpoint(HOST, closed_port(), probe.node.udp)
    server = nodes.start(
        no_discovery=False,
        clock=p2p.testing.SimulatedClock(),
        static_nodes=[lost],
        protocols=[p2p.Protocol("test", 1, 8, stay, dial_candidates=())],
    )
    eventually(lambda: waiting(server) == 1)
    names = [thread.name for thread in threading.enumerate()]
    assert f"p2p-resolve-{lost.id.short}" in names
    begun = time.monotonic()
    assert server.stop() == []
    assert time.monotonic() - begun < STOP_TIMEOUT_S


@pytest.mark.parametrize("sources", [None, ()], ids=["discovery", "none of its own"])
def test_stop_while_a_candidate_is_asked_for(nodes: Nodes, sources: Any) -> None:
    server = nodes.start(
        no_discovery=False,
        clock=p2p.testing.SimulatedClock(),
        protocols=[p2p.Protocol("test", 1, 8, stay, dial_candidates=sources)],
    )
    eventually(lambda: inspect.on_io(server, lambda: inspect.dialing(server)._asked))
    assert server.stop() == []


def walks(server: p2p.Server) -> int:
    """Return the number of iterators that have a lookup under way, or wait until the next."""
    discovery = server.discovery_v4
    assert discovery is not None
    return discovery._service.call(lambda: len(discovery._runner._walking))


def test_random_nodes_are_looked_up_only_while_there_is_room_for_a_dial(nodes: Nodes) -> None:
    options: dict[str, Any] = {"no_discovery": False, "clock": p2p.testing.SimulatedClock()}
    server = nodes.start(**options)
    eventually(lambda: walks(server) == 1)
    full = nodes.start(**options, max_peers=0)
    inspect.settle(full)  # it has begun to dial
    assert walks(full) == 0


def test_twenty_servers_with_discovery_come_and_go(nodes: Nodes, tmp_path: Path) -> None:
    for _ in range(20):
        server = nodes.start(no_discovery=False, node_database=tmp_path / "nodes.db")
        assert server.stop() == []


def fail() -> None:
    raise ZeroDivisionError("planned")


def test_discovery_that_dies_is_logged_and_takes_nobody_with_it(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = nodes.pair(no_discovery=False)
    discovery = here.server.discovery_v4
    assert discovery is not None
    discovery._service._loop.post(fail)
    assert discovery._service._loop.join(PATIENCE_S)
    with pytest.raises(p2p.LoopCrashed) as raised:
        discovery.nodes()
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert "p2p-disc died" in caplog.text
    # All the rest goes on.
    p2p.send(here.rw, 0, "still here")
    assert there.read().decode(str) == "still here"
    other = nodes.start(protocols=[nodes.talks().protocol()])
    assert here.server.connect(other.self, timeout=PATIENCE_S).id == other.self.id
    with pytest.raises(p2p.errors.NoEndpoint):
        here.server.connect(p2p.Node.from_parts(p2p.generate_key().public_key))


@pytest.mark.parametrize("options", [{"no_discovery": True}, {"listen_addr": None}], ids=str)
def test_bootnodes_without_discovery_are_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    bootnode = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port(), 1)
    nodes.start(**{"no_discovery": False, **options}, bootstrap_nodes=[bootnode])
    assert "bootstrap_nodes are ignored: discovery is off" in caplog.messages
