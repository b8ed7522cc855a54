"""What every test of the suite must leave as it found it: threads and file descriptors.

A test fails when a thread that it started still runs, or when a socket, pipe, selector or file that
it opened is still open. Both are looked at after all other fixtures of the test are gone. The usual
test costs one listing of ``/proc/self/fd`` before and after; rubbish is only collected when
something new is open. Idle threads of a server may outlive a test, since the server may be the
module's; at the end of the session none is left. Warnings are failures by ``filterwarnings`` in
setup.cfg.

No example of Hypothesis has a time limit: a machine with something else to do exceeds any.

All that is there once the tests are collected is no rubbish and stays: nobody looks through it
again, neither this process at each collection nor its forks, which would copy it for that.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis.strategies import none

from p2p import parts
from p2p.peers import session
from p2p.threads import IDLE_NAME, IDLE_S
from tests.kit.ids import ADDRESS
from tests.kit.names import Names
from tests.kit.nodes import Nodes, free_closed_ports
from tests.kit.services import Services

# For a thread that was told to end and was not joined. On a loaded machine it may be held up for
# seconds; only a test that fails waits for so long.
JOIN_TIMEOUT_S = 10.0
# A thread that becomes idle does not end.
JOIN_STEP_S = 0.01
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")
# For make test-fast.
settings.register_profile("few examples", deadline=None, max_examples=10)

FD_FOLDER = "/proc/self/fd"  # Linux only; elsewhere descriptors are not watched


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unsteady = [item.nodeid for item in items if ADDRESS.search(item.nodeid)]
    if unsteady:
        raise pytest.UsageError(f"an address in a name, use ids=steady (tests.kit.ids): {unsteady}")


def pytest_collection_finish() -> None:
    # At its first example Hypothesis asks the garbage collector who refers to its random source,
    # and warns if nobody does; a collection in another thread would hide who does.
    given(none())(lambda value: None)()
    gc.collect()
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()


class OpenResources:
    """The threads and descriptors of the process at one moment."""

    def __init__(self) -> None:
        self.threads = set(threading.enumerate())
        self.descriptors = open_descriptors()

    def leaked_since(self) -> list[str]:
        """What has come and not gone since this was made, in words for a reader."""
        return self._leaked_threads() + self._leaked_descriptors()

    def _leaked_threads(self) -> list[str]:
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        left = [thread for thread in threading.enumerate() if thread not in self.threads]
        while left and time.monotonic() < deadline:
            left[0].join(JOIN_STEP_S)
            left = [thread for thread in left if thread.is_alive() and thread.name != IDLE_NAME]
        return [f"thread {thread.name!r} still runs" for thread in left]

    def _leaked_descriptors(self) -> list[str]:
        if open_descriptors() <= self.descriptors:
            return []
        gc.collect()  # what nobody refers to any more closes here, with a ResourceWarning
        new = sorted(open_descriptors() - self.descriptors)
        return [f"descriptor {number} ({target}) is still open" for number, target in new]


def open_descriptors() -> set[tuple[int, str]]:
    """The number and the target of each open descriptor, such as ``(5, "socket:[1234]")``."""
    found = set()
    for name in os.listdir(FD_FOLDER) if os.path.exists(FD_FOLDER) else ():
        try:
            found.add((int(name), os.readlink(f"{FD_FOLDER}/{name}")))
        except OSError:
            continue  # the descriptor of the listing itself, closed by now
    return found


@pytest.fixture(autouse=True)
def leaves_nothing_open() -> Iterator[None]:
    """Fail the test when it leaves a thread running or a descriptor open."""
    before = OpenResources()
    yield
    free_closed_ports()
    leaked = before.leaked_since()
    if leaked:
        pytest.fail("the test leaks: " + "; ".join(leaked), pytrace=False)


@pytest.fixture(autouse=True, scope="session")
def leaves_no_idle_thread() -> Iterator[None]:
    """Fail the session when idle threads of a server are left at its end."""
    yield
    idle = [thread for thread in threading.enumerate() if thread.name == IDLE_NAME]
    deadline = time.monotonic() + IDLE_S + JOIN_TIMEOUT_S
    for thread in idle:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in idle), "an idle thread does not end"


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """Servers and their remotes, for one test."""
    nodes = Nodes()
    yield nodes
    nodes.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """The resolver of the system, with names of the test."""
    names = Names()
    monkeypatch.setattr("socket.getaddrinfo", names.getaddrinfo)
    yield names
    names.release()


@pytest.fixture
def services() -> Iterator[Services]:
    """Services of discovery on one clock, for one test."""
    services = Services()
    yield services
    services.close()


@pytest.fixture
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stop wait a moment only for remotes that do not close their ends: most of a test's
    remotes do not, and few tests are about that."""
    for module in (parts, session):
        monkeypatch.setattr(module, "LINGER_S", 0.05)


@pytest.fixture
def open_resources() -> OpenResources:
    """The resources open now, to be compared with those of later."""
    return OpenResources()
