"""The loop of p2p node: what wakes it."""

from __future__ import annotations

import select
import signal
from contextlib import closing

import pytest

from p2p.cli.node.run import ENDING, Waker, ending_signals


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


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_is_ignored_stays_so(number):
    """As under nohup: the node outlives its terminal."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with ending_signals():
            assert signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", ENDING)
def test_other_signals_end_the_block_as_ctrl_c_does(number):
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), ending_signals():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
