"""A TCP proxy on 127.0.0.1 that passes each byte on after a time, for links with a round trip."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress

Address = tuple[str, int]


class SlowLink:
    """Passes connections on to ``target``, each piece of data ``latency_s`` later."""

    def __init__(self, target: Address, latency_s: float) -> None:
        # fixed after __init__
        self._target = target
        self._latency_s = latency_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listener.getsockname()[:2]
        # appended to by the thread that accepts, until it has ended
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._start(self._accept)

    def __enter__(self) -> SlowLink:
        return self

    def __exit__(self, *exception: object) -> None:
        _shut(self._listener)
        self._threads[0].join()
        for sock in self._socks:
            _shut(sock)
        for thread in self._threads[1:]:
            thread.join()

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                self._socks.append(near)
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    _shut(near)
                    continue
                self._socks.append(far)
                for source, drain in ((near, far), (far, near)):
                    pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    self._start(self._take, source, pieces)
                    self._start(self._give, drain, pieces)

    def _take(
        self, source: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]
    ) -> None:
        data = b"something"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            pieces.put((time.monotonic() + self._latency_s, data))

    def _give(self, drain: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        with suppress(OSError):  # the other side is gone
            while True:
                due, data = pieces.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    drain.shutdown(socket.SHUT_WR)
                    return
                drain.sendall(data)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
