"""A toy blockchain: blocks go from node to node, the longest chain wins, a split network heals.

    $ python examples/blockchain.py
    6 nodes in a ring
    node 0 mines 3 blocks
      nodes 0 1 2 3 4 5: height 3, head 00041fe50320
    the network is split
    node 1 mines 2 blocks
    node 4 mines 4 blocks
      nodes 0 1 2: height 5, head 0006b3cc0063
      nodes 3 4 5: height 7, head 00044adbaa31
    the network heals
      nodes 0 1 2 3 4 5: height 7, head 00044adbaa31
    the chain was mined by nodes 0 0 0 4 4 4 4
    2 blocks of node 1 are no part of it any more

Each node is a real server, all in this one process. A block names its parent by hash, and its own
hash must begin with some zeros, which takes work to find. A node sends its head to each new peer,
and a new head to all peers. If the parent of a block is unknown it asks the sender for that, and so
on back to a block that it has: so both halves learn the other's chain, and take the longer one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import p2p

BLOCK, GET = range(2)  # the messages: a block, and the hash of one that is wanted
ZEROS = 12  # bits of a hash, hence some 4,000 attempts for a block
MAX_WAITING = 100  # blocks without a parent; a peer must not fill the memory
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Block:
    parent: bytes
    miner: int
    text: str
    nonce: int

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(p2p.rlp.encode(self)).digest()

    @property
    def has_work(self) -> bool:
        return int.from_bytes(self.hash, "big") >> (256 - ZEROS) == 0


GENESIS = Block(bytes(32), 0, "genesis", 0)  # the only one that needs no work


class Chain:
    """The blocks that a node has, as a tree, and its head. Not for several threads at once."""

    def __init__(self) -> None:
        self.blocks = {GENESIS.hash: GENESIS}
        self.heights = {GENESIS.hash: 0}
        self.head = GENESIS
        self._waiting: list[Block] = []  # for their parents, which are not here yet

    @property
    def height(self) -> int:
        return self.heights[self.head.hash]

    def add(self, block: Block) -> bytes | None:
        """Add a block; the longest chain wins. Returns the parent's hash if that is not here."""
        if block.hash in self.blocks or not block.has_work:
            return None
        if block.parent not in self.blocks:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(block)
            return block.parent
        self.blocks[block.hash] = block
        self.heights[block.hash] = self.heights[block.parent] + 1
        if self.heights[block.hash] > self.height:
            self.head = block
        for child in [one for one in self._waiting if one.parent == block.hash]:
            self._waiting.remove(child)
            self.add(child)
        return None

    def main(self) -> list[Block]:
        """Return the longest chain, without the genesis block."""
        found, block = [], self.head
        while block != GENESIS:
            found.append(block)
            block = self.blocks[block.parent]
        return found[::-1]


class Node:
    """A server with a chain. Its handlers run in a thread for each peer."""

    changed = threading.Condition()  # of all nodes; guards their chains and peers

    def __init__(self, number: int) -> None:
        self.number = number
        self.chain = Chain()
        self.peers: dict[p2p.Peer, p2p.MsgReadWriter] = {}
        self.server = p2p.Server(
            private_key=p2p.generate_key(), name=f"node {number}", max_peers=10,
            listen_addr="127.0.0.1:0", no_discovery=True,
            protocols=[p2p.Protocol(name="toychain", version=1, length=2, run=self.handle)],
        )  # fmt: skip

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Exchange blocks with a peer until it leaves."""
        with self.changed:
            self.peers[peer] = rw
            head = self.chain.head
            self.changed.notify_all()
        try:
            rw.send(BLOCK, head)
            for msg in rw:
                if msg.code == BLOCK:
                    wanted = self.receive(msg.decode(Block), rw)
                    if wanted is not None:
                        rw.send(GET, wanted)
                else:
                    with self.changed:
                        block = self.chain.blocks.get(msg.decode(bytes), self.chain.head)
                    rw.send(BLOCK, block)
        finally:
            with self.changed:
                del self.peers[peer]
                self.changed.notify_all()

    def receive(self, block: Block, source: p2p.MsgReadWriter | None = None) -> bytes | None:
        """Take a block, and pass a new head on. Returns the hash to ask for, if any."""
        with self.changed:
            before = self.chain.head
            wanted = self.chain.add(block)
            head = self.chain.head
            others = [rw for rw in self.peers.values() if rw is not source and head != before]
            self.changed.notify_all()
        for rw in others:  # not under the lock: a send waits while the peer is slow to read
            with suppress(p2p.PeerDisconnected):
                rw.send(BLOCK, head)
        return wanted

    def mine(self, count: int) -> None:
        """Mine blocks, one on the other."""
        print(f"node {self.number} mines {count} blocks", flush=True)
        for _ in range(count):
            nonce, parent, text = 0, self.chain.head.hash, f"block {self.chain.height + 1}"
            while not (block := Block(parent, self.number, text, nonce)).has_work:
                nonce += 1
            self.receive(block)


def wait_until(condition: Callable[[], bool]) -> None:
    with Node.changed:
        if not Node.changed.wait_for(condition, PATIENCE_S):
            raise SystemExit("the nodes do not agree")


def connect(nodes: list[Node], pairs: list[tuple[int, int]]) -> None:
    for one, other in pairs:
        nodes[one].server.connect(nodes[other].server.self)


def split(nodes: list[Node], pairs: list[tuple[int, int]]) -> None:
    """End the connections between some nodes."""
    ends = [(nodes[one], nodes[other]) for pair in pairs for one, other in (pair, pair[::-1])]
    peers = [
        peer
        for node, other in ends
        for peer in node.server.peers
        if peer.id == other.server.self.id
    ]
    for peer in peers:
        peer.disconnect()
    for peer in peers:
        peer.wait_closed(PATIENCE_S)


def show(nodes: list[Node]) -> None:
    """Wait until nodes have the same head as the last one that has mined, and print it."""
    highest = max(nodes, key=lambda node: node.chain.height).chain.head
    wait_until(lambda: all(node.chain.head == highest for node in nodes))
    numbers = " ".join(str(node.number) for node in nodes)
    height = nodes[0].chain.height
    print(f"  nodes {numbers}: height {height}, head {highest.hash.hex()[:12]}", flush=True)


def main() -> None:
    nodes = [Node(number) for number in range(6)]
    ring = [(number, (number + 1) % 6) for number in range(6)]
    cut = [(2, 3), (5, 0)]
    with ExitStack() as running:
        for node in nodes:
            running.enter_context(node.server)
        connect(nodes, ring)
        print(f"{len(nodes)} nodes in a ring")
        nodes[0].mine(3)
        show(nodes)

        print("the network is split")
        split(nodes, cut)
        nodes[1].mine(2)
        nodes[4].mine(4)
        show(nodes[:3])
        show(nodes[3:])

        print("the network heals")
        connect(nodes, cut)
        show(nodes)
    chain = nodes[0].chain
    print("the chain was mined by nodes", *(block.miner for block in chain.main()))
    left_out = chain.blocks.keys() - {block.hash for block in [GENESIS, *chain.main()]}
    print(f"{len(left_out)} blocks of node 1 are no part of it any more")


if __name__ == "__main__":
    main()
