"""A key-value store: one node keeps values, the threads of another ask for them all at once.

The store, in a terminal::

    $ python examples/key_value.py
    enode://...@127.0.0.1:...
    client stored 100 values and asked for 101

and a client, in another one, with the URL of the first line::

    $ python examples/key_value.py "enode://...@127.0.0.1:..."
    10 threads stored 100 values
    10 threads read 100 values, all right
    the square of 100 is not stored
    201 requests, 201 answered, 0 late

The store runs until Ctrl-C. A request has an id, and so has its reply, so that many threads can use
one connection (docs/howto/requests.md).
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import p2p

# The messages: put [id, key, value], get [id, key], and the reply to both [id, found, value].
PUT, GET, REPLY = range(3)
NAME, VERSION, LENGTH = "kv", 1, 3
MAX_KEYS, MAX_SIZE = 10_000, 1_000  # a peer must not fill the memory
THREADS, KEYS = 10, 100
TIMEOUT_S = 10.0


@dataclass
class Reply:
    id: int
    found: bool
    value: bytes


class Store:
    """The values, for the handlers of all peers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[bytes, bytes] = {}  # guarded by _lock

    def handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Answer the requests of a peer, in a thread of its own, until it leaves."""
        counts = {PUT: 0, GET: 0}
        for msg in rw:
            if msg.code == PUT:
                number, key, value = msg.decode(tuple[int, bytes, bytes])
                reply = Reply(number, self._put(key, value), b"")
            elif msg.code == GET:
                number, key = msg.decode(tuple[int, bytes])
                found = self._values.get(key)
                reply = Reply(number, found is not None, found or b"")
            else:
                raise p2p.Disconnect(p2p.DiscReason.PROTOCOL_ERROR)
            rw.send(REPLY, reply)
            counts[msg.code] += 1
        print(f"{peer.name} stored {counts[PUT]} values and asked for {counts[GET]}", flush=True)

    def _put(self, key: bytes, value: bytes) -> bool:
        with self._lock:
            if len(self._values) >= MAX_KEYS or len(key) + len(value) > MAX_SIZE:
                return False
            self._values[key] = value
            return True


class Client:
    """The store of another node, for any number of threads."""

    def __init__(self, rw: p2p.MsgReadWriter) -> None:
        self._rw = rw
        self.requests = p2p.requests.Requests(rw)

    def read(self) -> None:
        """Hand each reply to the thread that waits for it, until the connection ends."""
        with self.requests:
            for msg in self._rw:
                reply = msg.decode(Reply)
                self.requests.deliver(reply.id, reply)

    def put(self, key: str, value: str) -> bool:
        return self.requests.ask(PUT, key, value, expect=Reply, timeout=TIMEOUT_S).found

    def get(self, key: str) -> str | None:
        reply = self.requests.ask(GET, key, expect=Reply, timeout=TIMEOUT_S)
        return reply.value.decode() if reply.found else None


def serve() -> None:
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="store",
        max_peers=50,
        listen_addr="127.0.0.1:0",
        protocols=[p2p.Protocol(NAME, VERSION, LENGTH, run=Store().handle)],
    )
    with server:
        print(server.self.url, flush=True)
        server.wait()


def use(url: str) -> None:
    with p2p.connect(url, name=NAME, version=VERSION, length=LENGTH, node_name="client") as rw:
        client = Client(rw)
        reader = threading.Thread(target=client.read)
        reader.start()
        with ThreadPoolExecutor(THREADS) as pool:
            keys, squares = range(KEYS), [str(n * n) for n in range(KEYS)]
            stored = list(pool.map(client.put, map(str, keys), squares))
            print(f"{THREADS} threads stored {sum(stored)} values")
            read = list(pool.map(client.get, map(str, keys)))
            verdict = "all right" if read == squares else "some wrong"
            print(f"{THREADS} threads read {len(read)} values, {verdict}")
        if client.get(str(KEYS)) is None:
            print(f"the square of {KEYS} is not stored")
        counts = client.requests.counters
        print(f"{counts.started} requests, {counts.answered} answered, {counts.late} late")
    reader.join()  # the end of the block has ended the connection, hence its loop


if __name__ == "__main__":
    try:
        use(sys.argv[1]) if len(sys.argv) > 1 else serve()
    except KeyboardInterrupt:
        pass  # the usual end of the store; everything has stopped by now
    except (p2p.ConnectError, p2p.InvalidNode) as error:
        sys.exit(f"cannot connect: {error}")
