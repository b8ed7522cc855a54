"""RLP: the encoding of everything that devp2p sends.

The only package of the tree that uses the ``rlp`` library. Remote bytes are read by our own code,
which is strict (one encoding for each value, as in Go), bounded in depth and count, and does not
recurse over the nesting of remote data, except for kinds that contain themselves.

==============  ====================================================================
`scan`          headers, canonical rules, limits, raw values
`encoder`       values to bytes
`kinds`         the types that an item can be decoded as, and their shapes
`hints`         the types of the fields of a class
`enums`         enums and literals
`shapes`        the form on the wire of each kind
`readers`       readers, compiled from shapes; `strings` has those of strings
`decoder`       bytes to values
`layout`        shapes as words
`fields`        the fields of a dataclass that are on the wire
`sedes`         the bridge to the ``rlp`` library
==============  ====================================================================

Pure; any thread. Ethereum Yellow Paper, appendix B.
"""

from __future__ import annotations

from p2p.codec.decoder import decode, decode_fields, decoder_of
from p2p.codec.encoder import MAX_LIST_SIZE, encode, encode_list, encode_uint
from p2p.codec.kinds import shape_of
from p2p.codec.layout import length_of, named_in, type_of
from p2p.codec.scan import MAX_DEPTH, MAX_INT_BYTES, MAX_ITEMS, header_size, raw_items, split_uint
from p2p.codec.sedes import MAX_SEDES_ITEMS
from p2p.codec.shapes import MaxLength, Named, Record, Shape, String

__all__ = [
    "MAX_DEPTH",
    "MAX_INT_BYTES",
    "MAX_ITEMS",
    "MAX_LIST_SIZE",
    "MAX_SEDES_ITEMS",
    "MaxLength",
    "Named",
    "Record",
    "Shape",
    "String",
    "decode",
    "decode_fields",
    "decoder_of",
    "encode",
    "encode_list",
    "encode_uint",
    "header_size",
    "length_of",
    "named_in",
    "raw_items",
    "shape_of",
    "split_uint",
    "type_of",
]
