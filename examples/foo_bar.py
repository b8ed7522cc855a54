"""Foo and bar: the smallest complete program, as two processes that talk to each other.

One node listens. The other dials it and sends "foo"; the first answers "bar". In a terminal::

    $ python examples/foo_bar.py listen
    enode://...@127.0.0.1:...
    dialer says foo

and, with the URL of the first line, in a second one::

    $ python examples/foo_bar.py dial "enode://...@127.0.0.1:..."
    listener says bar

The listener runs until Ctrl-C. Its protocol has a handler, a function that runs for each peer in a
thread of its own. The dialer has none: it reads and writes like with a socket. A listener may do
without, too, and take one peer after the other::

    $ python examples/foo_bar.py listen --no-handler
    enode://...@127.0.0.1:...
    dialer says foo

Both ends have the protocol "MyProtocol", version 1, which has one
message: code 0, with a text.
"""

from __future__ import annotations

import argparse
import sys

import p2p

NAME, VERSION, LENGTH = "MyProtocol", 1, 1
TIMEOUT_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description="One node says foo, the other bar.")
    commands = parser.add_subparsers(required=True)
    listener = commands.add_parser("listen", help="wait for nodes that say foo")
    listener.add_argument("--port", type=int, default=0, help="TCP port (default: any free one)")
    listener.add_argument("--no-handler", action="store_true", help="take one node at a time")
    listener.set_defaults(run=lambda args: listen(args.port, not args.no_handler))
    dialer = commands.add_parser("dial", help="say foo to a listening node")
    dialer.add_argument("node", help="the URL that the listener printed")
    dialer.set_defaults(run=lambda args: dial(p2p.parse_node(args.node)))
    args = parser.parse_args()
    try:
        args.run(args)
    except p2p.InvalidNode as error:
        dialer.error(str(error))


def listen(port: int, has_handler: bool) -> None:
    """Answer every node that sends "foo", until Ctrl-C."""
    run = answer if has_handler else None
    server = p2p.Server(
        private_key=p2p.generate_key(),  # a new identity each time
        name="listener",
        max_peers=10,
        listen_addr=f"127.0.0.1:{port}",
        protocols=[p2p.Protocol(name=NAME, version=VERSION, length=LENGTH, run=run)],
    )
    try:
        with server:
            print(server.self.url, flush=True)
            if has_handler:
                server.wait()
            else:
                accept(server)
    except KeyboardInterrupt:
        pass  # the usual end of this program; the server has stopped by now


def answer(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """Answer a peer until it leaves; as a handler, in a thread of its own."""
    for msg in rw:  # blocks; ends when the peer leaves. A return would disconnect the peer
        (text,) = msg.decode(tuple[str])
        print(f"{peer.name} says {text}", flush=True)
        if text == "foo":
            rw.send_items(0, "bar")


def accept(server: p2p.Server) -> None:
    """Do the same without a handler: wait for a peer, answer it, and wait for the next."""
    while True:
        peer = server.accept()
        try:
            with peer.open(NAME) as rw:
                answer(peer, rw)
        except p2p.P2PError as error:  # about this peer, such as a message that is no text
            print(f"{peer.name}: {error}", flush=True)


def dial(node: p2p.Node) -> None:
    """Send "foo" to a node and print its answer."""
    try:
        with p2p.connect(
            node, name=NAME, version=VERSION, length=LENGTH, node_name="dialer", timeout=TIMEOUT_S
        ) as rw:  # leaving the block ends the connection
            rw.send_items(0, "foo")
            (text,) = rw.read_msg(timeout=TIMEOUT_S).decode(tuple[str])
            print(f"{rw.peer.name} says {text}")
    except p2p.ConnectError as error:
        sys.exit(f"cannot connect: {error}")
    except (p2p.Timeout, p2p.PeerDisconnected) as error:
        sys.exit(f"no answer: {error}")


if __name__ == "__main__":
    main()
