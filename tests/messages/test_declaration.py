"""Messages declared as classes: codes, payloads, limits, and the refusal of what cannot work."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, is_dataclass
from typing import Any, NamedTuple

import pytest

import p2p
from p2p import messages
from p2p.messages import Messages, message


@message(0)
class Hello:
    name: str
    version: int


@message(3, max_size=20)
class Text:
    text: str
    is_urgent: bool = False


@message(4, bare=True)
class Hashes:
    hashes: list[bytes]


@message(1)
class Empty:
    pass


@message(2, frozen=False)
@dataclass
class Positive:
    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"{self.number} is not positive")


CHAT: Messages[Any] = Messages("chat", 1, [Hello, Text, Hashes, Empty, Positive])

PAYLOADS: list[tuple[Any, int, object]] = [
    (Hello("alice", 5), 0, ["alice", 5]),
    (Empty(), 1, []),
    (Positive(7), 2, [7]),
    (Text("hi"), 3, ["hi", False]),
    (Text("hi", True), 3, ["hi", True]),
    (Hashes([b"a" * 32, b"b" * 32]), 4, [b"a" * 32, b"b" * 32]),
    (Hashes([]), 4, []),
]


@pytest.mark.parametrize(("value", "code", "wire"), PAYLOADS, ids=repr)
def test_message_is_the_list_of_its_fields(value: Any, code: int, wire: object) -> None:
    payload = p2p.rlp.encode(wire)
    assert CHAT.encode(value) == (code, payload)
    assert CHAT.decode(code, payload) == value


def test_trailing_field_with_a_default_may_be_missing() -> None:
    assert CHAT.decode(3, p2p.rlp.encode(["hi"])) == Text("hi")


def test_class_becomes_a_frozen_dataclass() -> None:
    hello = Hello("a", 1)
    with pytest.raises(FrozenInstanceError):
        hello.name = "b"  # type: ignore[misc]
    assert is_dataclass(hello)


def test_class_that_is_a_dataclass_stays_as_it_is() -> None:
    value = Positive(1)
    value.number = 2
    assert value == Positive(2)


def test_message_may_be_mutable() -> None:
    @message(0, frozen=False)
    class Note:
        text: str

    note = Note("a")
    note.text = "b"
    assert note == Note("b")


def test_codes_and_names() -> None:
    assert CHAT.cap == p2p.Cap("chat", 1)
    assert CHAT.length == 5
    assert [*CHAT.classes] == [0, 1, 2, 3, 4]
    assert [*CHAT.classes.values()] == [Hello, Empty, Positive, Text, Hashes]
    assert CHAT.code_of(Text) == CHAT.code_of(Text("")) == 3
    assert CHAT.name_of(3) == "Text"
    assert CHAT.name_of(17) == "0x11"
    assert repr(CHAT).startswith("<messages of chat/1: 0 Hello, 1 Empty")


def test_class_may_be_in_several_versions() -> None:
    second: Messages[Any] = Messages("chat", 2, [Hello, Text], length=9)
    assert (second.length, second.code_of(Hello)) == (9, 0)
    with pytest.raises(p2p.errors.InvalidMessageCode):
        second.decode(4, b"\xc0")


REFUSED: list[tuple[int, bytes, str]] = [
    (0, b"\x80", "^Hello: byte 0: a string stands where a list is expected$"),
    (0, p2p.rlp.encode(["alice", [5]]), r"^Hello: version \(byte 7\): a list stands"),
    (0, p2p.rlp.encode(["alice"]), "a list of 1 items, expected 2"),
    (2, p2p.rlp.encode([0]), "^Positive: byte 0: refused by Positive$"),
    (3, p2p.rlp.encode(["x" * 30, False]), "^Text: 33 bytes, more than 20$"),
    (4, p2p.rlp.encode([[]]), r"^Hashes: \[0\] \(byte 1\): a list stands"),
]


@pytest.mark.parametrize(("code", "payload", "words"), REFUSED)
def test_payload_that_does_not_fit_is_refused(code: int, payload: bytes, words: str) -> None:
    with pytest.raises(p2p.DecodeError, match=words) as raised:
        CHAT.decode(code, payload)
    assert raised.value.msg_code == code
    assert raised.value.disc_reason == p2p.DiscReason.PROTOCOL_ERROR


def test_bare_class_refuses_its_value_itself() -> None:
    @message(0, bare=True)
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError("odd")

    even = Messages("even", 1, [Even])
    assert even.decode(0, b"\x02") == Even(2)
    with pytest.raises(p2p.DecodeError, match="^Even: refused by Even$"):
        even.decode(0, b"\x03")


def test_code_of_no_message_is_refused() -> None:
    with pytest.raises(p2p.errors.InvalidMessageCode, match="^chat/1 has no message 9$") as raised:
        CHAT.decode(9, b"\xc0")
    assert raised.value.msg_code == 9


def test_message_that_the_remote_would_refuse_is_not_encoded() -> None:
    with pytest.raises(p2p.EncodeError, match="^Text: the remote would refuse it: 33 bytes"):
        CHAT.encode(Text("x" * 30))
    with pytest.raises(p2p.EncodeError, match="^Hello: the remote would refuse it: name .*UTF-8"):
        CHAT.encode(Hello(b"\xff", 1))  # type: ignore[arg-type]
    with pytest.raises(p2p.EncodeError, match="^Hello: version: an int below zero"):
        CHAT.encode(Hello("a", -1))


@pytest.mark.parametrize("value", [None, 5, Hello, "Hello", [Hello("a", 1)]], ids=repr)
def test_only_messages_of_the_protocol_are_encoded(value: Any) -> None:
    with pytest.raises(p2p.errors.ArgumentTypeError, match="wanted a message of chat/1"):
        CHAT.encode(value)


# Refused when the protocol is declared.


@message(0)
class SameCode:
    pass


class Unmarked:
    pass


class Inherited(Hello):
    pass


@message(0)
class Ratio:
    share: float


@message(0, bare=True)
class TwoFields:
    a: int
    b: int


class Pair(NamedTuple):
    a: int
    b: int


class Elsewhere:
    @message(7)
    class Hello:
        pass


DECLARATIONS: list[tuple[dict[str, Any], str]] = [
    ({"messages": [Hello, SameCode]}, "messages: wanted a code for each message; Hello and Same"),
    ({"messages": [Hello, Elsewhere.Hello]}, "messages: wanted a name for each message; two"),
    ({"messages": []}, "messages: wanted at least one class"),
    ({"messages": None}, "messages: wanted the classes"),
    ({"messages": [Unmarked]}, "messages: wanted classes, each with @message"),
    ({"messages": [Inherited]}, "messages: wanted classes, each with @message"),
    ({"messages": [5]}, "messages: wanted classes, each with @message"),
    ({"messages": [Ratio]}, "Ratio.share: float is not a kind"),
    ({"messages": [TwoFields]}, "TwoFields is bare, so it must have one field"),
    ({"name": ""}, "name: wanted printable text"),
    ({"name": b"chat"}, "name: wanted printable text"),
    ({"version": -1}, "version: wanted a number from 0"),
    ({"length": 3}, "length: wanted a number from 4, the codes of the messages, to"),
    ({"length": "9"}, "length: wanted a number from 4"),
]


@pytest.mark.parametrize(("options", "words"), DECLARATIONS)
def test_declaration_that_cannot_work_is_refused(options: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"name": "chat", "version": 1, "messages": [Hello, Text], **options}
    with pytest.raises(p2p.ConfigError) as raised:
        Messages(**given)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    "options",
    [{"code": -1}, {"code": 2**32}, {"code": "0"}, {"code": True}, {"max_size": -1},
     {"max_size": 2**24}, {"bare": 1}],
    ids=repr,
)  # fmt: skip
def test_wrong_argument_of_message_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(p2p.ConfigError, match=f"^{name}: wanted "):
        messages.message(**{"code": 0, **options})


def test_only_classes_are_messages() -> None:
    def hello() -> None: ...

    with pytest.raises(TypeError, match="wanted a class below @message"):
        message(0)(hello)  # type: ignore[arg-type]
