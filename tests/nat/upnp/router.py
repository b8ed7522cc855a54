"""A router on loopback that maps ports by UPnP, and a host that answers searches, both by script.

A :class:`Router` keeps mappings as a real one does; its attributes change its rules, and ``script``
replaces its answer to a path (``GET``) or an action: bytes, or pieces of them. Piece by piece goes
through the socket; after the last one the connection is closed, unless that is :data:`HOLD`.
"""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeAlias

from p2p.nat.upnp.xmltree import parse_xml

LOCALHOST = "127.0.0.1"
IP_1 = "urn:schemas-upnp-org:service:WANIPConnection:1"
IP_2 = "urn:schemas-upnp-org:service:WANIPConnection:2"
PPP_1 = "urn:schemas-upnp-org:service:WANPPPConnection:1"
SEARCH_TARGET = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
ADDRESS = "20.0.0.1"
#: The port that WANIPConnection:2 chooses in place of a taken one.
RESERVED = 40_000

#: The last piece of an answer: the connection stays open, and silent.
HOLD = b"<hold>"
#: A mapping: client, internal port, lease.
Entry: TypeAlias = tuple[str, int, int]
Answer: TypeAlias = bytes | Iterable[bytes]


def http(body: bytes | str, status: str = "200 OK", *headers: str) -> bytes:
    """An answer of HTTP; the length is among its headers unless there are others."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *(headers or (f"Content-Length: {len(data)}",)), "", ""]
    return "\r\n".join(lines).encode() + data


def envelope(inner: str) -> str:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Body>{inner}</s:Body></s:Envelope>"
    )


def results(action: str, **values: object) -> str:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return envelope(f'<u:{action}Response xmlns:u="{IP_1}">{inner}</u:{action}Response>')


def fault(code: int, text: str = "") -> bytes:
    detail = f"<UPnPError><errorCode>{code}</errorCode>"
    detail += f"<errorDescription>{text}</errorDescription></UPnPError>"
    inner = f"<s:Fault><faultstring>UPnPError</faultstring><detail>{detail}</detail></s:Fault>"
    return http(envelope(inner), "500 Internal Server Error")


def description(*services: tuple[str, str], base: str = "") -> str:
    """A device description with services, each a type and its control URL, in nested devices."""
    listed = "".join(
        f"<service><serviceType>{kind}</serviceType><controlURL>{url}</controlURL></service>"
        for kind, url in services
    )
    other = "urn:schemas-upnp-org:service:Layer3Forwarding:1"
    return (
        '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">'
        f"{base and f'<URLBase>{base}</URLBase>'}<device><friendlyName>box</friendlyName>"
        f"<serviceList><service><serviceType>{other}</serviceType><controlURL>/l3</controlURL>"
        "</service></serviceList><deviceList><device><deviceList><device>"
        f"<serviceList>{listed}</serviceList>"
        "</device></deviceList></device></deviceList></device></root>"
    )


class Router:
    """A router at ``host``; ``asked`` has each request, such as "GET /desc.xml", in order."""

    def __init__(self, host: str = LOCALHOST, service: str = IP_1) -> None:
        self.host = host
        self.service = service
        self.asked: list[str] = []
        self.mappings: dict[tuple[str, int], Entry] = {}
        self.script: dict[str, Answer] = {}
        # rules
        self.address = ADDRESS
        self.status = "Connected"
        self.uptime_s: object = 7
        self.taken: set[int] = set()
        self.is_permanent = False
        self.same_ports = False
        self.max_lease_s = 604_800
        # sockets
        self._server = _Server((host, 0), _handler(self))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="router"
        )

    @property
    def location(self) -> str:
        return f"http://{self.host}:{self.port}/desc.xml"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer_to(self, path: str, action: str, body: bytes) -> Answer:
        """The answer to a request, and its entry in ``asked``."""
        name = action or path
        self.asked.append(name)
        if name in self.script:
            return self.script[name]
        if name == "/desc.xml":
            return http(description((self.service, "/ctl")))
        method: Callable[[dict[str, str]], bytes] | None = getattr(self, f"_{name}", None)
        if method is None:
            return fault(401, "Invalid Action")
        return method(_arguments(body))

    def _GetStatusInfo(self, arguments: dict[str, str]) -> bytes:
        values = {"NewConnectionStatus": self.status, "NewUptime": self.uptime_s}
        return http(results("GetStatusInfo", **values))

    def _GetExternalIPAddress(self, arguments: dict[str, str]) -> bytes:
        return http(results("GetExternalIPAddress", NewExternalIPAddress=self.address))

    def _AddPortMapping(self, arguments: dict[str, str]) -> bytes:
        port = int(arguments["NewExternalPort"])
        if port in self.taken:
            return fault(718, "ConflictInMappingEntry")
        return self._add(arguments, port) or http(results("AddPortMapping"))

    def _AddAnyPortMapping(self, arguments: dict[str, str]) -> bytes:
        if self.service != IP_2:
            return fault(401, "Invalid Action")
        port = int(arguments["NewExternalPort"])
        port = RESERVED if port in self.taken else port
        return self._add(arguments, port) or http(
            results("AddAnyPortMapping", NewReservedPort=port)
        )

    def _add(self, arguments: dict[str, str], port: int) -> bytes:
        """Add a mapping; returns a fault, or nothing."""
        lease_s, internal = int(arguments["NewLeaseDuration"]), int(arguments["NewInternalPort"])
        if self.is_permanent and lease_s:
            return fault(725, "OnlyPermanentLeasesSupported")
        if self.same_ports and port != internal:
            return fault(724, "SamePortValuesRequired")
        entry = arguments["NewInternalClient"], internal, min(lease_s, self.max_lease_s)
        self.mappings[arguments["NewProtocol"], port] = entry
        return b""

    def _GetSpecificPortMappingEntry(self, arguments: dict[str, str]) -> bytes:
        entry = self.mappings.get(_key(arguments))
        if entry is None:
            return fault(714, "NoSuchEntryInArray")
        client, port, lease_s = entry
        values = {"NewInternalPort": port, "NewInternalClient": client, "NewEnabled": 1}
        return http(results("GetSpecificPortMappingEntry", **values, NewLeaseDuration=lease_s))

    def _DeletePortMapping(self, arguments: dict[str, str]) -> bytes:
        if self.mappings.pop(_key(arguments), None) is None:
            return fault(714, "NoSuchEntryInArray")
        return http(results("DeletePortMapping"))


def _key(arguments: dict[str, str]) -> tuple[str, int]:
    return arguments["NewProtocol"], int(arguments["NewExternalPort"])


def _arguments(body: bytes) -> dict[str, str]:
    request = parse_xml(body).children[0].children[0]
    return {argument.name: argument.text for argument in request.children}


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 32

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.closing = threading.Event()


def _handler(router: Router) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True
        server: _Server

        def handle(self) -> None:
            line = self.rfile.readline().decode()
            if not line:
                return
            headers = {}
            while (header := self.rfile.readline().strip()) != b"":
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", "0")))
            action = headers.get("soapaction", "").strip('"').rpartition("#")[2]
            answer = router.answer_to(line.split(" ")[1], action, body)
            with suppress(OSError):  # the client may have had enough
                self.send([answer] if isinstance(answer, bytes) else answer)

        def send(self, pieces: Iterable[bytes]) -> None:
            for piece in pieces:
                if self.server.closing.is_set():
                    return
                if piece == HOLD:
                    self.request.recv(1)  # until the client closes
                    return
                self.request.sendall(piece)

    return Handler


@contextmanager
def running(*routers: Router) -> Iterator[None]:
    """Routers that run within the statement."""
    with ExitStack() as stack:
        for router in routers:
            router.start()
            stack.callback(router.close)
        yield


# The search.


def found(location: str, target: str = SEARCH_TARGET, status: str = "HTTP/1.1 200 OK") -> bytes:
    """An answer to a search."""
    lines = [status, "CACHE-CONTROL: max-age=120", f"ST: {target}", "EXT:", "SERVER: test"]
    return "\r\n".join([*lines, f"LOCATION: {location}", "", ""]).encode()


class Answerer:
    """A host that gets the requests of a search, and answers the first one.

    ``answers`` has datagrams, each with the loopback address that it comes from, or a router in
    place of both. ``requests`` has the requests.
    """

    def __init__(self, *answers: Router | tuple[str, bytes]) -> None:
        self._answers = [
            (answer.host, found(answer.location)) if isinstance(answer, Router) else answer
            for answer in answers
        ]
        self.requests: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOCALHOST, 0))
        self.group: tuple[str, int] = self._socket.getsockname()
        self._thread = threading.Thread(target=self._serve, name="answerer")

    def __enter__(self) -> Answerer:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.group)  # the end
        self._thread.join()
        self._socket.close()

    @property
    def targets(self) -> set[str]:
        """The targets of the requests."""
        lines = re.findall(r"^ST: (.*)\r$", "".join(self.requests), re.MULTILINE)
        return set(lines)

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(4096)
            if not data:
                return
            self.requests.append(data.decode())
            if len(self.requests) == 1:
                for host, answer in self._answers:
                    self._send(host, answer, sender)

    def _send(self, host: str, answer: bytes, receiver: tuple[str, int]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            sock.sendto(answer, receiver)
