"""Log of the attempts to connect to nodes, with their outcomes, for later queries.

Pure; the server's I/O thread owns the log.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass, replace

from p2p.errors import ConnectError, DialStep
from p2p.netutil import Endpoint


@dataclass(frozen=True, slots=True)
class DialAttempt:
    """One attempt to connect to a node.

    ``time_unix`` is the time of its end, ``address`` the endpoint that was dialed (None if none was
    known), ``step`` the step it reached, ``error`` the reason of its failure, or None if the node
    became a peer.
    """

    time_unix: float
    address: Endpoint | None
    step: DialStep
    error: ConnectError | None = None

    @property
    def outcome(self) -> str:
        """The outcome as one line: "connected", or the step, the error's name and its text."""
        if self.error is None:
            return "connected"
        return f"{self.step}: {type(self.error).__name__}: {self.error}"


class AttemptLog:
    """The last attempts to connect, by node ID.

    It keeps the last ``per_node`` attempts of at most ``max_nodes`` nodes, and drops the node whose
    last attempt is the oldest.
    """

    def __init__(self, max_nodes: int = 1000, per_node: int = 10) -> None:
        self._max_nodes = max_nodes
        self._per_node = per_node
        # by node, the one with the latest attempt at the end
        self._attempts: OrderedDict[bytes, list[DialAttempt]] = OrderedDict()

    def add(self, node_id: bytes, attempt: DialAttempt) -> None:
        """Log an attempt.

        Its error and the cause are copied, so that no traceback keeps a frame and its variables.
        """
        if attempt.error is not None:
            attempt = replace(attempt, error=deepcopy(attempt.error))
        attempts = self._attempts.setdefault(node_id, [])
        attempts.append(attempt)
        del attempts[: -self._per_node]
        self._attempts.move_to_end(node_id)
        if len(self._attempts) > self._max_nodes:
            self._attempts.popitem(last=False)

    def of(self, node_id: bytes) -> list[DialAttempt]:
        """Return the logged attempts of a node as a new list, oldest first."""
        return list(self._attempts.get(node_id, ()))
