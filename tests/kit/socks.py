"""A SOCKS5 proxy that a test plays, byte by byte, and the example that connects through one."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.kit.nodes import HOST, listening
from tests.kit.waiting import PATIENCE_S

_EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "socks.py"

#: An answer to a CONNECT: succeeded, from 0.0.0.0:0.
CONNECTED = bytes.fromhex("05000001000000000000")


def example() -> Any:
    """The module examples/socks.py."""
    spec = importlib.util.spec_from_file_location("socks", _EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Script:
    """A proxy for one client: it reads so many bytes, sends an answer, and so on.

    At the end it closes the connection, or passes on all that follows to the port ``target``; with
    neither it leaves the connection to the test as :attr:`client`.
    """

    def __init__(
        self,
        sock: socket.socket,
        steps: list[tuple[int, bytes]],
        closes: bool,
        target: int | None,
    ) -> None:
        self.port: int = sock.getsockname()[1]
        #: The bytes read in each step.
        self.received: list[bytes] = []
        self.client: socket.socket | None = None
        self._sock = sock
        self._steps = steps
        self._closes = closes
        self._target = target

    def run(self) -> None:
        self.client, _ = self._sock.accept()
        self.client.settimeout(PATIENCE_S)
        with suppress(OSError):  # the client has left
            for size, answer in self._steps:
                self.received.append(self._read(size))
                for number in answer:  # the client has to put parts together
                    self.client.sendall(bytes([number]))
        if self._closes:
            self.client.close()
        if self._target is not None:
            with socket.create_connection((HOST, self._target), PATIENCE_S) as there:
                _relay(self.client, there)

    def _read(self, size: int) -> bytes:
        assert self.client is not None
        data = b""
        while len(data) < size and (part := self.client.recv(size - len(data))):
            data += part
        return data


@contextmanager
def scripted(
    *steps: tuple[int, bytes], closes: bool = False, target: int | None = None
) -> Iterator[Script]:
    """A proxy on 127.0.0.1 with these steps: bytes to read, and the answer."""
    with listening() as sock:
        script = Script(sock, list(steps), closes, target)
        thread = threading.Thread(target=script.run)
        thread.start()
        try:
            yield script
        finally:
            sock.close()
            thread.join(PATIENCE_S)
            if script.client is not None:
                script.client.close()


def _relay(one: socket.socket, other: socket.socket) -> None:
    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=pump, args=(other, one))
    back.start()
    pump(one, other)
    back.join(PATIENCE_S)
