"""The secrets of a key log, as a decoder asks for them.

Pure. The lines are read by :mod:`p2p.keylog.lines`. Secrets of a connection whose handshake is not
in the capture are tried on its messages, each of those that no other connection has: the newest
first, and :data:`MAX_TRIALS` in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2p.capture.keystream import BLOCK_SIZE, find_header
from p2p.enode.nodeid import NodeID
from p2p.errors import DecodeError
from p2p.keylog.lines import ConnectionKeys, Keys, SessionKeys

#: Lines of a key log at most: some 600 MB of memory.
MAX_KEYS = 1_000_000
#: Secrets that are tried on connections without a handshake; each takes a tenth of a second.
MAX_TRIALS = 64
#: Part of the key stream that is searched in a trial, in blocks: 16 MiB of messages.
TRIAL_BLOCKS = 2**20
#: Sessions between two nodes that are kept, the newest ones.
MAX_SESSIONS = 64


class KeyRing:
    """All secrets of a key log: ``keys``, and those that ``more`` returns when it is called again.

    Raises DecodeError for more than MAX_KEYS.
    """

    def __init__(
        self, keys: Iterable[Keys] = (), more: Callable[[], Iterable[Keys]] | None = None
    ) -> None:
        # fixed after __init__
        self._more = more
        # changed by new keys and by connections
        self._count = 0
        self._connections: dict[bytes, ConnectionKeys] = {}
        self._unclaimed: dict[bytes, ConnectionKeys] = {}
        self._sessions: dict[tuple[NodeID, NodeID], list[SessionKeys]] = {}
        self.trials_left = MAX_TRIALS
        for one in keys:
            self._add(one)
        self.refresh()

    def refresh(self) -> bool:
        """Take the lines that the key log has got meanwhile; return whether there are any."""
        before = self._count
        for one in () if self._more is None else self._more():
            self._add(one)
        return self._count > before

    def of(self, connection: bytes) -> ConnectionKeys | None:
        """Return the secrets of a connection, None if they are not there."""
        if connection not in self._connections:
            self.refresh()
        return self._connections.get(connection)

    def claim(self, keys: ConnectionKeys) -> None:
        """Note that a connection has these secrets."""
        self._unclaimed.pop(keys.connection, None)

    def search(self, data: bytes) -> ConnectionKeys | None:
        """Return the secrets that no connection has and that decrypt ``data``, from its middle."""
        if len(data) < 2 * BLOCK_SIZE or self.trials_left <= 0:
            return None
        for keys in reversed(list(self._unclaimed.values())):
            if self.trials_left <= 0:
                return None
            self.trials_left -= 1
            if find_header(keys.aes, data, 1, 0, TRIAL_BLOCKS) is not None:
                return keys
        return None

    def sessions(self, one: NodeID, other: NodeID) -> list[SessionKeys]:
        """Return the sessions between two nodes. Move the one that fits to the front."""
        return self._sessions.get(_pair(one, other), [])

    @property
    def node_ids(self) -> set[NodeID]:
        """The nodes of all sessions."""
        return {node_id for pair in self._sessions for node_id in pair}

    def _add(self, keys: Keys) -> None:
        self._count += 1
        if self._count > MAX_KEYS:
            raise DecodeError(f"a key log of more than {MAX_KEYS} lines")
        if isinstance(keys, ConnectionKeys):
            self._connections[keys.connection] = self._unclaimed[keys.connection] = keys
            return
        sessions = self._sessions.setdefault(_pair(keys.initiator, keys.recipient), [])
        sessions.insert(0, keys)
        del sessions[MAX_SESSIONS:]


def _pair(one: NodeID, other: NodeID) -> tuple[NodeID, NodeID]:
    return (one, other) if one < other else (other, one)
