"""Our Status for a network, and the check of a remote's: an error for each difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

import p2p
from p2p.errors import ArgumentError, DiscReason, RemoteProtocolError
from p2p.eth import (
    BlockRangeUpdate,
    Chain,
    ForkIDRejected,
    GenesisMismatch,
    InvalidBlockRange,
    NetworkMismatch,
    Status,
    StatusRejected,
    VersionMismatch,
    check_status,
    make_status,
)
from p2p.networks import HOODI, MAINNET, SEPOLIA
from tests.eth.vectors import hash_of

OURS = make_status(SEPOLIA, 69)
#: A block of Sepolia after all forks that the library knows, and its time.
HEAD = (20_000_000, max(SEPOLIA.chain.fork_times) + 12)


def test_status_of_a_node_without_blocks_is_that_of_the_genesis_block() -> None:
    genesis = SEPOLIA.genesis_hash
    assert OURS == Status(69, 11155111, genesis, SEPOLIA.chain.fork_id(0, 0), 0, 0, genesis)


def test_status_has_our_head() -> None:
    status = make_status(SEPOLIA, 70, head=(*HEAD, hash_of(1)), earliest=5)
    assert (status.version, status.earliest, status.latest) == (70, 5, HEAD[0])
    assert status.latest_hash == hash_of(1)
    assert status.fork_id == SEPOLIA.chain.fork_id(*HEAD)


def test_status_of_the_same_chain_is_accepted() -> None:
    check_status(OURS, OURS, SEPOLIA.chain)
    check_status(make_status(SEPOLIA, 69, head=(*HEAD, hash_of(1))), OURS, SEPOLIA.chain)


def test_status_of_a_node_that_syncs_is_accepted_at_any_head() -> None:
    check_status(make_status(SEPOLIA, 69), OURS, SEPOLIA.chain, HEAD)


OTHER_GENESIS = Chain(hash_of(9))
WRONG: dict[str, tuple[type[StatusRejected], Status, str]] = {
    "network": (
        NetworkMismatch,
        make_status(HOODI, 69),
        "the remote is in network 560048, we in 11155111",
    ),
    "version": (
        VersionMismatch,
        make_status(SEPOLIA, 70),
        "the remote speaks eth/70, we eth/69",
    ),
    "genesis": (
        GenesisMismatch,
        replace(OURS, genesis=hash_of(9)),
        f"genesis block is {'09' * 32}, ours {SEPOLIA.genesis_hash.hex()}",
    ),
    "forks": (
        ForkIDRejected,
        replace(OURS, fork_id=MAINNET.chain.fork_id(0, 0)),
        r"another chain, or we need an update: ForkID\(fc64ec04, next 1150000\), ours is ForkID",
    ),
    "range": (
        InvalidBlockRange,
        replace(OURS, earliest=5, latest=4),
        "earliest is 5, after latest, 4",
    ),
    "no hash": (InvalidBlockRange, replace(OURS, latest_hash=bytes(32)), "is all zeros"),
}


@pytest.mark.parametrize("error, theirs, words", WRONG.values(), ids=WRONG)
def test_each_difference_has_its_error(
    error: type[StatusRejected], theirs: Status, words: str
) -> None:
    with pytest.raises(error, match=words) as refusal:
        check_status(theirs, OURS, SEPOLIA.chain)
    assert refusal.value.disc_reason is DiscReason.SUBPROTOCOL_ERROR
    assert isinstance(refusal.value, RemoteProtocolError)


def test_a_stale_node_is_rejected_by_one_that_knows_its_head() -> None:
    stale = replace(OURS, fork_id=replace(OURS.fork_id, next=0))
    with pytest.raises(ForkIDRejected, match="remote needs an update"):
        check_status(stale, OURS, SEPOLIA.chain, HEAD)


def test_the_network_is_checked_first_as_in_go_ethereum() -> None:
    with pytest.raises(NetworkMismatch):
        check_status(make_status(HOODI, 70), OURS, SEPOLIA.chain)


def test_an_update_of_the_range_that_cannot_be_is_refused() -> None:
    for earliest, latest, latest_hash in ((2, 1, hash_of(1)), (1, 2, bytes(32))):
        with pytest.raises(ArgumentError):
            BlockRangeUpdate(earliest, latest, latest_hash)
        payload = p2p.rlp.encode([earliest, latest, latest_hash])
        with pytest.raises(p2p.DecodeError):
            p2p.eth.ETH69.decode(0x11, payload)
