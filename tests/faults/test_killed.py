"""A process that is killed: what it has learned of the network is in its database."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

import pytest

import p2p
from p2p.discover.maintenance import SEED_COUNT, SEED_MAX_AGE_S
from p2p.discover.v4.udpv4 import UDPv4
from p2p.enode import NodeDB
from p2p.net import bind_udp
from p2p.netutil import NodeEndpoint
from tests.kit.localrecords import fixed_node
from tests.kit.processes import Program

ROOT = Path(__file__).parents[2]
HERE = IPv4Address("127.0.0.1")
OTHERS = 6
#: Of the node that is killed, in place of a second.
WRITE_DELAY_S = 0.2

#: A node that tells when it has seen so many others alive, and goes on until it is killed.
PROGRAM = """
import sys, time
import p2p, p2p.enode.db.nodedb

p2p.enode.db.nodedb.WRITE_DELAY_S = float(sys.argv[1])
folder, wanted, *bootnodes = sys.argv[2:]
server = p2p.Server(
    private_key=p2p.load_or_generate_key(folder + "/nodekey"), name="killed", max_peers=5,
    listen_addr="127.0.0.1:0", no_dial=True, node_database=folder + "/nodes.db",
    bootstrap_nodes=[p2p.parse_node(url) for url in bootnodes],
)
with server:
    while True:
        buckets = server.discovery_v4.table().buckets
        if sum(entry.live for bucket in buckets for entry in bucket.nodes) >= int(wanted):
            print("known", flush=True)
            sys.stdin.read()
        time.sleep(0.01)
"""


def start_node(stack: ExitStack, *bootnodes: p2p.Node) -> UDPv4:
    """A node in this process."""
    key, sock = p2p.generate_key(), bind_udp(str(HERE), 0)
    local = fixed_node(key, NodeEndpoint(HERE, sock.getsockname()[1], 0))
    return stack.enter_context(UDPv4(key, sock, local=local, bootnodes=bootnodes, ntp_server=None))


def run_until_known(folder: Path, wanted: int, *bootnodes: str, then_s: float = 0.0) -> None:
    """Run the program until it knows ``wanted`` nodes, and kill it so many seconds later."""
    program = [sys.executable, "-c", PROGRAM, str(WRITE_DELAY_S)]
    command = [*program, str(folder), str(wanted), *bootnodes]
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
    with Program(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "known\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(then_s)
        finally:
            process.kill()


def test_killed_node_finds_its_network_without_the_bootnode(tmp_path: Path) -> None:
    with ExitStack() as stack:
        boot = start_node(stack)
        others = [start_node(stack, boot.self) for _ in range(OTHERS)]
        run_until_known(tmp_path, OTHERS + 1, boot.self.url, then_s=2 * WRITE_DELAY_S)
        boot.stop()
        with NodeDB(tmp_path / "nodes.db") as db:
            seeds = db.query_seeds(SEED_COUNT, SEED_MAX_AGE_S, time.time(), random.Random(1))
        assert {node.id for node in seeds} == {node.self.id for node in (boot, *others)}
        run_until_known(tmp_path, 1)
