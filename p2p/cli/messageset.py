"""Type of the arguments that name the messages of a protocol, such as "eth/69". Main thread."""

from __future__ import annotations

import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

import click

import p2p
from p2p.messages import MessageProtocol, Messages

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # not generic before click 8.5
    _ParamType = click.ParamType

#: Protocols whose messages the library has, by capability.
KNOWN: dict[str, Messages[Any]] = {
    str(messages.cap): messages
    for messages in (
        *(p2p.eth.ETH69, p2p.eth.ETH70, p2p.eth.ETH71, p2p.eth.ETH72),
        *(p2p.eth.SNAP1, p2p.eth.SNAP2),
    )
}


class MessagesType(_ParamType):
    """The messages of a protocol: a known capability, or "MODULE:NAME" of a program.

    The module is looked for in the working directory, too, as by ``python -m``. Its code is run.
    """

    name = "protocol"

    def convert(self, value: Any, param: Any, context: Any) -> Messages[Any]:
        if isinstance(value, Messages):
            return value
        if value in KNOWN:
            return KNOWN[value]
        if ":" not in value:
            self.fail(f"unknown: give {', '.join(KNOWN)}, or MODULE:NAME", param, context)
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            found = pkgutil.resolve_name(value)
        except Exception as error:  # of the user's module
            self.fail(f"{value}: {type(error).__name__}: {error}", param, context)
        if isinstance(found, MessageProtocol):
            return found.messages
        if not isinstance(found, Messages):
            kind = type(found).__name__
            self.fail(f"{value} is a {kind}, not p2p.messages.Messages", param, context)
        return found


MESSAGES = MessagesType()
