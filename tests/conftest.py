"""What every test of the suite must leave as it found it: threads and file descriptors.

A test fails when a thread that it started still runs, or when a socket, pipe, selector or file that
it opened is still open. Both are looked at after all other fixtures of the test are gone. The usual
test costs one listing of ``/proc/self/fd`` before and after; rubbish is only collected when
something new is open. Warnings are failures by ``filterwarnings`` in setup.cfg.

No example of Hypothesis has a time limit: a machine with something else to do exceeds any.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.nodes import Nodes, free_closed_ports

# For a thread that was told to end and was not joined. On a loaded machine it may be held up for
# seconds; only a test that fails waits for so long.
JOIN_TIMEOUT_S = 10.0
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

FD_FOLDER = Path("/proc/self/fd")  # Linux only; elsewhere descriptors are not watched


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
        new = [thread for thread in threading.enumerate() if thread not in self.threads]
        for thread in new:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [f"thread {thread.name!r} still runs" for thread in new if thread.is_alive()]

    def _leaked_descriptors(self) -> list[str]:
        if open_descriptors() <= self.descriptors:
            return []
        gc.collect()  # what nobody refers to any more closes here, with a ResourceWarning
        new = sorted(open_descriptors() - self.descriptors)
        return [f"descriptor {number} ({target}) is still open" for number, target in new]


def open_descriptors() -> set[tuple[int, str]]:
    """The number and the target of each open descriptor, such as ``(5, "socket:[1234]")``."""
    found = set()
    for name in os.listdir(FD_FOLDER) if FD_FOLDER.exists() else ():
        try:
            found.add((int(name), os.readlink(FD_FOLDER / name)))
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


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """Servers and their remotes, for one test."""
    nodes = Nodes()
    yield nodes
    nodes.close()


@pytest.fixture
def open_resources() -> OpenResources:
    """The resources open now, to be compared with those of later."""
    return OpenResources()
