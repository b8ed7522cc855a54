"""Discovery of the library against go-ethereum's discovery v4."""

from __future__ import annotations

import time

import pytest

import p2p

from .discovery import OurDiscovery, StartDiscovery
from .discovery_rules import DiscoveryRules, wait_until
from .ours import OurNode, StartServer
from .program import DEADLINE_S, Program, StartProgram

#: The mixed network: nodes of each kind, and how many of all the others each has to know.
SIDE = 5
KNOWN = 8


class TestDiscoveryGo(DiscoveryRules):
    kind = "go"

    def expect_told(self, boot: Program, *nodes: p2p.Node) -> None:
        # Of a table in which some have answered a check, it tells only those that have.
        ids = {node.id.hex() for node in nodes}

        def checked() -> set[str]:
            table = boot.ask("table", "table")["nodes"]
            return {entry["peer"] for entry in table if entry["live"]}

        wait_until(lambda: ids <= checked())

    @pytest.mark.usefixtures("patient")
    def test_pong_tells_the_sequence_of_the_record_each_way(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        assert ours.udp.ping(theirs.node) == theirs.ask("self", "self")["seq"]
        assert theirs.ask("ping", "pong", enode=ours.url)["seq"] == ours.local.seq

    @pytest.mark.usefixtures("patient")
    @pytest.mark.parametrize("host", ["0.0.0.0", "::"])
    def test_they_ping_us_at_our_second_address(
        self, start_program: StartProgram, start_discovery: StartDiscovery, host: str
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery(host=host)
        enode = ours.node.with_ip("127.0.0.2").url
        assert theirs.ask("ping", "pong", enode=enode)["peer"] == ours.node.id.hex()

    def test_their_lookup_finds_the_node_whose_key_is_asked_for(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_discovery()
        others = [start_discovery(boot.url) for _ in range(3)]
        boot.expect_added(*(other.node for other in others))
        theirs = start_program(bootnodes=[boot.url])
        for other in others:
            key = other.node.public_key.to_bytes().hex()
            assert theirs.ask("lookup", "found", key=key)["nodes"][0] == other.node.id.hex()

    # records

    def test_we_get_their_record_from_themselves(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        assert str(ours.udp.request_enr(theirs.node)) == theirs.ask("self", "self")["record"]

    def test_they_get_our_record_from_ourselves(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        ours.local.set("eth", [[b"\x01\x02\x03\x04", 7]])
        answer = theirs.ask("request_enr", "record", enode=ours.url)
        assert answer["record"] == str(ours.node)

    def test_we_get_their_record_anew_when_it_has_changed(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        before = ours.udp.request_enr(theirs.node)
        theirs.ask("set_entry", "self", key="test", value="changed")
        after = ours.udp.resolve(before)
        assert after.seq > before.seq
        assert after.record is not None
        assert after.record.get("test", str) == "changed"

    def test_they_get_our_record_anew_when_it_has_changed(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        before = theirs.ask("request_enr", "record", enode=ours.url)
        ours.local.set("test", "changed")
        after = theirs.ask("resolve", "resolved", enode=before["record"])
        assert after["seq"] > before["seq"]
        assert after["record"] == str(ours.node)

    def test_our_resolve_finds_the_record_of_a_node_whose_address_is_unknown(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_program(bootnodes=())
        other = start_program(bootnodes=[boot.enode])
        self.expect_told(boot, other.node)
        ours = start_discovery(boot.enode)
        found = ours.udp.resolve(other.node.with_endpoint(None, 0, 0))
        assert str(found) == other.ask("self", "self")["record"]

    def test_their_resolve_finds_the_record_of_a_node_whose_address_is_unknown(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_discovery()
        other = start_discovery(boot.url)
        boot.expect_added(other.node)
        theirs = start_program(bootnodes=[boot.url])
        unknown = other.node.with_endpoint(None, 0, 0).url
        assert theirs.ask("resolve", "resolved", enode=unknown)["record"] == str(other.node)

    def test_they_fetch_our_record_when_our_pong_tells_of_one(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        ours = start_discovery()
        theirs = start_program(bootnodes=[ours.url])
        updated = theirs.expect("node_updated", peer=ours.node.id.hex())
        assert updated["record"] == str(ours.node)

    def test_we_fetch_their_record_when_their_pong_tells_of_one(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs = start_program(bootnodes=())
        ours = start_discovery(theirs.enode)
        wait_until(lambda: any(node.record for node in ours.udp.nodes()))
        assert [str(node) for node in ours.udp.nodes()] == [theirs.ask("self", "self")["record"]]

    # a node that has no proof of us any more, and is silent

    def test_we_get_the_record_of_a_node_that_has_forgotten_us(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        ours.believe_bonded(theirs.node)
        assert str(ours.udp.request_enr(theirs.node)) == theirs.ask("self", "self")["record"]

    def test_our_lookup_is_answered_by_a_node_that_has_forgotten_us(
        self, start_program: StartProgram
    ) -> None:
        theirs = start_program(bootnodes=())
        ours = OurDiscovery([theirs.enode])
        ours.believe_bonded(theirs.node)
        with ours:
            assert [node.id for node in ours.udp.lookup(random_target())] == [theirs.node.id]

    def test_we_resolve_no_node_that_is_gone(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs = start_program(bootnodes=())
        ours = start_discovery(theirs.enode)
        node = ours.expect_added(theirs.node)[theirs.node.id]
        theirs.stop()
        with pytest.raises(p2p.errors.NodeNotFound):
            ours.udp.resolve(node)

    # a network

    def test_mixed_network_converges_and_our_servers_dial_into_it(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        boot = start_program(bootnodes=())
        ours = [start_server(bootnodes=[boot.enode]) for _ in range(SIDE)]
        theirs = [start_program(bootnodes=[boot.enode]) for _ in range(SIDE - 1)]
        expect_convergence(ours, [boot, *theirs])
        wait_until(lambda: all(fills_its_slots(node.server) for node in ours))
        dialed = {peer.id for node in ours for peer in node.server.peers if not peer.inbound}
        assert dialed & {program.node.id for program in theirs}

    def test_mixed_network_converges_and_they_dial_all_our_servers(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        boot = start_server(bootnodes=(), no_dial=True)
        theirs = [start_program(bootnodes=[boot.url], dial=True) for _ in range(SIDE)]
        ours = [start_server(bootnodes=[boot.url], no_dial=True) for _ in range(SIDE - 1)]
        ours.append(boot)
        expect_convergence(ours, theirs)
        wait_until(lambda: all(node.server.peer_count == SIDE for node in ours))


def expect_convergence(ours: list[OurNode], theirs: list[Program]) -> None:
    """Have all nodes look about until each knows KNOWN of the others."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        for program in theirs:
            program.do("lookup", key=random_target().hex())
        for node in ours:
            node.discovery.lookup(random_target())
        for program in theirs:
            program.expect("found")
        known = [len(program.ask("table", "table")["nodes"]) for program in theirs]
        known += [len(node.discovery.nodes()) for node in ours]
        if min(known) >= KNOWN:
            return
        assert time.monotonic() < deadline, f"so many are known: {known}"


def random_target() -> bytes:
    """go-ethereum's lookups want a key on the curve, not just any bytes."""
    return p2p.generate_key().public_key.to_bytes()


def fills_its_slots(server: p2p.Server) -> bool:
    """Whether it has found and dialed enough; of dials at the same time it may keep more."""
    dialed = [peer for peer in server.peers if not peer.inbound]
    return len(dialed) >= server.max_dialed_conns
