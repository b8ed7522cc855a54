"""The writer of a key log: a file, its thread ``p2p-keylog``, and the observer that fills it.

It owns the file while it is open. ``p2p-io`` and ``p2p-disc`` put lines into a queue, since a
disk may block for seconds; the thread writes each line with one call to the end of the file, so
that several processes can share it. The layout of a line is in :mod:`p2p.keylog.lines`.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from queue import SimpleQueue

from p2p.clock import Deadline
from p2p.enode.nodeid import NodeID
from p2p.keylog.lines import ConnectionKeys, Keys, SessionKeys, connection_id
from p2p.netutil import Endpoint
from p2p.observe import (
    ConnectionObserver,
    DiscoveryObserver,
    DiscoverySetup,
    NewConnection,
    Observer,
    Secrets,
)

#: Environment variable with the path of the key log of servers without the option ``key_log``.
VARIABLE = "P2P_KEYLOGFILE"
#: Lines that wait for the disk at most, 3.3 MB; later ones are lost until there is room.
MAX_QUEUED = 10_000
#: The secrets are for the owner of the process only.
_MODE = 0o600


def path_from_environment() -> str | None:
    """Return the path in P2P_KEYLOGFILE, None without one or if Python ignores the environment."""
    return None if sys.flags.ignore_environment else os.environ.get(VARIABLE) or None


class KeyLog(Observer):
    """Key log in the file ``path``. :meth:`start` and :meth:`stop` by one thread at a time."""

    def __init__(self, path: str | os.PathLike[str], logger: logging.Logger) -> None:
        # fixed after __init__
        self._path = os.fspath(path)
        self._log = logger.getChild("keylog")
        self._connections = _Connections(self)
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        # owned by the thread that starts and stops
        self._thread: threading.Thread | None = None
        # counted by the threads that write, roughly
        self._lost = 0

    def start(self) -> None:
        """Open the file, make it with mode 0600 if it is not there, and start the thread.

        Raises OSError if it cannot be opened for writing, RuntimeError without any threads left.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        file = os.open(self._path, flags, _MODE)  # NONBLOCK: no wait for the reader of a pipe
        try:
            os.set_blocking(file, True)
            self._warn(os.fstat(file).st_mode)
            thread = threading.Thread(
                target=self._run, args=(file,), name="p2p-keylog", daemon=True
            )
            thread.start()
        except BaseException:
            os.close(file)
            raise
        self._thread = thread

    def stop(self, deadline: Deadline) -> list[str]:
        """Write what is queued and close the file. Returns the thread's name if it still runs."""
        thread = self._thread
        if thread is None:
            return []
        self._queue.put(None)
        thread.join(deadline.left_s)
        if thread.is_alive():
            return [thread.name]
        self._thread = None
        if self._lost:
            self._log.warning("key log: %d lines were lost, the disk was too slow", self._lost)
            self._lost = 0
        return []

    def write(self, keys: Keys) -> None:
        """Write a line, soon. Any thread; does not wait."""
        if self._queue.qsize() < MAX_QUEUED:
            self._queue.put(keys.line + "\n")
        else:
            self._lost += 1

    @property
    def _is_idle(self) -> bool:
        return True  # the keys of a connection are agreed in its handshake

    def connection(self, new: NewConnection) -> ConnectionObserver:
        return self._connections

    def discovery(self, protocol: str) -> DiscoveryObserver | None:
        return _Sessions(self) if protocol == "v5" else None  # v4 encrypts nothing

    def _warn(self, mode: int) -> None:
        others = ", and the file is open to other users" if _is_open_to_others(mode) else ""
        text = "key log is on: with %r, all messages of this server can be decrypted%s"
        self._log.warning(text, self._path, others)

    def _run(self, file: int) -> None:
        try:
            while (line := self._queue.get()) is not None:
                os.write(file, line.encode("ascii"))
        except OSError as error:
            why = error.strerror or error
            self._log.warning("key log %r ends, it cannot be written: %s", self._path, why)
            while self._queue.get() is not None:
                pass  # until the stop
        finally:
            os.close(file)


class _Connections(ConnectionObserver):
    """Observer that logs the secrets of all connections."""

    def __init__(self, log: KeyLog) -> None:
        self._log = log

    def secrets(self, secrets: Secrets) -> None:
        connection = connection_id(secrets.packets[0])
        self._log.write(ConnectionKeys(connection, secrets.aes, secrets.mac, *secrets.nonces))


class _Sessions(DiscoveryObserver):
    """Observer that logs the keys of all sessions of our node."""

    def __init__(self, log: KeyLog) -> None:
        self._log = log
        self._own_id = NodeID(bytes(32))  # until setup()

    def setup(self, setup: DiscoverySetup) -> None:
        self._own_id = NodeID.from_public_key(setup.arguments["private_key"].public_key)

    def secrets(
        self,
        node_id: NodeID,
        addr: Endpoint,
        initiator: bool,
        initiator_key: bytes,
        recipient_key: bytes,
    ) -> None:
        ends = (self._own_id, node_id) if initiator else (node_id, self._own_id)
        self._log.write(SessionKeys(*ends, initiator_key, recipient_key))


def _is_open_to_others(mode: int) -> bool:
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
