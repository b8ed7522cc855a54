"""A rumour in a laboratory, where a partition stops it for a while.

    $ python examples/lab_rumour.py
    20 nodes, 40 edges
    n10 to n19 are apart, and n0 knows that tea is ready
    10 nodes have heard of it: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9
    the partition has healed
    20 nodes have heard of it, the last one, n..., from n...

Each node is a real server in this process. A node that hears of a rumour for the first time tells
its other peers. The lab joins the nodes in memory, by links that take their time; messages that
meet the partition wait in their connections until it has healed.
"""

from __future__ import annotations

import threading

import p2p
from p2p.lab import Lab, LabEvent, LabNode, Link

NODES = 20
RUMOUR = 0  # the only message: its text


class Gossip:
    """One node of the lab. Its handlers run in a thread for each peer."""

    def __init__(self, node: LabNode) -> None:
        self._node = node
        self._lock = threading.Lock()
        # guarded by _lock
        self._peers: dict[str, p2p.MsgReadWriter] = {}
        self._text = ""

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Take rumours from a peer until it leaves."""
        with self._lock:
            self._peers[peer.fullname] = rw
            text = self._text
        if text:
            rw.send(RUMOUR, text)
        for msg in rw:
            self.hear(msg.decode(str), peer.fullname)

    def hear(self, text: str, source: str) -> None:
        """Pass a rumour on, unless it is known."""
        with self._lock:
            is_new, self._text = not self._text, text
            others = [rw for name, rw in self._peers.items() if name != source]
        if is_new:
            self._node.note("heard", source=source)
            for rw in others:  # not under the lock: a send waits for a slow peer
                rw.send(RUMOUR, text)


def next_heard(events: p2p.Subscription[LabEvent], count: int) -> list[LabEvent]:
    """Return the notes of as many nodes that hear of the rumour."""
    heard: list[LabEvent] = []
    while len(heard) < count:
        event = events.get(timeout=60)
        heard += [event] if event.type == "note" else []
    return heard


def main() -> None:
    gossips: dict[str, Gossip] = {}

    def protocols_of(node: LabNode) -> list[p2p.Protocol]:
        gossips[node.name] = Gossip(node)
        return [p2p.Protocol("rumour", 1, 1, gossips[node.name].handle)]

    link = Link(latency_s=(0.01, 0.05))
    lab = Lab(NODES, topology="small-world", protocols=protocols_of, link=link)
    with lab.subscribe_events() as events, lab:
        print(f"{len(lab)} nodes, {len(lab.edges)} edges", flush=True)
        half = NODES // 2
        lab.partition(lab.nodes[half:])
        print(f"n{half} to n{NODES - 1} are apart, and n0 knows that tea is ready", flush=True)
        gossips["n0"].hear("tea is ready", "")
        heard = next_heard(events, half)
        names = sorted((event.node for event in heard), key=lambda name: lab[name].index)
        print(f"{half} nodes have heard of it: {', '.join(names)}", flush=True)

        lab.heal()
        print("the partition has healed", flush=True)
        last = next_heard(events, NODES - half)[-1]
        source = (last.data or {})["source"]
        print(f"{NODES} nodes have heard of it, the last one, {last.node}, from {source}")


if __name__ == "__main__":
    main()
