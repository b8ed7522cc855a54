"""Actions of a router: their requests, results and faults."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp import soap
from p2p.nat.upnp.xmltree import Element, parse_xml
from tests.nat.upnp.router import IP_1, envelope, fault, results

CLIENT = IPv4Address("192.168.1.9")
ADD = soap.add_mapping("tcp", 30303, 30304, CLIENT, 1200)


def request_of(action: soap.Action) -> Element:
    """The element of an action within its request."""
    root = parse_xml(soap.body_of(IP_1, action))
    assert root.name == "Envelope" and root.children[0].name == "Body"
    return root.children[0].children[0]


def test_request_has_the_arguments_in_the_order_of_the_service() -> None:
    request = request_of(ADD)
    assert request.name == "AddPortMapping"
    assert [(argument.name, argument.text) for argument in request.children] == [
        ("NewRemoteHost", ""),
        ("NewExternalPort", "30303"),
        ("NewProtocol", "TCP"),
        ("NewInternalPort", "30304"),
        ("NewInternalClient", "192.168.1.9"),
        ("NewEnabled", "1"),
        ("NewPortMappingDescription", "p2p"),
        ("NewLeaseDuration", "1200"),
    ]


def test_request_names_the_service() -> None:
    assert f'<u:AddPortMapping xmlns:u="{IP_1}">'.encode() in soap.body_of(IP_1, ADD)


def test_any_port_is_asked_for_with_the_same_arguments() -> None:
    any_port = soap.add_any_mapping("tcp", 30303, 30304, CLIENT, 1200)
    assert any_port.name == "AddAnyPortMapping" and any_port.arguments == ADD.arguments


@pytest.mark.parametrize(
    "action", [soap.get_mapping("udp", 7), soap.delete_mapping("udp", 7)], ids=lambda a: a.name
)
def test_mapping_is_named_by_host_port_and_protocol(action: soap.Action) -> None:
    assert dict(action.arguments) == {
        "NewRemoteHost": "", "NewExternalPort": "7", "NewProtocol": "UDP",
    }  # fmt: skip


def parse(text: str, action: soap.Action = soap.GET_ADDRESS) -> dict[str, str] | soap.Fault:
    return soap.parse_answer(action, text.encode())


def test_results_have_their_names() -> None:
    text = results("GetExternalIPAddress", NewExternalIPAddress=" 20.0.0.1\n", Other="x")
    assert parse(text) == {"NewExternalIPAddress": "20.0.0.1", "Other": "x"}


def body_of_fault(code: int, text: str = "") -> bytes:
    return fault(code, text).partition(b"\r\n\r\n")[2]


def test_fault_has_code_and_text() -> None:
    data = body_of_fault(718, "ConflictInMappingEntry")
    found = soap.parse_answer(ADD, data)
    assert found == soap.Fault(718, "ConflictInMappingEntry")
    assert str(found) == "error 718 (ConflictInMappingEntry)"


def test_text_of_a_fault_is_printable_and_cut() -> None:
    found = soap.parse_answer(ADD, body_of_fault(501, "a\x9b2J\n" + "b" * 500))
    assert isinstance(found, soap.Fault)
    assert str(found).isprintable() and len(str(found)) < soap.MAX_SHOWN + 30


def test_fault_without_a_upnp_error_has_the_text() -> None:
    text = envelope("<s:Fault><faultstring>no</faultstring></s:Fault>")
    assert parse(text) == soap.Fault(0, "no")


def test_fault_without_a_text_is_its_code() -> None:
    assert str(soap.Fault(402, "")) == "error 402"


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "malformed"),
        ("<html><body>Log in</body></html>", "not a SOAP envelope"),
        ("<s:Envelope/>", "not a SOAP envelope"),
        (envelope(""), "no answer to GetExternalIPAddress"),
        (results("AddPortMapping"), "no answer to GetExternalIPAddress"),
        (body_of_fault(-1).decode(), 'errorCode "-1"'),
        (body_of_fault(10**6).decode(), 'errorCode "1000000"'),
        ("<!DOCTYPE a>" + results("GetExternalIPAddress"), "document type"),
    ],
)
def test_other_answers_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidAnswer, match=words):
        parse(text)


@pytest.mark.parametrize(
    "status, connected",
    [("Connected", True), ("Up", True), ("Disconnected", False), ("Connecting", False)],
)
def test_status_is_connected_or_not(status: str, connected: bool) -> None:
    assert soap.read_connected({"NewConnectionStatus": status}) is connected


def test_uptime_is_a_number_of_32_bits() -> None:
    assert soap.read_uptime({"NewUptime": "4294967295"}) == 2**32 - 1
    for text in ("4294967296", "-1", ""):
        with pytest.raises(InvalidAnswer, match="NewUptime"):
            soap.read_uptime({"NewUptime": text})


def test_address_is_read_and_an_empty_one_is_none() -> None:
    assert soap.read_address({"NewExternalIPAddress": "20.0.0.1"}) == IPv4Address("20.0.0.1")
    assert soap.read_address({"NewExternalIPAddress": ""}) == IPv4Address(0)


@pytest.mark.parametrize("text", ["router.lan", "::1", "20.0.0.1:80", "256.0.0.1", "1", None])
def test_wrong_address_is_refused(text: str | None) -> None:
    with pytest.raises(InvalidAnswer, match="NewExternalIPAddress"):
        soap.read_address({} if text is None else {"NewExternalIPAddress": text})


def test_reserved_port_is_a_port() -> None:
    assert soap.read_reserved_port({"NewReservedPort": "40000"}) == 40000
    for text in ("0", "65536", "-1", "x", "", "٣", "1" * 5000):
        with pytest.raises(InvalidAnswer, match="NewReservedPort") as caught:
            soap.read_reserved_port({"NewReservedPort": text})
        assert len(str(caught.value)) < 150


def test_entry_has_client_port_and_lease() -> None:
    values = {"NewInternalClient": "192.168.1.9", "NewInternalPort": "7", "NewLeaseDuration": "60"}
    assert soap.read_entry(values) == soap.MappingEntry(CLIENT, 7, 60)
    for name in values:
        with pytest.raises(InvalidAnswer, match=name):
            soap.read_entry({**values, name: "x"})
