"""A protocol of two messages, for tests of what shows messages with their fields."""

from __future__ import annotations

from p2p.messages import Messages, message


@message(0)
class Greeting:
    name: str
    tags: list[bytes]


@message(1)
class Data:
    data: bytes


CHAT = Messages("chat", 1, [Greeting, Data])
