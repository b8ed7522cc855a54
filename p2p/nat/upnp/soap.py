"""Actions of a service: the bodies of requests and answers (UPnP Device Architecture 1.1, 3.2).

Pure. A request and its answer are an envelope each::

    Envelope ── Body ── AddPortMapping              arguments, an element each
    Envelope ── Body ── AddPortMappingResponse      results, an element each
    Envelope ── Body ── Fault ── detail ── UPnPError: errorCode, errorDescription

The arguments are those of WANIPConnection:1 and :2; WANPPPConnection:1 has the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.xmltree import Element, parse_xml
from p2p.netutil import printable

#: Longest lease, in seconds (WANIPConnection:2, section 2.3.20).
MAX_LEASE_S = 604_800

#: Codes of errors that we act on (WANIPConnection:2, sections 2.5.16 to 2.5.21).
NO_SUCH_ENTRY = 714
CONFLICT_IN_MAPPING = 718
SAME_PORTS_REQUIRED = 724
ONLY_PERMANENT_LEASES = 725
CONFLICT_WITH_OTHER_MECHANISMS = 729

#: Characters of a router's text that are shown.
MAX_SHOWN = 80

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_NUMBER = re.compile(r"[0-9]{1,10}")
#: The name of our mappings in the pages of a router.
_DESCRIPTION = "p2p"


@dataclass(frozen=True, slots=True)
class Fault:
    """The refusal of a request: the code, and the router's text, printable and cut."""

    code: int
    description: str

    def __str__(self) -> str:
        return f"error {self.code}" + (f" ({self.description})" if self.description else "")


class Action(NamedTuple):
    """An action and its arguments, in the order of the service's definition."""

    name: str
    arguments: Mapping[str, str] = {}


class MappingEntry(NamedTuple):
    """A mapping as the router has it. ``lease_s`` is the time left in seconds; 0 is no limit."""

    internal_client: IPv4Address
    internal_port: int
    lease_s: int


GET_STATUS = Action("GetStatusInfo")
GET_ADDRESS = Action("GetExternalIPAddress")


def add_mapping(
    protocol: str, external: int, internal: int, client: IPv4Address, lease_s: int
) -> Action:
    """Return the action that maps one port. ``protocol`` is "tcp" or "udp"."""
    arguments = {
        **_key_of(protocol, external),
        "NewInternalPort": str(internal),
        "NewInternalClient": str(client),
        "NewEnabled": "1",
        "NewPortMappingDescription": _DESCRIPTION,
        "NewLeaseDuration": str(lease_s),
    }
    return Action("AddPortMapping", arguments)


def add_any_mapping(
    protocol: str, external: int, internal: int, client: IPv4Address, lease_s: int
) -> Action:
    """Return the action that maps the wanted port, or another one (WANIPConnection:2)."""
    same = add_mapping(protocol, external, internal, client, lease_s)
    return Action("AddAnyPortMapping", same.arguments)


def get_mapping(protocol: str, external: int) -> Action:
    """Return the action that reads a mapping."""
    return Action("GetSpecificPortMappingEntry", _key_of(protocol, external))


def delete_mapping(protocol: str, external: int) -> Action:
    """Return the action that deletes a mapping."""
    return Action("DeletePortMapping", _key_of(protocol, external))


def body_of(service_type: str, action: Action) -> bytes:
    """Return the body of the request for an action of a service."""
    arguments = "".join(
        f"<{name}>{escape(value)}</{name}>" for name, value in action.arguments.items()
    )
    text = (
        '<?xml version="1.0"?>\r\n'
        f'<s:Envelope xmlns:s="{_ENVELOPE}" s:encodingStyle="{_ENCODING}"><s:Body>'
        f'<u:{action.name} xmlns:u="{service_type}">{arguments}</u:{action.name}>'
        "</s:Body></s:Envelope>\r\n"
    )
    return text.encode("ascii")


def parse_answer(action: Action, data: bytes) -> dict[str, str] | Fault:
    """Return the results of an action by their names, or the fault. Raises InvalidAnswer."""
    envelope = parse_xml(data)
    body = envelope.child("Body") if envelope.name == "Envelope" else None
    if body is None:
        raise InvalidAnswer("not a SOAP envelope with a body")
    if (fault := body.child("Fault")) is not None:
        return _fault_of(fault)
    results = body.child(f"{action.name}Response")
    if results is None:
        raise InvalidAnswer(f"no answer to {action.name}")
    return {result.name: result.text.strip() for result in results.children}


def read_connected(results: dict[str, str]) -> bool:
    """Whether the answer to GetStatusInfo says that the router has a connection."""
    return results.get("NewConnectionStatus", "").lower() in ("connected", "up")


def read_uptime(results: dict[str, str]) -> int:
    """Return the seconds in the answer to GetStatusInfo. Raises InvalidAnswer."""
    return _number(results, "NewUptime", 0, 2**32 - 1)


def read_address(results: dict[str, str]) -> IPv4Address:
    """Return the address in the answer to GetExternalIPAddress. Raises InvalidAnswer."""
    if results.get("NewExternalIPAddress") == "":  # no connection
        return IPv4Address(0)
    return _address(results, "NewExternalIPAddress")


def read_reserved_port(results: dict[str, str]) -> int:
    """Return the port in the answer to AddAnyPortMapping. Raises InvalidAnswer."""
    return _number(results, "NewReservedPort", 1, 65535)


def read_entry(results: dict[str, str]) -> MappingEntry:
    """Return the mapping in the answer to GetSpecificPortMappingEntry. Raises InvalidAnswer."""
    client = _address(results, "NewInternalClient")
    port = _number(results, "NewInternalPort", 0, 65535)
    return MappingEntry(client, port, _number(results, "NewLeaseDuration", 0, 2**32 - 1))


def _key_of(protocol: str, external: int) -> dict[str, str]:
    """The arguments that name a mapping; an empty remote host is every host."""
    return {
        "NewRemoteHost": "",
        "NewExternalPort": str(external),
        "NewProtocol": protocol.upper(),
    }


def _fault_of(fault: Element) -> Fault:
    detail = fault.child("detail") or fault
    error = detail.child("UPnPError")
    if error is None:
        return Fault(0, printable(fault.text_of("faultstring"), MAX_SHOWN))
    code = _number({"errorCode": error.text_of("errorCode")}, "errorCode", 0, 999_999)
    return Fault(code, printable(error.text_of("errorDescription"), MAX_SHOWN))


def _address(results: dict[str, str], name: str) -> IPv4Address:
    text = results.get(name, "")
    try:
        return IPv4Address(text)
    except AddressValueError:
        shown = printable(text, MAX_SHOWN)
        raise InvalidAnswer(f'{name} "{shown}": not an IPv4 address') from None


def _number(results: dict[str, str], name: str, least: int, most: int) -> int:
    text = results.get(name, "")
    if _NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
        shown = printable(text, MAX_SHOWN)
        raise InvalidAnswer(f'{name} "{shown}": not from {least} to {most}')
    return int(text)
