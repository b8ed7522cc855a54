"""A set from which a random item can be taken without looking at the others.

Pure. Python's own set has no item at an index, and its list no quick removal.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Bag(Generic[K]):
    """A set from which the item at any index can be taken, each operation in O(1)."""

    def __init__(self) -> None:
        self._items: list[K] = []
        self._index: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: K) -> None:
        """Add an item; no effect if it is there."""
        if item not in self._index:
            self._index[item] = len(self._items)
            self._items.append(item)

    def discard(self, item: K) -> None:
        """Remove an item; no effect if it is not there."""
        if item in self._index:
            self.take(self._index[item])

    def take(self, index: int) -> K:
        """Remove and return the item at ``index``; the last item moves there."""
        item = self._items[index]
        last = self._items.pop()
        if last is not item:
            self._items[index] = last
            self._index[last] = index
        del self._index[item]
        return item
