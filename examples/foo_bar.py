"""Foo and bar: the smallest whole program, as two processes that talk to each other.

One node listens. The other dials it and sends "foo"; the first answers "bar". In a terminal::

    $ python examples/foo_bar.py listen
    enode://...@127.0.0.1:...
    dialer says foo

and, with the URL of the first line, in a second one::

    $ python examples/foo_bar.py dial "enode://...@127.0.0.1:..."
    listener says bar

The listener goes on until Ctrl-C. Both ends run the protocol "MyProtocol", version 1, which has one
message: code 0, with a text.
"""

from __future__ import annotations

import argparse
import queue
import sys
from collections.abc import Callable

import p2p

TIMEOUT_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description="One node says foo, the other bar.")
    commands = parser.add_subparsers(required=True)
    listener = commands.add_parser("listen", help="wait for nodes that say foo")
    listener.add_argument("--port", type=int, default=0, help="TCP port (default: any free one)")
    listener.set_defaults(run=lambda args: listen(args.port))
    dialer = commands.add_parser("dial", help="say foo to a listening node")
    dialer.add_argument("node", type=p2p.parse_node, help="the URL that the listener printed")
    dialer.set_defaults(run=lambda args: dial(args.node))
    args = parser.parse_args()
    args.run(args)


def listen(port: int) -> None:
    """Answer every node that says foo, until Ctrl-C."""
    try:
        with new_server("listener", f"127.0.0.1:{port}", answer) as server:
            print(server.self().url, flush=True)
            server.wait()
    except KeyboardInterrupt:
        pass  # how one ends this program; the server has stopped by now


def answer(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """Run for each peer, in a thread of its own; when it returns, the peer is disconnected."""
    for msg in rw:  # blocks; ends when the peer leaves
        (text,) = msg.decode(tuple[str])
        print(f"{peer.name} says {text}", flush=True)
        if text == "foo":
            p2p.send_items(rw, 0, "bar")


def dial(node: p2p.Node) -> None:
    """Say foo to a node and print what it says."""
    # Handlers run in threads. A queue carries the answer from there to here.
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        p2p.send_items(rw, 0, "foo")
        (text,) = rw.read_msg(timeout=TIMEOUT_S).decode(tuple[str])
        answers.put(f"{peer.name} says {text}")

    with new_server("dialer", None, ask) as server:
        try:
            server.connect(node, timeout=TIMEOUT_S)
            print(answers.get(timeout=TIMEOUT_S))
        except p2p.ConnectError as error:
            sys.exit(f"cannot connect: {error}")
        except queue.Empty:
            sys.exit("no answer")


def new_server(
    name: str,
    listen_addr: str | None,
    handler: Callable[[p2p.Peer, p2p.MsgReadWriter], None],
) -> p2p.Server:
    """A server that runs our one protocol. A node without an address only dials."""
    protocol = p2p.Protocol(name="MyProtocol", version=1, length=1, run=handler)
    return p2p.Server(
        private_key=p2p.generate_key(),  # a new identity each time
        name=name,
        max_peers=10,
        listen_addr=listen_addr,
        protocols=[protocol],
    )


if __name__ == "__main__":
    main()
