"""Messages of ``eth`` that relay new blocks, as networks without a consensus layer do.

Since the merge no client of the main network sends them, and go-ethereum disconnects who does; they
are here since the specification still has them, and for captures. Pure (devp2p, caps/eth.md, "Block
Propagation").
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.eth.block import Block
from p2p.eth.fields import Hash, Uint64, Uint256
from p2p.eth.limits import MAX_MESSAGE_SIZE
from p2p.messages.declaration import message


@dataclass(frozen=True, slots=True)
class BlockAnnouncement:
    """The hash and the number of a new block."""

    hash: Hash
    number: Uint64


@message(0x01, max_size=MAX_MESSAGE_SIZE, bare=True)
@dataclass(frozen=True, slots=True)
class NewBlockHashes:
    """New blocks by hash."""

    blocks: list[BlockAnnouncement]


@message(0x07, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class NewBlock:
    """A new block, and the total difficulty of the chain up to it."""

    block: Block
    total_difficulty: Uint256
