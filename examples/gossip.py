"""Gossip: a rumour goes from node to node, and each passes it on once.

    $ python examples/gossip.py
    50 nodes, 100 connections
    hop 0: node 0
    hop 1: node ...
    hop 2: node ...
    hop 3: node ...
    ...
    all 50 nodes know that tea is ready
    151 messages, 102 of them duplicates, not passed on
    drawn in gossip.svg

Each node is a real server, all in this one process. They form a ring with random chords. A node
that gets a rumour for the first time sends it to all its other peers; one that it has seen before
is a duplicate, and ends there. So each connection carries it once or twice, however many nodes
there are. Which way it takes differs from run to run.

The picture has the nodes around the first one, each at its distance in hops; a thick line is the
way by which a node has heard of the rumour first.
"""

from __future__ import annotations

import argparse
import math
import random
import threading
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import p2p

NODES, CHORDS = 50, 50
PATIENCE_S = 60.0
RUMOUR = 0  # the only message: [id, hops, text]
COLORS = "#b2182b", "#ef8a62", "#d9a21b", "#4dac26", "#2166ac", "#762a83", "#444444"


class Town:
    """Counts for all nodes, for the end of the program to wait for."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        # guarded by changed
        self.messages = self.duplicates = self.peers = 0
        self.heard: dict[int, tuple[int, int]] = {}  # by node: hops, and who told it

    def wait_for(self, name: str, number: int) -> None:
        """Wait until a count has reached a number."""
        with self.changed:
            if not self.changed.wait_for(lambda: getattr(self, name) >= number, PATIENCE_S):
                raise SystemExit(f"{getattr(self, name)} {name} in place of {number}")


class Gossip:
    """One node. Its handlers run in a thread for each peer."""

    def __init__(self, number: int, town: Town) -> None:
        self.number = number
        self.server = p2p.Server(
            private_key=p2p.generate_key(), name=str(number), max_peers=NODES,
            listen_addr="127.0.0.1:0", no_discovery=True,
            protocols=[p2p.Protocol(name="gossip", version=1, length=1, run=self.handle)],
        )  # fmt: skip
        self._town = town
        self._lock = threading.Lock()
        # guarded by _lock
        self._seen: set[int] = set()
        self._peers: dict[p2p.Peer, p2p.MsgReadWriter] = {}

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Take rumours from a peer until it leaves."""
        with self._lock:
            self._peers[peer] = rw
        with self._town.changed:
            self._town.peers += 1
            self._town.changed.notify_all()
        try:
            for msg in rw:
                rumour, hops, text = msg.decode(tuple[int, int, str])
                self.hear(rumour, hops, text, peer)
        finally:
            with self._lock:
                del self._peers[peer]

    def hear(self, rumour: int, hops: int, text: str, source: p2p.Peer | None = None) -> None:
        """Pass a rumour on, unless it is a duplicate."""
        with self._lock:
            is_new = rumour not in self._seen
            self._seen.add(rumour)
            others = [rw for peer, rw in self._peers.items() if peer is not source]
        with self._town.changed:
            if source is not None:
                self._town.messages += 1
            if is_new:
                told_by = self.number if source is None else int(source.name)
                self._town.heard[self.number] = hops, told_by
            else:
                self._town.duplicates += 1
            self._town.changed.notify_all()
        for rw in others if is_new else ():  # not under the lock: a send waits for a slow peer
            rw.send_items(RUMOUR, rumour, hops + 1, text)


def edges_of(nodes: int, chords: int) -> set[tuple[int, int]]:
    """Return pairs of nodes: a ring, and some chords."""
    chance = random.Random(1)
    edges = {(number, (number + 1) % nodes) for number in range(nodes)}
    while len(edges) < nodes + chords:
        one, other = chance.sample(range(nodes), 2)
        if (other, one) not in edges:
            edges.add((one, other))
    return edges


def places(heard: dict[int, tuple[int, int]]) -> dict[int, tuple[float, float]]:
    """Return x and y of each node: circles by hops, and a node beside the one that has told it."""
    told = defaultdict(list)
    for node, (_, told_by) in heard.items():
        if node != told_by:
            told[told_by].append(node)
    turns: dict[int, float] = {}
    ends = 0

    def turn(node: int) -> float:
        nonlocal ends
        turns_of_told = [turn(other) for other in told[node]]
        if not turns_of_told:
            ends += 1
        turns[node] = sum(turns_of_told) / len(turns_of_told) if turns_of_told else float(ends)
        return turns[node]

    turn(next(node for node, (hops, _) in heard.items() if hops == 0))
    radius = 370 / max(hops for hops, _ in heard.values())
    found = {}
    for node, (hops, _) in heard.items():
        angle = 2 * math.pi * turns[node] / ends
        found[node] = 400 + hops * radius * math.cos(angle), 400 + hops * radius * math.sin(angle)
    return found


def draw(edges: set[tuple[int, int]], heard: dict[int, tuple[int, int]]) -> str:
    """Return an SVG picture of the nodes, their connections and the way of the rumour."""
    place = places(heard)

    def line(one: int, other: int, style: str) -> str:
        (x1, y1), (x2, y2) = place[one], place[other]
        return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" {style}/>'

    parts = [line(one, other, 'stroke="#ccc"') for one, other in sorted(edges)]
    for node, (hops, told_by) in heard.items():
        color = COLORS[hops % len(COLORS)]
        parts.append(line(told_by, node, f'stroke="{color}" stroke-width="3"'))
    for node, (x, y) in place.items():
        hops, told_by = heard[node]
        parts.append(
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="14" fill="{COLORS[hops % len(COLORS)]}">'
            f"<title>node {node}, hop {hops}, told by node {told_by}</title></circle>"
            f'<text x="{x:.0f}" y="{y + 4:.0f}">{node}</text>'
        )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 800" font-family="sans-serif" '
        'font-size="12" text-anchor="middle">\n<rect width="800" height="800" fill="white"/>\n'
        + "\n".join(parts).replace("<text", '<text fill="white"')
        + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="A rumour among nodes.")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--chords", type=int, default=CHORDS, help="random connections")
    parser.add_argument("--svg", type=Path, default=Path("gossip.svg"), help="the picture's file")
    args = parser.parse_args()
    if not 3 <= args.nodes or not 0 <= args.chords <= args.nodes * (args.nodes - 3) // 2:
        parser.error("wanted at least 3 nodes, and no more chords than fit")

    town, edges = Town(), edges_of(args.nodes, args.chords)
    nodes = [Gossip(number, town) for number in range(args.nodes)]
    with ExitStack() as running:
        for node in nodes:
            running.enter_context(node.server)
        for one, other in edges:
            nodes[one].server.connect(nodes[other].server.self)
        town.wait_for("peers", 2 * len(edges))
        print(f"{len(nodes)} nodes, {len(edges)} connections", flush=True)

        nodes[0].hear(1, 0, "tea is ready")
        town.wait_for("messages", 2 * len(edges) - len(nodes) + 1)
    for hops in range(max(hops for hops, _ in town.heard.values()) + 1):
        names = sorted(node for node, heard in town.heard.items() if heard[0] == hops)
        print(f"hop {hops}: node {', '.join(map(str, names))}")
    print(f"all {len(town.heard)} nodes know that tea is ready")
    print(f"{town.messages} messages, {town.duplicates} of them duplicates, not passed on")
    args.svg.write_text(draw(edges, town.heard), encoding="utf-8")
    print(f"drawn in {args.svg}")


if __name__ == "__main__":
    main()
