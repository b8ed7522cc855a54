from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from p2p.enode.topic import TOPIC_ID_SIZE, topic_id
from p2p.errors import ArgumentError, ArgumentTypeError


def test_name_has_the_hash_of_its_text_as_identifier() -> None:
    assert topic_id("my service") == sha256(b"my service").digest()
    assert topic_id("größer") == sha256("größer".encode()).digest()


def test_identifier_is_itself() -> None:
    identifier = bytes(range(TOPIC_ID_SIZE))
    assert topic_id(identifier) == topic_id(bytearray(identifier)) == identifier


@pytest.mark.parametrize("topic", ["", "\ud800", "a\nb", b"", bytes(31), bytes(33)])
def test_others_are_refused(topic: Any) -> None:
    with pytest.raises(ArgumentError, match="topic: wanted the name of a topic"):
        topic_id(topic)


@pytest.mark.parametrize("topic", [None, 7, ["topic"]])
def test_other_types_are_refused(topic: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"Protocol\.topic: wanted the name"):
        topic_id(topic, "Protocol.topic")
