"""A router on loopback that maps ports by NAT-PMP and PCP, and misbehaves as a test wants.

Its packets are made here, without the code under test. The test may change the attributes at any
time. :meth:`Router.restart` loses the mappings and begins a new epoch.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address

from p2p.netutil import Endpoint

HOST = "127.0.0.1"
#: The epoch of a router that has run for a while.
EPOCH_S = 100_000
_PROTOCOLS = {1: "udp", 2: "tcp", 6: "tcp", 17: "udp"}

#: What a router sends for a request: datagrams, or None for its usual answer.
Script = Callable[[bytes], "Sequence[bytes] | None"]


class Router:
    """``speaks`` has the protocols, of "pmp" and "pcp"; a silent router answers nothing.

    ``mappings`` has the external port of each mapping by protocol and internal port, ``deleted``
    those that a client has deleted, ``requests`` all datagrams.
    """

    def __init__(self, host: str = HOST) -> None:
        self.speaks = {"pmp", "pcp"}
        self.external_ip = "20.0.0.1"
        self.is_silent = False
        self.result = 0  # of mappings
        self.address_result = 0
        self.lifetime_s: int | None = None  # None: as asked for
        self.port_shift = 0  # of external ports against those suggested
        self.epoch_s = EPOCH_S
        self.script: Script = lambda request: None
        self.before_answer: Callable[[tuple[str, int]], object] = lambda client: None
        self.mappings: dict[tuple[str, int], int] = {}
        self.nonces: dict[tuple[str, int], bytes] = {}  # by PCP, of each mapping
        self.granted: list[tuple[str, int]] = []
        self.deleted: list[tuple[str, int]] = []
        self.requests: list[bytes] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.bind((host, 0))
        self.endpoint = Endpoint(ip_address(host), self._sock.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="router")
        self._thread.start()

    def restart(self) -> None:
        self.mappings.clear()
        self.epoch_s = 0

    def count(self, *opcodes: int) -> int:
        """How many requests of NAT-PMP with these opcodes have come."""
        return sum(data[0] == 0 and data[1] in opcodes for data in list(self.requests))

    def close(self) -> None:
        with socket.socket(self._sock.family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self._sock.getsockname())  # the end
        self._thread.join()
        self._sock.close()

    def _serve(self) -> None:
        while True:
            data, client = self._sock.recvfrom(2000)
            if not data:
                return
            answers = self._answers(data)
            self.requests.append(data)
            if answers:
                self.before_answer(client)
            for answer in answers:
                self._sock.sendto(answer, client)

    def _answers(self, data: bytes) -> Sequence[bytes]:
        if self.is_silent:
            return ()
        scripted = self.script(data)
        if scripted is not None:
            return scripted
        if data[0] == 0 and "pmp" in self.speaks:
            return [self._natpmp(data)]
        if data[0] == 2 and "pcp" in self.speaks:
            return [self._pcp(data)]
        if self.speaks == {"pcp"}:
            return [struct.pack(">BBBBII12x", 2, 128, 0, 1, 0, self.epoch_s)]
        return [struct.pack(">BBHI", 0, data[1] | 128, 1, self.epoch_s)] if self.speaks else ()

    def _natpmp(self, data: bytes) -> bytes:
        if data == b"\0\0":
            head = struct.pack(">BBHI", 0, 128, self.address_result, self.epoch_s)
            return head + IPv4Address(self.external_ip).packed
        _, opcode, _, internal, suggested, lifetime_s = struct.unpack(">BBHHHI", data)
        external, granted_s = self._map(_PROTOCOLS[opcode], internal, suggested, lifetime_s)
        head = struct.pack(">BBHI", 0, opcode | 128, self.result, self.epoch_s)
        return head + struct.pack(">HHI", internal, external, granted_s)

    def _pcp(self, data: bytes) -> bytes:
        opcode, lifetime_s = data[1], int.from_bytes(data[4:8], "big")
        if opcode == 0:
            return struct.pack(">BBBBII12x", 2, 128, 0, 0, 0, self.epoch_s)
        protocol, internal, suggested = struct.unpack_from(">B3xHH", data, 36)
        key, nonce = (_PROTOCOLS[protocol], internal), data[24:36]
        if key in self.mappings and self.nonces.setdefault(key, nonce) != nonce:
            return data[:1] + b"\x81\0\2" + struct.pack(">II12x", 30, self.epoch_s) + data[24:]
        self.nonces[key] = nonce
        external, granted_s = self._map(*key, suggested, lifetime_s)
        ip = ip_address(self.external_ip)
        ip6 = ip if isinstance(ip, IPv6Address) else IPv6Address(f"::ffff:{ip}")
        head = struct.pack(">BBBBII12x", 2, 129, 0, self.result, granted_s, self.epoch_s)
        return head + data[24:40] + struct.pack(">HH", internal, external) + ip6.packed

    def _map(
        self, protocol: str, internal: int, suggested: int, lifetime_s: int
    ) -> tuple[int, int]:
        """Return the external port and the lifetime."""
        key = (protocol, internal)
        if self.result:
            return 0, 0
        if not lifetime_s:
            self.mappings.pop(key, None)
            self.deleted.append(key)
            return 0, 0
        external = self.mappings.setdefault(key, suggested + self.port_shift)
        self.granted.append(key)
        return external, lifetime_s if self.lifetime_s is None else self.lifetime_s


@contextmanager
def running_router(host: str = HOST) -> Iterator[Router]:
    router = Router(host)
    try:
        yield router
    finally:
        router.close()
