"""Wrong values at the tools of the library: captures, explanations, replay, suites, requests.

The sweep is that of :mod:`tests.test_public_arguments`: any value of another type is refused by an
ArgumentTypeError that names the argument, what is wanted and what was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.capture
import p2p.explain
import p2p.testing
from p2p.errors import ArgumentError, ArgumentTypeError
from p2p.testing import conformance
from tests.test_public_arguments import GREETINGS, KEY, NODE, PIPE, VALUES

RECORDING = p2p.capture.Recording("x", 1, 8)


def read(path: Any = "absent", **options: Any) -> object:
    pytest.importorskip("pcapy")
    return list(p2p.capture.read(path, **options))


def requests() -> p2p.requests.Requests:
    return p2p.requests.Requests(PIPE)


#: By call: the values that it takes, and the call.
CALLS: dict[str, tuple[Collection[str], Callable[[Any], object]]] = {
    "read(path)": (["text"], read),
    "read(keylog)": (["none", "text"], lambda value: read(keylog=value)),
    "read(protocols)": (["list"], lambda value: read(protocols=value)),
    "read(a protocol)": ([], lambda value: read(protocols=[value])),
    "Recording.load": (["text"], p2p.capture.Recording.load),
    "replay(recording)": ([], lambda value: p2p.testing.replay(value, print)),
    "explain_message(payload)": (["bytes"], p2p.explain.explain_message),
    "explain_message(protocol)": (
        ["none"],
        lambda value: p2p.explain.explain_message(b"\x80", value),
    ),
    "explain_message(code)": (
        ["number"],
        lambda value: p2p.explain.explain_message(b"\x80", None, value),
    ),
    "explain_packet(data)": (["bytes"], p2p.explain.explain_packet),
    "explain_packet(recipient)": (
        ["none", "node"],
        lambda value: p2p.explain.explain_packet(b"", value),
    ),
    "run_suite(suite)": ([], lambda value: conformance.run_suite(value, NODE)),
    "run_suite(node)": (["node"], lambda value: conformance.run_suite("rlpx", value)),
    "run_suite(only)": (
        ["none", "list", "mapping"],
        lambda value: conformance.run_suite("rlpx", NODE, value),
    ),
    "run_suite(a case)": ([], lambda value: conformance.run_suite("rlpx", NODE, [value])),
    "Messages.decode(code)": (["number"], lambda value: GREETINGS.decode(value, b"\xc0")),
    "Messages.decode(payload)": (["bytes"], lambda value: GREETINGS.decode(0, value)),
    "Messages.name_of": (["number"], GREETINGS.name_of),
    "Requests.close": (["none"], lambda value: requests().close(value)),
    "PeerRates.add": (
        [word for word in VALUES if word not in ("list", "nodes", "mapping")],
        lambda value: p2p.requests.PeerRates().add(value),
    ),
    "PeerRates.remove": (
        [word for word in VALUES if word not in ("list", "nodes", "mapping")],
        lambda value: p2p.requests.PeerRates().remove(value),
    ),
}
#: Texts are of the right type, and no name of a suite or a case.
UNFIT = {"run_suite(suite)", "run_suite(a case)"}


def refusal(call: Callable[[Any], object], value: object) -> ArgumentError | None:
    """The refusal of a value; None if it is taken, and the call may then fail otherwise."""
    try:
        call(value)
    except ArgumentError as error:
        return error
    except (OSError, p2p.RemoteProtocolError):
        return None
    return None


@pytest.mark.parametrize("name", CALLS)
def test_value_of_another_type_is_refused_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken, call = CALLS[name]
    refusals = {word: refusal(call, value) for word, value in VALUES.items()}
    assert {word for word, error in refusals.items() if error is None} == set(taken)
    for word, error in refusals.items():
        if error is not None:
            assert re.match(r"[\w ]+: wanted .+; got .+", str(error)), (word, str(error))
            is_unfit = name in UNFIT and word == "text"
            assert isinstance(error, ArgumentTypeError) is not is_unfit


@pytest.mark.parametrize("option", ["key_log", "node_database"])
def test_path_with_a_nul_byte_is_no_option(option: str) -> None:
    """The start raised a ValueError of the system call."""
    with pytest.raises(p2p.ConfigError, match=f"{option}: wanted a path.*NUL"):
        p2p.Server(private_key=KEY, name="x", max_peers=1, **{option: "a\0b"})  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["max_upload", "max_download_per_peer"])
def test_limit_beyond_floats_is_no_option(option: str) -> None:
    """It raised an OverflowError."""
    with pytest.raises(p2p.ConfigError, match=f"{option}: wanted bytes a second"):
        p2p.Server(private_key=KEY, name="x", max_peers=1, **{option: 10**400})  # type: ignore[arg-type]
