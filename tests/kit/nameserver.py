"""A name server on 127.0.0.1, by UDP and TCP, with the TXT records that a test gives it.

Each value of ``records`` is the text of one TXT record, a list of texts, or an rcode of dnspython,
which is the whole answer; None is silence. A name without a value does not exist (NXDOMAIN). The
test may change the records at any time.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.resolver
import dns.rrset

from p2p.net import bind_pair
from tests.kit.waiting import PATIENCE_S

HOST = "127.0.0.1"
#: Bytes of a string of a TXT record at most.
_STRING_SIZE = 255
_UDP_SIZE = 512

Value: TypeAlias = "str | list[str] | dns.rcode.Rcode | None"


class NameServer:
    """``asked`` has the name of each question, in order, and its transport.

    ``retry_s`` is the time after which :attr:`resolver` repeats a question without an answer.
    """

    def __init__(self, records: dict[str, Any]) -> None:
        self.records: dict[str, Value] = {name.lower(): text for name, text in records.items()}
        self.asked: list[tuple[str, str]] = []
        self.retry_s = PATIENCE_S
        tcp, self._udp = bind_pair(HOST, 0)
        self.port: int = tcp.getsockname()[1]
        self._tcp = socketserver.TCPServer((HOST, 0), self._tcp_handler(), False)
        self._tcp.socket.close()
        self._tcp.socket = tcp
        self._tcp.server_activate()
        self._threads = [
            threading.Thread(target=self._tcp.serve_forever, args=(0.01,), name="dns-tcp"),
            threading.Thread(target=self._serve_udp, name="dns-udp"),
        ]

    @property
    def resolver(self) -> dns.resolver.Resolver:
        """A resolver that asks this server only."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [HOST]
        resolver.port = self.port
        resolver.timeout = self.retry_s
        return resolver

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._tcp.shutdown()
        self._tcp.server_close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", (HOST, self.port))  # the end
        for thread in self._threads:
            thread.join()
        self._udp.close()

    def _serve_udp(self) -> None:
        self._udp.setblocking(True)
        while True:
            data, sender = self._udp.recvfrom(4096)
            if not data:
                return
            answer = self._answer(data, "udp", _UDP_SIZE)
            if answer is not None:
                self._udp.sendto(answer, sender)

    def _tcp_handler(self) -> type[socketserver.StreamRequestHandler]:
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                (size,) = struct.unpack("!H", self.rfile.read(2))
                answer = server._answer(self.rfile.read(size), "tcp", 0xFFFF)
                if answer is not None:
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        return Handler

    def _answer(self, data: bytes, transport: str, max_size: int) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, transport))
        value = self.records.get(name, dns.rcode.NXDOMAIN)
        if value is None:
            return None
        response = dns.message.make_response(query)
        if isinstance(value, dns.rcode.Rcode):
            response.set_rcode(value)
            return response.to_wire()
        texts = [value] if isinstance(value, str) else value
        response.answer.append(
            dns.rrset.from_text(question.name, 60, "IN", "TXT", *map(_in_strings, texts))
        )
        with suppress(dns.exception.TooBig):
            return response.to_wire(max_size=max_size)
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()


def _in_strings(text: str) -> str:
    """A text as strings of a TXT record."""
    parts = [text[at : at + _STRING_SIZE] for at in range(0, len(text), _STRING_SIZE)]
    return " ".join(f'"{part}"' for part in parts)


@contextmanager
def name_server(records: dict[str, Any]) -> Iterator[NameServer]:
    """A running name server."""
    server = NameServer(records)
    server.start()
    try:
        yield server
    finally:
        server.close()
