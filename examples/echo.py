"""Echo: two programs without a handler, each as simple as with a plain socket.

One node accepts a peer, returns each message until the peer leaves, and accepts the next peer::

    $ python examples/echo.py
    enode://...@127.0.0.1:...
    client said 2 words

The other connects to it and sends some words::

    $ python examples/echo.py "enode://...@127.0.0.1:..." hello world
    hello
    world

The first runs until Ctrl-C. Both have the protocol "echo", version 1, which has one message:
code 0, with a text.
"""

from __future__ import annotations

import sys

import p2p

TIMEOUT_S = 10.0


def serve() -> None:
    """Echo the messages of peers, one peer after the other."""
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="server",
        max_peers=10,
        listen_addr="127.0.0.1:0",
        protocols=[p2p.Protocol(name="echo", version=1, length=1)],
    )
    with server:
        print(server.self.url, flush=True)
        while True:
            peer = server.accept()
            words = 0
            try:
                with peer.open("echo") as rw:
                    for msg in rw:
                        rw.send(0, msg.decode(str))
                        words += 1
            except p2p.P2PError as error:  # about this peer: it left, or its message is no text
                print(f"{peer.name}: {error}", flush=True)
            print(f"{peer.name} said {words} words", flush=True)


def ask(url: str, words: list[str]) -> None:
    """Send each word and print the answer."""
    with p2p.connect(url, name="echo", version=1, length=1, node_name="client") as rw:
        for word in words:
            rw.send(0, word)
            print(rw.read_msg(TIMEOUT_S).decode(str))


if __name__ == "__main__":
    try:
        ask(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else serve()
    except KeyboardInterrupt:
        pass  # the usual end of this program; everything has stopped by now
    except (p2p.ConnectError, p2p.InvalidNode) as error:
        sys.exit(f"cannot connect: {error}")
