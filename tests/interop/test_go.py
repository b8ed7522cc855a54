"""The library against go-ethereum's p2p package."""

from __future__ import annotations

import pytest

import p2p

from .ours import StartServer
from .program import StartProgram
from .rules import Rules, both_dial, connect


class TestGo(Rules):
    kind = "go"
    # Its reads time out after 30 s without a ping or pong of ours.
    idle_s = 33.0

    @both_dial
    def test_node_without_protocols_is_told_that_it_is_useless(
        self, dialer: str, start_program: StartProgram, start_server: StartServer
    ) -> None:
        # Without protocols go-ethereum accepts any peer, so the refusal must come from us.
        theirs = start_program("")
        ours = start_server()
        if dialer == "we":
            with pytest.raises(p2p.errors.NoSharedCapability):
                connect("we", ours, theirs)
        else:
            connect("they", ours, theirs)
        dropped = theirs.expect("peer_dropped")
        assert (dropped.get("reason"), dropped["by_remote"]) == (p2p.DiscReason.USELESS_PEER, True)

    def test_refusal_before_hello_has_its_reason(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        theirs = start_program(max_peers=0)
        with pytest.raises(p2p.errors.RefusedByPeer) as refusal:
            connect("we", start_server(), theirs)
        assert refusal.value.reason == p2p.DiscReason.TOO_MANY_PEERS
