"""examples/blockchain.py prints what its docstring says, hashes and all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest


def test_split_network_heals_as_the_docstring_shows(run: Any, documented: Any) -> None:
    assert run("blockchain.py").end() == (0, documented("blockchain.py")[0], "")


@pytest.fixture
def blockchain(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the example."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "examples"))
    import blockchain  # type: ignore[import-not-found]

    yield blockchain
    del sys.modules["blockchain"]


def mined(module: Any, parent: Any, text: str = "") -> Any:
    nonce = 0
    while not (block := module.Block(parent.hash, 1, text, nonce)).has_work:
        nonce += 1
    return block


def test_blocks_that_come_in_the_wrong_order_wait_for_their_parents(blockchain: Any) -> None:
    chain = blockchain.Chain()
    first = mined(blockchain, blockchain.GENESIS)
    second = mined(blockchain, first)
    third = mined(blockchain, second)
    assert chain.add(third) == second.hash
    assert chain.add(second) == first.hash
    assert chain.add(first) is None
    assert (chain.height, chain.main()) == (3, [first, second, third])


def test_longest_chain_wins_and_the_first_of_equals(blockchain: Any) -> None:
    chain = blockchain.Chain()
    first = mined(blockchain, blockchain.GENESIS, "first")
    other = mined(blockchain, blockchain.GENESIS, "other")
    chain.add(first)
    chain.add(other)
    assert chain.head == first
    longer = mined(blockchain, other)
    chain.add(longer)
    assert chain.main() == [other, longer]


def test_block_without_work_and_blocks_beyond_the_limit_are_not_kept(blockchain: Any) -> None:
    chain = blockchain.Chain()
    nonce = 0
    while (lazy := blockchain.Block(blockchain.GENESIS.hash, 1, "", nonce)).has_work:
        nonce += 1
    assert chain.add(lazy) is None
    assert chain.height == 0
    blockchain.MAX_WAITING = 0
    first = mined(blockchain, blockchain.GENESIS)
    assert chain.add(mined(blockchain, first)) == first.hash
    chain.add(first)
    assert chain.height == 1
