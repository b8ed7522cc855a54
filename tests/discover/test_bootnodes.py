"""Bootnodes: when their names are looked up, which address is used, and which are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from p2p.discover.bootnodes import REFRESH_S, RETRY_S, Bootnodes
from p2p.discover.bootwatch import SILENT_PINGS, SILENT_S
from p2p.discover.event import BootnodeLeftOut, BootnodeSilent, NameWanted
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import FindNode
from p2p.enode.node import Node
from p2p.inputs import Now
from p2p.netutil import IPAddress, Netlist
from tests.kit.link import Link, key_of

NAME = "boot.example"
A, B, C = (ip_address(f"10.0.0.{number}") for number in (1, 2, 3))


def at(seconds: float) -> Now:
    return Now(1000.0 + seconds, 0.0)


def node(number: int, name: str = NAME, ip: IPAddress | None = None) -> Node:
    return Node.from_parts(key_of(number).public_key, ip, 30303, 30303).with_hostname(name)


def bootnodes(*nodes: Node, allowed: str = "0.0.0.0/0", watched: bool = True) -> Bootnodes:
    return Bootnodes(nodes, nodes if watched else (), Netlist.parse(allowed).contains, at(0))


def ips(known: Bootnodes) -> list[object]:
    return [seed.ip for seed in known.seeds]


class Found:
    """One bootnode, whose name is looked up whenever that is due."""

    def __init__(self, *addresses: IPAddress, **options: str) -> None:
        self.node = node(1)
        self.known = bootnodes(self.node, **options)  # type: ignore[arg-type]
        self.addresses: Sequence[IPAddress] = addresses
        self.looked_up: list[float] = []
        self.time = 0.0

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.time + seconds
        while self.known.deadline <= at(until).monotonic:
            self.time = self.known.deadline - at(0).monotonic
            self.looked_up.append(self.time)
            for name in self.known.poll_due(at(self.time)):
                if self.addresses:
                    self.known.receive_addresses(name, self.addresses, at(self.time))
                else:
                    self.known.receive_failure(name, "unknown", at(self.time))
        self.time = until

    def answer(self, ip: IPAddress) -> None:
        self.known.receive_pong(self.node.id, ip)

    def lose(self, ip: IPAddress, count: int = 1) -> None:
        for _ in range(count):
            self.known.lose_ping(self.node.id, ip, at(self.time))


# when


def test_name_is_looked_up_at_once_and_no_other_look_up_begins_meanwhile() -> None:
    known = bootnodes(node(1), node(2), node(3, "other.example"), node(4, "", A))
    assert known.poll_due(at(0)) == [NAME, "other.example"]
    assert known.deadline == math.inf and known.poll_due(at(9999)) == []


@pytest.mark.parametrize("addresses", [(), (A,)], ids=["unknown", "silent"])
def test_pauses_double_up_to_the_longest(addresses: Sequence[IPAddress]) -> None:
    found = Found(*addresses)
    found.run(4000)
    assert found.looked_up == [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030, 3630]
    assert REFRESH_S == 600 and RETRY_S == 10


def test_bootnode_that_answers_is_looked_up_every_ten_minutes() -> None:
    found = Found(A)
    found.run(0)
    found.answer(A)
    found.run(1500)
    assert found.looked_up == [0, 600, 1200]


def test_bootnode_that_stops_answering_is_looked_up_at_once() -> None:
    found = Found(A)
    found.run(0)
    found.answer(A)
    found.run(100)
    found.lose(A)
    assert found.known.deadline == at(600).monotonic
    found.lose(A)
    assert found.known.deadline == at(100).monotonic
    found.run(35)
    assert found.looked_up == [0, 100, 110, 130]


def test_answers_and_losses_elsewhere_do_not_count() -> None:
    found = Found(A)
    found.run(0)
    found.answer(B)
    assert found.known.deadline == at(10).monotonic
    found.answer(A)
    found.lose(B, 5)
    assert found.known.deadline == at(600).monotonic


def test_failure_of_a_later_look_up_keeps_the_address() -> None:
    found = Found(A)
    found.run(0)
    found.addresses = ()
    found.run(3600)
    assert ips(found.known) == [A]
    assert not any(isinstance(event, BootnodeLeftOut) for event in found.known.poll_reports())


# where


def test_bootnode_without_a_name_is_where_it_is_given() -> None:
    known = bootnodes(node(1, "", A))
    assert ips(known) == [A] and known.deadline == math.inf


def test_name_with_an_address_has_that_to_begin_with() -> None:
    known = bootnodes(node(1, NAME, A))
    assert ips(known) == [A] and known.poll_due(at(0)) == [NAME]
    (moved,) = known.receive_addresses(NAME, [B], at(0))
    assert (moved.old and moved.old.ip, moved.new.ip) == (A, B)
    assert ips(known) == [B]


def test_all_nodes_of_a_name_get_its_address() -> None:
    known = bootnodes(node(1), node(2), node(3, "other.example"))
    assert [moved.new.ip for moved in known.receive_addresses(NAME, [A], at(0))] == [A, A]
    assert ips(known) == [A, A]
    assert all(not seed.hostname for seed in known.seeds)


def test_addresses_take_turns_until_one_answers() -> None:
    found = Found(A, B, C)
    seen = []
    for seconds in (0, 10, 20):
        found.run(seconds)
        seen += ips(found.known)
    assert seen == [A, B, C]
    found.answer(C)
    found.run(2 * REFRESH_S)
    assert ips(found.known) == [C]


def test_address_that_answers_is_left_when_the_name_has_it_no_more() -> None:
    found = Found(A)
    found.run(0)
    found.answer(A)
    found.addresses = [B]
    found.run(REFRESH_S)
    assert ips(found.known) == [B]
    assert found.known.deadline == at(REFRESH_S + RETRY_S).monotonic


def test_stored_address_counts_only_while_the_name_has_none() -> None:
    found = Found(A)
    stored = node(1, "", B)
    assert not found.known.is_elsewhere(stored)
    found.run(0)
    assert found.known.is_elsewhere(stored)
    assert not found.known.is_elsewhere(node(1, "", A))
    assert not found.known.is_elsewhere(node(2, "", B))


def test_present_address_is_that_of_a_bootnode() -> None:
    found = Found(A)
    found.run(0)
    assert found.known.is_at(found.node.id, A) and not found.known.is_at(found.node.id, B)
    found.addresses = [B]
    found.run(RETRY_S)
    assert found.known.is_at(found.node.id, B) and not found.known.is_at(found.node.id, A)


# net_restrict


def left_out(known: Bootnodes) -> list[str]:
    return [event.reason for event in known.poll_reports() if isinstance(event, BootnodeLeftOut)]


def test_only_addresses_within_net_restrict_are_used() -> None:
    found = Found(A, B, C, allowed="10.0.0.2/31")
    found.run(0)
    assert ips(found.known) == [B]
    found.run(RETRY_S)
    assert ips(found.known) == [C]
    assert left_out(found.known) == []


def test_bootnode_outside_net_restrict_is_reported_at_once() -> None:
    known = bootnodes(node(1, "", A), allowed="10.0.0.2/32")
    reason = "10.0.0.1 is outside net_restrict"
    assert known.poll_reports() == [BootnodeLeftOut(node(1, "", A), reason)]
    assert known.seeds == []


def test_name_outside_net_restrict_is_reported_once_for_each_change() -> None:
    found = Found(A, C, allowed="10.0.0.2/32")
    found.run(3600)
    assert left_out(found.known) == ["10.0.0.1, 10.0.0.3 is outside net_restrict"]
    assert found.known.seeds == []
    found.addresses = [C]
    found.run(3600)
    assert left_out(found.known) == ["10.0.0.3 is outside net_restrict"]
    found.addresses = [B]
    found.run(3600)
    assert left_out(found.known) == [] and ips(found.known) == [B]
    found.addresses = [C]
    found.run(3600)
    assert left_out(found.known) == ["10.0.0.3 is outside net_restrict"]


def test_name_without_an_address_is_reported_once() -> None:
    found = Found()
    found.run(3600)
    assert left_out(found.known) == ["unknown; its name is looked up again"]


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "224.0.0.1"])
def test_address_that_no_node_can_have_is_not_used(ip: str) -> None:
    found = Found(ip_address(ip))
    found.run(0)
    assert left_out(found.known) == ["no address"] and found.known.seeds == []


def test_node_that_is_not_watched_is_not_reported() -> None:
    known = bootnodes(node(1, "", A), allowed="10.0.0.2/32", watched=False)
    assert known.poll_reports() == []


def test_silence_goes_on_at_the_next_address() -> None:
    found = Found(A, B)
    found.run(0)
    found.lose(A, SILENT_PINGS - 1)
    found.run(SILENT_S)
    assert ips(found.known) == [A]  # by way of B
    found.lose(A)
    (report,) = found.known.poll_reports()
    assert isinstance(report, BootnodeSilent)
    assert (report.node.ip, report.pings) == (A, SILENT_PINGS)


# in an engine


class NamedLink(Link):
    """A link with names."""

    def __init__(self) -> None:
        super().__init__(plain=True)
        self.names: dict[str, list[IPAddress]] = {}

    def look_up(self, engine: EngineV4) -> int:
        """Look up the names that are wanted, and return their number."""
        events = self.events[self.address(engine)]
        wanted = [event for event in events if isinstance(event, NameWanted)]
        events.clear()
        for event in wanted:
            if event.name in self.names:
                engine.receive_addresses(event.name, self.names[event.name], self.now)
            else:
                engine.receive_no_address(event.name, "unknown", self.now)
        return len(wanted)

    def run_looking_up(self, engine: EngineV4, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.run(1.0)
            self.look_up(engine)

    def run_to_look_up(self, engine: EngineV4) -> None:
        """Let time pass up to the next look-up."""
        for _ in range(int(REFRESH_S)):
            self.run(1.0)
            if self.look_up(engine):
                return
        raise AssertionError("no look-up")


@pytest.fixture
def link() -> NamedLink:
    return NamedLink()


def test_bootnode_whose_name_appears_late_is_found(link: NamedLink) -> None:
    boot = link.remote(2).answering()
    engine = link.node(1, bootnodes=[boot.node.with_ip(None).with_hostname(NAME)])
    boot.to(engine)
    link.run_looking_up(engine, 20)
    assert boot.node.id not in engine.table
    link.names[NAME] = [boot.address[0]]
    link.run_looking_up(engine, 15)
    assert boot.node.id in engine.table


def test_empty_table_is_filled_as_soon_as_there_is_an_address(link: NamedLink) -> None:
    boot = link.remote(2).answering()
    link.names[NAME] = [boot.address[0]]
    engine = link.node(1, bootnodes=[boot.node.with_ip(None).with_hostname(NAME)])
    boot.to(engine)
    link.run_to_look_up(engine)
    link.run(1.0)
    assert boot.got(FindNode)


def test_bootnode_that_is_silent_is_moved_at_the_next_look_up(link: NamedLink) -> None:
    boot, later = link.remote(2).answering(), link.remote(2, link.remote(3).address)
    link.names[NAME] = [boot.address[0]]
    engine = link.node(1, bootnodes=[boot.node.with_ip(None).with_hostname(NAME)])
    boot.to(engine)
    link.run_looking_up(engine, 300)
    boot.answers_pings = False
    link.names[NAME] = [later.address[0]]
    link.run_to_look_up(engine)
    entry = engine.table.entry(boot.node.id)
    assert entry is not None and entry.node.ip == later.address[0]


def test_bootnode_that_moves_is_found_at_its_new_address(link: NamedLink) -> None:
    boot, later = link.remote(2).answering(), link.remote(2, link.remote(3).address).answering()
    link.names[NAME] = [boot.address[0]]
    engine = link.node(1, bootnodes=[boot.node.with_ip(None).with_hostname(NAME)])
    boot.to(engine)
    later.to(engine)
    link.run_looking_up(engine, 300)
    entry = engine.table.entry(boot.node.id)
    assert entry is not None and entry.live and entry.node.ip == boot.address[0]
    boot.answers_pings = False
    link.names[NAME] = [later.address[0]]
    link.run_looking_up(engine, 120)
    entry = engine.table.entry(boot.node.id)
    assert entry is not None and entry.live and entry.node.ip == later.address[0]


def test_address_that_answers_keeps_its_place_when_the_name_changes(link: NamedLink) -> None:
    boot = link.remote(2).answering()
    link.names[NAME] = [boot.address[0]]
    engine = link.node(1, bootnodes=[boot.node.with_ip(None).with_hostname(NAME)])
    boot.to(engine)
    link.run_looking_up(engine, 60)
    link.names[NAME] = [A]
    link.run_looking_up(engine, 2 * REFRESH_S)
    assert [known.ip for known in engine.table.nodes()] == [boot.address[0]]


def test_stored_address_does_not_hide_that_of_the_name(link: NamedLink) -> None:
    boot = link.remote(2).answering()
    old = boot.node.with_ip("10.9.9.9")
    link.names[NAME] = [boot.address[0]]
    engine = link.node(1, bootnodes=[boot.node.with_ip(None).with_hostname(NAME)])
    boot.to(engine)
    engine._overlay.store.update_node(old)
    engine._overlay.store.set_last_pong_received(old.id, ip_address("10.9.9.9"), link.now.unix)
    link.run_looking_up(engine, 30)
    assert [known.ip for known in engine.table.nodes()] == [boot.address[0]]
