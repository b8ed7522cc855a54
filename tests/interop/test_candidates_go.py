"""A server of ours dials those go-ethereum nodes whose record is of its chain, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import p2p
from p2p.dial.candidatefilter import REFUSED
from p2p.eth import Chain, eth_entry, fork_id_of
from p2p.networks import Network
from p2p.rlp import encode
from tests.kit.candidates import naming, refused
from tests.kit.waiting import eventually

from .program import Program, StartProgram

CHAIN = Chain(b"\x01" * 32, fork_times=(1_700_000_000, 1_750_000_000))
FOREIGN = Chain(b"\x02" * 32)
#: Nodes of ours that have passed none, one and all of the forks.
HEADS = (0, 1_700_000_000, 1_750_000_000)


@pytest.fixture
def servers() -> Iterator[list[p2p.Server]]:
    servers: list[p2p.Server] = []
    yield servers
    for server in servers:
        server.stop()


class TestCandidatesGo:
    kind = "go"

    def start(self, start_program: StartProgram, boot: str, chain: Chain, head: int) -> Program:
        """A node of theirs that states its chain, and dials nobody."""
        program = start_program("test/1/8", bootnodes=[boot])
        entry = eth_entry(chain.fork_id(0, head)).hex()
        program.ask("set_entry", "self", key="eth", raw=entry)
        return program

    def test_only_nodes_of_the_own_chain_are_dialed(
        self, start_program: StartProgram, servers: list[p2p.Server]
    ) -> None:
        boot = start_program("test/1/8", bootnodes=())
        ours = [self.start(start_program, boot.enode, CHAIN, head) for head in HEADS]
        theirs = [self.start(start_program, boot.enode, FOREIGN, 0) for _ in range(2)]
        # a boot node states no chain
        network = Network("own", 1337, CHAIN, [boot.enode])
        here = p2p.Server(
            private_key=p2p.generate_key(), name="here", max_peers=30, listen_addr="127.0.0.1:0",
            protocols=[naming(None)], network=network, discovery_v5=False,
        )  # fmt: skip
        servers.append(here)
        here.start()
        eventually(lambda: {peer.id for peer in here.peers} == {node.node.id for node in ours})
        assert here.discovery_v4 is not None
        known = here.discovery_v4.nodes
        eventually(lambda: {n.id for n in known()} >= {node.node.id for node in theirs})
        eventually(lambda: refused(here).get(REFUSED, 0) >= 3)
        for node in (boot, *theirs):
            assert here.dial_attempts(node.node) == []

    def test_entry_of_a_network_is_read_by_go(
        self, start_program: StartProgram, servers: list[p2p.Server]
    ) -> None:
        here = p2p.Server(
            private_key=p2p.generate_key(), name="here", max_peers=0, listen_addr="127.0.0.1:0",
            network=Network("own", 1337, CHAIN),
        )  # fmt: skip
        servers.append(here)
        here.start()
        theirs = start_program("test/1/8", bootnodes=())
        found = theirs.ask("request_enr", "record", enode=here.self.url)
        assert fork_id_of(p2p.parse_node(found["record"])) == CHAIN.fork_id(0, HEADS[-1])
        entries = theirs.ask("parse_node", "parsed", node=found["record"])["entries"]
        fork_id = CHAIN.fork_id(0, HEADS[-1])
        assert entries[b"eth".hex()] == encode([[fork_id.hash, fork_id.next]]).hex()
