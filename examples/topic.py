"""A topic: three nodes of a protocol find each other on a network of others, without a bootnode.

    $ python examples/topic.py
    20 nodes of another protocol are on the network
    ann, bob and carl join it; none knows another of the three
    ann and bob have met
    ann and carl have met
    bob and carl have met
    ... ads for "garden of example.org" are at nodes of the network

Their own protocol, "garden", has no bootnode. Each of the three knows a node of the other protocol,
and that is all. It advertises the topic at some nodes of the network, which it finds by discovery
v5, and asks such nodes for others that have advertised it; so the network keeps the ads, and the
three dial what they find (docs/howto/topics.md). It takes some ten seconds: a node gives and takes
ads when it has seen that its neighbors answer.

Each node is a real server, all in this one process.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

import p2p

OTHERS = 20
TOPIC = "garden of example.org"
PATIENCE_S = 120.0


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """Stay connected, and send nothing."""
    for _ in rw:
        pass


def new_server(
    name: str, protocol: p2p.Protocol, known: list[p2p.Node], no_dial: bool = False
) -> p2p.Server:
    return p2p.Server(
        private_key=p2p.generate_key(),
        name=name,
        max_peers=10,
        listen_addr="127.0.0.1:0",
        protocols=[protocol],
        bootstrap_nodes=known,
        discovery_v4=False,
        discovery_topics=True,  # of the others, too: they keep the ads
        no_dial=no_dial,
    )


def wait_for_peers(server: p2p.Server, names: set[str], deadline: float) -> None:
    """Wait until a server has these peers."""
    with server.subscribe_events() as events:
        while not names <= {peer.name for peer in server.peers}:
            events.get(timeout=max(0.0, deadline - time.monotonic()))


def main() -> None:
    other = p2p.Protocol(name="other", version=1, length=1, run=stay)
    # Without dial_candidates it would dial all nodes of the network, in turn with the topic's.
    garden = p2p.Protocol("garden", 1, 1, run=stay, topic=TOPIC, dial_candidates=())
    with ExitStack() as running:
        others: list[p2p.Server] = []
        for number in range(OTHERS):
            known = [server.self for server in others[:1]]
            others.append(new_server(f"other {number}", other, known, no_dial=True))
            running.enter_context(others[-1])
        print(f"{OTHERS} nodes of another protocol are on the network", flush=True)

        three = [
            running.enter_context(new_server(name, garden, [others[number].self]))
            for number, name in enumerate(["ann", "bob", "carl"])
        ]
        ann, bob, carl = three
        print("ann, bob and carl join it; none knows another of the three", flush=True)
        deadline = time.monotonic() + PATIENCE_S
        for one, two in ((ann, bob), (ann, carl), (bob, carl)):
            wait_for_peers(one, {two.config.name}, deadline)
            print(f"{one.config.name} and {two.config.name} have met", flush=True)
        ads = 0
        for server in others:
            assert server.discovery_v5 is not None
            ads += server.discovery_v5.counters().topics["admitted"]
        print(f'{ads} ads for "{TOPIC}" are at nodes of the network')


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass  # all nodes have stopped by now
