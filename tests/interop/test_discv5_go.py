"""Discovery v5 of the library against go-ethereum's."""

from __future__ import annotations

from .discovery import StartDiscoveryV5
from .discovery_rules import wait_until
from .discovery_rules_v5 import DiscoveryRulesV5
from .ours import StartServer
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

        def is_resolved() -> bool:
            found = theirs.ask("resolve", "resolved", enode=unknown)
            return bool(found["record"] == str(other.node))

        wait_until(is_resolved)

    def test_our_resolve_finds_their_record(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot, other = start_v5(), start_v5()
        boot.ask("add_nodes", "table", nodes=[other.record])
        ours = start_ours(boot.record)
        assert ours.udp.resolve(other.node.with_endpoint(None, 0, 0)) == other.node

    def test_our_server_dials_a_node_of_theirs_that_it_was_never_told_of(
        self, start_v5: StartProgramV5, start_server: StartServer, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_ours()
        theirs = start_v5(bootnodes=[str(boot.node)], protocols="foo/1/5")
        boot.expect_added(theirs.node)
        ours = start_server(bootnodes=[str(boot.node)], discovery_v4=False)
        peer = ours.session("foo/1").peer
        assert (peer.id, peer.inbound) == (theirs.node.id, False)

    def test_they_dial_a_server_of_ours_that_they_were_never_told_of(
        self, start_v5: StartProgramV5, start_server: StartServer, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_ours()
        ours = start_server(bootnodes=[str(boot.node)], discovery_v4=False, no_dial=True)
        boot.expect_added(ours.server.self)
        theirs = start_v5(bootnodes=[str(boot.node)], protocols="foo/1/5", dial=True)
        peer = ours.session("foo/1").peer
        assert (peer.id, peer.inbound) == (theirs.node.id, True)
