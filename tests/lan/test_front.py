"""Nodes that find each other by real multicast DNS, on loopback; also with hostile hosts there."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.enode import LocalNode, NodeDB
from p2p.enode.localnode import FALLBACK_IP
from p2p.lan import front, link
from p2p.lan.announcement import Checks
from p2p.lan.front import LanNodes
from p2p.lan.interfaces import Interface
from p2p.lan.link import Link, LinkFailed
from p2p.lan.txt import txt_of
from p2p.loglimit import LINES_PER_MINUTE
from p2p.netutil import OwnNetworks
from tests.kit.nodes import Nodes
from tests.kit.swarm import knows
from tests.kit.waiting import PATIENCE_S, eventually
from tests.lan.kit import KEY, announced, interface, record

pytestmark = pytest.mark.slow

LO = interface("127.0.0.1/8", name="lo", index=1)
#: Address of a network that this machine is not in.
NOWHERE = interface("10.99.99.99/24", name="away", index=9)
PORT = 30303


class Host:
    """LAN discovery without a server: a record, a port, interfaces that the test changes."""

    is_address = True

    def __init__(self, port: int | None = PORT, there: list[Interface] | None = None) -> None:
        self.port = port
        self.there = [LO] if there is None else there
        self.error: OSError | None = None
        self.found: list[p2p.Node] = []
        self.local = LocalNode(p2p.generate_key(), NodeDB())
        self.local.set("tcp", PORT)
        self.lan = LanNodes(
            self.local,
            self,
            Checks(self.local.id, OwnNetworks(), None),
            self.found.append,
            p2p.testing.SystemClock(),
            logging.getLogger("p2p"),
        )

    def interfaces(self) -> list[Interface]:
        if self.error is not None:
            raise self.error
        return list(self.there)

    @property
    def ids(self) -> set[p2p.NodeID]:
        return {node.id for node in self.lan.nodes}

    def knows(self, *others: Host) -> bool:
        return self.ids == {other.local.id for other in others}

    def node(self) -> p2p.Node:
        """The next node to dial."""
        got, found = threading.Event(), []
        self.lan._ask(lambda node: (found.append(node), got.set()))
        assert got.wait(PATIENCE_S)
        return found[0]


@contextmanager
def running(*hosts: Host) -> Iterator[None]:
    try:
        for host in hosts:
            host.lan.start()
        yield
    finally:
        for host in hosts:
            assert host.lan.stop(PATIENCE_S) == []


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "CHECK_S", 0.05)
    monkeypatch.setattr(front, "TELL_S", 0.05)


def test_three_nodes_find_each_other_and_one_leaves() -> None:
    a, b, c = Host(), Host(), Host()
    with running(a, b):
        with running(c):
            eventually(lambda: a.knows(b, c) and b.knows(a, c) and c.knows(a, b))
            assert {str(node.tcp_endpoint) for node in a.lan.nodes} == {"127.0.0.1:30303"}
            assert {node.id for node in a.found} == a.ids
        eventually(lambda: a.knows(b) and b.knows(a))
    assert len(a.found) == 2


def test_node_that_does_not_listen_is_not_announced_and_finds_others() -> None:
    quiet, other = Host(port=None), Host()
    with running(quiet, other):
        eventually(lambda: quiet.knows(other))
        third = Host()
        with running(third):
            eventually(lambda: third.knows(other) and other.knows(third))


def test_record_that_changes_is_announced_again(quick_checks: None) -> None:
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: a.knows(b))
        b.local.set("game", "chess")
        eventually(lambda: [node.seq for node in a.lan.nodes] == [b.local.seq])
        newest = a.lan.nodes[0].record
        assert newest is not None and b"game" in newest.pairs
        assert len(a.found) == 1, "introduced again"


def test_interfaces_that_come_and_go(quick_checks: None, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "p2p.lan")
    a, b = Host(there=[]), Host()
    with running(a, b):
        eventually(lambda: "waiting for one" in caplog.text)
        assert a.local.node().ip == FALLBACK_IP
        a.there = [LO]
        eventually(lambda: a.knows(b) and b.knows(a))
        a.there = []
        eventually(lambda: a.knows() and b.knows())
        a.there = [LO]
        eventually(lambda: a.knows(b) and b.knows(a))


def test_interface_that_cannot_be_used_is_one_warning(quick_checks: None, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG, "p2p.lan")
    a, b = Host(there=[NOWHERE, LO]), Host()
    with running(a, b):
        eventually(lambda: a.knows(b))
        eventually(lambda: caplog.text.count("no LAN discovery at away: ") > 2)
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 1 and "away" in warned[0].getMessage()


def test_list_of_interfaces_that_fails_is_one_warning(quick_checks: None, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG, "p2p.lan")
    a, b = Host(), Host()
    a.error = OSError("out of order")
    with running(a, b):
        eventually(lambda: caplog.text.count("out of order") > 2)
        a.error = None
        eventually(lambda: a.knows(b) and b.knows(a))
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warned.count("cannot list the interfaces: out of order") == 1


def test_library_that_fails_is_begun_again(quick_checks: None, caplog: Any) -> None:
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: a.knows(b) and b.knows(a))
        (broken,) = a.lan._links.values()
        loop = broken._zeroconf.loop
        loop.call_soon_threadsafe(_raise, RuntimeError("broken\x1b[2J"))
        eventually(lambda: broken not in a.lan._links.values())
        eventually(lambda: a.knows(b) and b.knows(a))
    assert "LAN discovery begins again at lo: broken\\x1b[2J" in caplog.text


def _raise(error: Exception) -> None:
    raise error


def test_machine_that_has_slept_begins_anew(
    quick_checks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: a.knows(b) and b.knows(a))
        before = set(a.lan._links.values())
        clock = a.lan._clock
        late_s = clock.time_unix() + front.SLEEP_S * 2 - clock.monotonic()
        monkeypatch.setattr(
            type(clock), "time_unix", lambda clock: clock.monotonic() + late_s
        )
        eventually(lambda: before.isdisjoint(a.lan._links.values()) and a.knows(b))


HOSTILE = [
    (b"", "127.0.0.1"),
    (b"\x05abc", "127.0.0.1"),
    (b"\x09txtvers=1\x19enr=<script>\x1b[2J\xe2\x80\xae</b>", "127.0.0.1"),
    (txt_of(record(ip="127.0.0.1"))[:-4] + b"AAAA", "127.0.0.1"),
    (txt_of(record(ip="8.8.8.8")), "8.8.8.8"),
    (txt_of(record(ip="192.168.1.6")), "192.168.1.6"),
    (b"\0" * 1301, "127.0.0.1"),
]


def test_hostile_announcements_are_refused(caplog: Any) -> None:
    caplog.set_level(logging.DEBUG, "p2p.lan")
    a, b = Host(), Host()
    with running(a), announced(*HOSTILE):
        eventually(lambda: all(f"evil{n}." in caplog.text for n in range(len(HOSTILE))))
        with running(b):
            eventually(lambda: a.knows(b))
    lines = [line.getMessage() for line in caplog.records if "evil" in line.getMessage()]
    assert all("is refused" in line and line.isprintable() for line in lines)


def test_name_that_is_no_name_is_refused(caplog: Any) -> None:
    caplog.set_level(logging.DEBUG, "p2p.lan")
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: a.knows(b))
        (used,) = a.lan._links.values()
        for name in (f"evil\x1b[2J.{link.SERVICE_TYPE}", "", ".", "other._x._tcp.local."):
            a.lan._changed(used, name, True)
        eventually(lambda: caplog.text.count("is refused") == 4)
        assert a.knows(b)
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_announcement_that_is_not_complete_is_asked_for() -> None:
    """A host that sends nothing but the name, as others of DNS-SD may do."""
    a = Host()
    name = f"evil0.{link.SERVICE_TYPE}"
    with running(a), announced((txt_of(record(ip="127.0.0.1")), "127.0.0.1")):
        eventually(lambda: len(a.lan.nodes) == 1)
        (used,) = a.lan._links.values()
        cache = used._zeroconf.cache
        used._zeroconf.loop.call_soon_threadsafe(
            cache.async_remove_records, [*cache.entries_with_name(name)]
        )
        eventually(lambda: not cache.entries_with_name(name))
        assert used.look(name) is None
        eventually(lambda: used.look(name) is not None)


@pytest.mark.parametrize(("ip", "port"), [("127.0.0.9", PORT), ("127.0.0.1", PORT + 1)])
def test_another_node_with_our_key_is_one_warning(ip: str, port: int, caplog: Any) -> None:
    """Twenty laptops with copies of one disk have one key, and would find no other node."""
    a = Host()
    with running(a), announced((txt_of(a.local.record), ip), port=port):
        eventually(lambda: "another node has our key" in caplog.text)
        assert f"at {ip}: each one needs its own private_key" in caplog.text
        assert a.knows()


def test_our_own_announcements_are_no_other_node(caplog: Any) -> None:
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: a.knows(b) and b.knows(a))
        (used,) = a.lan._links.values()
        a.lan._changed(used, used._name, True)
        eventually(lambda: not a.lan._waiting)
    assert "our key" not in caplog.text


def test_flood_of_names_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "MAX_WAITING", 20)
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: a.knows(b))
        (used,) = a.lan._links.values()
        for number in range(1000):
            a.lan._changed(used, f"{number}.{link.SERVICE_TYPE}", True)
        assert len(a.lan._waiting) <= 20
        eventually(lambda: not a.lan._waiting)
        assert a.knows(b)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No name may wait; gives the names of the changes."""
    changed: list[str] = []
    real = LanNodes._changed

    def change(lan: LanNodes, used: Link, name: str, is_there: bool) -> None:
        real(lan, used, name, is_there)
        changed.append(name)

    monkeypatch.setattr(LanNodes, "_changed", change)
    monkeypatch.setattr(front, "MAX_WAITING", 0)
    return changed


def test_node_that_comes_during_a_flood_is_found_after_it(
    full: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = Host(), Host()
    with running(a, b):
        eventually(lambda: len(set(full)) == 2)
        assert a.knows() and b.knows()
        monkeypatch.setattr(front, "MAX_WAITING", 20)
        eventually(lambda: a.knows(b) and b.knows(a))


def test_node_that_goes_during_a_flood_is_removed_after_it(
    full: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = Host(), Host()
    with running(a):
        with running(b):
            monkeypatch.setattr(front, "MAX_WAITING", 20)
            eventually(lambda: a.knows(b))
            full.clear()
            monkeypatch.setattr(front, "MAX_WAITING", 0)
        eventually(lambda: full)
        eventually(lambda: a.knows())


def test_name_that_becomes_ours_loses_its_node() -> None:
    a = Host()
    other = (txt_of(record(ip="127.0.0.1")), "127.0.0.1")
    with running(a), announced(other):
        eventually(lambda: len(a.lan.nodes) == 1)
        with announced((txt_of(a.local.record), "127.0.0.1")):
            eventually(lambda: a.knows())


def test_links_are_closed_though_the_system_has_no_more_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a = Host()
    links = [Link(LO, _ignore) for _ in range(3)]
    for number, used in enumerate(links):
        used.open()
        a.lan._links[interface("127.0.0.1/8", index=number)] = used
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    a.lan._loop_ended(None)
    assert [used._zeroconf for used in links] == [None] * 3


def _refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_many_warnings_are_limited(caplog: Any) -> None:
    """Containers that come and go have interfaces with new names each time."""
    caplog.set_level(logging.WARNING, "p2p.lan")
    a = Host()
    for number in range(100):
        a.lan._warn(f"no LAN discovery at veth{number}: no")
    assert len(caplog.records) == LINES_PER_MINUTE


def test_request_waits_for_a_node_and_gets_it_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.lan.known.OFFER_AGAIN_S", 0.05)
    a, b = Host(), Host()
    with running(a):
        got: list[p2p.Node] = []
        a.lan._ask(got.append)
        with running(b):
            eventually(lambda: [node.id for node in got] == [b.local.id])
            assert a.node().id == b.local.id == a.node().id


def test_stop_before_the_start_and_twice() -> None:
    a = Host()
    assert a.lan.stop(0.0) == []
    b = Host()
    with running(b):
        assert b.lan.stop(PATIENCE_S) == []


def test_name_tells_nothing_about_the_machine() -> None:
    first, second = Link(LO, _ignore), Link(LO, _ignore)
    texts = (first._name, second._name, first._host, second._host)
    assert len(set(texts)) == 4
    assert not any(socket.gethostname().lower() in text for text in texts)


def _ignore(link: Link, name: str, is_there: bool) -> None:
    pass


def test_link_of_no_interface_fails_with_its_name() -> None:
    used = Link(NOWHERE, _ignore)
    with pytest.raises(LinkFailed, match=r"^away: "):
        used.open()
    used.close()


# a server


def servers(nodes: Nodes, number: int, **options: Any) -> list[p2p.Server]:
    return [nodes.start(lan_discovery=True, **options) for _ in range(number)]


def test_servers_connect_without_any_address(nodes: Nodes, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "p2p.lan")
    a, b = servers(nodes, 2)
    eventually(lambda: a.peers and b.peers)
    assert [node.id for node in a.lan_nodes] == [b.self.id]
    assert a.metrics["p2p/lan/nodes"].value == 1
    eventually(lambda: "found 1 node on the LAN" in caplog.text)
    assert "announces this node at lo (127.0.0.1)" in caplog.text


def test_found_nodes_are_known_to_discovery(nodes: Nodes) -> None:
    a, b = servers(nodes, 2, no_discovery=False, no_dial=True)
    eventually(lambda: knows(a, b) and knows(b, a))
    # The one that was asked has a proof at once, the other one waits for its turn to ask.
    eventually(lambda: _v5_nodes(a) == [b.self.id] or _v5_nodes(b) == [a.self.id])


def _v5_nodes(server: p2p.Server) -> list[p2p.NodeID]:
    assert server.discovery_v5 is not None
    return [node.id for node in server.discovery_v5.nodes()]


def test_no_dial_only_lists(nodes: Nodes) -> None:
    a, b = servers(nodes, 2, no_dial=True)
    eventually(lambda: a.lan_nodes and b.lan_nodes)
    assert not a.peers


def test_nothing_is_used_without_the_option(nodes: Nodes) -> None:
    server = nodes.start()
    assert server.lan_nodes == [] and "p2p/lan/nodes" not in server.metrics
    names = {thread.name for thread in threading.enumerate()}
    assert not any("lan" in name or "zeroconf" in name for name in names)


def test_candidates_of_a_protocol_take_the_place(nodes: Nodes) -> None:
    protocol = nodes.talks().protocol(dial_candidates=[])
    a = nodes.start(lan_discovery=True, protocols=[protocol])
    (b,) = servers(nodes, 1, no_dial=True)
    eventually(lambda: a.lan_nodes and b.lan_nodes)
    assert not a.peers


def test_fork_leaves_the_sockets_to_the_parent(nodes: Nodes) -> None:
    a, b = servers(nodes, 2)
    eventually(lambda: a.lan_nodes and b.lan_nodes)
    (used,) = a._parts.services.lan_nodes._links.values()  # type: ignore[union-attr]
    numbers = [one.fileno for one in used._zeroconf.engine.senders]
    pid = os.fork()
    if not pid:
        targets = {os.readlink(f"/proc/self/fd/{number}") for number in numbers}
        os._exit(0 if targets == {os.devnull} and a.stop() == [] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    (c,) = servers(nodes, 1)
    eventually(lambda: c.self.id in {node.id for node in a.lan_nodes})


WITHOUT = """
import sys
import p2p
assert not {"zeroconf", "ifaddr"} & set(sys.modules)
key = p2p.generate_key()
p2p.Server(private_key=key, name="x", max_peers=1)
assert not {"zeroconf", "ifaddr"} & set(sys.modules)
sys.modules["zeroconf"] = None
try:
    p2p.Server(private_key=key, name="x", max_peers=1, lan_discovery=True)
except p2p.ConfigError as error:
    print(error)
"""


def test_missing_library_is_one_clear_error() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert run.stdout == "lan_discovery needs zeroconf: pip install 'p2p-blocking[lan]'\n", run


def test_wrong_option() -> None:
    with pytest.raises(p2p.ConfigError, match="lan_discovery: wanted True or False; got"):
        p2p.Server(private_key=KEY, name="x", max_peers=1, lan_discovery="yes")  # type: ignore


def test_server_that_is_lost_ends_it(nodes: Nodes) -> None:
    server: p2p.Server | None = p2p.Server(
        private_key=p2p.generate_key(),
        name="x",
        max_peers=1,
        listen_addr="127.0.0.1:0",
        lan_discovery=True,
    )
    assert server is not None
    server.start()
    parts = server._parts
    with pytest.warns(ResourceWarning, match="nothing refers to it any more"):
        server = None
        gc.collect()
        assert parts.stopped.wait(PATIENCE_S)
