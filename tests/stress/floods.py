"""Floods of pings at a constant rate, from a process of its own.

:meth:`Floods.peer` is a connected peer that sends pings of the base protocol and does nothing else;
:meth:`Floods.discovery` sends pings of discovery v4, from one address of 127.0.0.0/8 or from many,
and answers nothing, so that none of its addresses is ever proven.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from itertools import cycle
from typing import Any

import p2p
from p2p.crypto import PrivateKey
from p2p.discover.v4.wire import Ping, encode
from p2p.netutil import NodeEndpoint
from p2p.rlpx.messages import EMPTY, PING
from tests.stress.child import Child, obey
from tests.stress.honest import dial

#: How often the flood goes on; what is due by then is sent at once.
TICK_S = 0.005
#: A pong on the wire, compressed: header, one block, two MACs.
PONG_BYTES = 64
#: No more waits to be sent to a server that does not read.
MAX_UNSENT = 1024 * 1024
#: Pings that are signed beforehand; they are sent over and over.
SIGNED = 2000
VALID_S = 3600


class Flooding(Child):
    """The process of the floods, as a scenario sees it."""

    def __init__(self, node: p2p.Node) -> None:
        super().__init__("tests.stress.floods", node.url)


class Floods:
    """The floods, in their process. Each returns what was sent and what came back."""

    def __init__(self, url: str) -> None:
        self.greeting: dict[str, Any] = {}
        self._node = p2p.parse_node(url)

    def close(self) -> None:
        """Nothing is open between floods."""

    def peer(self, seconds: float, per_second: int) -> dict[str, Any]:
        """Pings from a peer, which reads the pongs."""
        remote = dial(self._node)
        remote.sock.setblocking(False)
        unsent = bytearray()
        received = 0

        def send(count: int) -> int:
            if len(unsent) > MAX_UNSENT:
                return 0
            remote.machine.send_messages([(PING, EMPTY)] * count)
            unsent.extend(b"".join(remote.machine.data_to_send()))
            return count

        def turn() -> None:
            nonlocal received
            try:
                if unsent:
                    del unsent[: remote.sock.send(unsent)]
                if select.select([remote.sock], [], [], 0)[0]:
                    received += len(remote.sock.recv(65536))
            except BlockingIOError:
                pass

        with remote.sock:
            sent = at_rate(seconds, per_second, send, turn)
        return {"sent": sent, "pongs": received // PONG_BYTES}

    def discovery(self, seconds: float, per_second: int, addresses: int) -> dict[str, Any]:
        """Pings of discovery v4 from so many addresses."""
        socks = [self._udp_socket(number) for number in range(addresses)]
        each = max(1, SIGNED // addresses)
        pings = [(sock, data) for sock in socks for data in self._sign(sock, each)]
        # The addresses in turn.
        turns = cycle([pings[i * each + j] for j in range(each) for i in range(addresses)])
        bytes_out = bytes_in = 0
        poll = select.poll()
        by_number = {sock.fileno(): sock for sock in socks}
        for sock in socks:
            poll.register(sock, select.POLLIN)

        def send(count: int) -> int:
            nonlocal bytes_out
            for _ in range(count):
                sock, data = next(turns)
                bytes_out += sock.send(data)
            return count

        def turn() -> None:
            nonlocal bytes_in
            for number, _ in poll.poll(0):
                try:
                    while True:
                        bytes_in += len(by_number[number].recv(2048))
                except BlockingIOError:
                    continue

        sent = at_rate(seconds, per_second, send, turn)
        deadline = time.monotonic() + 1.0  # what is still on its way
        while time.monotonic() < deadline:
            turn()
            time.sleep(TICK_S)
        for sock in socks:
            sock.close()
        return {"sent": sent, "bytes_out": bytes_out, "bytes_in": bytes_in}

    def _udp_socket(self, number: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((str(IPv4Address("127.1.0.1") + number * 256), 0))
        sock.connect((str(self._node.ip), self._node.udp))
        sock.setblocking(False)
        return sock

    def _sign(self, sock: socket.socket, count: int) -> list[bytes]:
        """So many different pings of one node."""
        key = PrivateKey.generate(os.urandom)
        host, port = sock.getsockname()
        here = NodeEndpoint(ip_address(host), port, 0)
        there = NodeEndpoint(self._node.ip, self._node.udp, self._node.tcp)
        first = int(time.time()) + VALID_S
        pings = [Ping(4, here, there, first + number, 1) for number in range(count)]
        return [encode(key, ping)[0] for ping in pings]


def at_rate(
    seconds: float, per_second: int, send: Callable[[int], int], turn: Callable[[], None]
) -> int:
    """Have as many sent as are due, turn by turn; returns how many were."""
    start = time.monotonic()
    sent = 0
    while (elapsed := time.monotonic() - start) < seconds:
        due = int(elapsed * per_second) - sent
        if due > 0:
            sent += send(due)
        turn()
        time.sleep(TICK_S)
    return sent


if __name__ == "__main__":
    obey(Floods(*sys.argv[1:]))
