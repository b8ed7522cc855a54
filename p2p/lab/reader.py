"""Reader of an object of JSON, as of a snapshot: every value is checked, every error has its place.

Texts of the file are cut in errors, and a key is never shown.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from p2p.arguments import check_type, wrong
from p2p.crypto import PrivateKey
from p2p.enode import Node, parse_node
from p2p.errors import ArgumentError, InvalidKey
from p2p.lab.topology import Edge
from p2p.netutil import ip_of

_T = TypeVar("_T")

#: Limit on the edges of a file.
MAX_EDGES = 1_000_000

_KINDS: dict[type, str] = {
    int: "an int",
    str: "text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


class Reader:
    """An object at ``place`` in a file, such as "snapshot.nodes[3]"."""

    def __init__(self, place: str, value: object) -> None:
        check_type(place, value, dict, "an object")
        assert isinstance(value, dict)
        self.place = place
        self.object: Mapping[str, Any] = value

    def wrong(self, name: str, wanted: str) -> ArgumentError:
        """Return the error for the value of that name."""
        return wrong(f"{self.place}.{name}", self.object.get(name), wanted)

    def value(self, name: str, kind: type[_T]) -> _T:
        """Return a value of a type."""
        if name not in self.object:
            raise ArgumentError(f"{self.place}.{name}: wanted {_KINDS[kind]}; it is missing")
        value = self.object[name]
        check_type(f"{self.place}.{name}", value, kind, _KINDS[kind])
        assert isinstance(value, kind)
        return value

    def count(self, name: str, most: int) -> int:
        """Return an int from 0 to ``most``."""
        value = self.value(name, int)
        if not 0 <= value <= most:
            raise self.wrong(name, f"an int from 0 to {most}")
        return value

    def number(self, name: str) -> float:
        """Return a finite number from 0 up."""
        value: object = self.object.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if 0 <= value <= sys.float_info.max:
                return float(value)
        raise self.wrong(name, "a number from 0 up")

    def one_of(self, name: str, values: Collection[str]) -> str:
        """Return one of some texts."""
        value = self.value(name, str)
        if value not in values:
            raise self.wrong(name, f"one of {', '.join(values)}")
        return value

    def items(self, name: str, most: int) -> Sequence[Any]:
        """Return a list with at most ``most`` items."""
        items: Sequence[Any] = self.value(name, list)
        if len(items) > most:
            raise ArgumentError(
                f"{self.place}.{name}: wanted at most {most} items; got {len(items)}"
            )
        return items

    def objects(self, name: str, most: int) -> Iterator[Reader]:
        """Yield the readers of the objects of a list."""
        for number, item in enumerate(self.items(name, most)):
            yield Reader(f"{self.place}.{name}[{number}]", item)

    def texts(self, name: str, most: int) -> Iterator[str]:
        """Yield the texts of a list."""
        for number, item in enumerate(self.items(name, most)):
            check_type(f"{self.place}.{name}[{number}]", item, str, "text")
            yield item

    def nodes(self, name: str, most: int, known: dict[str, Node]) -> tuple[Node, ...]:
        """Return the nodes of URLs or records; ``known`` caches them."""
        found = []
        for number, text in enumerate(self.texts(name, most)):
            try:
                node = known[text] if text in known else parse_node(text)
            except ArgumentError as error:
                raise ArgumentError(f"{self.place}.{name}[{number}]: {error}") from error
            found.append(known.setdefault(text, node))
        return tuple(found)

    def edges(self, name: str, indexes: Collection[int]) -> tuple[Edge, ...]:
        """Return pairs of different ``indexes``, the smaller one first."""
        found = []
        for number, item in enumerate(self.items(name, MAX_EDGES)):
            place, wanted = f"{self.place}.{name}[{number}]", "the indexes of two nodes, in order"
            check_type(place, item, list, wanted)
            if len(item) != 2 or not _are_of(item, indexes) or item[0] >= item[1]:
                raise wrong(place, item, wanted)
            found.append((item[0], item[1]))
        return tuple(found)

    def groups(self, name: str, indexes: Collection[int]) -> tuple[tuple[int, ...], ...]:
        """Return lists of ``indexes``."""
        groups = self.items(name, len(indexes) + 1)
        if not all(isinstance(group, list) and _are_of(group, indexes) for group in groups):
            raise self.wrong(name, "lists of indexes of nodes")
        return tuple(tuple(group) for group in groups)

    def key(self, name: str) -> PrivateKey:
        """Return a private key. The error does not show it."""
        try:
            return PrivateKey.from_bytes(bytes.fromhex(self.value(name, str)))
        except (ArgumentError, ValueError):
            error = InvalidKey(f"{self.place}.{name}: wanted 64 hex digits of a key")
            raise error from None

    def ip(self, name: str) -> str | None:
        """Return the text of an address, or None."""
        if self.object.get(name) is None:
            return None
        try:
            return str(ip_of(self.value(name, str)))
        except ArgumentError:
            raise self.wrong(name, "an IP address or null") from None


def _are_of(values: Collection[object], indexes: Collection[int]) -> bool:
    """Whether all values are indexes; 1.0 and True are none, and a list cannot be looked up."""
    return all(type(value) is int and value in indexes for value in values)
