"""The search for routers: requests and answers of SSDP (UPnP Device Architecture 1.1, section 1.3).

Pure. A search is one datagram to a multicast group for each kind of device or service; an answer
is the head of an HTTP response. Of an answer, only these count::

    HTTP/1.1 200 OK
    ST: the target of the search, one of SEARCH_TARGETS
    LOCATION: URL of the device description

Every host of the network can answer. An answer counts if it comes from a local address and its
LOCATION is at that very address, so that no host can lead us to another one.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.url import HttpURL, parse_url
from p2p.netutil import is_lan, printable

#: The group that devices listen to (UPnP Device Architecture 1.1, section 1.3.2).
GROUP = ("239.255.255.250", 1900)
#: Largest time before an answer, in seconds: devices spread their answers over it.
MAX_WAIT_S = 1
#: Routers of either version, and their services, for routers that answer for these only.
SEARCH_TARGETS = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)

#: Bytes of an answer, and lines of its head. Answers of routers have about 400 and 12.
MAX_ANSWER_BYTES = 2048
MAX_LINES = 40

_STATUS = re.compile(r"HTTP/1\.[01] 200(?: .*)?")
_SHOWN = 60


def search_request(target: str, group: tuple[str, int] = GROUP) -> bytes:
    """Return the datagram that searches for devices of a kind."""
    lines = [
        "M-SEARCH * HTTP/1.1",
        f"HOST: {group[0]}:{group[1]}",
        'MAN: "ssdp:discover"',
        f"MX: {MAX_WAIT_S}",
        f"ST: {target}",
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def parse_answer(data: bytes, sender: IPv4Address) -> HttpURL:
    """Return the URL of the device description that ``sender`` answered with.

    Raises InvalidAnswer for anything else than an answer to our search, and for a URL at another
    address than the sender's.
    """
    if not is_lan(sender):
        raise InvalidAnswer(f"answer from {sender}, which is not a local address")
    headers = _headers_of(data)
    target = headers.get("st", "")
    if target not in SEARCH_TARGETS:
        raise InvalidAnswer(f'answer for "{printable(target, _SHOWN)}"')
    location = parse_url(headers.get("location", ""))
    if location.host != sender:
        raise InvalidAnswer(f"answer from {sender} leads to {location.host}")
    return location


def _headers_of(data: bytes) -> dict[str, str]:
    """Return the headers of a response, names in lower case; the first of several counts."""
    if len(data) > MAX_ANSWER_BYTES:
        raise InvalidAnswer(f"answer of more than {MAX_ANSWER_BYTES} bytes")
    status, *lines = data.decode("latin-1").split("\n")
    status = status.rstrip("\r")
    if _STATUS.fullmatch(status) is None:
        raise InvalidAnswer(f'not an answer: "{printable(status, _SHOWN)}"')
    if len(lines) > MAX_LINES:
        raise InvalidAnswer(f"answer of more than {MAX_LINES} lines")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers
