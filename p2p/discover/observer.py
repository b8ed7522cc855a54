"""The observer of a discovery engine: gets its input, its output and its internal steps.

Pure, and called by the thread that uses the engine, in the order of events. The terms are those of
a connection's observer (:mod:`p2p.rlpx.observer`, ``docs/design/observer.md``).

Its callers: the engine for input and events, :mod:`p2p.discover.traffic` for packets,
:mod:`p2p.discover.operations` for commands, :mod:`p2p.discover.lookup` for lookups,
:mod:`p2p.discover.table.table` for nodes, and the objects that :func:`observed` returns for each
use of the engine's environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from p2p.crypto import Entropy
from p2p.discover.event import Event
from p2p.discover.local import LocalView
from p2p.discover.store import NodeStore
from p2p.discover.table.bucket import NodeState
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now, RandomSource
from p2p.netutil import Endpoint


@dataclass(frozen=True, slots=True)
class DiscoverySetup:
    """Arguments of an engine, except for its environment (:meth:`DiscoveryObserver.environment`).

    ``protocol`` is "v4" or "v5"; ``arguments`` are those of the engine's class by name, including
    the private key.
    """

    protocol: str
    now: Now
    arguments: Mapping[str, Any] = field(repr=False)


class DiscoveryObserver:
    """Observer of one engine. A subclass defines the calls it wants; the others do nothing.

    It must not raise, call the engine or change its arguments, which it may keep. It gets private
    keys. The time of the output and of internal steps is that of the last input.

    :meth:`setup`, :meth:`entropy`, :meth:`environment`, :meth:`command`, :meth:`data_in` and the
    order of the others are enough to replay an engine: a new one that gets the same inputs sends
    the same datagrams and reports the same events.
    """

    # input

    def setup(self, setup: DiscoverySetup) -> None:
        """Called first."""

    def entropy(self, data: bytes) -> None:
        """Called with random bytes that the engine has drawn."""

    def environment(
        self, source: str, name: str, arguments: Sequence[object], result: object
    ) -> None:
        """Called with the result of a method or attribute ``name`` of the engine's environment.

        ``source`` is "local", our own node (:class:`p2p.discover.local.LocalView`), "store", the
        node database (:class:`p2p.discover.store.NodeStore`), or "random", the source of random
        choices (:class:`p2p.inputs.RandomSource`).
        """

    def command(self, name: str, *arguments: object) -> None:
        """Called with the name and arguments of a method of the engine or its operations.

        The owner has called it. The last argument is ``now``; ``cancel`` has none. The passing of
        time is the command ``handle_timeout``.
        """

    def data_in(self, data: bytes, addr: Endpoint, now: Now) -> None:
        """Called with a datagram received, before its processing; it may be another protocol's."""

    # output

    def data_out(self, datagrams: Sequence[tuple[bytes, Endpoint]], now: Now) -> None:
        """Called with datagrams to be sent, each with its address, when the owner takes them."""

    def events(self, events: Sequence[Event]) -> None:
        """Called with events for the owner."""

    # inside

    def packet_in(self, kind: str, packet: object, sender: NodeID, addr: Endpoint) -> None:
        """Called with a valid packet; ``kind`` is the name of its type in the counters.

        :meth:`dropped` may follow.
        """

    def packet_out(self, kind: str, packet: object, addr: Endpoint) -> None:
        """Called with a packet to be sent, the n-th for the n-th datagram of :meth:`data_out`."""

    def dropped(self, reason: str, data: bytes, addr: Endpoint) -> None:
        """Called with a dropped datagram; ``reason`` is its key in the counters.

        It was received from ``addr``; with "amplification" it is an answer to ``addr`` that would
        exceed the limit.
        """

    def secrets(
        self,
        node_id: NodeID,
        addr: Endpoint,
        initiator: bool,
        initiator_key: bytes,
        recipient_key: bytes,
    ) -> None:
        """Called with the keys of a new session, 16 bytes each (discovery v5, "Sessions").

        ``initiator`` is True for the end that answered the WHOAREYOU, which encrypts with
        ``initiator_key``. v4 has no sessions.
        """

    def lookup_asked(self, lookup: int, target: NodeID, node: Node) -> None:
        """Called when a lookup asks a node for those nearest to ``target``.

        ``lookup`` is its number, from 1 up: lookups of commands, and those of the engine's own.
        """

    def lookup_answered(
        self, lookup: int, node_id: NodeID, neighbors: Sequence[NodeID] | None
    ) -> None:
        """Called with the nodes named in an answer; None if the node has not answered."""

    def lookup_ended(self, lookup: int, found: Sequence[Node]) -> None:
        """Called with the result of a lookup; none if it was cancelled."""

    def state(self, node: Node, old: NodeState, new: NodeState) -> None:
        """Called after a change of a node's state in the table."""


def observed(
    observer: DiscoveryObserver,
    setup: DiscoverySetup,
    local: LocalView,
    store: NodeStore,
    entropy: Entropy,
    random: RandomSource,
) -> tuple[LocalView, NodeStore, Entropy, RandomSource]:
    """Begin to observe an engine; return its environment, with each use reported."""
    observer.setup(setup)
    return (
        cast(LocalView, _Observed("local", local, observer)),
        cast(NodeStore, _Observed("store", store, observer)),
        partial(_draw, observer, entropy),
        cast(RandomSource, _Observed("random", random, observer)),
    )


def _draw(observer: DiscoveryObserver, entropy: Entropy, size: int) -> bytes:
    data = entropy(size)
    observer.entropy(data)
    return data


class _Observed:
    """A part of the environment that reports each use of it to the observer."""

    def __init__(self, source: str, target: Any, observer: DiscoveryObserver) -> None:
        self._source = source
        self._target = target
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if callable(found):
            call = partial(self._call, name, found)
            setattr(self, name, call)  # cache: later look-ups skip __getattr__
            return call
        self._observer.environment(self._source, name, (), found)
        return found

    def _call(self, name: str, method: Any, *arguments: Any) -> Any:
        # The store chooses with the engine's random source: its draws are part of the result.
        result = method(*(arg._target if isinstance(arg, _Observed) else arg for arg in arguments))
        shown = tuple(arg for arg in arguments if not isinstance(arg, _Observed))
        self._observer.environment(self._source, name, shown, result)
        return result
