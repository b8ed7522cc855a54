"""What must hold of discovery with every other implementation.

A test module derives a class from :class:`DiscoveryRules` and names the kind of program to talk to.
In each test all nodes are new, know nobody but their bootnodes, and do not dial unless it is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import p2p

from .discovery import StartDiscovery
from .ours import StartServer
from .program import DEADLINE_S, Program, StartProgram

POLL_S = 0.05


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something of which no event tells."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(POLL_S)


def expect_added(program: Program, *nodes: p2p.Node) -> None:
    """Wait until the program has all ``nodes`` in its table, each with its address and ports."""
    for node in nodes:
        added = program.expect("node_added", peer=node.id.hex())
        assert p2p.parse_node(added["enode"]).url == node.url


class DiscoveryRules:
    """The tests; ``kind`` names the program."""

    kind: str

    def expect_told(self, boot: Program, *nodes: p2p.Node) -> None:
        """Wait until the program tells all ``nodes`` to whoever asks it."""
        expect_added(boot, *nodes)

    # ping

    @pytest.mark.usefixtures("patient")
    def test_our_ping_is_answered(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        ours.udp.ping(theirs.node)
        assert not ours.udp.counters().timeouts

    def test_their_ping_is_answered(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        assert theirs.ask("ping", "pong", enode=ours.url)["peer"] == ours.node.id.hex()

    def test_our_ping_to_a_node_with_another_key_is_not_answered(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        theirs, ours = start_program(bootnodes=()), start_discovery()
        key = p2p.generate_key().public_key
        other = p2p.Node.from_parts(key, theirs.node.ip, theirs.node.tcp, theirs.node.udp)
        with pytest.raises(p2p.errors.NoResponse):
            ours.udp.ping(other)

    # who asks is known

    def test_their_bootnode_knows_us_when_we_have_asked_it(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_program(bootnodes=())
        ours = start_discovery(boot.enode)
        expect_added(boot, ours.node)
        assert ours.expect_added(boot.node)[boot.node.id].url == boot.enode

    def test_our_bootnode_knows_them_when_they_have_asked_it(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_discovery()
        theirs = start_program(bootnodes=[boot.url])
        assert boot.expect_added(theirs.node)[theirs.node.id].url == theirs.enode
        expect_added(theirs, boot.node)

    # who is looked for is found

    def test_we_find_a_node_of_theirs_through_their_bootnode(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_program(bootnodes=())
        other = start_program(bootnodes=[boot.enode])
        self.expect_told(boot, other.node)
        ours = start_discovery(boot.enode)
        assert ours.expect_added(other.node)[other.node.id].url == other.enode

    def test_they_find_a_node_of_ours_through_our_bootnode(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_discovery()
        other = start_discovery(boot.url)
        boot.expect_added(other.node)
        theirs = start_program(bootnodes=[boot.url])
        expect_added(theirs, other.node)

    def test_two_of_ours_find_each_other_through_their_bootnode(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_program(bootnodes=())
        first = start_discovery(boot.enode)
        self.expect_told(boot, first.node)
        second = start_discovery(boot.enode)
        second.expect_added(first.node)
        first.expect_added(second.node)

    def test_two_of_theirs_find_each_other_through_our_bootnode(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_discovery()
        first = start_program(bootnodes=[boot.url])
        boot.expect_added(first.node)
        second = start_program(bootnodes=[boot.url])
        expect_added(second, first.node)
        expect_added(first, second.node)

    def test_our_lookup_finds_the_node_whose_key_is_asked_for(
        self, start_program: StartProgram, start_discovery: StartDiscovery
    ) -> None:
        boot = start_program(bootnodes=())
        others = [start_program(bootnodes=[boot.enode]) for _ in range(3)]
        self.expect_told(boot, *(other.node for other in others))
        ours = start_discovery(boot.enode)
        for other in others:
            nearest = ours.udp.lookup(other.node.public_key)[0]
            assert nearest.url == other.enode

    # who is found is dialed

    def test_our_server_dials_a_node_of_theirs_that_it_was_never_told_of(
        self,
        start_program: StartProgram,
        start_server: StartServer,
        start_discovery: StartDiscovery,
    ) -> None:
        boot = start_discovery()
        theirs = start_program(bootnodes=[boot.url])
        boot.expect_added(theirs.node)
        ours = start_server(bootnodes=[boot.url])
        peer = ours.session("foo/1").peer
        assert (peer.id, peer.inbound) == (theirs.node.id, False)
        assert theirs.expect("peer_added")["inbound"]

    def test_they_dial_a_server_of_ours_that_they_were_never_told_of(
        self,
        start_program: StartProgram,
        start_server: StartServer,
        start_discovery: StartDiscovery,
    ) -> None:
        boot = start_discovery()
        ours = start_server(bootnodes=[boot.url], no_dial=True)
        boot.expect_added(ours.server.self)
        theirs = start_program(bootnodes=[boot.url], dial=True)
        peer = ours.session("foo/1").peer
        assert (peer.id, peer.inbound) == (theirs.node.id, True)
        assert not theirs.expect("peer_added")["inbound"]
