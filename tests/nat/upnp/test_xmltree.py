"""XML of routers: small trees, limits, no document type and no entity."""

from __future__ import annotations

import pytest

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.xmltree import MAX_DEPTH, MAX_ELEMENTS, MAX_XML_BYTES, parse_xml

#: "Billion laughs": 10 GB of text from some hundred bytes.
LAUGHS = "".join(
    f'<!ENTITY l{number} "{f"&l{number - 1};" * 10}">' for number in range(1, 11)
)
BOMB = f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY l0 "ha">{LAUGHS}]><b>&l10;</b>'.encode()


def test_names_texts_and_order_are_kept_and_prefixes_dropped() -> None:
    root = parse_xml(b"<?xml version='1.0'?>\n<a:r x='1'> <b>one</b>t<c:b> two </c:b><d/></a:r>")
    assert root.name == "r" and root.text == " t"
    assert [child.name for child in root.children] == ["b", "b", "d"]
    assert root.text_of("b") == "one" and root.text_of("x") == "" and root.child("x") is None
    assert root.children[1].text == " two "


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf<a>\xc3\xa4</a>\0\0",
        b"\r\n<?xml version='1.0' encoding='utf-16'?><a>\xc3\xa4</a> ",
        b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4</a>",
        b"<?xml version='1.0' encoding='zip'?><a>\xe4</a>",
    ],
)
def test_encoding_is_found_whatever_the_document_names(data: bytes) -> None:
    assert parse_xml(data).text == "\u00e4"


def test_usual_references_are_text() -> None:
    assert parse_xml(b"<a>&lt;&amp;&#65;<![CDATA[<b>]]></a>").text == "<&A<b>"


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "http://192.168.1.1/a.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://20.0.0.1/">%x;]><a/>',
    ],
)
def test_document_type_is_refused_and_with_it_each_entity(data: bytes) -> None:
    with pytest.raises(InvalidAnswer, match="^XML with a document type$"):
        parse_xml(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"text", b"<a>", b"<a></b>", b"<a/><b/>", b"<a>&x;</a>", b"<a>\0</a>", b"\xff\xfe<\0a\0"],
)
def test_malformed_document_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidAnswer, match="^malformed XML: "):
        parse_xml(data)


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def test_depth_is_limited() -> None:
    parse_xml(nested(MAX_DEPTH))
    with pytest.raises(InvalidAnswer, match="nested elements"):
        parse_xml(nested(MAX_DEPTH + 1))


def test_number_of_elements_is_limited() -> None:
    parse_xml(b"<r>" + b"<a/>" * (MAX_ELEMENTS - 1) + b"</r>")
    with pytest.raises(InvalidAnswer, match="elements"):
        parse_xml(b"<r>" + b"<a/>" * MAX_ELEMENTS + b"</r>")


def test_size_is_limited() -> None:
    with pytest.raises(InvalidAnswer, match="bytes"):
        parse_xml(b"<a>" + b" " * MAX_XML_BYTES + b"</a>")
