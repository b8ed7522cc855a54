"""Functions that a program gives: those that would do nothing are refused, whatever their form."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec

import pytest

from p2p.arguments import check_function, check_has_run
from p2p.errors import ArgumentTypeError, ConfigTypeError
from tests.kit.ids import steady


def plain(peer: object, rw: object) -> None: ...


async def coroutine(peer: object, rw: object) -> None: ...


def generator(peer: object, rw: object) -> Iterator[None]:
    yield


async def async_generator(peer: object, rw: object) -> AsyncIterator[None]:
    yield


class Plain:
    def method(self, peer: object, rw: object) -> None: ...

    @classmethod
    def of_class(cls, peer: object, rw: object) -> None: ...

    @staticmethod
    def static(peer: object, rw: object) -> None: ...

    def __call__(self, peer: object, rw: object) -> None: ...


class Coroutine:
    async def method(self, peer: object, rw: object) -> None: ...

    @staticmethod
    async def static(peer: object, rw: object) -> None: ...

    async def __call__(self, peer: object, rw: object) -> None: ...


class Generator:
    def method(self, peer: object, rw: object) -> Iterator[None]:
        yield

    def __call__(self, peer: object, rw: object) -> Iterator[None]:
        yield


class Handling:
    """A class whose constructor is the handler."""

    def __init__(self, peer: object, rw: object) -> None: ...


def three(peer: object, rw: object, log: object) -> None: ...


@functools.wraps(three)
def decorated(peer: object, rw: object) -> None:
    three(peer, rw, None)


@functools.wraps(coroutine)
def run_to_its_end(peer: object, rw: object) -> None:
    """What runs a coroutine in an event loop of its own is a plain function."""


SOUND = [
    plain,
    lambda peer, rw: None,
    lambda *args: None,
    lambda peer, rw, more=None, *, other=1: None,
    Plain().method,
    Plain.of_class,
    Plain.static,
    Plain(),
    Handling,
    functools.partial(three, log=None),
    functools.partial(functools.partial(lambda a, b, peer, rw: None, 1), 2),
    decorated,
    run_to_its_end,
    print,
    dict,
    Mock(),
    MagicMock(),
    create_autospec(plain),
]
LAZY = {
    "a coroutine function": [
        coroutine,
        Coroutine().method,
        Coroutine.static,
        Coroutine(),
        functools.partial(coroutine),
        functools.partial(functools.partial(Coroutine())),
        AsyncMock(),
    ],
    "a generator function": [
        generator,
        Generator().method,
        Generator(),
        functools.partial(generator),
        functools.partial(Generator()),
    ],
    "an asynchronous generator function": [async_generator],
}
UNFIT = [
    lambda: None,
    lambda peer: None,
    three,
    lambda peer, rw, *, log: None,
    Plain.method,
    functools.partial(plain, "peer"),
    Plain,
    str.upper,
]


def refusal(function: object) -> str:
    with pytest.raises(ArgumentTypeError) as raised:
        check_function("Protocol.run", function, "peer", "rw")
    return str(raised.value)


@pytest.mark.parametrize("function", SOUND, ids=steady)
def test_function_that_can_be_called_is_taken(function: Callable[..., Any]) -> None:
    check_function("Protocol.run", function, "peer", "rw")


@pytest.mark.parametrize(
    ("kind", "function"), [(kind, each) for kind in LAZY for each in LAZY[kind]], ids=steady
)
def test_function_of_which_a_call_runs_nothing_is_refused(kind: str, function: object) -> None:
    text = refusal(function)
    assert text.startswith("Protocol.run must be a plain function, called as run(peer, rw), not ")
    assert kind in text and "without await or yield" in text


@pytest.mark.parametrize("function", UNFIT, ids=steady)
def test_function_of_other_arguments_is_refused(function: object) -> None:
    text = refusal(function)
    assert text.startswith("Protocol.run must be callable as run(peer, rw), but ")
    assert " takes (" in text


@pytest.mark.parametrize("value", [None, "run", 5, [plain]])
def test_value_that_cannot_be_called_is_refused(value: object) -> None:
    text = refusal(value)
    assert text.startswith("Protocol.run must be callable as run(peer, rw), not ")
    assert type(value).__name__ in text


def test_long_function_is_cut_in_the_error() -> None:
    assert len(refusal(functools.partial(plain, "x" * 10_000))) < 400


@pytest.mark.parametrize("function", [coroutine, generator, async_generator])
def test_result_that_is_still_to_be_run_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ConfigTypeError, match=r"^Protocol.run of eth/68 has run nothing, it "):
        check_has_run("Protocol.run of eth/68", function(None, None))


@pytest.mark.parametrize("result", [None, 5, [1], iter([1]), range(2)], ids=steady)
def test_any_other_result_is_none_of_our_business(result: object) -> None:
    check_has_run("Protocol.run", result)


def test_mock_of_a_function_is_a_function() -> None:
    check_function("run", Mock(spec=plain), "peer", "rw")
