"""The root of the Merkle trie of a list, which block headers commit to lists with.

The keys are the encodings of the indices, the values the items, in a hexary trie whose nodes of 32
bytes or more are replaced by their hash (Yellow Paper, appendix D). It is built at once from all
items, sorted by key; there is no trie to look up in. Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2p.arguments import check_each
from p2p.codec import encode, encode_list, encode_uint
from p2p.crypto import keccak256

_Pair = tuple[tuple[int, ...], bytes]
#: RLP of an empty child, and the flags of a path: the node is a leaf, the path has an odd length.
_ABSENT = b"\x80"
_LEAF = 0x20
_ODD = 0x10

#: The root of the empty trie.
EMPTY_ROOT = keccak256(_ABSENT)


def list_root(items: Sequence[bytes]) -> bytes:
    """Return the root of the trie of ``items``, each as it is hashed, by its index: 32 bytes.

    Raises ArgumentTypeError for anything but a sequence of bytes.
    """
    check_each("items", items, bytes, "a sequence of bytes")
    if not items:
        return EMPTY_ROOT
    pairs = sorted((_nibbles(encode_uint(index)), item) for index, item in enumerate(items))
    return keccak256(_node(pairs, 0))


def _node(pairs: Sequence[_Pair], depth: int) -> bytes:
    """Return the encoding of the node for pairs that agree in their first ``depth`` nibbles."""
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return encode([_path(first[depth:], _LEAF), pairs[0][1]])
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        child = _reference(_node(pairs, shared))
        return encode_list([encode(_path(first[depth:shared], 0)), child])
    return _branch(pairs, depth)


def _branch(pairs: Sequence[_Pair], depth: int) -> bytes:
    # No key is the beginning of another one, hence the branch itself has no value.
    children: list[list[_Pair]] = [[] for _ in range(16)]
    for pair in pairs:
        children[pair[0][depth]].append(pair)
    parts = [_reference(_node(child, depth + 1)) if child else _ABSENT for child in children]
    return encode_list([*parts, _ABSENT])


def _reference(node: bytes) -> bytes:
    """Return what stands for a node in its parent: the node, or the string of its hash."""
    return node if len(node) < 32 else encode(keccak256(node))


def _path(nibbles: tuple[int, ...], flag: int) -> bytes:
    """Return nibbles as bytes, with the prefix that tells the kind of node and an odd number."""
    if len(nibbles) % 2:
        nibbles, flag = nibbles[1:], flag | _ODD | nibbles[0]
    pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    return bytes([flag, *(high << 4 | low for high, low in pairs)])


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))
