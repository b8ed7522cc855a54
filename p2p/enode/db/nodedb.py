"""The node database: other nodes, and our own sequence numbers, persistent over restarts.

It answers from memory (:mod:`p2p.enode.db.memory`), so that the discovery thread, which may not
wait, can call everything but :meth:`NodeDB.set_local_seq`, :meth:`~NodeDB.start` and
:meth:`~NodeDB.close`. The file (:mod:`p2p.enode.db.file`) is read once, when it is opened, and
written later by the thread ``p2p-db``: a change waits for a second at most, so a killed process
loses that second, and as long as the process lives, a file that cannot be written loses nothing.

The sequence number of our own record must be on the disk before it is published, since nodes that
have seen a higher one ignore our record. Hence :meth:`NodeDB.set_local_seq` waits for the disk, and
:meth:`NodeDB.reserve_local_seq` with :meth:`NodeDB.stored_local_seq` is its counterpart for threads
that may not wait: :class:`p2p.enode.localnode.LocalNode` stores numbers in advance, and uses only
stored ones.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from p2p import forks
from p2p.clock import Deadline
from p2p.enode.db.file import BrokenFile, DBFile
from p2p.enode.db.memory import NodeMemory
from p2p.enode.db.rows import Batch
from p2p.enode.node import Node
from p2p.errors import NodeDBError
from p2p.inputs import RandomSource
from p2p.netutil import IPAddress, Netlist, OwnNetworks

#: Delay of a change, so that it is written together with others.
WRITE_DELAY_S = 1.0
#: Delay of the next attempt after the file could not be written.
RETRY_DELAY_S = 30.0
#: Limit on the changes in a transaction; the lock is held only to copy that many.
BATCH_SIZE = 256
#: Limit on the wait of set_local_seq for its turn to write.
TURN_TIMEOUT_S = 10.0


class NodeDB:
    """A node database in a file, or in memory only when ``path`` is None.

    Opening reads the whole file. Raises NodeDBError, which names the file, when it cannot be
    opened or written, is open in another process, or is not a node database; a file that is damaged
    or of another version is renamed, and a new one is made (:mod:`p2p.enode.db.file`).

    Changes are written from :meth:`start` on, and the last ones in :meth:`close`; a ``with`` block
    calls both. Seeds from the ``own_networks`` are not limited in number. Any thread of the process
    that made it may call; a forked child gets WrongProcess. Node IDs are 32 bytes, times wall-clock
    seconds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        logger: logging.Logger | None = None,
        *,
        own_networks: Netlist | None = None,
    ) -> None:
        # fixed after __init__
        self._log = (logger or logging.getLogger("p2p")).getChild("enode")
        self._path = path
        self._memory_only = path is None
        # guarded by _lock
        self._lock = forks.Condition("node database", "open a new one here")
        own = OwnNetworks(own_networks or Netlist())
        self._memory = NodeMemory(own, tracks_changes=path is not None)
        self._local: dict[bytes, int] = {}
        self._stored_local: dict[bytes, int] = {}
        self._unstored_local: set[bytes] = set()
        self._write_at: float | None = None  # time at which to write, monotonic
        self._failed = False  # whether the last attempt to write failed
        self._closing = False
        self._thread: threading.Thread | None = None
        # The thread that sets it, under _lock, is the only one that may use the file, without it.
        self._writing = False
        # owned by the thread that writes
        self._file: DBFile | None = None
        if path is not None:
            self._file, contents = DBFile.open(path, self._log)
            self._memory.load(contents.nodes, contents.contacts)
            self._local.update(contents.local)
            self._stored_local.update(contents.local)

    # start and end

    def start(self) -> None:
        """Start the thread ``p2p-db``; does nothing without a file, if it runs, or after close.

        Raises RuntimeError if the system has no more threads; it can then be called again.
        """
        with self._lock:
            if self._memory_only or self._closing or self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="p2p-db", daemon=True)
            thread.start()
            self._thread = thread

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write the pending changes, and close the file. Idempotent; not for an I/O thread.

        Returns False when the disk did not answer for ``timeout_s`` seconds; the thread ``p2p-db``
        then closes the file when it does. The data in memory can still be read.
        """
        deadline = Deadline(timeout_s)
        if not self._lock.is_here:
            return True
        with self._lock:
            self._closing = True
            self._lock.notify_all()
            thread = self._thread
        if thread is None:
            return self._close_file(timeout_s)
        thread.join(deadline.left_s)
        if thread.is_alive():
            self._log.warning("node database: the disk does not answer, %s still runs", thread.name)
        return not thread.is_alive()

    def __repr__(self) -> str:
        where = "memory" if self._path is None else repr(os.fspath(self._path))
        return f"<NodeDB in {where}{', closed' if self._closing else ''}>"

    def __enter__(self) -> NodeDB:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # contacts

    def last_ping_received(self, node_id: bytes, ip: IPAddress) -> float:
        """Return the time at which the node last pinged us from ``ip``; 0.0 for never."""
        with self._lock:
            return self._memory.last_ping_received(node_id, ip)

    def set_last_ping_received(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """Record the time at which the node last pinged us from ``ip``."""
        with self._lock:
            self._memory.set_last_ping_received(node_id, ip, unix)
            self._changed_locked()

    def last_pong_received(self, node_id: bytes, ip: IPAddress) -> float:
        """Return the time at which the node last answered our ping from ``ip``; 0.0 for never."""
        with self._lock:
            return self._memory.last_pong_received(node_id, ip)

    def set_last_pong_received(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """Record the time at which the node last answered our ping from ``ip``."""
        with self._lock:
            self._memory.set_last_pong_received(node_id, ip, unix)
            self._changed_locked()

    def find_fails(self, node_id: bytes, ip: IPAddress) -> int:
        """Return the number of findnode requests the node at ``ip`` has failed; 0 if unknown."""
        with self._lock:
            return self._memory.find_fails(node_id, ip)

    def set_find_fails(self, node_id: bytes, ip: IPAddress, count: int) -> None:
        """Set the number of findnode requests that the node at ``ip`` has failed."""
        with self._lock:
            self._memory.set_find_fails(node_id, ip, count)
            self._changed_locked()

    # nodes

    def node(self, node_id: bytes) -> Node | None:
        """Return the last known state of the node, None if it is not known."""
        with self._lock:
            return self._memory.node(node_id)

    def update_node(self, node: Node) -> None:
        """Add or replace a node; one with an older record than the known one changes nothing."""
        with self._lock:
            self._memory.update_node(node)
            self._changed_locked()

    def delete_node(self, node_id: bytes) -> None:
        """Delete a node and its contacts."""
        with self._lock:
            self._memory.delete_node(node_id)
            self._changed_locked()

    def query_seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource
    ) -> list[Node]:
        """Return at most ``count`` nodes to bootstrap from, in random order.

        Each has answered a ping, at its present address, in the last ``max_age_s`` seconds; at most
        two are of one network (/24, /48), except for the ``own`` ones.
        """
        with self._lock:
            return self._memory.query_seeds(count, max_age_s, now_unix, random)

    def expire(self, now_unix: float) -> None:
        """Delete contacts without a sign of life for 24 hours, and nodes without contacts.

        For the owner to call, once an hour, but not before discovery has found nodes: after a long
        pause old seeds are better than none.
        """
        with self._lock:
            self._memory.expire(now_unix)
            self._changed_locked()

    @property
    def nodes_count(self) -> int:
        """Number of nodes."""
        with self._lock:
            return self._memory.nodes_count

    @property
    def contacts_count(self) -> int:
        """Number of contacts, that is addresses of nodes."""
        with self._lock:
            return self._memory.contacts_count

    # our own sequence numbers

    def local_seq(self, node_id: bytes) -> int:
        """Return the highest sequence number set for our own node ``node_id``, 0 if none was."""
        with self._lock:
            return self._local.get(node_id, 0)

    def set_local_seq(self, node_id: bytes, seq: int) -> None:
        """Store a sequence number; it is on the disk when this returns. A lower one is ignored.

        Waits for the disk, so it is not for an I/O thread: see :meth:`reserve_local_seq`. Raises
        NodeDBError when the number cannot be stored, also after :meth:`close`.
        """
        self.reserve_local_seq(node_id, seq)
        if self._memory_only:
            return
        error = self._write(TURN_TIMEOUT_S)
        with self._lock:
            stored = self._stored_local.get(node_id, 0)
        if stored < seq:
            raise error or NodeDBError("node database: it is closed")

    def reserve_local_seq(self, node_id: bytes, seq: int) -> None:
        """Store a sequence number soon; :meth:`stored_local_seq` returns it once it is stored."""
        with self._lock:
            if seq <= self._local.get(node_id, 0):
                return
            self._local[node_id] = seq
            if self._memory_only:
                return
            self._unstored_local.add(node_id)
            if not self._failed:
                self._wake_locked(time.monotonic())

    def stored_local_seq(self, node_id: bytes) -> int:
        """Return the highest sequence number that may be used for ``node_id``.

        It is the number on the disk; if there is no file, or it cannot be written, it is the number
        that was last set, since waiting would not help.
        """
        with self._lock:
            given_up = self._memory_only or self._failed or self._closing
            return (self._local if given_up else self._stored_local).get(node_id, 0)

    # writing

    def _changed_locked(self) -> None:
        if self._write_at is None and self._memory.changes:
            self._wake_locked(time.monotonic() + WRITE_DELAY_S)

    def _wake_locked(self, when: float) -> None:
        if self._write_at is None or when < self._write_at:
            self._write_at = when
            self._lock.notify_all()

    def _run(self) -> None:
        """Run the thread ``p2p-db``."""
        try:
            while self._wait_for_work():
                self._write(None)
        finally:
            self._close_file(None)

    def _wait_for_work(self) -> bool:
        """Wait until it is time to write. Returns False after :meth:`close`."""
        with self._lock:
            while not self._closing:
                if self._write_at is None:
                    self._lock.wait()
                    continue
                wait_s = self._write_at - time.monotonic()
                if wait_s <= 0:
                    return True
                self._lock.wait(wait_s)
        return False

    def _write(self, turn_timeout_s: float | None) -> NodeDBError | None:
        """Write the pending changes. Returns the error, or None."""
        if not self._take_turn(turn_timeout_s):
            return NodeDBError("node database: the disk does not answer")
        error = None
        try:
            with self._lock:
                rounds = self._memory.changes // BATCH_SIZE + 1
            # Not "until nothing is left": changes made meanwhile have their own delay.
            while rounds and error is None:
                rounds -= 1
                error = self._write_batch()
        finally:
            self._end_turn(error)
        return error

    def _take_turn(self, timeout_s: float | None) -> bool:
        with self._lock:
            if not self._lock.wait_for(lambda: not self._writing, timeout_s):
                return False
            self._writing = True
            return True

    def _end_turn(self, error: NodeDBError | None) -> None:
        with self._lock:
            self._writing = False
            self._write_at = None
            if error is not None:
                self._wake_locked(time.monotonic() + RETRY_DELAY_S)
            elif self._unstored_local:
                self._wake_locked(time.monotonic())
            self._changed_locked()
            self._lock.notify_all()

    def _write_batch(self, may_replace: bool = True) -> NodeDBError | None:
        if self._file is None:
            return None
        with self._lock:
            batch = self._memory.take_changes(BATCH_SIZE)
            batch.local = {node_id: self._local[node_id] for node_id in self._unstored_local}
            self._unstored_local.clear()
        if not batch:
            return None
        error = self._try_to_write(self._file, batch, may_replace)
        if error is None:
            self._note_written(batch)
        else:
            self._note_failure(batch, error)
        return error

    def _try_to_write(self, file: DBFile, batch: Batch, may_replace: bool) -> NodeDBError | None:
        try:
            if not file.is_open:
                raise BrokenFile(f"node database {file.path}: it could not be replaced")
            file.write(batch)
        except BrokenFile as broken:
            return self._replace_file(file) if may_replace else broken
        except NodeDBError as error:
            return error
        return None

    def _replace_file(self, broken: DBFile) -> NodeDBError | None:
        """Make a new file, and write all that is in memory."""
        broken.close()
        try:
            self._file = DBFile.replace_broken(broken.path, self._log)
        except NodeDBError as error:
            return error
        with self._lock:
            self._memory.change_all()
            self._unstored_local.update(self._local)
        return self._write_batch(may_replace=False)

    def _note_written(self, batch: Batch) -> None:
        with self._lock:
            self._stored_local.update(batch.local)
            recovered, self._failed = self._failed, False
        if recovered:
            self._log.info("node database: the file can be written again")

    def _note_failure(self, batch: Batch, error: NodeDBError) -> None:
        with self._lock:
            self._memory.give_back(batch)
            self._unstored_local.update(batch.local)
            already, self._failed = self._failed, True
        if not already:
            self._log.warning("%s; changes stay in memory until it can be written", error)

    def _close_file(self, turn_timeout_s: float | None) -> bool:
        for _ in range(2):  # the first time may only have made a new file
            self._write(turn_timeout_s)
        if not self._take_turn(turn_timeout_s):
            return False
        try:
            if self._file is not None:
                self._file.close()
                self._file = None
        finally:
            self._end_turn(None)
        return True
