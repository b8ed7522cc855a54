"""Messages as dataclasses: a protocol declared by its messages, each with a code.

:func:`message` gives a class its code, :class:`Messages` is a protocol's messages together::

    from p2p import messages

    @messages.message(0)
    class Hello:
        name: str
        version: int

    @messages.message(1)
    class Text:
        text: str

    CHAT = messages.Messages("chat", 1, [Hello, Text])
    code, payload = CHAT.encode(Hello("alice", 1))
    assert CHAT.decode(code, payload) == Hello("alice", 1)

A message is the RLP list of its fields; ``help(p2p.rlp)`` has the types that a field may have.
:func:`p2p.describe` returns the layout of all messages as text.

:func:`protocol` makes a protocol of them for a server, a :class:`MessageProtocol`, with a function
or a class as its handler. The handler gets a :class:`TypedReadWriter`, which reads and writes
messages as objects.
"""

from __future__ import annotations

from p2p.messages.declaration import Messages, message
from p2p.messages.handler import MessageProtocol, protocol
from p2p.messages.readwriter import TypedReadWriter

__all__ = [
    "MessageProtocol",
    "Messages",
    "TypedReadWriter",
    "message",
    "protocol",
]
