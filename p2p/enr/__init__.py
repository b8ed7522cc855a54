"""Node records (EIP-778): entries of a node about itself, signed by its key.

Pure. :class:`Record` is an immutable value that is valid by construction: whether it was read or
made here, its signature has been checked, its keys are sorted and it fits into 300 bytes. The node
that a record belongs to, and the choice among its addresses, are in :mod:`p2p.enode`.
"""

from __future__ import annotations

from p2p.enr.entries import Raw
from p2p.enr.layout import MAX_SEQ, SIZE_LIMIT
from p2p.enr.record import Record

__all__ = ["MAX_SEQ", "SIZE_LIMIT", "Raw", "Record"]
