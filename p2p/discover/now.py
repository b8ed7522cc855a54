"""The two readings of time that every input of the discovery engine carries.

Pure. Timeouts and back-offs go by the monotonic clock, which never jumps. What leaves the machine
goes by the wall clock: the expiration of packets (discv4, "Wire Protocol") and what the node
database remembers over a restart. The wall clock may jump in either direction at any moment.
"""

from __future__ import annotations

from typing import NamedTuple


class Now(NamedTuple):
    """One moment, as both clocks show it."""

    #: Seconds that never go backwards, from an arbitrary start.
    monotonic: float
    #: Seconds since 1970.
    unix: float
