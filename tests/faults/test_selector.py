"""A kernel that watches no more sockets: a connection is lost for it, the loop is not.

epoll refuses a socket with ENOSPC when the user watches as many as ``max_user_watches`` allows, and
with ENOMEM. The limit is the whole machine's, so the refusal is put in at the poller.
"""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

import pytest

import p2p
from p2p.clock import SystemClock
from p2p.net import Loop
from p2p.net.poller import Poller, new_poller
from tests.faults.neighbors import Neighbors, stay, talk
from tests.faults.parts import stranger
from tests.kit import inspect
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from tests.conftest import OpenResources

CODES = [errno.ENOSPC, errno.ENOMEM]


class FullPoller:
    """A poller that takes only ``room`` more descriptors, and counts those it refused."""

    def __init__(self, poller: Poller, code: int) -> None:
        self.room = 0
        self.refused = 0
        self._poller = poller
        self._code = code

    def add(self, fd: int, interest: int) -> None:
        if self.room <= 0:
            self.refused += 1
            raise OSError(self._code, os.strerror(self._code))
        self.room -= 1
        self._poller.add(fd, interest)

    def __getattr__(self, name: str) -> object:
        return getattr(self._poller, name)


def fill(server: p2p.Server, code: int) -> FullPoller:
    def put() -> FullPoller:
        poller = FullPoller(inspect.loop(server)._poller, code)
        inspect.loop(server)._poller = poller  # type: ignore[assignment]
        return poller

    return inspect.on_io(server, put)


@pytest.mark.usefixtures("short_linger")
@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_connection_that_cannot_be_watched_is_closed_and_the_next_one_is_not(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    server = nodes.start(max_peers=20, protocols=[talk(), p2p.Protocol("test", 1, 8, stay)])
    with Neighbors(nodes, server) as neighbors:
        poller = fill(server, code)
        for refused in (1, 2):
            remote = nodes.remote(server)
            assert remote.ending(silent=True) is None
            assert poller.refused == refused
            neighbors.exchange(10)
        poller.room = 1
        assert nodes.remote(server).open()
        assert inspect.on_io(server, lambda: len(inspect.open_sessions(server))) == 4
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings and all("cannot accept connections" in text for text in warnings)
    assert server.stop() == []


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("room", [0, 1], ids=["while connecting", "when connected"])
def test_dial_that_cannot_be_watched_has_failed_and_may_be_tried_again(
    nodes: Nodes, code: int, room: int
) -> None:
    there = nodes.start(protocols=[p2p.Protocol("test", 1, 8, stay)])
    server = nodes.start(max_peers=20, protocols=[talk(), p2p.Protocol("test", 1, 8, stay)])
    with Neighbors(nodes, server):
        poller = fill(server, code)
        poller.room = room
        with pytest.raises(p2p.errors.Unreachable, match=os.strerror(code)):
            server.connect(there.self, timeout=PATIENCE_S)
        assert poller.refused == 1
        eventually(lambda: there.peer_count == 0)
        poller.room = 2
        assert server.connect(there.self, timeout=PATIENCE_S).id == there.self.id
    assert server.stop() == []


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """No selector watches anything any more."""

    def add(poller: Poller, fd: int, interest: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(new_poller()), "add", add)


@pytest.mark.usefixtures("no_room")
def test_loop_that_cannot_watch_its_wake_up_does_not_start_and_leaves_nothing(
    open_resources: OpenResources,
) -> None:
    loop = Loop("full", SystemClock())
    with pytest.raises(OSError, match="No space"):
        loop.start()
    assert not loop.post(int)
    assert open_resources.leaked_since() == []


@pytest.mark.usefixtures("no_room")
def test_server_whose_loop_does_not_start_is_stopped_and_leaves_nothing(nodes: Nodes) -> None:
    server = nodes.new(listen_addr="127.0.0.1:0")
    with pytest.raises(OSError, match="No space"):
        server.start()
    with pytest.raises(p2p.errors.ServerStateError):
        server.connect(stranger(), 1.0)
