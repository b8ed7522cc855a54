"""Discovery of the library against go-ethereum's discovery v4."""

from __future__ import annotations

from .discovery import StartDiscovery
from .discovery_rules import DiscoveryRules, expect_added
from .program import StartProgram


class TestDiscoveryGo(DiscoveryRules):
    kind = "go"

    def test_pong_tells_the_sequence_of_the_record_each_way(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        assert ours.udp.ping(theirs.node) == theirs.ask("self", "self")["seq"]
        assert theirs.ask("ping", "pong", enode=ours.url)["seq"] == ours.local.seq

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
        expect_added(boot, other.node)
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
