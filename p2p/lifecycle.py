"""State of a server, its process, and the errors of calls before the start or after the end.

::

    NEW ──► STARTING ──► RUNNING ──► STOPPING ──► STOPPED
     ▲          │ │                   ▲
     └──────────┘ └───────────────────┘
    failed before the          failed, or
    I/O thread started         stop() meanwhile

A server may also be stopped before its start. Any thread; :attr:`Lifecycle._lock` guards the state.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import Any

from p2p import forks
from p2p.errors import LoopCrashed, ServerStateError, ServerStopped
from p2p.net import Loop


class _State(Enum):
    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Lifecycle:
    """State of the server with the I/O thread of ``loop``."""

    def __init__(self, loop: Loop) -> None:
        # fixed after __init__
        self._loop = loop
        # guarded by _lock
        self._lock = threading.Lock()
        self._state = _State.NEW
        # fixed after begin_start()
        self._process: forks.Process | None = None

    # changes

    def begin_start(self) -> None:
        """Change NEW to STARTING, in this process. Raises ServerStateError in any other state."""
        self.check_process()
        with self._lock:
            if self._state is not _State.NEW:
                raise ServerStateError(f"cannot start: the server is {self._state.value}")
            self._state = _State.STARTING
            self._process = forks.here

    def undo_start(self) -> bool:
        """Change STARTING to NEW. Returns False in any other state, and keeps it."""
        with self._lock:
            if self._state is not _State.STARTING:
                return False
            self._state = _State.NEW
            self._process = None
            return True

    def end_start(self) -> None:
        """Change STARTING to RUNNING. Raises ServerStopped if :meth:`begin_stop` was called."""
        with self._lock:
            if self._state is not _State.STARTING:
                raise ServerStopped("the server was stopped while it started")
            self._state = _State.RUNNING

    def begin_stop(self) -> bool:
        """Change any state but STOPPED to STOPPING.

        Returns whether the caller must stop the parts; otherwise another thread does so, or has
        done so.
        """
        with self._lock:
            before = self._state
            if before is not _State.STOPPED:
                self._state = _State.STOPPING
        return before in (_State.NEW, _State.RUNNING)

    def end_stop(self) -> None:
        """Change STOPPING to STOPPED."""
        with self._lock:
            self._state = _State.STOPPED

    # checks

    @property
    def is_elsewhere(self) -> bool:
        """Whether this process is a fork of the one that started the server."""
        return self._process is not None and not self._process.is_here

    def check_process(self) -> None:
        """Raise WrongProcess in a fork of the process that started the server."""
        if self._process is not None:
            self._process.check("server")

    def check_started(self) -> None:
        """Raise ServerStateError unless the server runs or has run."""
        state = self._here()
        if state in (_State.NEW, _State.STARTING):
            raise ServerStateError(f"cannot wait before the start: the server is {state.value}")

    def check_running(self) -> None:
        """Raise ServerStateError unless the server runs."""
        state = self._here()
        # Code of the program may run, and call the server, before the start is complete.
        is_ready = state is _State.STARTING and not self._loop.can_start
        if state is not _State.RUNNING and not is_ready:
            hint = "; call start() first" if state is _State.NEW else ""
            raise ServerStateError(f"the server is {state.value}{hint}")

    def check_not_ended(self) -> None:
        """Raise LoopCrashed or ServerStopped if the server has ended or is stopping."""
        state = self._here()
        self.check_crash()
        if state in (_State.STOPPING, _State.STOPPED):
            raise ServerStopped("the server stopped")

    def check_crash(self) -> None:
        """Raise LoopCrashed if the I/O thread has died."""
        crash = self._loop.crash
        if crash is not None:
            raise LoopCrashed(f"the I/O thread died: {crash!r}") from crash

    def post(self, fn: Any, *args: object) -> None:
        """Call ``fn(*args)`` on the I/O thread, later. Raises LoopCrashed or ServerStopped."""
        if not self._loop.post(fn, *args):
            self.check_crash()
            raise ServerStopped("the server stopped")

    def _here(self) -> _State:
        self.check_process()
        with self._lock:
            return self._state

    def __str__(self) -> str:
        if self._process is not None and not self._process.is_here:
            return f"of process {self._process.pid}"
        return "crashed" if self._loop.crash else self._state.value
