"""The limit on file descriptors: a lab that does not fit says so before it starts."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator

import pytest

from p2p.errors import LabError
from p2p.lab import Lab
from p2p.lab.descriptors import SPARE, needed
from tests.conftest import FD_FOLDER
from tests.lab.test_lab import STAY

pytestmark = pytest.mark.skipif(not os.path.isdir(FD_FOLDER), reason="lists no descriptors")


def used() -> int:
    return len(os.listdir(FD_FOLDER))


@pytest.fixture
def allow() -> Iterator[Callable[[int], None]]:
    """Set how many more descriptors the process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda count: resource.setrlimit(resource.RLIMIT_NOFILE, (used() + count, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("join", ["memory", "loopback"])
@pytest.mark.parametrize("discovery", [False, True])
def test_a_lab_opens_no_more_than_it_has_asked_for(join: str, discovery: bool) -> None:
    before = used()
    lab = Lab(nodes=6, protocols=[STAY], join=join, discovery=discovery, no_dial=True)
    with lab:
        opened = used() - before
    most = needed(6, 6, discovers=discovery, in_memory=join == "memory")
    assert most - 2 * 6 <= opened <= most


def test_a_lab_that_does_not_fit_is_not_started(allow: Callable[[int], None]) -> None:
    allow(SPARE + 10)
    lab = Lab(nodes=6, protocols=[STAY])
    with pytest.raises(LabError) as caught:
        lab.start()
    text = str(caught.value)
    assert text.startswith("a lab of 6 nodes and 6 edges needs about ")
    assert "raise_limit=True" in text and "ulimit -n" in text
    assert lab.running == []


def test_the_limit_is_raised_if_that_is_wanted(allow: Callable[[int], None]) -> None:
    allow(SPARE + 10)
    with Lab(nodes=6, protocols=[STAY], raise_limit=True) as lab:
        assert len(lab.running) == 6
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft > used() + 10


def test_a_lab_beyond_the_system_s_limit_is_not_started() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not 0 < hard < 200_000:
        pytest.skip("the system has no such limit")
    lab = Lab(nodes=hard // 3, topology="none", raise_limit=True, join="loopback")
    with pytest.raises(LabError, match="file descriptors"):
        lab.start()
