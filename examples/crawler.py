"""A crawler in thirty lines: asks each node for the nodes it knows, and those for theirs.

    $ python examples/crawler.py v4 "enode://..."
    127.0.0.1:...  knows ... nodes
    ...
    ... nodes, ... have answered

The first argument is the protocol, v4 or v5. A node names at most 16 others at a time, so each is
asked several times: with v4 for the nodes next to some place, with v5 for those at some distances.
A thousand nodes are enough for a look; be polite to a network that belongs to others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import p2p

THREADS, LIMIT = 16, 1000
DISTANCES = [256], [255], [254], [253], range(252, 236, -1)  # half of all nodes are at 256


def neighbors(discovery: p2p.discover.Discovery, node: p2p.Node) -> set[p2p.Node] | None:
    """Return the nodes that a node knows; None if it does not answer."""
    try:
        if isinstance(discovery, p2p.discover.UDPv5):
            found = [discovery.find_node(node, distances) for distances in DISTANCES]
        else:
            assert isinstance(discovery, p2p.discover.UDPv4)
            found = [discovery.find_node(node, os.urandom(64)) for _ in range(4)]
    except p2p.P2PError:
        return None
    return set().union(*found)


def crawl(
    discovery: p2p.discover.Discovery, start: p2p.Node
) -> Iterator[tuple[p2p.Node, set[p2p.Node] | None]]:
    """Yield each node with its neighbors, as they answer."""
    known = {discovery.self.id, start.id}
    pool = ThreadPoolExecutor(THREADS)
    asked = {pool.submit(neighbors, discovery, start): start}
    try:
        while asked:
            done, _ = wait(asked, return_when=FIRST_COMPLETED)
            for future in done:
                found = future.result()
                yield asked.pop(future), found
                for node in found or ():
                    if node.id not in known and len(known) < LIMIT:
                        known.add(node.id)
                        asked[pool.submit(neighbors, discovery, node)] = node
    finally:
        pool.shutdown(cancel_futures=True)  # after a Ctrl-C, nodes that were not asked yet


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in ("v4", "v5"):
        sys.exit("usage: crawler.py v4|v5 NODE")
    protocol, start = sys.argv[1], p2p.parse_node(sys.argv[2])
    kind = {"v4": p2p.discover.UDPv4, "v5": p2p.discover.UDPv5}[protocol]
    nodes = answered = 0
    with kind(p2p.generate_key(), ":0", bootnodes=[start]) as discovery:
        for node, found in crawl(discovery, start):
            nodes, answered = nodes + 1, answered + (found is not None)
            says = "does not answer" if found is None else f"knows {len(found)} nodes"
            print(f"{node.udp_endpoint}  {says}", flush=True)
    print(f"{nodes} nodes, {answered} have answered")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except p2p.InvalidNode as error:
        sys.exit(str(error))
