"""RLP, the encoding of all devp2p messages (Ethereum Yellow Paper, appendix B).

``Msg.decode``, ``rw.send`` and ``expect_msg`` use it; these functions are for payloads within
payloads, for files, and for tests::

    data = encode(["foo", 5, b"bytes", [1, 2]])
    text, number, raw, numbers = decode(data, tuple[str, int, bytes, list[int]])

:func:`encode` takes bytes, str (as UTF-8), bool, int from zero up, an Enum as its value, list,
tuple, and dataclasses and NamedTuples as the list of their fields in order; anything else, such as
a float, a dict or None, is an EncodeError. :func:`encode_list` makes a list of encoded items.

:func:`decode` takes the data and a *kind* of value:

=============================  =================================================================
none, or ``Any``               the raw value: bytes, or nested lists of bytes
bytes, str, int, bool          a string; strict UTF-8; canonical integer; 0x01 or 0x80
bytearray, memoryview          a string
a subclass of bytes, str, int  the result of the class, refused if it raises ValueError
an Enum, a Literal             one of its values, all of them bytes, str, int, or bool
list, list[T], Sequence[T]     any list; a list of any length whose items are all T
tuple, tuple[T, ...]           the same, as tuples
tuple[A, B], tuple[()]         a list of exactly these items
a dataclass, a NamedTuple      a list of its fields; those with defaults may be missing at the
                               end, and are left out there if they are None
Box[int]                       a generic one of these, with its type parameters
Annotated[T, 32]               bytes, str or list of exactly 32 bytes, or items
Annotated[T, MaxLength(32)]    the same, or int, of at most 32: see :class:`MaxLength`
A | B                          of strings that differ in length, or of a string and a list
X | None                       only for a field with a default: X when present
a NewType, a ``type`` alias    the type that it stands for
a sedes, a Serializable        of the package ``rlp``
=============================  =================================================================

:func:`decode_fields` decodes the first items of a list and ignores the rest (EIP-8).

Decoding is strict and safe for untrusted bytes. It rejects non-canonical encodings, as Go does,
lists nested deeper than 64 or with more than 524,288 items, and integers of more than 1,024 bytes.
It then raises DecodeError, which names the position and contains no byte of the data. Any thread.
"""

from __future__ import annotations

from p2p.codec import MaxLength, decode, decode_fields, encode, encode_list
from p2p.errors import DecodeError, EncodeError

__all__ = [
    "DecodeError",
    "EncodeError",
    "MaxLength",
    "decode",
    "decode_fields",
    "encode",
    "encode_list",
]
