"""Changes inputs in ways that parsers trip over, with a random source of its own.

A *case* is a byte that tells how the input is to be made (see :mod:`tests.fuzz.target`) and a
body. Half of the changes know bytes only: bits flipped, ranges cut, doubled, moved, spliced from
another case, integers at their limits, words of the format. The other half reads RLP in the body,
also RLP inside of strings, and changes items: other integers, other lengths, deeper lists, more of
them, or a header that lies. Lengths around a change are right again afterwards, so it gets deep.

The same seed gives the same changes on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fuzz import rlptree
from tests.fuzz.rlptree import Raw, Tree

#: Integers at which a size, a sign or a limit changes.
LIMITS = sorted(
    {
        *((1 << bits) + more for bits in (0, 7, 8, 16, 31, 32, 63, 64) for more in (-1, 0, 1)),
        *(0x0A, 0x10, 0x37, 0x38, 300, 1280, 2048, 0xFFFFFF, 0x1000000, 1 << 255, (1 << 256) - 1),
    }
)  # fmt: skip
#: Lengths of strings that something is made of: addresses, keys, hashes, signatures, records.
LENGTHS = (0, 1, 2, 4, 8, 16, 31, 32, 33, 55, 56, 63, 64, 65, 97, 128, 255, 256, 300, 301, 1024)

Owner = list[Tree]


class Mutator:
    """Makes new cases of old ones. ``words`` are what the format is made of, beside RLP."""

    def __init__(
        self,
        rng: random.Random,
        *,
        words: Sequence[bytes] = (),
        max_size: int = 2048,
        reads_rlp: bool = True,
    ) -> None:
        self._rng = rng
        self._words = words
        self._max_size = max_size
        self._reads_rlp = reads_rlp

    def mutate(self, case: bytes, other: bytes) -> bytes:
        """A case made of ``case``, perhaps with parts of ``other``."""
        rng = self._rng
        recipe, body = case[:1] or b"\0", case[1:]
        if rng.random() < 0.03:
            recipe = bytes([rng.getrandbits(8)])
        for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
            if self._reads_rlp and rng.random() < 0.6:
                body = self._change_items(body, other[1:])
            else:
                body = rng.choice(_BYTE_CHANGES)(self, body, other[1:])
            body = body[: self._max_size]
        return recipe + body

    # Bytes.

    def _range(self, data: bytes, most: int = 64) -> tuple[int, int]:
        """A part of ``data``, short more often than long."""
        start = self._rng.randrange(len(data) + 1)
        size = self._rng.randrange(1 + self._rng.choice((1, 4, 16, most)))
        return start, min(len(data), start + size)

    def _flip_bit(self, data: bytes, other: bytes) -> bytes:
        if not data:
            return b"\0"
        changed = bytearray(data)
        changed[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        return bytes(changed)

    def _set_byte(self, data: bytes, other: bytes) -> bytes:
        start = self._rng.randrange(len(data) + 1)
        value = self._rng.choice((0, 1, 0x7F, 0x80, 0x81, 0xB8, 0xC0, 0xC1, 0xF8, 0xFF, None))
        new = self._rng.getrandbits(8) if value is None else value
        return data[:start] + bytes([new]) + data[start + 1 :]

    def _add_to_byte(self, data: bytes, other: bytes) -> bytes:
        if not data:
            return b"\1"
        changed = bytearray(data)
        place = self._rng.randrange(len(data))
        changed[place] = (changed[place] + self._rng.choice((-16, -2, -1, 1, 2, 16))) % 256
        return bytes(changed)

    def _set_integer(self, data: bytes, other: bytes) -> bytes:
        width = self._rng.choice((1, 2, 3, 4, 8))
        value = self._rng.choice(LIMITS) % (1 << 8 * width)
        start = self._rng.randrange(len(data) + 1)
        new = value.to_bytes(width, self._rng.choice(("big", "little")))
        return data[:start] + new + data[start + width :]

    def _delete(self, data: bytes, other: bytes) -> bytes:
        start, stop = self._range(data)
        return data[:start] + data[stop:]

    def _insert(self, data: bytes, other: bytes) -> bytes:
        start = self._rng.randrange(len(data) + 1)
        size = self._rng.choice((1, 1, 2, 8, 32))
        new = bytes([self._rng.getrandbits(8)]) * size
        if self._rng.random() < 0.5:
            new = self._rng.randbytes(size)
        return data[:start] + new + data[start:]

    def _double(self, data: bytes, other: bytes) -> bytes:
        start, stop = self._range(data, 256)
        times = self._rng.choice((1, 1, 2, 8, 64))
        place = self._rng.choice((stop, self._rng.randrange(len(data) + 1)))
        return data[:place] + data[start:stop] * times + data[place:]

    def _truncate(self, data: bytes, other: bytes) -> bytes:
        return data[: self._rng.randrange(len(data) + 1)]

    def _splice(self, data: bytes, other: bytes) -> bytes:
        cut = self._rng.randrange(len(data) + 1)
        if self._rng.random() < 0.5:
            return data[:cut] + other[self._rng.randrange(len(other) + 1) :]
        start, stop = self._range(other, 256)
        return data[:cut] + other[start:stop] + data[cut + stop - start :]

    def _insert_word(self, data: bytes, other: bytes) -> bytes:
        if not self._words:
            return self._set_integer(data, other)
        start, stop = self._range(data, 4)
        if self._rng.random() < 0.5:
            stop = start
        return data[:start] + self._rng.choice(self._words) + data[stop:]

    # Items.

    def _change_items(self, data: bytes, other: bytes) -> bytes:
        items = rlptree.read(data)
        owner, index = self._pick(items)
        self._change(owner, index, other)
        return rlptree.write(items)

    def _pick(self, items: Owner) -> tuple[Owner, int]:
        """Some place in the tree: the list it is in and its index there."""
        owner = items
        while True:
            if not owner:
                owner.append(b"")
            index = self._rng.randrange(len(owner))
            if not isinstance(owner[index], list):  # a second try leads into lists more often
                index = self._rng.randrange(len(owner))
            inner = owner[index]
            if not isinstance(inner, list) or not inner or self._rng.random() < 0.15:
                return owner, index
            owner = inner

    def _change(self, owner: Owner, index: int, other: bytes) -> None:
        item = owner[index]
        if isinstance(item, bytes) and len(item) > 1 and self._rng.random() < 0.5:
            # A string may hold RLP itself: the payload of a message, the record in a packet.
            if item[0] >= 0xC0:
                owner[index] = type(item)(self._change_items(item, other))
                return
        self._rng.choice(_ITEM_CHANGES)(self, owner, index, other)

    def _set_number(self, owner: Owner, index: int, other: bytes) -> None:
        owner[index] = rlptree.uint(self._rng.choice(LIMITS))

    def _change_string(self, owner: Owner, index: int, other: bytes) -> None:
        item = owner[index]
        data = item if isinstance(item, bytes) else rlptree.write(item)
        owner[index] = type(data)(self._rng.choice(_BYTE_CHANGES)(self, data, other))

    def _resize(self, owner: Owner, index: int, other: bytes) -> None:
        item = owner[index]
        data = item if isinstance(item, bytes) else rlptree.write(item)
        size = self._rng.choice(LENGTHS)
        fill = self._rng.choice((b"\0", b"\xff", b"a", b"\xc0"))
        owner[index] = bytes(data[:size]).ljust(size, fill)

    def _delete_item(self, owner: Owner, index: int, other: bytes) -> None:
        del owner[index]

    def _repeat_item(self, owner: Owner, index: int, other: bytes) -> None:
        times = self._rng.choice((1, 1, 2, 4, 16, 100, 1000))
        most = 1 + self._max_size // (1 + len(rlptree.encode(owner[index])))
        owner[index:index] = [owner[index]] * min(times, most)

    def _swap_items(self, owner: Owner, index: int, other: bytes) -> None:
        place = self._rng.randrange(len(owner))
        owner[index], owner[place] = owner[place], owner[index]

    def _nest(self, owner: Owner, index: int, other: bytes) -> None:
        encoded = rlptree.encode(owner[index])
        for _ in range(self._rng.choice((1, 1, 2, 62, 63, 64, 65, 300))):
            encoded = rlptree.header(len(encoded), 0xC0) + encoded
        owner[index] = Raw(encoded)

    def _unnest(self, owner: Owner, index: int, other: bytes) -> None:
        item = owner[index]
        if isinstance(item, list):
            owner[index : index + 1] = item
        else:
            owner[index] = [item]

    def _string_to_list(self, owner: Owner, index: int, other: bytes) -> None:
        item = owner[index]
        owner[index] = rlptree.write(item) if isinstance(item, list) else rlptree.read(item)

    def _take_item(self, owner: Owner, index: int, other: bytes) -> None:
        source, place = self._pick(rlptree.read(other))
        if self._rng.random() < 0.5:
            owner.insert(index, source[place])
        else:
            owner[index] = source[place]

    def _lie(self, owner: Owner, index: int, other: bytes) -> None:
        """A header with a wrong length, or with the right one in a form that is not canonical."""
        item = owner[index]
        base = 0xC0 if isinstance(item, list) else 0x80
        payload = rlptree.write(item) if isinstance(item, list) else bytes(item)
        size = len(payload)
        kind = self._rng.randrange(5)
        if kind == 0:
            head = rlptree.header(max(0, size + self._rng.choice((-2, -1, 1, 2, 40))), base)
        elif kind == 1:
            head = rlptree.header(self._rng.choice(LIMITS) % (1 << 64), base)
        elif kind == 2:  # long where short would do, or with leading zeros
            width = self._rng.randrange(1, 9)
            head = bytes([base + 55 + width]) + (size % (1 << 8 * width)).to_bytes(width, "big")
        elif kind == 3:
            head = rlptree.header(size, base ^ 0x40)  # string for list, list for string
        else:
            head = bytes([base + self._rng.randrange(64)])
        owner[index] = Raw(head + payload)


_BYTE_CHANGES: tuple[Callable[[Mutator, bytes, bytes], bytes], ...] = (
    Mutator._flip_bit,
    Mutator._flip_bit,
    Mutator._set_byte,
    Mutator._add_to_byte,
    Mutator._set_integer,
    Mutator._delete,
    Mutator._insert,
    Mutator._double,
    Mutator._truncate,
    Mutator._splice,
    Mutator._insert_word,
    Mutator._insert_word,
)
_ITEM_CHANGES: tuple[Callable[[Mutator, Owner, int, bytes], None], ...] = (
    Mutator._set_number,
    Mutator._set_number,
    Mutator._change_string,
    Mutator._change_string,
    Mutator._resize,
    Mutator._delete_item,
    Mutator._repeat_item,
    Mutator._swap_items,
    Mutator._nest,
    Mutator._unnest,
    Mutator._string_to_list,
    Mutator._take_item,
    Mutator._lie,
    Mutator._lie,
)
