"""Discovery of the library against that of @ethereumjs/devp2p, its DPT."""

from __future__ import annotations

import pytest

import p2p

from .discovery import StartDiscovery
from .discovery_rules import DiscoveryRules
from .program import StartProgram


class TestDiscoveryNode(DiscoveryRules):
    kind = "node"

    @pytest.mark.usefixtures("patient")
    def test_our_ping_is_answered_without_a_record_sequence(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs = start_program(bootnodes=())
        assert start_discovery().udp.ping(theirs.node) is None

    def test_record_is_not_to_be_had(
        self,
        start_program: StartProgram,
        start_discovery: StartDiscovery,
        request: pytest.FixtureRequest,
    ) -> None:
        # It does not know the ENR request of EIP-868, and says nothing.
        theirs, ours = start_program(bootnodes=()), start_discovery()
        with pytest.raises(p2p.errors.NoResponse):
            ours.udp.request_enr(theirs.node)
        request.getfixturevalue("patient")
        ours.udp.ping(theirs.node)
