"""The request id of a message: its first field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from p2p.errors import ArgumentError, ArgumentTypeError
from p2p.requests.ids import id_of, with_id


@dataclass(frozen=True)
class Data:
    number: int
    text: str


class Named(NamedTuple):
    number: int
    text: str


@dataclass
class Empty:
    pass


@pytest.mark.parametrize("kind", [Data, Named])
def test_id_is_the_first_field(kind: Any) -> None:
    message = kind(0, "foo")
    assert with_id(message, 7) == kind(7, "foo")
    assert message == kind(0, "foo")
    assert id_of(with_id(message, 7)) == 7


@pytest.mark.parametrize("value", [Empty(), Data, (1, 2), "text", None])
def test_what_has_no_first_field_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentTypeError):
        id_of(value)
    with pytest.raises(ArgumentTypeError):
        with_id(value, 1)


@pytest.mark.parametrize("value", [Data("1", ""), Data(True, "")])  # type: ignore[arg-type]
def test_id_that_is_no_int_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentError):
        id_of(value)
