"""The loop of p2p node: what wakes it."""

from __future__ import annotations

import select
import signal
from contextlib import closing

import pytest

from p2p.cli.node.run import Waker


@pytest.fixture
def harmless():
    """A signal with a handler that does nothing."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_just_before_the_wait_ends_it(harmless):
    with closing(Waker()) as waker:
        with waker.woken_by_signals():
            signal.raise_signal(harmless)
            assert select.select([waker.reader], [], [], 0) == ([waker.reader], [], [])
        waker.drain()
        signal.raise_signal(harmless)
        assert select.select([waker.reader], [], [], 0) == ([], [], [])
