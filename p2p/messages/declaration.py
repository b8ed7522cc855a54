"""Declaration of a protocol's messages: their classes, codes, limits, and their RLP.

:func:`message` marks a class with its code, :class:`Messages` checks the classes of a protocol
together and encodes and decodes their instances. Whatever cannot work is refused here, when the
protocol is declared, and not with the first message.

Owns no connection: see `p2p.messages.readwriter`. Pure; any thread. The payload of a message is the
RLP list of its fields (Ethereum Yellow Paper, appendix B), or for a bare message the value of its
only field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from p2p.arguments import bytes_of, check_int, check_type, of_options, wrong, wrong_type
from p2p.codec import Record, Shape, decoder_of, encode, shape_of
from p2p.errors import (
    ArgumentTypeError,
    DecodeError,
    EncodeError,
    InvalidMessageCode,
    P2PError,
)
from p2p.rlpx import MAX_MESSAGE_SIZE, Cap

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[Any], Any]:
        """Stand-in for the mark that only type checkers read."""
        return lambda function: function


E = TypeVar("E", bound=P2PError)
M = TypeVar("M")
T = TypeVar("T")

#: Attribute of a class with the declaration of its message.
_MARK = "__p2p_message__"

#: Largest code, as of a protocol (`p2p.protocol`).
_MAX_CODE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class _Declared:
    """Arguments of :func:`message`."""

    code: int
    is_bare: bool
    max_size: int


@dataclass_transform(frozen_default=True)
def message(
    code: int, *, bare: bool = False, max_size: int = MAX_MESSAGE_SIZE, frozen: bool = True
) -> Callable[[type[T]], type[T]]:
    """Declare a class as the message ``code``, counted from 0 within its protocol.

    The class becomes a dataclass, frozen unless ``frozen`` is False. One that is a dataclass or a
    NamedTuple already stays as it is; type checkers take it for frozen, too::

        @message(2, max_size=4096)
        class Text:
            author: str
            text: str
            reply_to: Annotated[bytes, 32] | None = None

    On the wire it is the RLP list of its fields. A ``bare`` message has one field, and its payload
    is the value of that, without a list around it. Payloads of more than ``max_size`` bytes are
    refused. Raises ConfigError for values of other types or out of range, TypeError for anything
    but a class. Any thread.
    """
    with of_options():
        check_int("code", code, 0, _MAX_CODE, f"an int from 0 to {_MAX_CODE}")
        check_int("max_size", max_size, 0, MAX_MESSAGE_SIZE, f"bytes, 0 to {MAX_MESSAGE_SIZE}")
        check_type("bare", bare, bool, "a bool")

    def declare(kind: type[T]) -> type[T]:
        if not isinstance(kind, type):
            raise wrong_type("message", kind, "a class below @message(...)")
        if "__dataclass_fields__" not in vars(kind) and not _is_named_tuple(kind):
            kind = dataclass(frozen=frozen)(kind)
        setattr(kind, _MARK, _Declared(code, bare, max_size))
        return kind

    return declare


class Messages(Generic[M]):
    """The messages of one version of a protocol.

    ``name`` and ``version`` are its capability, ``messages`` the classes of its messages.
    ``length`` is the number of its codes; None: up to the largest code. A class may be in several
    versions::

        CHAT = Messages("chat", 1, [Hello, Text])

    Type checkers that do not infer the union of the classes need ``CHAT: Messages[Hello | Text]``.
    Raises ConfigError, which names class and field, for a class without :func:`message`, for two
    of one code, and for a field of a type that cannot be decoded. Immutable; any thread.
    """

    __slots__ = ("_by_class", "_by_code", "length", "name", "version")

    @of_options()
    def __init__(
        self, name: str, version: int, messages: Iterable[type[M]], *, length: int | None = None
    ) -> None:
        wanted = "printable text, since other nodes compare and show it"
        check_type("name", name, str, wanted)
        if not name or not name.isprintable():
            raise wrong("name", name, wanted)
        check_int("version", version, 0, _MAX_CODE, f"a number from 0 to {_MAX_CODE}")
        # fixed after __init__
        self.name = name
        self.version = version
        self._by_code = _by_code(messages)
        self._by_class = {entry.kind: entry for entry in self._by_code.values()}
        needed = max(self._by_code) + 1
        if length is not None:
            wanted = f"a number from {needed}, the codes of the messages, to {_MAX_CODE + 1}"
            check_int("length", length, needed, _MAX_CODE + 1, wanted)
        self.length = needed if length is None else length

    @property
    def cap(self) -> Cap:
        """The capability, as in the hello."""
        return Cap(self.name, self.version)

    @property
    def classes(self) -> Mapping[int, type[M]]:
        """The classes by code, in the order of codes."""
        return MappingProxyType({code: entry.kind for code, entry in self._by_code.items()})

    def code_of(self, message: M | type[M]) -> int:
        """Return the code of a message or of a class. Raises ArgumentTypeError for any other."""
        kind: Any = message if isinstance(message, type) else type(message)
        return self._entry_of(kind, message).code

    def name_of(self, code: int) -> str:
        """Return the name of the class of ``code``, or the code as text if no message has it.

        Raises ArgumentTypeError for a code that is no int.
        """
        entry = self._entry_at(code)
        return f"0x{code:02x}" if entry is None else entry.name

    def encode(self, message: M) -> tuple[int, bytes]:
        """Return code and payload of a message.

        Raises EncodeError for a field without an encoding, and for a message that :meth:`decode`
        refuses, since the remote would refuse it as well: beyond a limit, or of another length.
        ArgumentTypeError for an object of another class.
        """
        entry = self._entry_of(type(message), message)
        return entry.code, entry.encode(message)

    def decode(self, code: int, payload: bytes) -> M:
        """Return the message of a payload.

        Raises InvalidMessageCode if no message has this code, DecodeError if the payload is not
        of its class: both carry ``msg_code`` and DiscReason.PROTOCOL_ERROR. Raises
        ArgumentTypeError for a code that is no int, and a payload that is not bytes.
        """
        entry = self._entry_at(code)
        if entry is None:
            raise _about(code, InvalidMessageCode(f"{self.cap} has no message {code}"))
        try:
            return entry.decode(payload)
        except DecodeError as error:
            raise _about(code, DecodeError(f"{entry.name}: {error}")) from error.__cause__

    def _entry_at(self, code: int) -> Entry[M] | None:
        if type(code) is not int:
            check_type("code", code, int, "an int from 0 up")
        return self._by_code.get(code)

    def _entries(self) -> list[Entry[M]]:
        return [*self._by_code.values()]

    def _entry_of(self, kind: Any, given: object) -> Entry[M]:
        entry = self._by_class.get(kind)
        if entry is None:
            names = ", ".join(entry.name for entry in self._by_code.values())
            raise wrong_type("message", given, f"a message of {self.cap} ({names})")
        return entry

    def __repr__(self) -> str:
        names = ", ".join(f"{code} {entry.name}" for code, entry in self._by_code.items())
        return f"<messages of {self.cap}: {names}>"


class Entry(Generic[M]):
    """One class of a protocol's messages, ready to encode and to decode."""

    def __init__(self, kind: type[M], declared: _Declared) -> None:
        # fixed after __init__
        self.kind = kind
        self.code = declared.code
        self.name = kind.__name__
        self.max_size = declared.max_size
        self.shape = shape_of(kind)
        self.field: str | None = None
        if declared.is_bare:
            self.field, self.shape = _only_field(self.shape)
        self._read = decoder_of(self.shape)

    def encode(self, message: M) -> bytes:
        value = message if self.field is None else getattr(message, self.field)
        try:
            payload = encode(value)
            self.decode(payload)
        except EncodeError as error:
            raise EncodeError(f"{self.name}: {error}") from error.__cause__
        except DecodeError as error:
            raise EncodeError(f"{self.name}: the remote would refuse it: {error}") from error
        return payload

    def decode(self, payload: bytes) -> M:
        if type(payload) is not bytes:
            payload = bytes_of(payload, "payload")
        if len(payload) > self.max_size:
            raise DecodeError(f"{len(payload)} bytes, more than {self.max_size}")
        value: Any = self._read(payload)
        return value if self.field is None else self._make(value)

    def _make(self, value: Any) -> M:
        make: Any = self.kind
        try:
            made: M = make(value)
            return made
        except ValueError as error:  # the class checks its value itself, as in other dataclasses
            raise DecodeError(f"refused by {self.name}") from error


def _by_code(messages: Iterable[type[M]]) -> dict[int, Entry[M]]:
    check_type("messages", messages, Iterable, "the classes of messages, each with @message(code)")
    found: dict[int, Entry[M]] = {}
    names: set[str] = set()
    for kind in messages:
        declared = vars(kind).get(_MARK) if isinstance(kind, type) else None
        if declared is None:
            raise wrong_type("messages", kind, "classes, each with @message(code) above it")
        if declared.code in found:
            both = f"{found[declared.code].name} and {kind.__name__}"
            raise wrong("messages", declared.code, f"a code for each message; {both} have one")
        if kind.__name__ in names:
            raise wrong("messages", kind.__name__, "a name for each message; two have this one")
        names.add(kind.__name__)
        found[declared.code] = Entry(kind, declared)
    if not found:
        raise wrong("messages", messages, "at least one class")
    return dict(sorted(found.items()))


def _only_field(shape: Shape) -> tuple[str, Shape]:
    assert isinstance(shape, Record)
    if len(shape.items) != 1:
        text = "is bare, so it must have one field: that is the payload"
        raise ArgumentTypeError(f"{shape.name} {text}")
    return shape.labels[0].lstrip("."), shape.items[0]


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _about(code: int, error: E) -> E:
    error.msg_code = code
    return error
