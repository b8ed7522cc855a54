"""XML documents of routers as small trees. Pure.

By the parser of the standard library (expat), with limits on size, depth and number of elements.
A document type is refused at its beginning, and with it every entity: no entity is expanded, and
nothing is loaded from elsewhere. Prefixes of names are dropped, since routers use some that they
do not declare; attributes are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from p2p.nat.errors import InvalidAnswer

#: Bytes of a document. The descriptions of routers with many icons and services have 20 KiB.
MAX_XML_BYTES = 128 * 1024
#: Nested elements: a service of a device in a device in a device has 9.
MAX_DEPTH = 20
#: Elements of a document; a description has about 150.
MAX_ELEMENTS = 4000


@dataclass(slots=True)
class Element:
    """An element: its name without prefix, its own text, its elements in order."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """Return the first element of a name within this one, or None."""
        return next((child for child in self.children if child.name == name), None)

    def text_of(self, name: str) -> str:
        """Return the text of the first element of a name, without space around it; or ""."""
        child = self.child(name)
        return "" if child is None else child.text.strip()


def parse_xml(data: bytes) -> Element:
    """Return the root of a document. Raises InvalidAnswer."""
    if len(data) > MAX_XML_BYTES:
        raise InvalidAnswer(f"XML of more than {MAX_XML_BYTES} bytes")
    builder = _Builder()
    try:
        builder.parser.Parse(_in_utf8(data), True)
    except expat.ExpatError as error:
        raise InvalidAnswer(f"malformed XML: {expat.ErrorString(error.code)}") from error
    return builder.root


def _in_utf8(data: bytes) -> bytes:
    """Return the document as UTF-8, and without zeros and spaces around it.

    Routers name encodings that they do not use. All that matters to us is ASCII.
    """
    data = data.strip(b"\0 \t\r\n").removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1").encode("utf-8")
    return data


class _Builder:
    """The handlers of a parser, and the tree that they make."""

    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._texts: list[list[str]] = [[]]
        self._count = 0
        # The encoding that a document names is ignored.
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text

    def _refuse_doctype(self, *arguments: object) -> None:
        raise InvalidAnswer("XML with a document type")

    def _start(self, name: str, attributes: object) -> None:
        self._count += 1
        if len(self._open) > MAX_DEPTH:
            raise InvalidAnswer(f"XML with more than {MAX_DEPTH} nested elements")
        if self._count > MAX_ELEMENTS:
            raise InvalidAnswer(f"XML with more than {MAX_ELEMENTS} elements")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())
        if len(self._open) == 1:
            self.root = self.root.children[0]

    def _add_text(self, text: str) -> None:
        self._texts[-1].append(text)
