"""Servers and nodes with names: nobody waits for a resolver, and names that change are followed."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.discover.bootnodes import REFRESH_S
from p2p.net.lookups import MAX_THREADS
from tests.kit.names import Names
from tests.kit.nodes import HOST, Nodes, closed_port
from tests.kit.swarm import Swarm
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[1]
NAME = "boot.example"


@pytest.fixture
def swarm(nodes: Nodes) -> Swarm:
    return Swarm(nodes)


def named(node: p2p.Node, name: str = NAME) -> p2p.Node:
    return node.with_ip(None).with_hostname(name)


def stranger(name: str = NAME) -> p2p.Node:
    return named(p2p.Node.from_parts(p2p.generate_key().public_key, None, 1, 1), name)


def lookups() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "p2p-names"]


# a silent resolver


def test_start_and_stop_do_not_wait_for_a_silent_resolver(
    nodes: Nodes, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    silent = [f"silent{number}.example" for number in range(5)]
    names.records |= dict.fromkeys(silent)
    server = nodes.start(
        no_discovery=False,
        bootstrap_nodes=[stranger(name) for name in silent],
        static_nodes=[stranger(name) for name in silent],
    )
    eventually(lambda: set(names.asked) == set(silent))
    assert server.stop() == []
    assert lookups(), "no look-up is under way"
    assert warnings(caplog) == []


def test_end_of_discovery_during_a_look_up_is_no_failure_of_it(
    nodes: Nodes, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    names.records[NAME] = None
    server = nodes.start(no_discovery=False, bootstrap_nodes=[stranger()])
    eventually(lambda: names.asked)
    front = server.discovery_v4
    assert front is not None
    front._service._parts.lookups.stop()
    front._service.call(int)
    assert warnings(caplog) == []


def test_names_that_wait_are_not_looked_up_after_the_stop(nodes: Nodes, names: Names) -> None:
    silent = [f"silent{number}.example" for number in range(2 * MAX_THREADS)]
    names.records |= dict.fromkeys(silent)
    server = nodes.start(static_nodes=[stranger(name) for name in silent])
    eventually(lambda: len(names.asked) == MAX_THREADS)
    server.stop()
    names.release()
    eventually(lambda: not lookups())
    assert len(names.asked) == MAX_THREADS


def test_listening_at_a_name_has_an_end(
    nodes: Nodes, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.services.OWN_NAME_TIMEOUT_S", 0.05)
    names.records[NAME] = None
    server = nodes.new(listen_addr=f"{NAME}:0")
    with pytest.raises(OSError, match=f"cannot look up {NAME}: no answer within"):
        server.start()
    names.records[NAME] = [HOST]
    names.release()
    eventually(lambda: not lookups())
    server.start()
    assert str(server.self.ip) == HOST


def test_stop_ends_a_start_that_looks_up_where_to_listen(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = None
    server = nodes.new(listen_addr=f"{NAME}:0")
    start = Call(server.start)
    eventually(lambda: names.asked)
    assert server.stop() == []
    assert isinstance(start.outcome(), p2p.ServerStopped)
    assert lookups()


SILENT_START = """
import socket, sys, threading, p2p

real = socket.getaddrinfo

def getaddrinfo(host, *args, **options):
    if not str(host).endswith(".example"):
        return real(host, *args, **options)
    print("looks up", flush=True)
    threading.Event().wait()

socket.getaddrinfo = getaddrinfo
server = p2p.Server(
    private_key=p2p.generate_key(), name="x", max_peers=1, listen_addr="host.example:0"
)
try:
    server.start()
except KeyboardInterrupt:
    print("interrupted", server.stop(), flush=True)
"""


def test_ctrl_c_ends_a_start_that_looks_up_where_to_listen() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", SILENT_START],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "looks up\n"
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=PATIENCE_S)
    assert (out, program.returncode) == ("interrupted []\n", 0)


# bootnodes


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_bootnode_whose_name_appears_late_is_found(
    swarm: Swarm, names: Names, version: str
) -> None:
    names.records[NAME] = []
    options: dict[str, Any] = {"discovery_v4": version == "v4", "discovery_v5": version == "v5"}
    boot = swarm.start(**options)
    here = swarm.start(bootstrap_nodes=[named(boot.self)], **options)
    front = here.discovery_v4 or here.discovery_v5
    assert front is not None
    eventually(lambda: names.asked)
    names.records[NAME] = [HOST]
    swarm.until(lambda: boot.self.id in [node.id for node in front.nodes()], step_s=1.0)


def test_bootnode_that_moves_is_pinged_at_its_new_address(swarm: Swarm, names: Names) -> None:
    names.records[NAME] = ["127.0.0.2"]
    boot = swarm.start()
    here = swarm.start(bootstrap_nodes=[named(boot.self)])
    front = here.discovery_v4
    assert front is not None
    eventually(lambda: names.asked)
    names.records[NAME] = [HOST]
    swarm.until(lambda: HOST in [str(node.ip) for node in front.nodes()], step_s=1.0)


def test_name_of_a_bootnode_is_looked_up_every_ten_minutes(swarm: Swarm, names: Names) -> None:
    names.records[NAME] = [HOST]
    boot = swarm.start()
    swarm.start(bootstrap_nodes=[named(boot.self)])
    eventually(lambda: names.asked)
    asked, begun = len(names.asked), swarm.clock.monotonic()
    swarm.until(lambda: len(names.asked) == asked + 3, step_s=5.0)
    assert swarm.clock.monotonic() - begun <= 3 * REFRESH_S


def test_bootnode_whose_name_nobody_knows_is_named_in_a_warning(
    nodes: Nodes, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    lost = stranger("lost.example")
    names.records["lost.example"] = []
    nodes.start(no_discovery=False, bootstrap_nodes=[lost])
    eventually(lambda: warnings(caplog))
    (line,) = warnings(caplog)
    assert line.startswith(f"bootnode {lost.id.short} is left out: cannot look up lost.example: ")


def test_bootnode_whose_name_is_outside_net_restrict_is_named_in_a_warning(
    nodes: Nodes, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    names.records[NAME] = ["9.9.9.9", "::9"]
    boot = stranger()
    nodes.start(no_discovery=False, bootstrap_nodes=[boot], net_restrict=f"{HOST}/32")
    eventually(lambda: warnings(caplog))
    reason = "9.9.9.9, ::9 is outside net_restrict"
    assert warnings(caplog) == [f"bootnode {boot.id.short} is left out: {reason}"]


@pytest.mark.parametrize("option", ["bootstrap_nodes", "bootstrap_nodes_v5"])
def test_bootnode_of_v5_outside_net_restrict_is_named_in_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    boot = stranger().with_hostname("").with_ip("9.9.9.9")
    options = {"no_discovery": False, "discovery_v4": False, "net_restrict": f"{HOST}/32"}
    nodes.start(**{option: [boot]}, **options)
    assert len(warnings(caplog)) == 1 and boot.id.short in warnings(caplog)[0]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


# queries


def test_queries_look_up_the_name_of_a_node(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = [HOST]
    there, here = nodes.start(no_discovery=False), nodes.start(no_discovery=False)
    for front in (here.discovery_v4, here.discovery_v5):
        assert front is not None
        assert front.ping(named(there.self), timeout=PATIENCE_S) is not None
        assert front.request_enr(named(there.self), timeout=PATIENCE_S).id == there.self.id
        assert front.resolve(named(there.self), timeout=PATIENCE_S).id == there.self.id
    assert here.discovery_v5 is not None
    found = here.discovery_v5.find_node(named(there.self), [0], timeout=PATIENCE_S)
    assert [node.id for node in found] == [there.self.id]
    assert here.discovery_v5.talk(named(there.self), "none", b"", timeout=PATIENCE_S) == b""


def test_query_asks_each_address_of_a_name_until_one_answers(swarm: Swarm, names: Names) -> None:
    names.records[NAME] = ["127.0.0.2", HOST]
    there, here = swarm.start(), swarm.start()
    assert here.discovery_v4 is not None and there.discovery_v4 is not None
    assert swarm.ask(here.discovery_v4.ping, named(there.self)) == there.discovery_v4.self.seq


def test_query_of_a_name_without_an_address_names_it(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = []
    front = nodes.start(no_discovery=False).discovery_v4
    assert front is not None
    with pytest.raises(p2p.errors.NameNotResolved, match=NAME):
        front.ping(stranger())


def test_query_of_a_name_outside_net_restrict_is_refused(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = ["127.0.0.2", "127.0.0.3"]
    front = nodes.start(no_discovery=False, net_restrict="127.0.0.1/32").discovery_v4
    assert front is not None
    with pytest.raises(p2p.errors.NetRestricted, match="127.0.0.2"):
        front.ping(stranger())


def test_timeout_of_a_query_includes_the_look_up(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = None
    front = nodes.start(no_discovery=False).discovery_v4
    assert front is not None
    with pytest.raises(p2p.Timeout, match=f"no address of {NAME} within"):
        front.ping(stranger(), timeout=0.01)


def test_stop_ends_a_query_that_looks_up_a_name(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = None
    server = nodes.start(no_discovery=False)
    assert server.discovery_v4 is not None
    query = Call(server.discovery_v4.ping, stranger())
    eventually(lambda: names.asked)
    assert server.stop() == []
    assert isinstance(query.outcome(), p2p.ServerStopped)
    with pytest.raises(p2p.ServerStopped):
        server.discovery_v4.ping(stranger())


# dials


def test_connect_tries_the_addresses_of_a_name(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = ["::1", "127.0.0.2", HOST]
    there, here = nodes.start(), nodes.start()
    assert here.connect(named(there.self)).id == there.self.id


def test_error_of_a_name_names_all_addresses(nodes: Nodes, names: Names) -> None:
    names.records[NAME] = ["127.0.0.2", HOST, "9.9.9.9"]
    here = nodes.start(net_restrict="127.0.0.0/8")
    node = named(p2p.Node.from_parts(p2p.generate_key().public_key, None, closed_port(), 0))
    with pytest.raises(p2p.errors.DialRefused) as raised:
        here.connect(node)
    assert all(f"{ip}:{node.tcp}" in str(raised.value) for ip in ("127.0.0.2", HOST))
    assert "9.9.9.9 is outside net_restrict" in str(raised.value)
    (attempt,) = here.dial_attempts(node)
    assert str(raised.value) in attempt.outcome


class Onion:
    """A dialer that knows where names are."""

    def __init__(self, **ports: int) -> None:
        self.ports = ports
        self.asked: list[p2p.Node] = []

    def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
        self.asked.append(node)
        return socket.create_connection((HOST, self.ports[node.hostname]), timeout_s)


def test_dialer_gets_names_that_no_resolver_is_asked_for(nodes: Nodes, names: Names) -> None:
    names.records["abc.onion"] = []
    there = nodes.start()
    node = named(there.self, "abc.onion")
    dialer = Onion(**{"abc.onion": there.self.tcp})
    here = nodes.start(dialer=dialer, listen_addr=None)
    assert here.connect(node).id == there.self.id
    assert dialer.asked == [node] and names.asked == []


def test_dialer_gets_the_address_of_a_host_that_is_one(nodes: Nodes) -> None:
    there = nodes.start()
    dialer = Onion(**{HOST: there.self.tcp})
    here = nodes.start(dialer=dialer, listen_addr=None, net_restrict="127.0.0.0/8")
    assert here.connect(named(there.self, HOST)).id == there.self.id
    assert [str(node.ip) for node in dialer.asked] == [HOST]


def test_static_node_with_a_name_is_dialed_by_the_dialer(nodes: Nodes, names: Names) -> None:
    names.records["abc.onion"] = []
    there = nodes.start()
    dialer = Onion(**{"abc.onion": there.self.tcp})
    static = named(there.self, "abc.onion")
    here = nodes.start(dialer=dialer, listen_addr=None, static_nodes=[static])
    eventually(lambda: here.peer_count)
    assert names.asked == []


def test_name_for_the_dialer_is_refused_with_net_restrict(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    dialer, node = Onion(), stranger("abc.onion")
    here = nodes.start(dialer=dialer, net_restrict="10.0.0.0/8", static_nodes=[node])
    with pytest.raises(p2p.errors.NetRestricted, match="the dialer looks up abc.onion"):
        here.connect(node)
    eventually(lambda: warnings(caplog))
    assert warnings(caplog) == [
        f"static node {node.id.short} cannot be dialed: "
        "the dialer looks up abc.onion, so that net_restrict cannot be checked"
    ]
    assert dialer.asked == []
