"""Warnings about handlers that do not read or do not return, and about protocols not read at all.

A warning about a handler has the line of the program at which it stands; a protocol without a
handler has none. The owners, on ``p2p-io``, choose the time of each report.
"""

from __future__ import annotations

from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.usercode import where_is

#: Seconds after which a handler that does not read, or does not return, is reported.
STALL_REPORT_S = 10.0


class StallWatch:
    """Watch over the handlers of a peer while nothing is read from its socket."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        # the inboxes not reported yet, each with the number of reads from it
        self._gets: dict[ProtocolReadWriter, int] = {rw: rw._inbox.gets for rw in peer._running}

    def report(self) -> None:
        """Report once each protocol whose full inbox has not been read since the last call."""
        # No inbox fills up while nothing is received, so those that are not full need no watching.
        full = {rw: gets for rw, gets in self._gets.items() if rw._inbox.is_full}
        self._gets = {rw: rw._inbox.gets for rw, gets in full.items() if rw._inbox.gets != gets}
        for rw in full.keys() - self._gets.keys():
            if rw.protocol.run is None:
                self._peer.log.warning(
                    "no thread has read %s for %g s with a full inbox; Peer.open returns its end",
                    rw.protocol.cap,
                    STALL_REPORT_S,
                )
            elif rw._thread is not None:  # else the handler of the previous connection is reported
                self._peer.log.warning(
                    "handler of %s has not read for %g s with a full inbox; it is at %s",
                    rw.protocol.cap,
                    STALL_REPORT_S,
                    where_is(rw._thread),
                )


def report_lingering(peer: Peer) -> None:
    """Report the handlers of a peer that still run after its connection has ended."""
    for rw in peer._running:
        if rw._thread is not None:
            peer.log.warning(
                "handler of %s has not returned %g s after its connection ended; it is at %s",
                rw.protocol.cap,
                STALL_REPORT_S,
                where_is(rw._thread),
            )
