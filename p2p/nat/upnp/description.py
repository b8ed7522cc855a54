"""The services of a router, from its device description.

Pure. UPnP Device Architecture 1.1, section 2.3. A description is an XML document::

    root
    ├── URLBase             optional: what URLs are relative to, instead of the document's own
    └── device              InternetGatewayDevice
        ├── serviceList     service: serviceType, controlURL, ...
        └── deviceList      device: WANDevice, and in it WANConnectionDevice

Services are taken wherever they stand, since routers differ in the nesting. A control URL must be
at the address of the document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.url import HttpURL, parse_url, resolve
from p2p.nat.upnp.xmltree import Element, parse_xml

#: The services that map ports, the best first.
IP_CONNECTION_2 = "urn:schemas-upnp-org:service:WANIPConnection:2"
IP_CONNECTION_1 = "urn:schemas-upnp-org:service:WANIPConnection:1"
PPP_CONNECTION_1 = "urn:schemas-upnp-org:service:WANPPPConnection:1"
SERVICE_TYPES = (IP_CONNECTION_2, IP_CONNECTION_1, PPP_CONNECTION_1)

#: Services of a router that are tried. One with several lines has one for each.
MAX_SERVICES = 8


@dataclass(frozen=True, slots=True)
class WANService:
    """A service that maps ports; ``type`` is one of SERVICE_TYPES."""

    type: str
    control_url: HttpURL


def parse_description(data: bytes, location: HttpURL) -> list[WANService]:
    """Return the services that map ports, the best first; ``location`` is the document's URL.

    Raises InvalidAnswer if the document is not XML within the limits, has no such service, or has
    them at other addresses only.
    """
    root = parse_xml(data)
    base = _base_of(root, location)
    found: list[WANService] = []
    refused: InvalidAnswer | None = None
    for element in _services_in(root):
        try:
            found.append(_service_of(element, base, location))
        except InvalidAnswer as error:
            refused = error
    if not found:
        raise refused or InvalidAnswer("description without a service that maps ports")
    found.sort(key=lambda service: SERVICE_TYPES.index(service.type))
    return found[:MAX_SERVICES]


def _base_of(root: Element, location: HttpURL) -> HttpURL:
    text = root.text_of("URLBase")
    return parse_url(text) if text else location


def _services_in(root: Element) -> Iterator[Element]:
    """The elements of services that map ports, in the order of the document."""
    todo = [root]
    while todo:
        element = todo.pop()
        if element.name == "service" and element.text_of("serviceType") in SERVICE_TYPES:
            yield element
        todo.extend(reversed(element.children))


def _service_of(element: Element, base: HttpURL, location: HttpURL) -> WANService:
    reference = element.text_of("controlURL")
    if not reference:
        raise InvalidAnswer("service without a control URL")
    control_url = resolve(base, reference)
    if control_url.host != location.host:
        raise InvalidAnswer(f"control URL leads to {control_url.host}")
    return WANService(element.text_of("serviceType"), control_url)
