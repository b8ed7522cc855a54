"""examples/eth_status.py tells what a node says that speaks eth, and why it is of no use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import p2p
from p2p.eth.versions import messages_of
from tests.eth.chain import EthNode, make_chain

CHAIN = EthNode(make_chain(5))
GENESIS = CHAIN.network.chain.genesis_hash.hex()
FACTS = f"1337:0x{GENESIS}:"


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a node that speaks eth/69 to eth/71 and has five blocks."""
    protocols = [
        p2p.Protocol("eth", v, messages_of(v).length, partial(CHAIN.run, version=v))
        for v in (69, 70, 71)
    ]
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="a client",
        max_peers=5,
        listen_addr="127.0.0.1:0",
        protocols=protocols,
    )
    with server:
        yield server.self.url


def test_it_prints_the_newest_block(run: Any, url: str, documented: Any) -> None:
    number, _, block_hash = CHAIN.head
    code, lines, errors = run("eth_status.py", url, "--network", FACTS).end()
    assert (code, errors) == (0, "")
    forks = CHAIN.network.chain.fork_id(0, 0).hash.hex()
    assert lines == [
        "a client speaks eth/71",
        f"network 1337, forks {forks}, blocks 0 to {number}",
        f"block {number} of 2023-11-14 22:14:08 UTC, 0x{block_hash.hex()[:12]}...",
        "3 transactions, 6 logs, 21,000 of 30,000,000 gas",
    ]
    (shown,) = documented("eth_status.py")
    assert [shape(line) for line in lines[1:]] == [shape(line) for line in shown[1:]]


def shape(line: str) -> str:
    """A line without its numbers, hashes and times."""
    return re.sub(r"(0x)?[0-9a-f]*[0-9][0-9a-f]*([-:,][0-9]+)*", "N", line)


def test_a_client_of_another_network_is_an_error(run: Any, url: str) -> None:
    code, lines, errors = run("eth_status.py", url).end()
    assert (code, lines) == (1, ["a client speaks eth/71"])
    assert errors in (
        "NetworkMismatch: the remote is in network 1337, we in 1\n",
        "PeerDisconnected: subprotocol error (remote)\n",  # it was faster
    )


def test_a_node_that_is_not_there_is_an_error(run: Any, url: str) -> None:
    code, lines, errors = run("eth_status.py", "enode://nonsense").end()
    assert (code, lines) == (1, [])
    assert errors.startswith("InvalidNode: ")
