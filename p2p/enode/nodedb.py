"""The node database: what is known about other nodes, and our own sequence numbers, over restarts.

It answers from memory (:mod:`p2p.enode.nodememory`), so that the discovery thread, which may not
wait, can call everything but :meth:`NodeDB.set_local_seq`, :meth:`~NodeDB.start` and
:meth:`~NodeDB.close`. The file (:mod:`p2p.enode.dbfile`) is read once, when it is opened, and
written behind by the thread ``p2p-db``: a change waits there for a second at most, so a killed
process loses that second and a database that cannot be written loses nothing until it ends.

The sequence number of our own record is another matter: nodes that have seen a higher one ignore
what we publish. It must be on the disk before it is published. Hence :meth:`NodeDB.set_local_seq`
waits for the disk, and :meth:`NodeDB.reserve_local_seq` with :meth:`NodeDB.stored_local_seq` is its
counterpart for threads that may not: :class:`p2p.enode.localnode.LocalNode` stores numbers in
advance, and uses up what is stored.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from types import TracebackType

from p2p.enode.dbfile import BrokenFile, DBFile
from p2p.enode.dbtables import Batch
from p2p.enode.node import Node
from p2p.enode.nodememory import NodeMemory
from p2p.enr import IPAddress
from p2p.errors import NodeDBError
from p2p.randomsource import RandomSource

#: Seeds that are asked for at a start, and how old they may be; for the caller of ``query_seeds``.
SEED_COUNT = 30
SEED_MAX_AGE_S = 5 * 24 * 3600.0
#: How often the owner should call ``expire``.
CLEANUP_INTERVAL_S = 3600.0

#: How long a change waits for others, so that they are written together.
WRITE_DELAY_S = 1.0
#: How long the file is left alone after it could not be written.
RETRY_DELAY_S = 30.0
#: Changes in a transaction; copying so many is all that is done under the lock.
BATCH_SIZE = 256
#: How long set_local_seq waits for its turn to write.
TURN_TIMEOUT_S = 10.0


class NodeDB:
    """A node database in a file, or in memory only when ``path`` is None.

    Opening reads the whole file. Raises NodeDBError, which names the file, when it cannot be
    opened or written, is open in another process, or is no node database; a file that is broken or
    of another version is renamed, and a fresh one made (:mod:`p2p.enode.dbfile`).

    Changes reach the file when :meth:`start` was called, at the latest in :meth:`close`; a ``with``
    block does both. Any thread may call. Node IDs are 32 bytes, times wall-clock seconds. A record
    without a public key (the scheme of tests) stays in memory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        # fixed after __init__
        self._log = (logger or logging.getLogger("p2p")).getChild("enode")
        self._memory_only = path is None
        # guarded by _lock
        self._lock = threading.Condition()
        self._memory = NodeMemory(tracks_changes=path is not None)
        self._local: dict[bytes, int] = {}
        self._stored_local: dict[bytes, int] = {}
        self._unstored_local: set[bytes] = set()
        self._write_at: float | None = None  # when the writer is to wake, monotonic
        self._failed = False  # the last attempt to write did
        self._closing = False
        self._thread: threading.Thread | None = None
        # Whoever sets it, under _lock, is the one thread that may touch the file, without _lock.
        self._writing = False
        # owned by the thread that writes
        self._file: DBFile | None = None
        if path is not None:
            self._file, contents = DBFile.open(path)
            self._memory.load(contents.nodes, contents.contacts)
            self._local.update(contents.local)
            self._stored_local.update(contents.local)

    # Life.

    def start(self) -> None:
        """Start the thread ``p2p-db``, unless there is no file, it runs, or all is closed.

        Raises RuntimeError if the system has no more threads; it can then be called again.
        """
        with self._lock:
            if self._memory_only or self._closing or self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="p2p-db", daemon=True)
            thread.start()
            self._thread = thread

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is not written, and close the file. Idempotent; not for an I/O thread.

        Returns False when the disk did not answer for ``timeout_s`` seconds; the thread ``p2p-db``
        then closes the file when it does. What is in memory can still be read.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._closing = True
            self._lock.notify_all()
            thread = self._thread
        if thread is None:
            return self._close_file(timeout_s)
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            self._log.warning("node database: the disk does not answer, %s goes on", thread.name)
        return not thread.is_alive()

    def __enter__(self) -> NodeDB:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # What passed between us and a node at an address.

    def last_ping_received(self, node_id: bytes, ip: IPAddress) -> float:
        """When the node pinged us from ``ip``; 0.0 for never."""
        with self._lock:
            return self._memory.contact(node_id, ip).last_ping

    def set_last_ping_received(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """The node has pinged us from ``ip``."""
        with self._lock:
            self._memory.set_last_ping(node_id, ip, unix)
            self._changed_locked()

    def last_pong_received(self, node_id: bytes, ip: IPAddress) -> float:
        """When the node answered our ping from ``ip``; 0.0 for never."""
        with self._lock:
            return self._memory.contact(node_id, ip).last_pong

    def set_last_pong_received(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """The node has answered our ping from ``ip``."""
        with self._lock:
            self._memory.set_last_pong(node_id, ip, unix)
            self._changed_locked()

    def find_fails(self, node_id: bytes, ip: IPAddress) -> int:
        """How many findnode requests the node at ``ip`` has failed; 0 where nothing is known."""
        with self._lock:
            return self._memory.contact(node_id, ip).find_fails

    def set_find_fails(self, node_id: bytes, ip: IPAddress, count: int) -> None:
        """The node at ``ip`` has now failed so many findnode requests."""
        with self._lock:
            self._memory.set_find_fails(node_id, ip, count)
            self._changed_locked()

    # Nodes.

    def node(self, node_id: bytes) -> Node | None:
        """The node as it was last told of, or None."""
        with self._lock:
            return self._memory.node(node_id)

    def update_node(self, node: Node) -> None:
        """Remember a node; one with an older record than is known changes nothing."""
        with self._lock:
            self._memory.update_node(node)
            self._changed_locked()

    def delete_node(self, node_id: bytes) -> None:
        """Forget all about a node."""
        with self._lock:
            self._memory.delete_node(node_id)
            self._changed_locked()

    def query_seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource
    ) -> list[Node]:
        """At most ``count`` nodes to begin with, in random order.

        Each has answered a ping, at the address it has, in the last ``max_age_s`` seconds; not more
        than two are of one network (/24, /64), local ones excepted.
        """
        with self._lock:
            return self._memory.seeds(count, max_age_s, now_unix, random)

    def expire(self, now_unix: float) -> None:
        """Forget what was not heard of for 24 hours. For the owner to call, once in an hour.

        Not before discovery has got going: after a long pause old seeds are better than none.
        """
        with self._lock:
            self._memory.expire(now_unix)
            self._changed_locked()

    @property
    def nodes_count(self) -> int:
        """How many nodes are remembered."""
        with self._lock:
            return self._memory.nodes_count()

    @property
    def contacts_count(self) -> int:
        """How many addresses of nodes are remembered."""
        with self._lock:
            return self._memory.contacts_count()

    # Our own sequence numbers.

    def local_seq(self, node_id: bytes) -> int:
        """The highest sequence number given for our own node ``node_id``, 0 if there is none."""
        with self._lock:
            return self._local.get(node_id, 0)

    def set_local_seq(self, node_id: bytes, seq: int) -> None:
        """Store a sequence number; it is on the disk when this returns. It never falls.

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
        """Have a sequence number stored soon; :meth:`stored_local_seq` tells when it is."""
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
        """The number up to which sequence numbers of ``node_id`` may be used.

        It is the number on the disk; where there is no file, or it cannot be written, it is the
        number that was last given, since waiting would not help.
        """
        with self._lock:
            given_up = self._memory_only or self._failed or self._closing
            return (self._local if given_up else self._stored_local).get(node_id, 0)

    # Writing.

    def _changed_locked(self) -> None:
        if self._write_at is None and self._memory.changes:
            self._wake_locked(time.monotonic() + WRITE_DELAY_S)

    def _wake_locked(self, when: float) -> None:
        if self._write_at is None or when < self._write_at:
            self._write_at = when
            self._lock.notify_all()

    def _run(self) -> None:
        """The thread ``p2p-db``."""
        try:
            while self._wait_for_work():
                self._write(None)
        finally:
            self._close_file(None)

    def _wait_for_work(self) -> bool:
        """Wait until something is to be written; False when all is to end."""
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
        """Write what is to be written now. Returns why it could not, or None."""
        if not self._take_turn(turn_timeout_s):
            return NodeDBError("node database: the disk does not answer")
        error = None
        try:
            with self._lock:
                rounds = self._memory.changes // BATCH_SIZE + 1
            # Not "until nothing is left": what comes meanwhile waits for its own second.
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
        """Begin a new file, with all that is in memory."""
        broken.close()
        try:
            self._file = DBFile.replace_broken(broken.path)
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
            self._log.warning("%s; what is new stays in memory until it can be written", error)

    def _close_file(self, turn_timeout_s: float | None) -> bool:
        for _ in range(2):  # the first time it may have had to begin a new file
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
