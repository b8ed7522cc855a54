"""A handler that closes descriptors that are not its own: nobody waits for what will not come.

There is no cure for it, since the numbers go to whoever opens something next. What can be promised
is that the loop dies of it with a cause, rather than go on with another file in its hands, that
everybody who waits hears of it, and that ``stop`` ends.
"""

from __future__ import annotations

import logging
import os
import threading
from queue import SimpleQueue

import pytest

import p2p
from tests.kit import inspect
from tests.kit.nodes import Nodes
from tests.kit.threadcalls import in_thread
from tests.kit.waiting import PATIENCE_S


def test_loop_whose_selector_was_replaced_dies_and_wakes_everybody(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "p2p")
    ends: SimpleQueue[BaseException] = SimpleQueue()
    orders: SimpleQueue[bool] = SimpleQueue()
    replaced = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        began.put(None)
        if orders.get(timeout=PATIENCE_S):
            # Closed, and the number taken by something else at once.
            number = inspect.loop(server)._poller._epoll.fileno()  # type: ignore[attr-defined]
            with open(os.devnull, "rb") as other:
                os.dup2(other.fileno(), number, inheritable=False)
            replaced.set()
        try:
            rw.read_msg()
        except p2p.P2PError as error:
            ends.put(error)

    def wait() -> None:
        try:
            server.wait()
        except p2p.LoopCrashed as error:
            ends.put(error)

    began: SimpleQueue[None] = SimpleQueue()
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remotes = [nodes.remote(server).open() for _ in range(3)]
    for _ in remotes:
        began.get(timeout=PATIENCE_S)
    waiter = in_thread(wait)
    for order in (False, False, True):
        orders.put(order)
    assert replaced.wait(PATIENCE_S)
    remotes[0].send_payload(0)  # wakes the loop, if it slept in the selector that is gone
    raised = [ends.get(timeout=PATIENCE_S) for _ in range(3)]
    assert {type(error) for error in raised} <= {p2p.LoopCrashed, p2p.PeerDisconnected}
    assert server.stop() == []
    waiter.join(PATIENCE_S)
    assert not [t for t in threading.enumerate() if t.name.startswith("p2p-")]
