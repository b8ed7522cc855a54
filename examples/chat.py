"""A chat of any number of nodes: each typed line goes to all peers.

Ann waits for other nodes::

    $ python examples/chat.py --name ann
    ann is at enode://...@127.0.0.1:...
    * bob is here
    bob: hello ann
    * bob has left

and Bob, in another terminal, with Ann's URL::

    $ python examples/chat.py --name bob --connect "enode://...@127.0.0.1:..."
    bob is at enode://...@127.0.0.1:...
    * ann is here
    ann: hello bob

Ctrl-D or Ctrl-C ends it. In this example the main thread writes to peers whose handlers run in
threads of their own: it keeps their read-writers, which any thread may use.
"""

from __future__ import annotations

import argparse
import sys
import threading

import p2p


class Room:
    """The connected peers. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writers: dict[p2p.Peer, p2p.MsgReadWriter] = {}  # guarded by _lock

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Handle a peer, in a thread of its own, until it leaves."""
        with self._lock:
            self._writers[peer] = rw
        show(f"* {peer.name} is here")
        try:
            for msg in rw:
                (line,) = msg.decode(tuple[str])
                show(f"{peer.name}: {printable(line)}")
        finally:
            with self._lock:
                del self._writers[peer]
            show(f"* {peer.name} has left")

    def say(self, line: str) -> None:
        """Send a line to all peers."""
        with self._lock:
            writers = list(self._writers.values())
        for rw in writers:  # not under the lock: a send waits while a peer is slow to read
            try:
                p2p.send_items(rw, 0, line)
            except p2p.PeerDisconnected:
                pass  # it has just left; its handler reports that


def printable(text: str) -> str:
    """Return text of a peer without control characters for the terminal.

    ``peer.name`` is safe to print as it is; the program itself must escape message contents.
    """
    return "".join(char if char.isprintable() else "?" for char in text)


def show(line: str) -> None:
    print(line + "\n", end="", flush=True)  # one write, because other threads print, too


def main() -> None:
    parser = argparse.ArgumentParser(description="Chat with other nodes.")
    parser.add_argument("--name", required=True, help="how others see you")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDR",
                        help="address and port (default: %(default)s, any free port)")  # fmt: skip
    parser.add_argument("--connect", action="append", default=[],
                        metavar="URL", help="a node to talk to; may be repeated")  # fmt: skip
    args = parser.parse_args()
    try:
        nodes = [p2p.parse_node(url) for url in args.connect]
    except p2p.InvalidNode as error:
        parser.error(str(error))

    room = Room()
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name=args.name,
        max_peers=50,
        listen_addr=args.listen,
        protocols=[p2p.Protocol(name="chat", version=1, length=1, run=room.handle)],
    )
    try:
        with server:
            show(f"{args.name} is at {server.self.url}")
            for node in nodes:
                server.add_peer(node)  # dials it now, and again after each loss
            for line in sys.stdin:
                room.say(line.rstrip("\n"))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
