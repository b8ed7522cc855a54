"""Messages explained: their RLP, and their fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p import rlp
from p2p.errors import CompressionError, InvalidMessageCode
from p2p.explain import explain_message
from p2p.explain.message import MAX_ITEMS
from p2p.messages import Messages, message
from p2p.rlpx.snappy import compress


@message(2)
class Text:
    author: str
    number: int
    parts: list[bytes]


CHAT = Messages("chat", 1, [Text])
PAYLOAD = rlp.encode(["ann", 1000, [b"\xff", b""]])


def rows(explanation, section=0):
    return [(v.name, v.shown, v.formula) for v in explanation.sections[section].values]


def test_each_item_has_its_head_and_place():
    assert rows(explain_message(PAYLOAD)) == [
        ("message", "list of 3 items, 11 bytes", "cb, at byte 0"),
        ("[0]", "616e6e", "83, at byte 1"),
        ("[1]", "03e8", "82, at byte 5"),
        ("[2]", "list of 2 items, 3 bytes", "c3, at byte 8"),
        ("[2][0]", "ff", "81, at byte 9"),
        ("[2][1]", "(empty)", "80, at byte 11"),
    ]


def test_strings_have_their_readings():
    notes = [value.note for value in explain_message(PAYLOAD).sections[0].values]
    assert notes[1] == "As a number or a text: 6385262, 'ann'."
    assert notes[2] == "As a number or a text: 1000."


def test_fields_of_a_known_message():
    explanation = explain_message(PAYLOAD, CHAT, 2)
    assert explanation.title == "Text, chat/1"
    assert [v.name for v in explanation.sections[1].values] == ["author", "number", "parts"]
    assert explanation.sections[1].values[0].shown == "ann"


def test_payload_of_another_message_is_part_of_the_explanation():
    explanation = explain_message(rlp.encode([1, 2]), CHAT, 2)
    assert "not of this message" in explanation.sections[1].text


def test_unknown_code_is_an_error():
    with pytest.raises(InvalidMessageCode):
        explain_message(PAYLOAD, CHAT, 7)


def test_compressed_payload():
    explanation = explain_message(bytes(compress(PAYLOAD)), CHAT, 2, compressed=True)
    assert explanation.sections[0].values[1].data == PAYLOAD
    assert explanation.sections[2].values[0].shown == "ann"
    with pytest.raises(CompressionError):
        explain_message(b"\xff" * 20, compressed=True)


def test_what_is_no_rlp_is_an_error():
    with pytest.raises(p2p.DecodeError):
        explain_message(b"\xc3\x01")


def test_long_messages_are_cut():
    explanation = explain_message(rlp.encode(list(range(10_000))))
    assert len(explanation.sections[0].values) == 201
    assert explanation.sections[0].values[-1].shown.endswith("are not shown")
    assert explain_message(rlp.encode(b"x" * 1000)).sections[0].values[0].shown.endswith("…")


ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=4))


@given(ITEMS)
def test_each_item_is_shown_once(value):
    def count(item):
        return 1 + sum(map(count, item)) if isinstance(item, list) else 1

    values = explain_message(rlp.encode(value)).sections[0].values
    assert len(values) == min(count(value), 201)


@given(st.binary(max_size=60))
def test_any_bytes_are_explained_or_refused(data):
    try:
        explain_message(data, CHAT, 2).html()
    except p2p.P2PError:
        pass


@message(3)
class Wide:
    text: str
    texts: list[str]
    numbers: list[int]
    data: bytes


WIDE = Messages("wide", 1, [Wide])


def explain_wide(text="", texts=(), numbers=(), data=b""):
    return explain_message(rlp.encode([text, texts, numbers, data]), WIDE, 3)


def test_line_break_of_a_remote_makes_no_line():
    """It could add lines that look like ours."""
    explanation = explain_wide("a\n   9. Forged", ["b\nforged", "c"])
    assert [shown for _, shown, _ in rows(explanation, 1)][:2] == [
        r"a\n   9. Forged",
        "b\\nforged\nc",
    ]
    assert "\n   9. Forged" not in explanation.text()


def test_large_values_make_a_short_text():
    """A message of 16 MiB made a text of 32 MB, in ten seconds."""
    values = [
        explain_wide(text="\n" * 10**6),
        explain_wide(texts=["x"] * 10**5),
        explain_wide(numbers=[1] * 10**5),
        explain_wide(data=bytes(10**6)),
    ]
    assert all(len(explanation.text()) < 200_000 for explanation in values)
    assert rows(values[1], 1)[1][1].endswith(f"\nand {10**5 - MAX_ITEMS} more")
    assert rows(values[3], 1)[3][1].endswith("00…")


def test_large_block_is_cut():
    payload = rlp.encode(bytes(10**6))
    explanation = explain_message(bytes(compress(payload)), compressed=True)
    assert len(explanation.text()) < 200_000
