"""A program with a server and workers by multiprocessing: ``workers.py fork|spawn|forkserver``.

It prints what a worker gets from the server that it may have inherited, and from one of its own;
then that a server listens on the first one's port again while the worker still lives.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.connection import Connection

import p2p

HOST = "127.0.0.1"


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for _ in rw:
        pass


def new_server(listen_addr: str | None = None) -> p2p.Server:
    return p2p.Server(
        private_key=p2p.generate_key(),
        name="worker",
        max_peers=10,
        listen_addr=listen_addr,
        no_discovery=True,
        protocols=[p2p.Protocol("test", 1, 8, stay)],
    )


inherited: p2p.Server | None = None


def work(url: str, results: Connection) -> None:
    """A worker: ask both servers, and live until the parent has closed its end."""
    node = p2p.parse_node(url)
    try:
        results.send("none" if inherited is None else inherited.connect(node).name)
    except p2p.errors.WrongProcess as error:
        results.send(f"WrongProcess: {error}")
    with new_server() as server:
        results.send(f"connected with {server.connect(node).name}")
        results.recv()


def main(method: str) -> None:
    global inherited
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    with new_server(f"{HOST}:0") as inherited:
        port = inherited.self.tcp
        worker = context.Process(target=work, args=(inherited.self.url, theirs))
        worker.start()
        print(ours.recv(), flush=True)
        print(ours.recv(), flush=True)
    with new_server(f"{HOST}:{port}") as again:
        print("listens again:", again.self.tcp == port, worker.is_alive(), flush=True)
    ours.send("done")
    worker.join()
    print("ended with", worker.exitcode, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
