"""Fixtures of the interoperability tests: foreign programs and servers of ours.

The folder is collected only when it is named on the command line, because its programs must be
built first (``tests/interop/build.sh``). Nothing is built here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2p.discover.v4 import requests as exchange
from p2p.discover.v5 import requests as exchange_v5
from tests.cli.conftest import run as run

from .discovery import OurDiscovery, OurDiscoveryV5, StartDiscovery, StartDiscoveryV5
from .ours import OurNode, StartServer
from .program import COMMANDS, DEADLINE_S, Program, ProgramV5, StartProgram, StartProgramV5
from .relay import Rule

RULES = ("rules", "discovery_rules", "discovery_rules_v5")
pytest.register_assert_rewrite(*(f"{__package__}.{name}" for name in RULES))

if TYPE_CHECKING:
    from .discovery_rules_v5 import Pair, StartPair

#: How long a packet of ours waits for its response, in seconds; a lost one costs as much.
PATIENCE_V5_S = 3.0


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out unless pytest was started in it or with its name."""
    started = config.invocation_params
    named = any("interop" in str(word) for word in [*started.args, started.dir])
    return None if named else True


@pytest.fixture
def start_program(request: pytest.FixtureRequest) -> Iterator[StartProgram]:
    """A function that starts a program of the kind the test class names."""
    kind = _built_kind(request)
    with ExitStack() as stack:

        def start(protocols: str = "foo/1/5", **options: Any) -> Program:
            program = Program(kind, protocols, **options)
            stack.callback(program.stop)
            return program

        yield start


@pytest.fixture
def start_v5(request: pytest.FixtureRequest) -> Iterator[StartProgramV5]:
    """A function that starts a program with discovery v5 of the kind the test class names."""
    kind = _built_kind(request)
    with ExitStack() as stack:

        def start(**options: Any) -> ProgramV5:
            program = ProgramV5(kind, **options)
            stack.callback(program.stop)
            return program

        yield start


@pytest.fixture
def start_ours() -> Iterator[StartDiscoveryV5]:
    """A function that starts discovery v5 of ours."""
    with ExitStack() as stack:

        def start(*bootnodes: str, **options: Any) -> OurDiscoveryV5:
            return stack.enter_context(OurDiscoveryV5(*bootnodes, **options))

        yield start


@pytest.fixture
def start_pair(request: pytest.FixtureRequest) -> Iterator[StartPair]:
    """A function that starts a node of theirs and one of ours, with a relay between them."""
    from .discovery_rules_v5 import Pair

    kind = _built_kind(request)
    with ExitStack() as stack:

        def start(rule: Rule) -> Pair:
            return Pair(stack, kind, rule)

        yield start


def _built_kind(request: pytest.FixtureRequest) -> str:
    """The kind of program that the test class names; fails if it is not built."""
    kind: str = request.cls.kind
    built = Path(COMMANDS[kind][-1])
    if not built.exists():
        pytest.fail(f"{built.name} is not built; run tests/interop/build.sh")
    return kind


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """A function that starts a server of ours."""
    with ExitStack() as stack:

        def start(protocols: str = "foo/1/5", name: str = "our node", **options: Any) -> OurNode:
            node = OurNode(protocols, name, **options)
            stack.enter_context(node.server)
            return node

        yield start


@pytest.fixture
def start_discovery() -> Iterator[StartDiscovery]:
    """A function that starts discovery of ours."""
    with ExitStack() as stack:

        def start(*bootnodes: str, **options: Any) -> OurDiscovery:
            return stack.enter_context(OurDiscovery(bootnodes, **options))

        yield start


@pytest.fixture
def patient_v5(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of ours is not given up because this machine has something else to do."""
    monkeypatch.setattr(exchange_v5, "REPLY_TIMEOUT_S", PATIENCE_V5_S)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our one ping is not given up because this machine has something else to do for a while."""
    monkeypatch.setattr(exchange, "REPLY_TIMEOUT_S", DEADLINE_S)
