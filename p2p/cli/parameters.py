"""Types of arguments, and input from files or the standard input.

A node is given by its enode URL or its record ("enr:…"), a key by its file. ``-`` is the standard
input, so that commands can be joined by pipes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

import p2p

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # not generic before click 8.5
    _ParamType = click.ParamType

#: Maximum number of characters to read from the standard input for one value.
MAX_INPUT = 64 * 1024


class NodeType(_ParamType):
    """A node, by its enode URL or its record; ``-`` reads it from the standard input."""

    name = "node"

    def convert(self, value: Any, param: Any, context: Any) -> p2p.Node:
        if isinstance(value, p2p.Node):
            return value
        try:
            return p2p.parse_node(read_text(value))
        except p2p.InvalidNode as error:
            self.fail(f"{error}; give an enode URL or a record (enr:…)", param, context)


class KeyType(_ParamType):
    """A private key, by the path of its file; ``-`` reads the digits from the standard input."""

    name = "keyfile"

    def convert(self, value: Any, param: Any, context: Any) -> p2p.PrivateKey:
        if isinstance(value, p2p.PrivateKey):
            return value
        try:
            if value == "-":
                return p2p.PrivateKey.from_bytes(bytes.fromhex(read_text(value)))
            return p2p.load_key(value)
        except FileNotFoundError:
            self.fail(f"no such file: {value}; to make a key: p2p key new {value}", param, context)
        except (p2p.errors.InvalidKey, ValueError) as error:
            self.fail(f"{error}", param, context)


NODE = NodeType()
KEY = KeyType()


def read_text(value: str) -> str:
    """Return ``value`` without white space around it, for ``-`` that of the standard input."""
    if value != "-":
        return value.strip()
    text = sys.stdin.read(MAX_INPUT + 1)
    if len(text) > MAX_INPUT:
        raise click.BadParameter(f"the standard input has more than {MAX_INPUT} characters")
    return text.strip()
