"""File transfer: a file in chunks from several nodes at once, each chunk checked, and resumed.

A node offers a file. Start it several times, in terminals of their own::

    $ python examples/file_transfer.py offer film.bin
    3145728 bytes in 12 chunks, file ...
    enode://...@127.0.0.1:...

Another one fetches the file, by its identifier, from all of them::

    $ python examples/file_transfer.py fetch ... copy.bin "enode://..." "enode://..." "enode://..."
    0 of 12 chunks are here
    10 %
    20 %
    30 %
    40 %
    50 %
    60 %
    70 %
    80 %
    90 %
    100 %
    copy.bin is complete and right: 3145728 bytes, ... MB a second
    chunks of each peer: ...

If it ends early, the same command goes on: it looks which chunks of copy.bin are right. The
identifier is the hash of the file's size and of the hashes of its chunks. A node that offers
another file or sends a wrong chunk is left, and the others send what it has not.

Each peer has a thread that asks for chunks, several ahead, and one that reads
(docs/howto/requests.md). 200 MB from three nodes took 4 s, all on one busy machine with two cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import deque
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import p2p

# The messages: the summary of the file [id], a chunk [id, index], the reply to both [id, bytes].
SUMMARY, CHUNK, REPLY = range(3)
NAME, VERSION, LENGTH = "file", 1, 3
CHUNK_SIZE = 256 * 1024
AHEAD = 8  # requests that a peer has at once
TIMEOUT_S = 30.0


def hashes_of(path: Path) -> list[bytes]:
    """Return the hash of each chunk of a file."""
    with path.open("rb") as file:
        return [sha256(chunk).digest() for chunk in iter(lambda: file.read(CHUNK_SIZE), b"")]


class Offer:
    """A file for all peers. Its summary is its size, as eight bytes, and the chunks' hashes."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        self.summary = self.size.to_bytes(8, "big") + b"".join(hashes_of(path))
        self._path = path

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Answer the requests of a peer, in a thread of its own, until it leaves."""
        with self._path.open("rb") as file:
            for msg in rw:
                if msg.code == SUMMARY:
                    (number,) = msg.decode(tuple[int])
                    rw.send_items(REPLY, number, self.summary)
                else:
                    number, index = msg.decode(tuple[int, int])
                    file.seek(min(index * CHUNK_SIZE, self.size))
                    rw.send_items(REPLY, number, file.read(CHUNK_SIZE))


class Download:
    """A file that is being fetched, by a thread for each peer."""

    def __init__(self, path: Path, file_id: str) -> None:
        path.touch()
        self.counts: list[int] = []  # chunks of each peer
        self.size = 0
        self._id = file_id
        self._path = path
        self._file = path.open("r+b")
        self._hashes: list[bytes] = []
        self._changed = threading.Condition()
        # guarded by _changed
        self._missing: deque[int] = deque()
        self._left: int | None = None  # chunks that are not in the file; None without a summary

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def close(self) -> None:
        self._file.close()

    def fetch(self, server: p2p.Server, node: p2p.Node) -> None:
        """Fetch chunks from a node, until the file is complete or the node fails."""
        asked: deque[int] = deque()
        replies: deque[p2p.requests.Request[bytes]] = deque()
        count = 0
        try:
            with server.connect(node).open(NAME) as rw:
                requests = p2p.requests.Requests(rw)
                threading.Thread(target=read, args=(rw, requests)).start()
                self._begin(requests.ask(SUMMARY, expect=bytes, timeout=TIMEOUT_S))
                while not self.is_complete:
                    while len(asked) < AHEAD and (index := self._next(wait=not asked)) is not None:
                        asked.append(index)
                        replies.append(
                            requests.start(CHUNK, index, expect=bytes, timeout=TIMEOUT_S)
                        )
                    if asked:
                        self._store(asked[0], replies.popleft().result())
                        asked.popleft()
                        count += 1
        except p2p.P2PError as error:
            show(f"{node.tcp_endpoint}: {error}")
        with self._changed:
            self.counts.append(count)
            self._missing.extend(asked)  # for the other peers
            self._changed.notify_all()

    def _begin(self, summary: bytes) -> None:
        """Check a summary; with the first one, look which chunks are missing."""
        if sha256(summary).hexdigest() != self._id:
            raise p2p.Disconnect(p2p.DiscReason.USELESS_PEER, "it offers another file")
        with self._changed:
            if self._left is not None:
                return
            self.size = int.from_bytes(summary[:8], "big")
            self._file.truncate(self.size)
            self._hashes = [summary[at : at + 32] for at in range(8, len(summary), 32)]
            here = hashes_of(self._path)
            total = len(self._hashes)
            self._missing.extend(n for n in range(total) if here[n] != self._hashes[n])
            self._left = len(self._missing)
            show(f"{total - self._left} of {total} chunks are here")

    def _next(self, wait: bool) -> int | None:
        """Return a missing chunk. If others fetch the last ones, ``wait`` until one fails."""
        with self._changed:
            while wait and not self._missing and not self.is_complete:
                self._changed.wait()
            return self._missing.popleft() if self._missing else None

    def _store(self, index: int, chunk: bytes) -> None:
        if sha256(chunk).digest() != self._hashes[index]:
            raise p2p.Disconnect(p2p.DiscReason.USELESS_PEER, f"chunk {index} of it is wrong")
        os.pwrite(self._file.fileno(), chunk, index * CHUNK_SIZE)
        with self._changed:
            assert self._left is not None
            total = len(self._hashes)
            before = 10 * (total - self._left) // total
            self._left -= 1
            now = 10 * (total - self._left) // total
            if now > before:
                show(f"{10 * now} %")
            if self.is_complete:
                self._changed.notify_all()


def read(rw: p2p.MsgReadWriter, requests: p2p.requests.Requests) -> None:
    """Hand each reply to the thread that has asked, until the connection ends."""
    with requests:
        for msg in rw:
            requests.deliver(*msg.decode(tuple[int, bytes]))


def show(line: str) -> None:
    print(line + "\n", end="", flush=True)  # one write, because other threads print, too


def new_server(**options: object) -> p2p.Server:
    return p2p.Server(
        private_key=p2p.generate_key(), name="file transfer", max_peers=50, no_discovery=True,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def offer(path: Path) -> None:
    offered = Offer(path)
    protocol = p2p.Protocol(NAME, VERSION, LENGTH, run=offered.handle)
    with new_server(listen_addr="127.0.0.1:0", protocols=[protocol]) as server:
        chunks = len(offered.summary) // 32
        show(f"{offered.size} bytes in {chunks} chunks, file {sha256(offered.summary).hexdigest()}")
        show(server.self.url)
        server.wait()


def fetch(file_id: str, path: Path, nodes: list[p2p.Node]) -> int:
    begun = time.monotonic()
    protocol = p2p.Protocol(NAME, VERSION, LENGTH)  # no handler: the threads below do all
    download = Download(path, file_id)
    with closing(download), new_server(protocols=[protocol]) as server:
        threads = [threading.Thread(target=download.fetch, args=(server, node)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if not download.is_complete:
        show(f"{path} is not complete; the same command goes on")
        return 1
    rate = download.size / 1e6 / (time.monotonic() - begun)
    show(f"{path} is complete and right: {download.size} bytes, {rate:.0f} MB a second")
    show(f"chunks of each peer: {', '.join(map(str, download.counts))}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Files, in chunks from several nodes.")
    commands = parser.add_subparsers(required=True, dest="command")
    offering = commands.add_parser("offer", help="offer a file to other nodes")
    offering.add_argument("file", type=Path)
    fetching = commands.add_parser("fetch", help="fetch a file from nodes that offer it")
    fetching.add_argument("id", help="the identifier that the offering node printed")
    fetching.add_argument("file", type=Path, help="where to put it")
    fetching.add_argument("nodes", nargs="+", help="URLs of nodes")
    args = parser.parse_args()
    try:
        if args.command == "offer":
            offer(args.file)
            return 0
        return fetch(args.id, args.file, [p2p.parse_node(url) for url in args.nodes])
    except p2p.InvalidNode as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(main())
