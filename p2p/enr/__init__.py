"""Node records (EIP-778): what a node says about itself, signed by its key.

Pure. :class:`Record` is an immutable value that is valid by construction: whether it was read or
made here, its signature has been checked, its keys are sorted and it fits into 300 bytes. Which
node a record belongs to, and which of its addresses to use, is told by :mod:`p2p.enode`.
"""

from __future__ import annotations

from .entries import IPAddress, Raw
from .layout import MAX_SEQ, SIZE_LIMIT
from .record import Record

__all__ = ["MAX_SEQ", "SIZE_LIMIT", "IPAddress", "Raw", "Record"]
