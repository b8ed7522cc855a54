"""Twenty nodes that know one node and find the others.

    $ python examples/bootstrap.py
    20 nodes, bootnode ...
    every node has found at least 5 others
    node 19 has its first peer: node ...
    table of ...: ... nodes in ... of 17 buckets
    distance 256: ... nodes
      ...  127.0.0.1:...        alive   ... checks  since ...
    ...

Each node is a real server on a port of its own, all in this one process. Each gets only the URL of
the first node, the bootnode. They ask it for neighbors, then ask the neighbors for theirs
(docs/explanation/discovery.md), and dial the nodes that they find until their slots are filled. At
the end the last node prints its table: the nodes it knows, by distance, and whether they answer.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack

import p2p

NODES = 20
ENOUGH = 5
PATIENCE_S = 120.0


def hello(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """Stay connected, and send nothing."""
    for _ in rw:
        pass


def new_server(number: int, bootnodes: list[p2p.Node]) -> p2p.Server:
    return p2p.Server(
        private_key=p2p.generate_key(),
        name=f"node {number}",
        max_peers=8,
        listen_addr="127.0.0.1:0",
        bootstrap_nodes=bootnodes,
        protocols=[p2p.Protocol(name="hello", version=1, length=1, run=hello)],
    )


def wait_for_neighbors(server: p2p.Server, deadline: float) -> None:
    """Return when the server's table has enough nodes."""
    assert server.discovery_v4 is not None
    with server.discovery_v4.subscribe_events() as changes:
        while len(server.discovery_v4.nodes()) < ENOUGH:
            changes.get(timeout=max(0.0, deadline - time.monotonic()))


def wait_for_peer(server: p2p.Server, deadline: float) -> p2p.Peer:
    """Return the server's first peer."""
    with server.subscribe_events() as events:
        while not server.peers:
            events.get(timeout=max(0.0, deadline - time.monotonic()))
    return server.peers[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Nodes that find each other.")
    parser.add_argument("--nodes", type=int, default=NODES)
    arguments = parser.parse_args()

    with ExitStack() as running:
        bootnode = running.enter_context(new_server(0, []))
        servers = [bootnode]
        for number in range(1, arguments.nodes):
            servers.append(running.enter_context(new_server(number, [bootnode.self])))
        print(f"{len(servers)} nodes, bootnode {bootnode.self.url}", flush=True)

        deadline = time.monotonic() + PATIENCE_S
        for server in servers:
            wait_for_neighbors(server, deadline)
        print(f"every node has found at least {ENOUGH} others", flush=True)

        last = servers[-1]
        peer = wait_for_peer(last, deadline)
        print(f"{last.config.name} has its first peer: {peer.name}", flush=True)
        assert last.discovery_v4 is not None
        print(last.discovery_v4.table(), flush=True)


if __name__ == "__main__":
    main()
