"""The Status of ``eth``, the first message in each direction, and the check of the remote's.

:func:`make_status` makes ours for a network, :func:`check_status` decides whether a remote is of
the same chain, in the order of go-ethereum: network, version, genesis, forks, range. Owns no
connection: see `p2p.eth.handshake`. Pure; any thread (devp2p, caps/eth.md, "Status").
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.arguments import check_type, check_uint64, wrong_type
from p2p.errors import ArgumentError
from p2p.eth.errors import (
    ForkIDRejected,
    GenesisMismatch,
    InvalidBlockRange,
    NetworkMismatch,
    VersionMismatch,
)
from p2p.eth.fields import Hash, Uint32, Uint64
from p2p.eth.limits import MAX_MESSAGE_SIZE
from p2p.forkid import Chain, ForkID
from p2p.messages.declaration import message
from p2p.networks import Network

_NO_HASH = bytes(32)


@message(0x00, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class Status:
    """The first message of a node: its chain, and the blocks that it has (eth/69 and later).

    ``version`` is that of the protocol, ``network_id`` the number of the network, ``genesis`` the
    hash of its first block. ``earliest`` and ``latest`` are the numbers of the first and the last
    block that the node has in full, ``latest_hash`` is the hash of the last.
    """

    version: Uint32
    network_id: Uint64
    genesis: Hash
    fork_id: ForkID
    earliest: Uint64
    latest: Uint64
    latest_hash: Hash


@message(0x11, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class BlockRangeUpdate:
    """A change of the blocks that a node has in full: numbers of the first and the last, its hash.

    Raises ArgumentError if ``earliest`` is above ``latest``, or the hash is all zeros: a remote
    that sends such a one is disconnected.
    """

    earliest: Uint64
    latest: Uint64
    latest_hash: Hash

    def __post_init__(self) -> None:
        if fault := _range_fault(self.earliest, self.latest, self.latest_hash):
            raise ArgumentError(fault)


def make_status(
    network: Network,
    version: int,
    *,
    head: tuple[int, int, bytes] | None = None,
    earliest: int = 0,
) -> Status:
    """Return the Status of our node in ``network``, for this version of ``eth``.

    ``head`` is the number, the time and the hash of the last block that we have; None: we have the
    genesis block only, as a program that asks others has. ``earliest`` is the first block that we
    have in full. Raises ArgumentError for values of other types or out of range.
    """
    check_type("network", network, Network, "a Network, such as p2p.networks.MAINNET")
    check_uint64("version", version)
    if head is not None:
        _check_head(head, (int, int, bytes), "number, time and hash")
    chain = network.chain
    number, head_time, latest_hash = head or (0, chain.genesis_time, chain.genesis_hash)
    fork_id = chain.fork_id(number, head_time)
    return Status(
        version, network.network_id, chain.genesis_hash, fork_id, earliest, number, latest_hash
    )


def check_status(
    theirs: Status, ours: Status, chain: Chain, head: tuple[int, int] | None = None
) -> None:
    """Check that a remote's Status is one of the network, version and chain of ``ours``.

    ``chain`` has the forks. ``head`` is the number and the time of our last block; None: of the
    genesis block, so that a remote is accepted at any block of the chain. Raises NetworkMismatch,
    VersionMismatch, GenesisMismatch, ForkIDRejected or InvalidBlockRange, each with both values.
    """
    check_type("theirs", theirs, Status, "a Status")
    check_type("ours", ours, Status, "a Status")
    check_type("chain", chain, Chain, "a Chain, such as p2p.networks.MAINNET.chain")
    if theirs.network_id != ours.network_id:
        both = f"{theirs.network_id}, we in {ours.network_id}"
        raise NetworkMismatch(f"the remote is in network {both}")
    if theirs.version != ours.version:
        raise VersionMismatch(f"the remote speaks eth/{theirs.version}, we eth/{ours.version}")
    if theirs.genesis != ours.genesis:
        both = f"{theirs.genesis.hex()}, ours {ours.genesis.hex()}"
        raise GenesisMismatch(f"the remote's genesis block is {both}")
    if head is not None:
        _check_head(head, (int, int), "number and time")
    _check_fork_id(theirs.fork_id, chain, head or (0, chain.genesis_time))
    if fault := _range_fault(theirs.earliest, theirs.latest, theirs.latest_hash):
        raise InvalidBlockRange(f"the remote states blocks that cannot be: {fault}")


def _check_head(head: object, kinds: tuple[type, ...], wanted: str) -> None:
    wanted = f"a tuple of {wanted} of the last block, or None"
    check_type("head", head, tuple, wanted)
    assert isinstance(head, tuple)
    if len(head) != len(kinds) or not all(map(isinstance, head, kinds)):
        raise wrong_type("head", head, wanted)


def _check_fork_id(theirs: ForkID, chain: Chain, head: tuple[int, int]) -> None:
    verdict = chain.check(theirs, *head)
    if not verdict.is_compatible:
        raise ForkIDRejected(f"{verdict}: {theirs}, ours is {chain.fork_id(*head)}")


def _range_fault(earliest: int, latest: int, latest_hash: bytes) -> str:
    """Return the fault of a range of blocks, empty for none."""
    if earliest > latest:
        return f"earliest is {earliest}, after latest, {latest}"
    return "latest_hash is all zeros" if latest_hash == _NO_HASH else ""
