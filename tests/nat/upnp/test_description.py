"""Device descriptions: services that map ports, and where they are."""

from __future__ import annotations

import pytest

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.description import MAX_SERVICES, WANService, parse_description
from p2p.nat.upnp.url import parse_url
from tests.nat.upnp.router import IP_1, IP_2, PPP_1, description

LOCATION = parse_url("http://192.168.1.1:5000/igd/desc.xml")


def services(*given: tuple[str, str], base: str = "") -> list[tuple[str, str]]:
    text = description(*given, base=base)
    found = parse_description(text.encode(), LOCATION)
    return [(service.type, str(service.control_url)) for service in found]


def test_the_best_service_is_first_and_others_follow_in_their_order() -> None:
    given = [(PPP_1, "/p"), (IP_1, "/a"), (IP_1, "/b"), (IP_2, "/c")]
    assert [url[-2:] for _, url in services(*given)] == ["/c", "/a", "/b", "/p"]


def test_control_url_is_relative_to_the_document_or_to_its_base() -> None:
    at = "http://192.168.1.1"
    assert services((IP_1, "ctl")) == [(IP_1, f"{at}:5000/igd/ctl")]
    assert services((IP_1, "/ctl")) == [(IP_1, f"{at}:5000/ctl")]
    assert services((IP_1, f"{at}:9/ctl")) == [(IP_1, f"{at}:9/ctl")]
    assert services((IP_1, "ctl"), base=f"{at}:8000/up/") == [(IP_1, f"{at}:8000/up/ctl")]


def test_namespace_prefixes_make_no_difference() -> None:
    text = (
        f"<d:root><d:service><d:serviceType> {IP_1}\n</d:serviceType>"
        "<d:controlURL>\n/ctl </d:controlURL></d:service></d:root>"
    )
    found = parse_description(text.encode(), LOCATION)
    assert found == [WANService(IP_1, parse_url("http://192.168.1.1:5000/ctl"))]


@pytest.mark.parametrize("url", ["http://192.168.1.7/ctl", "http://20.0.0.1/ctl", "//20.0.0.1/ctl"])
def test_control_url_at_another_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidAnswer, match="control URL leads to"):
        services((IP_1, url))


def test_base_at_another_address_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="control URL leads to 20.0.0.1"):
        services((IP_1, "/ctl"), base="http://20.0.0.1/")


def test_service_elsewhere_does_not_hide_the_others() -> None:
    assert services((IP_2, "http://20.0.0.1/"), (IP_1, ""), (IP_1, "/c")) == [
        (IP_1, "http://192.168.1.1:5000/c")
    ]


@pytest.mark.parametrize(
    "text, words",
    [
        (description(), "without a service that maps ports"),
        (description((IP_1 + "0", "/")), "without a service that maps ports"),
        (description((IP_1, "")), "without a control URL"),
        (description((IP_1, "/"), base="router.lan"), "not http"),
        ("<a/>", "without a service"),
        ("", "malformed"),
    ],
)
def test_description_without_a_service_to_use_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidAnswer, match=words):
        parse_description(text.encode(), LOCATION)


def test_number_of_services_is_limited() -> None:
    assert len(services(*[(IP_1, "/ctl")] * (MAX_SERVICES + 1))) == MAX_SERVICES
