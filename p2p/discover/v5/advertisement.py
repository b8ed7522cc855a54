"""Advertising a topic, as a program has it: begun, and to be stopped. Any thread."""

from __future__ import annotations

from collections.abc import Callable

from p2p import forks
from p2p.enode import Node


class Advertisement:
    """Our node is advertised under a topic, until :meth:`stop` or the end of discovery.

    Also a context manager. Made by ``UDPv5.advertise``. The ads are renewed in the background.
    After the stop they expire, within 15 minutes by default.
    """

    def __init__(
        self, topic: bytes, withdraw: Callable[[], object], registrars: Callable[[], list[Node]]
    ) -> None:
        # fixed after __init__
        self._topic = topic
        self._withdraw = withdraw
        self._registrars = registrars
        # guarded by _lock
        self._lock = forks.Condition("advertisement")
        self._stopped = False

    @property
    def topic(self) -> bytes:
        """The identifier of the topic, 32 bytes."""
        return self._topic

    def registrars(self) -> list[Node]:
        """Return the nodes that have our ad now, as far as we know: where others find us.

        Raises ServerStopped or LoopCrashed after the end of discovery.
        """
        return self._registrars()

    def stop(self) -> None:
        """Renew the ads no more. Idempotent; does not wait. In a forked child it does nothing."""
        if not self._lock.is_here:
            return
        with self._lock:
            stopped, self._stopped = self._stopped, True
        if not stopped:
            self._withdraw()

    def __enter__(self) -> Advertisement:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Advertisement of {self._topic.hex()}{', stopped' if self._stopped else ''}>"
