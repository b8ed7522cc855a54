"""The interface between the live page and what it shows: a server, or a laboratory.

Types only. Every method of a source is called on the thread ``p2p-monitor``. The contract of the
page (``docs/design/monitor.md``) has the collections of a state and the keys of their entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

#: Fields of one thing on the page, such as a peer: JSON values by name.
Entry: TypeAlias = Mapping[str, Any]
#: All that a page shows at one moment: collections by name, entries by key.
State: TypeAlias = Mapping[str, Mapping[str, Entry]]

#: Samples of messages that a page gets in a second, if it asks for no other number.
DEFAULT_SAMPLES_PER_S = 20
#: Most of them: more than anyone reads, and a bound on what they cost.
MAX_SAMPLES_PER_S = 100


@dataclass(frozen=True, slots=True)
class Watch:
    """The wishes of the open pages: samples of messages, at this rate together.

    ``protocols`` are capabilities such as "eth/69", ``peers`` keys of peers; None is all.
    """

    samples_per_s: int = DEFAULT_SAMPLES_PER_S
    protocols: frozenset[str] | None = None
    peers: frozenset[str] | None = None


@dataclass(slots=True)
class Happened:
    """The events since the last call, in order, and the values of the charts.

    ``unseen`` is the number of messages that passed and are not among the ``messages``.
    """

    point: Entry = field(default_factory=dict)
    messages: list[Entry] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)
    activity: list[Entry] = field(default_factory=list)
    unseen: int = 0


class MonitorSource(Protocol):
    """Interface of what a page shows. All values are for JSON, and remote text is escaped.

    A P2PError leaves the page as it is, any other error ends the monitor.
    """

    @property
    def kind(self) -> str:
        """ "server" or "lab"."""

    def about(self) -> Entry:
        """Return what does not change: the fields of the page's "hello"."""

    def watch(self, watch: Watch | None) -> None:
        """Note what the open pages want; None if no page is open, so that samples are wasted."""

    def state(self) -> State:
        """Return the present state, with all collections."""

    def happened(self) -> Happened:
        """Return what has happened since the last call. It follows :meth:`state`."""
