"""Types of arguments that name an object of the user's program, MODULE:NAME, and ``--protocol``.

The module is looked for in the working directory, too, as by ``python -m``. Its code is run. Main
thread.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import click

import p2p
from p2p.cli.parameters import ParamType
from p2p.messages import MessageProtocol, Messages

Handler: TypeAlias = Callable[[p2p.Peer, p2p.MsgReadWriter], object]
#: Protocols whose messages the library has, by capability.
KNOWN: dict[str, Messages[Any]] = {
    str(messages.cap): messages
    for messages in (
        *(p2p.eth.ETH69, p2p.eth.ETH70, p2p.eth.ETH71, p2p.eth.ETH72),
        *(p2p.eth.SNAP1, p2p.eth.SNAP2),
    )
}


class MessagesType(ParamType):
    """The messages of a protocol: a known capability, or MODULE:NAME."""

    name = "protocol"

    def convert(self, value: Any, param: Any, context: Any) -> Messages[Any]:
        if isinstance(value, Messages):
            return value
        if value in KNOWN:
            return KNOWN[value]
        if ":" not in value:
            self.fail(f"unknown: give {', '.join(KNOWN)}, or MODULE:NAME", param, context)
        found = _resolve(self, value, param, context)
        if isinstance(found, MessageProtocol):
            return found.messages
        if not isinstance(found, Messages):
            kind = type(found).__name__
            self.fail(f"{value} is a {kind}, not p2p.messages.Messages", param, context)
        return found


class HandlerType(ParamType):
    """A handler, MODULE:FUNCTION, or MODULE:NAME of a :class:`p2p.Protocol` that has one."""

    name = "handler"

    def convert(self, value: Any, param: Any, context: Any) -> Handler:
        if ":" not in str(value):
            self.fail("give MODULE:FUNCTION, such as chat:handle", param, context)
        found = _resolve(self, value, param, context)
        handler: Handler | None = getattr(found, "run", found)
        if not callable(handler):
            self.fail(f"{value} is a {type(found).__name__}, not a handler", param, context)
        return handler


def _resolve(kind: ParamType, value: str, param: Any, context: Any) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return pkgutil.resolve_name(value)
    except Exception as error:  # of the user's module
        kind.fail(f"{value}: {type(error).__name__}: {error}", param, context)


MESSAGES = MessagesType()
HANDLER = HandlerType()

_PROTOCOL_HELP = 'Protocol: "eth/69", or MODULE:NAME of yours (p2p.messages.Messages)'
with_protocol = click.option("--protocol", type=MESSAGES, help=f"{_PROTOCOL_HELP}.")
with_protocols = click.option(
    "--protocol",
    "protocols",
    type=MESSAGES,
    multiple=True,
    help=f"{_PROTOCOL_HELP}; may be repeated.",
)
