"""Fork identifiers: does a node follow the same Ethereum chain as we do (EIP-2124, EIP-6122)?

A :class:`Chain` is a genesis block and the forks after it. A :class:`ForkID` names the forks that a
node has passed, in four bytes, and the next one that it knows. Nodes tell theirs in the handshake
of ``eth`` and in the entry ``eth`` of their record::

    chain = p2p.networks.MAINNET.chain
    ours = chain.fork_id(head_block, head_time)
    protocol = p2p.Protocol("eth", 68, 17, run, attributes={"eth": eth_entry(ours)})
    verdict = chain.check(theirs, head_block, head_time)
    if not verdict.is_compatible: ...

:meth:`Chain.check` returns a :class:`Compatibility`, the rule of EIP-2124 that decides.
:func:`fork_id_of` reads the identifier in a node's record, :func:`node_filter` makes a condition of
it, for :func:`p2p.enode.filter_nodes` and the like.

On the wire a fork identifier is the RLP list ``[hash: 4 bytes, next: uint64]``, which ``encode``
makes of a ForkID and ``decode(data, ForkID)`` reads. The entry ``eth`` is a list whose first item
is a fork identifier; further items are for later versions and ignored (devp2p, enr-entries/eth.md).

A checksum is no proof: a node may claim any identifier. Pure; any thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any
from zlib import crc32

from p2p.arguments import (
    BYTES,
    MAX_UINT64,
    UINT64,
    bytes_of,
    check_function,
    check_type,
    check_uint64,
    wrong,
    wrong_type,
)
from p2p.codec import MaxLength, decode_fields, encode
from p2p.enode.node import Node
from p2p.enr import Raw, Record
from p2p.errors import DecodeError

__all__ = ["Chain", "Compatibility", "ForkID", "eth_entry", "fork_id_of", "node_filter"]

_NUMBERS = f"a sequence of numbers, each {UINT64}"

#: Time of the main network's genesis block, seconds since 1970. A number above it in
#: :attr:`ForkID.next` is also compared with the time of the head, since no chain has as many
#: blocks: the number does not say of which kind it is. go-ethereum has the same limit.
_FIRST_TIME = 1_438_269_973


@dataclass(frozen=True, slots=True)
class ForkID:
    """A fork identifier (EIP-2124). Immutable; a value; any thread may use it.

    ``hash`` is the CRC-32 of the genesis hash and of the forks that were passed, 4 bytes; ``next``
    the block number or the time of the next known fork, 0 for none. Raises ArgumentError for values
    of other types or out of range.
    """

    hash: Annotated[bytes, 4]
    next: Annotated[int, MaxLength(8)]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", _sized("hash", self.hash, 4))
        check_uint64("next", self.next)

    def __repr__(self) -> str:
        return f"ForkID({self.hash.hex()}, next {self.next})"


class Compatibility(Enum):
    """Verdict on a remote's fork identifier: the rule of EIP-2124 that decides."""

    #: Rule 1b: both have passed the same forks.
    SAME_FORKS = "same forks"
    #: Rule 2: the remote has not passed all of our forks yet, and knows the next one.
    REMOTE_SYNCING = "remote is out of sync"
    #: Rule 3: the remote has passed forks that we know and have not passed yet.
    LOCAL_SYNCING = "we are out of sync"
    #: Rule 1a: our head is past a fork that the remote announces and that we do not know.
    UNKNOWN_FORK = "remote announces a fork in our past: another chain, or we need an update"
    #: Rule 2 fails: the remote does not know a fork that we have passed.
    REMOTE_STALE = "remote needs an update"
    #: Rule 4: no identifier of our chain.
    OTHER_CHAIN = "another chain, or we need an update"

    @property
    def is_compatible(self) -> bool:
        """Whether to connect, as far as the identifier tells."""
        return self in _COMPATIBLE

    def __str__(self) -> str:
        return self.value


_COMPATIBLE = frozenset(
    (Compatibility.SAME_FORKS, Compatibility.REMOTE_SYNCING, Compatibility.LOCAL_SYNCING)
)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its genesis block and its forks. Immutable; a value; any thread may use it.

    ``genesis_hash`` is the hash of the genesis block, 32 bytes, ``genesis_time`` its time in
    seconds since 1970. ``fork_blocks`` are the block numbers of the forks before the merge,
    ``fork_times`` the times of those after it, in any order; they are kept as sorted tuples. Forks
    that are part of the genesis block, those at block 0 and those up to ``genesis_time``, do not
    count and are left out, and so are repeated numbers. Raises ArgumentError for values of other
    types or out of range.
    """

    genesis_hash: bytes
    fork_blocks: Sequence[int] = ()
    fork_times: Sequence[int] = ()
    genesis_time: int = 0
    #: The checksum after each number of passed forks, from none to all.
    _hashes: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_uint64("genesis_time", self.genesis_time)
        genesis_hash = _sized("genesis_hash", self.genesis_hash, 32)
        blocks = _forks("fork_blocks", self.fork_blocks, 0)
        times = _forks("fork_times", self.fork_times, self.genesis_time)
        object.__setattr__(self, "genesis_hash", genesis_hash)
        object.__setattr__(self, "fork_blocks", blocks)
        object.__setattr__(self, "fork_times", times)
        object.__setattr__(self, "_hashes", _checksums(genesis_hash, (*blocks, *times)))

    def fork_id(self, head_block: int, head_time: int) -> ForkID:
        """Return the fork identifier of a node whose head has this block number and time.

        Raises ArgumentError for a number that does not fit 64 bits.
        """
        _check_head(head_block, head_time)
        passed = self._count_passed(head_block, head_time)
        return ForkID(self._hashes[passed], (*self.fork_blocks, *self.fork_times, 0)[passed])

    def fork_id_at(self, time: int) -> ForkID:
        """Return the fork identifier of a node that is in sync at ``time``, in seconds since 1970.

        For a node that has no blocks. Block numbers say nothing about the time: before the first of
        ``fork_times``, and for a chain without any, it is that of the genesis block. Raises
        ArgumentError as :meth:`fork_id` does.
        """
        _check_head(0, time)
        if bisect_right(self.fork_times, time) == 0:
            return self.fork_id(0, 0)
        return self.fork_id(max(self.fork_blocks, default=0), time)

    def check(self, remote: ForkID, head_block: int, head_time: int) -> Compatibility:
        """Compare a remote's identifier with this chain, of which we have the head.

        ``head_block`` and ``head_time`` are its block number and time. Raises ArgumentError as
        :meth:`fork_id` does, ArgumentTypeError for a ``remote`` that is no ForkID.
        """
        check_type("remote", remote, ForkID, "a ForkID")
        _check_head(head_block, head_time)
        passed = self._count_passed(head_block, head_time)
        if remote.hash == self._hashes[passed]:
            if self._is_past(remote.next, passed, head_block, head_time):
                return Compatibility.UNKNOWN_FORK
            return Compatibility.SAME_FORKS
        if remote.hash in self._hashes[:passed]:
            following = (*self.fork_blocks, *self.fork_times)[self._hashes.index(remote.hash)]
            syncs = remote.next == following
            return Compatibility.REMOTE_SYNCING if syncs else Compatibility.REMOTE_STALE
        if remote.hash in self._hashes[passed:]:
            return Compatibility.LOCAL_SYNCING
        return Compatibility.OTHER_CHAIN

    def _count_passed(self, head_block: int, head_time: int) -> int:
        """Count the passed forks. Those by time come after those by block (EIP-6122)."""
        passed = bisect_right(self.fork_blocks, head_block)
        if passed == len(self.fork_blocks):
            passed += bisect_right(self.fork_times, head_time)
        return passed

    def _is_past(self, fork: int, passed: int, head_block: int, head_time: int) -> bool:
        """Whether the head is past a fork of the remote, a block number or a time; 0 is none."""
        if fork == 0:
            return False
        by_time = len(self.fork_times) > 0 and passed >= len(self.fork_blocks)
        head = head_time if by_time else head_block
        return head >= fork or (fork > _FIRST_TIME and head_time >= fork)


def eth_entry(fork_id: ForkID) -> Raw:
    """Return the value of the entry ``eth`` of a node record (devp2p, enr-entries/eth.md).

    For ``Protocol.attributes`` and ``Record.sign``. Raises ArgumentTypeError for another type.
    """
    check_type("fork_id", fork_id, ForkID, "a ForkID")
    return Raw(encode([fork_id]))


def fork_id_of(node: Node | Record) -> ForkID | None:
    """Return the fork identifier in the entry ``eth`` of a node's record, or of a record.

    None without a record or an entry, and for an entry that is not canonical or does not begin with
    a fork identifier. Raises ArgumentTypeError for another type.
    """
    check_type("node", node, (Node, Record), "a Node or a Record")
    record = node.record if isinstance(node, Node) else node
    raw = None if record is None else record.pairs.get(b"eth")
    if raw is None:
        return None
    try:
        (fork_id,), _ = decode_fields(raw, (ForkID,))
    except DecodeError:
        return None
    assert isinstance(fork_id, ForkID)
    return fork_id


def node_filter(
    chain: Chain, head: Callable[[], tuple[int, int]] | None = None
) -> Callable[[Node], bool]:
    """Return a function that says of a node whether its record is one of ``chain``.

    A node without a fork identifier is not. ``head()`` returns block number and time of our head;
    it is called for each node that has one, on the thread of the filter, and must not block. None:
    we have the genesis block only, so that each node of the chain is taken, also those that need an
    update. Raises ArgumentTypeError for arguments of other types; so does the returned function for
    anything but a Node, and for a wrong result of ``head``.
    """
    check_type("chain", chain, Chain, "a Chain")
    if head is not None:
        check_function("head", head)

    def is_of_chain(node: Node) -> bool:
        check_type("node", node, Node, "a Node")
        fork_id = fork_id_of(node)
        if fork_id is None:
            return False
        block, time = (0, 0) if head is None else _pair(head())
        return chain.check(fork_id, block, time).is_compatible

    return is_of_chain


def _sized(name: str, value: object, size: int) -> bytes:
    check_type(name, value, BYTES, f"{size} bytes")
    data = bytes_of(value, name)
    if len(data) != size:
        raise wrong(name, value, f"{size} bytes")
    return data


def _forks(name: str, numbers: object, genesis: int) -> tuple[int, ...]:
    """Return the forks after genesis, sorted, each once."""
    if not isinstance(numbers, Sequence) or isinstance(numbers, (str, *BYTES)):
        raise wrong_type(name, numbers, _NUMBERS)
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise wrong_type(name, numbers, _NUMBERS)
    if not all(0 <= number <= MAX_UINT64 for number in numbers):
        raise wrong(name, numbers, _NUMBERS)
    return tuple(sorted({number for number in numbers if number > genesis}))


def _checksums(genesis_hash: bytes, forks: tuple[int, ...]) -> tuple[bytes, ...]:
    """Return the CRC-32 of the genesis hash and of no, one, two ... forks, big-endian."""
    checksums = [crc32(genesis_hash)]
    for fork in forks:
        checksums.append(crc32(fork.to_bytes(8, "big"), checksums[-1]))
    return tuple(checksum.to_bytes(4, "big") for checksum in checksums)


def _check_head(head_block: object, head_time: object) -> None:
    check_uint64("head_block", head_block)
    check_uint64("head_time", head_time)


def _pair(head: Any) -> tuple[int, int]:
    if not isinstance(head, tuple) or len(head) != 2:
        raise wrong_type("result of head", head, "a tuple of block number and time")
    return head
