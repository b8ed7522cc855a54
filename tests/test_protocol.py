"""The values that a Protocol accepts; everything else is refused by its constructor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest

import p2p


def run(peer: object, rw: object) -> None:
    """A handler that does nothing."""


def protocol(**options: Any) -> p2p.Protocol:
    return p2p.Protocol(**{"name": "foo", "version": 1, "length": 1, "run": run, **options})


def refusal(**options: Any) -> str:
    with pytest.raises(p2p.ConfigError) as raised:
        protocol(**options)
    return str(raised.value)


def test_four_fields_are_enough() -> None:
    made = protocol()
    assert (made.name, made.version, made.length, made.run) == ("foo", 1, 1, run)
    assert (made.node_info, made.peer_info, made.dial_candidates, made.topic) == (None,) * 4
    assert made.attributes == {}


def test_protocol_without_a_handler() -> None:
    assert p2p.Protocol("foo", 1, 1).run is None
    assert protocol(run=None) == p2p.Protocol("foo", 1, 1)


@pytest.mark.parametrize("option", ["name", "version", "length"])
def test_missing_field_is_refused(option: str) -> None:
    given: dict[str, Any] = {"name": "foo", "version": 1, "length": 1, "run": run}
    del given[option]
    with pytest.raises(TypeError, match=option):
        p2p.Protocol(**given)


def test_capability_is_name_and_version() -> None:
    assert protocol(version=68).cap == p2p.Cap("foo", 68)
    assert str(protocol(version=68).cap) == "foo/68"


@pytest.mark.parametrize("name", ["", None, b"foo", 7, "a\nb", "\x1b[31m", "\ud800"], ids=repr)
def test_name_must_be_printable_text(name: object) -> None:
    assert refusal(name=name).startswith("Protocol.name: wanted ")


@pytest.mark.parametrize("option", ["version", "length"])
@pytest.mark.parametrize("value", [-1, 2**32 + 1, "1", None, 1.0, True])
def test_number_must_be_in_range(option: str, value: object) -> None:
    text = refusal(**{option: value})
    assert text.startswith(f"Protocol.{option}: wanted a number from ")
    assert repr(value) in text


@pytest.mark.parametrize("topic", ["", b"", bytes(31), 7, ["a topic"]], ids=repr)
def test_topic_is_a_name_or_an_identifier(topic: object) -> None:
    assert refusal(topic=topic).startswith("Protocol.topic: wanted the name of a topic")
    assert protocol(topic="a topic").topic == "a topic"


def test_protocol_without_a_message_code_is_refused() -> None:
    text = refusal(length=0)
    assert text.startswith("Protocol.length: wanted at least 1 (")
    assert "nothing can be written" in text and "the other end would refuse each message" in text


@pytest.mark.parametrize("options", [{"version": 0, "length": 1}, {"length": 2**32}])
def test_numbers_may_be_at_their_limits(options: dict[str, int]) -> None:
    made = protocol(**options)
    assert all(getattr(made, option) == value for option, value in options.items())


@pytest.mark.parametrize("value", ["run", 5])
def test_handler_must_be_callable(value: object) -> None:
    assert refusal(run=value).startswith("Protocol.run must be callable")


@pytest.mark.parametrize("option", ["node_info", "peer_info"])
def test_information_must_be_callable(option: str) -> None:
    assert refusal(**{option: {"a": 1}}).startswith(f"Protocol.{option} must be callable")


async def answer_later(*arguments: object) -> None:
    """A coroutine function, as asyncio would run it."""


def answer_bit_by_bit(*arguments: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize("option", ["run", "node_info", "peer_info"])
@pytest.mark.parametrize("value", [answer_later, answer_bit_by_bit, partial(answer_later)])
def test_function_that_a_call_does_not_run_is_refused(option: str, value: object) -> None:
    text = refusal(**{option: value})
    assert text.startswith(f"Protocol.{option} must be a plain function, called as {option}(")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("run", lambda peer: None),
        ("run", lambda peer, rw, log: None),
        ("node_info", lambda server: None),
        ("peer_info", lambda: None),
    ],
)
def test_function_of_other_arguments_is_refused(option: str, value: object) -> None:
    assert refusal(**{option: value}).startswith(f"Protocol.{option} must be callable as {option}(")


@pytest.mark.parametrize("value", [None, [("a", 1)], "a"])
def test_attributes_must_be_a_mapping(value: object) -> None:
    assert refusal(attributes=value).startswith("Protocol.attributes: wanted a mapping")


def test_keys_of_attributes_must_be_text() -> None:
    assert refusal(attributes={5: 1}).startswith("key of Protocol.attributes: wanted a str")


@pytest.mark.parametrize("value", [5, run])
def test_dial_candidates_must_be_iterable(value: object) -> None:
    assert refusal(dial_candidates=value).startswith("Protocol.dial_candidates: wanted an iterable")


def test_protocol_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        protocol().length = 2  # type: ignore[misc]
