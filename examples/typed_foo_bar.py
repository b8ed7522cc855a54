"""Foo and bar as declared messages, with a handler class, in one process.

A node listens, and another asks it. Each message is a class; `p2p.describe` shows their layout::

    $ python examples/typed_foo_bar.py
    foobar/1: 2 codes, payloads up to 1024 bytes

    code  message  field    type     length
    0x00  Foo      text     text     up to 64 bytes
    0x01  Bar      text     text
                   answers  integer
    asker says foo
    listener says FOO, its answer 1
    asker says bar
    listener says BAR, its answer 2
"""

from __future__ import annotations

from typing import Annotated

import p2p
from p2p.messages import Messages, TypedReadWriter, message, protocol
from p2p.rlp import MaxLength

TIMEOUT_S = 10.0


@message(0, max_size=1024)
class Foo:
    text: Annotated[str, MaxLength(64)]


@message(1, max_size=1024)
class Bar:
    text: str
    answers: int


FOO_BAR: Messages[Foo | Bar] = Messages("foobar", 1, [Foo, Bar])


class Listener:
    """Answers one peer: each foo with a bar."""

    def __init__(self, peer: p2p.Peer, rw: TypedReadWriter[Foo | Bar]) -> None:
        self.peer, self.rw = peer, rw
        self.answers = 0

    def on_foo(self, msg: Foo) -> None:
        print(f"{self.peer.name} says {msg.text}", flush=True)
        self.answers += 1
        self.rw.write(Bar(msg.text.upper(), self.answers))

    def on_bar(self, msg: Bar) -> None:
        raise p2p.Disconnect(p2p.DiscReason.PROTOCOL_ERROR, "a bar without a foo")


def ask(node: p2p.Node, *texts: str) -> None:
    """Send each text to the node, and print its answer."""
    connection = p2p.connect(
        node, name="foobar", version=1, length=FOO_BAR.length, node_name="asker", timeout=TIMEOUT_S
    )
    with TypedReadWriter(connection, FOO_BAR) as rw:
        for text in texts:
            rw.write(Foo(text))
            bar = rw.expect(Bar, TIMEOUT_S)
            print(f"listener says {bar.text}, its answer {bar.answers}", flush=True)


def main() -> None:
    print(p2p.describe(FOO_BAR), flush=True)
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="listener",
        max_peers=10,
        listen_addr="127.0.0.1:0",
        protocols=[protocol(FOO_BAR, Listener)],
    )
    with server:
        ask(server.self, "foo", "bar")


if __name__ == "__main__":
    main()
