"""A protocol of declared messages, and its handler: a function, or a class with methods.

:func:`protocol` checks a handler when the protocol is declared. A handler class has one instance
for each peer, on the peer's thread, and a method for each message: ``on_block_headers`` for
``BlockHeaders``.

Any thread may declare protocols; handlers run as those of any :class:`p2p.Protocol`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from p2p.arguments import check_function, check_has_run, check_type, of_options, wrong
from p2p.message import MsgReadWriter
from p2p.messages.declaration import Messages
from p2p.messages.readwriter import TypedReadWriter
from p2p.protocol import Protocol

if TYPE_CHECKING:
    from p2p.enode import Node
    from p2p.peers.peer import Peer

M = TypeVar("M")

_Handler = Callable[["Peer", TypedReadWriter[M]], object]

#: Method of a handler class for the messages that have none of their own.
_OTHER = "on_other"
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class MessageProtocol(Protocol):
    """A protocol whose messages are declared, from :func:`protocol`.

    ``messages`` are its messages; for all else see :class:`p2p.Protocol`.
    """

    messages: Messages[Any] = field(kw_only=True)


@of_options()
def protocol(
    messages: Messages[M],
    handler: Callable[[Peer, TypedReadWriter[M]], object] | None = None,
    *,
    node_info: Callable[[], Any] | None = None,
    peer_info: Callable[[bytes], Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    dial_candidates: Iterable[Node] | None = None,
    topic: str | bytes | None = None,
) -> MessageProtocol:
    """Return the protocol of declared messages, for the option ``protocols`` of a server.

    ``handler(peer, rw)`` runs for each peer, in a thread of its own; ``rw`` is a
    :class:`TypedReadWriter`. A class as ``handler`` is called in the same way, and then one of its
    methods for each message, until the peer leaves::

        class Chat:
            def __init__(self, peer: p2p.Peer, rw: TypedReadWriter[Hello | Text]) -> None:
                self.peer, self.rw = peer, rw
                rw.write(Hello("alice", 1))

            def on_hello(self, msg: Hello) -> None:
                print(self.peer.name, "is", msg.name)

            def on_text(self, msg: Text) -> None:
                print(msg.text)

        protocol = messages.protocol(CHAT, Chat)

    The method of a message has its name in lower case: ``on_block_headers`` for BlockHeaders. The
    method ``on_other``, if there is one, gets messages without a method of their own. ``close``,
    if there is one, is called without arguments at the end, also after an error. An exception of a
    method ends the connection, as that of a handler. Without a handler the program reads and
    writes itself.

    The other options are those of :class:`p2p.Protocol`. Raises ConfigError for values of other
    types, for a handler class that lacks a method or has one for no message, and for coroutine and
    generator functions, whose call runs nothing.
    """
    check_type("messages", messages, Messages, "the Messages of a protocol")
    return MessageProtocol(
        messages.name,
        messages.version,
        messages.length,
        None if handler is None else _runner(messages, handler),
        node_info,
        peer_info,
        {} if attributes is None else attributes,
        dial_candidates,
        topic,
        messages=messages,
    )


def _runner(messages: Messages[M], handler: _Handler[M]) -> Callable[[Peer, MsgReadWriter], object]:
    check_function("handler", handler, "peer", "rw")
    if isinstance(handler, type):
        handler = partial(_serve, handler, _methods(messages, handler))

    def run(peer: Peer, rw: MsgReadWriter) -> object:
        return handler(peer, TypedReadWriter(rw, messages))

    return run


def _serve(
    kind: type[Any], methods: Mapping[type, str], peer: Peer, rw: TypedReadWriter[M]
) -> None:
    """Run an instance of a handler class for one peer."""
    handler = kind(peer, rw)
    bound = {message: getattr(handler, name) for message, name in methods.items()}
    try:
        for message in rw:
            result = bound[type(message)](message)
            if result is not None:  # a decorator may hide a coroutine function
                check_has_run(f"{kind.__name__}.{methods[type(message)]}", result)
    finally:
        close = getattr(handler, "close", None)
        if close is not None:
            close()


def _methods(messages: Messages[Any], handler: type[Any]) -> dict[type, str]:
    """Return the name of the method for each message. Raises ConfigError for missing ones."""
    found: dict[type, str] = {}
    unknown = {name for name in dir(handler) if name.startswith("on_")} - {_OTHER}
    for kind in messages.classes.values():
        name = f"on_{_WORD_BEGINS.sub('_', kind.__name__).lower()}"
        unknown.discard(name)
        found[kind] = name if hasattr(handler, name) else _OTHER
        if not hasattr(handler, found[kind]):
            wanted = f"a class with {name}(self, msg) for {kind.__name__}, or on_other(self, msg)"
            raise wrong("handler", handler, wanted)
    if unknown:
        wanted = f"methods for messages of {messages.cap} only: {', '.join(sorted(found.values()))}"
        raise wrong("handler", sorted(unknown), wanted)
    for name in {*found.values()}:
        check_function(f"{handler.__name__}.{name}", getattr(handler, name), "self", "msg")
    if hasattr(handler, "close"):
        check_function(f"{handler.__name__}.close", handler.close, "self")
    return found
