"""A time server on loopback that answers as the test wants (RFC 4330)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

UNIX_EPOCH_S = 2_208_988_800

#: Makes the packets that answer a request.
Answer = Callable[[bytes], list[bytes]]


def answer_at(unix: float, *, mode: int = 4, stratum: int = 1, code: bytes = b"") -> Answer:
    """An answer that tells the time ``unix``; the seconds wrap in 2036."""
    whole = int(unix)
    sent = ((whole + UNIX_EPOCH_S) % 2**32).to_bytes(4, "big")
    fraction = int((unix - whole) * 2**32).to_bytes(4, "big")

    def answer(request: bytes) -> list[bytes]:
        head = bytes([3 << 3 | mode, stratum]) + bytes(10) + code.ljust(12, b"\0")
        return [head + request[40:48] + bytes(8) + sent + fraction]

    return answer


class TimeServer:
    """A time server on loopback; ``answer`` makes its packets out of each request."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: []
        self.requests: list[bytes] = []
        self.asked = threading.Semaphore(0)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._sock.getsockname()
        self._thread = threading.Thread(target=self._serve, name="time-server")
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"end", self.address)
        self._thread.join()
        self._sock.close()

    def _serve(self) -> None:
        while True:
            request, sender = self._sock.recvfrom(100)
            if request == b"end":
                return
            self.requests.append(request)
            for packet in self.answer(request):
                self._sock.sendto(packet, sender)
            self.asked.release()
