"""Fixtures of the interoperability tests: foreign programs and servers of ours.

The folder is collected only when it is named on the command line, because its programs must be
built first (``tests/interop/build.sh``). Nothing is built here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from p2p.discover.v4 import requests as exchange

from .discovery import OurDiscovery, StartDiscovery
from .ours import OurNode, StartServer
from .program import COMMANDS, DEADLINE_S, Program, StartProgram

pytest.register_assert_rewrite(f"{__package__}.rules", f"{__package__}.discovery_rules")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out unless pytest was started in it or with its name."""
    started = config.invocation_params
    named = any("interop" in str(word) for word in [*started.args, started.dir])
    return None if named else True


@pytest.fixture
def start_program(request: pytest.FixtureRequest) -> Iterator[StartProgram]:
    """A function that starts a program of the kind the test class names."""
    kind: str = request.cls.kind
    built = Path(COMMANDS[kind][-1])
    if not built.exists():
        pytest.fail(f"{built.name} is not built; run tests/interop/build.sh")
    with ExitStack() as stack:

        def start(protocols: str = "foo/1/5", **options: Any) -> Program:
            program = Program(kind, protocols, **options)
            stack.callback(program.stop)
            return program

        yield start


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

        def start(*bootnodes: str, **options: str) -> OurDiscovery:
            return stack.enter_context(OurDiscovery(bootnodes, **options))

        yield start


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our one ping is not given up because this machine has something else to do for a while."""
    monkeypatch.setattr(exchange, "REPLY_TIMEOUT_S", DEADLINE_S)
