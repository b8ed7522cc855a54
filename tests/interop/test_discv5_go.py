"""Discovery v5 of the library against go-ethereum's."""

from __future__ import annotations

from .discovery import StartDiscoveryV5
from .discovery_rules_v5 import DiscoveryRulesV5
from .program import StartProgramV5


class TestDiscv5Go(DiscoveryRulesV5):
    kind = "go"

    def test_their_resolve_finds_our_record(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_ours()
        other = start_ours(str(boot.node))
        boot.expect_added(other.node)
        theirs = start_v5(bootnodes=[str(boot.node)])
        unknown = other.node.with_endpoint(None, 0, 0).url
        assert theirs.ask("resolve", "resolved", enode=unknown)["record"] == str(other.node)

    def test_our_resolve_finds_their_record(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot, other = start_v5(), start_v5()
        boot.ask("add_nodes", "table", nodes=[other.record])
        ours = start_ours(boot.record)
        assert ours.udp.resolve(other.node.with_endpoint(None, 0, 0)) == other.node
