"""Ask an Ethereum client for its status and its newest block, as a node of the same network::

    $ python examples/eth_status.py "enode://...@127.0.0.1:..." --network sepolia
    Geth/v1.17.10-stable... speaks eth/72
    network 11155111, forks 268956b6, blocks 0 to 9000000
    block 9000000 of 2026-11-30 18:00:00 UTC, 0x5f0e8a11cd24...
    92 transactions, 184 logs, 24,101,442 of 60,000,000 gas

The node is the first argument: an enode URL, or a record (enr:...). A network of your own is given
by its facts, ``--network id:genesis-hash:fork-times``, such as ``1337:0x12ab...:1700000000``. A
client that has all its peers already refuses one more, with "too many peers"; try another then.

What the client says is checked: its network, genesis block and forks, and the body and the receipts
against the block's header. That this block is the newest of the network, only its word says.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone

import p2p
from p2p.eth import ETH69, ETH70, ETH71, ETH72, Chain, Client, Status, handshake, make_status
from p2p.networks import HOODI, MAINNET, SEPOLIA, Network

NETWORKS = {"mainnet": MAINNET, "sepolia": SEPOLIA, "hoodi": HOODI}
VERSIONS = (ETH69, ETH70, ETH71, ETH72)
TIMEOUT_S = 30.0


def ask(node: p2p.Node, network: Network) -> None:
    """Connect by the highest version that both have, and print what the client tells."""
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="eth_status",
        max_peers=1,
        listen_addr=None,
        protocols=[p2p.messages.protocol(eth) for eth in VERSIONS],
    )
    with server:
        peer = server.connect(node)
        with peer.open("eth") as rw:
            version = rw.protocol.version
            print(f"{peer.name} speaks eth/{version}")
            status = handshake(rw, make_status(network, version), network.chain)
            forks = status.fork_id.hash.hex()
            print(f"network {status.network_id}, forks {forks}, ", end="")
            print(f"blocks {status.earliest} to {status.latest}")
            show_head(Client(rw, version, timeout=TIMEOUT_S), status)


def show_head(client: Client, status: Status) -> None:
    """Print what the newest block of the client is, and what is in it."""
    headers = client.get_block_headers(status.latest_hash)
    bodies, receipts = client.get_block_bodies(headers), client.get_receipts(headers)
    for header, body, results in zip(headers, bodies, receipts, strict=False):
        made = datetime.fromtimestamp(header.time, timezone.utc)
        print(f"block {header.number} of {made:%Y-%m-%d %H:%M:%S} UTC, ", end="")
        print(f"0x{header.hash.hex()[:12]}...")
        logs = sum(len(result.logs) for result in results)
        print(f"{len(body.transactions)} transactions, {logs} logs, ", end="")
        print(f"{header.gas_used:,} of {header.gas_limit:,} gas")


def parse_network(text: str) -> Network:
    """A network by its name, or by ``id:genesis-hash:fork-times``."""
    if text in NETWORKS:
        return NETWORKS[text]
    number, genesis, times = text.split(":")
    fork_times = [int(time) for time in times.split(",") if time]
    chain = Chain(bytes.fromhex(genesis.removeprefix("0x")), fork_times=fork_times)
    return Network("own", int(number), chain)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ask an Ethereum client for its newest block.")
    parser.add_argument("node", help="an enode URL, or a record (enr:...)")
    parser.add_argument("--network", type=parse_network, default=MAINNET, help="default: mainnet")
    arguments = parser.parse_args()
    try:
        ask(p2p.parse_node(arguments.node), arguments.network)
    except KeyboardInterrupt:
        pass
    except p2p.P2PError as error:
        sys.exit(f"{type(error).__name__}: {error}")
