"""Sources of candidates: nodes that are dialed while there are free slots.

They are the ``dial_candidates`` of the protocols, or, if no protocol has any, the nodes of
discovery, of node lists in DNS and of the local network, of which the program chooses by its
``candidate_filter`` (:mod:`p2p.dial.candidatefilter`). The nodes of the protocols' topics are
beside them in both cases. The dials ask for one at a time, on ``p2p-io``. The others deliver it
from their own threads, ``p2p-disc``, ``p2p-dns`` and ``p2p-lan``. Sources of protocols may be the
program's own code: each is read by a thread of its own (``p2p-source-<n>``), its nodes are checked
there, and it can delay neither another source nor the end of the server.

The threads that start and stop the server start and close the sources.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from p2p.arguments import of_options
from p2p.clock import Deadline
from p2p.config import Config
from p2p.dial.candidatefilter import Ask, CandidateFilter, OnRefused, RequestRecord
from p2p.discover.front import Discovery
from p2p.discover.iterator import TopicNodes
from p2p.dnsdisc.front import NodeLists
from p2p.enode import Node, cycle_nodes
from p2p.enode.fairmix import PolledMix, Turn
from p2p.enode.iterator import ClosableNodes, OnNode, close_nodes, logger_of
from p2p.enode.node import check_node
from p2p.errors import Closed
from p2p.lan.front import LanNodes
from p2p.net import Loop, Timer
from p2p.protocol import Protocol
from p2p.threads import join_threads

#: Longest wait for each source of candidates at its turn. A lookup takes a second or two.
SOURCE_TIMEOUT_S = 5.0
#: Time for the sources to end after the deadline has passed.
LAST_MOMENT_S = 0.1


class Candidates(ClosableNodes):
    """The nodes of ``dial_candidates`` of a protocol, or of another source that may block.

    An iterator is read once, a collection again and again. ``reader`` is the thread that reads it,
    None before the first read. Raises ConfigError for an item that is not a Node.
    """

    def __init__(self, name: str, given: Iterable[Node], logger: logging.Logger) -> None:
        self._name = name
        self._log = logger_of(logger)
        self._nodes = cycle_nodes(given) if isinstance(given, Collection) else iter(given)
        self.reader: threading.Thread | None = None

    def __next__(self) -> Node:
        self.reader = threading.current_thread()
        try:
            node = next(self._nodes)
        except Closed:  # the iterator used discovery or a subscription, which has stopped
            raise StopIteration from None
        with of_options():
            check_node(node, self._name)
        return node

    def close(self) -> None:
        close_nodes(self._nodes, self._log)


class FirstAnswer:
    """Nodes of several sources: that of the first to answer, but each source in turn.

    ``asks`` request a node each; their answers may come on any thread. The sources are asked at
    the same time, and an answer that was not needed waits for the next request, so that one
    protocol of discovery neither blocks nor crowds out another. Owned by ``p2p-io``.
    """

    def __init__(self, asks: Sequence[Ask], loop: Loop) -> None:
        self._asks = asks
        self._loop = loop
        self._idle = list(range(len(asks)))
        self._found: deque[tuple[int, Node]] = deque()
        self._on_node: OnNode | None = None

    def ask(self, on_node: OnNode) -> None:
        """Request a node; one request at a time."""
        self._on_node = on_node
        idle, self._idle = self._idle, []
        for source in idle:
            self._asks[source](partial(self._loop.post, self._answered, source))
        self._give()

    def _answered(self, source: int, node: Node) -> None:
        self._found.append((source, node))
        self._give()

    def _give(self) -> None:
        if self._on_node is None or not self._found:
            return
        (source, node), on_node = self._found.popleft(), self._on_node
        self._on_node = None
        self._idle.append(source)
        on_node(node)


class Sources:
    """All sources of candidates of a server.

    The constructor runs ``iter(dial_candidates)`` and lets its exceptions through. Nodes that the
    ``candidate_filter`` refuses are reported to ``on_refused``, on ``p2p-io``.
    """

    def __init__(
        self, config: Config, loop: Loop, logger: logging.Logger, on_refused: OnRefused
    ) -> None:
        # fixed after __init__
        self._config = config
        self._loop = loop
        self._logger = logger
        self._on_refused = on_refused
        self._own = _make_candidates(config, logger)
        # fixed after start()
        #: Request for a candidate; None if there is no source.
        self.ask: Ask | None = None
        self._mix: PolledMix | None = None
        self._filter: CandidateFilter | None = None
        # fixed after close()
        self._closing: threading.Thread | None = None
        self._filtering: threading.Thread | None = None
        # owned by p2p-io
        self._turn: Turn | None = None  # while a request to the mix is pending
        self._on_node: OnNode
        self._timer: Timer | None = None

    # the threads that start and stop the server

    def start(
        self,
        discoveries: Sequence[Discovery],
        lists: NodeLists | None = None,
        topics: Sequence[TopicNodes] = (),
        lan: LanNodes | None = None,
    ) -> None:
        """Begin to read. If a protocol has a source of its own, only ``topics`` are beside it.

        Raises RuntimeError if the system has no more threads; call :meth:`close` then.
        """
        if self._own:
            self._own += [Candidates("topic", nodes, self._logger) for nodes in topics]
            self._start_mix()
        elif not self._config.no_dial and (discoveries or lists or lan):
            asks: list[Ask] = [discovery.random_nodes()._ask for discovery in discoveries]
            asks += [source._ask for source in (lists, lan) if source is not None]
            asks += [nodes._ask for nodes in topics]
            # v4 is the last, and its nodes alone come without a record
            request = discoveries[-1]._request_enr if discoveries else None
            self.ask = self._filtered(FirstAnswer(asks, self._loop).ask, request)

    def close(self, deadline: Deadline) -> None:
        """Close the sources, which ends their readers; :meth:`join` waits for that.

        ``deadline`` is in monotonic seconds. A new thread closes them, because the ``close`` of a
        program's source may block; without a new thread, the caller closes them. That thread stops
        waiting for the readers shortly before ``deadline``, so it is late only if a source's
        ``close`` does not return.
        """
        if self._filter is not None:
            self._filtering = self._filter.stop()
        if self._mix is None:
            return
        patience_s = deadline.left_at_least(LAST_MOMENT_S) - LAST_MOMENT_S / 2
        closing = threading.Thread(
            target=self._mix.close, args=(patience_s,), name="p2p-dial-close", daemon=True
        )
        try:
            closing.start()
        except RuntimeError:  # the system has no more threads
            self._mix.close(LAST_MOMENT_S)
        else:
            self._closing = closing

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for all threads. Return the names of those still running at ``deadline``."""
        ending = [t for t in (self._closing, self._filtering) if t is not None]
        left = join_threads(ending, Deadline(deadline.left_at_least(LAST_MOMENT_S)))
        return left + join_threads(self._readers, deadline)

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that run code of the program. Any thread."""
        return self._readers + ([] if self._filter is None else [self._filter.thread])

    @property
    def _readers(self) -> list[threading.Thread]:
        return [source.reader for source in self._own if source.reader is not None]

    def _filtered(self, ask: Ask, request_record: RequestRecord | None) -> Ask:
        """Return ``ask``, for the nodes that the program's filter passes, if it has one."""
        if self._config.candidate_filter is None:
            return ask
        self._filter = CandidateFilter(
            self._config.candidate_filter,
            ask,
            request_record,
            self._on_refused,
            self._loop,
            self._config.clock,
            self._logger.getChild("server"),
        )
        self._filter.start()
        return self._filter.ask

    def _start_mix(self) -> None:
        self.ask = self._ask_mix
        self._mix = PolledMix(
            SOURCE_TIMEOUT_S,
            partial(self._loop.post, self._poll),
            clock=self._config.clock,
            logger=self._logger,
        )
        for number, source in enumerate(self._own):
            try:
                self._mix.add_source(source)
            except BaseException:  # no more threads; the mix does not close sources it did not get
                for unread in self._own[number:]:
                    unread.close()
                raise

    # p2p-io

    def _ask_mix(self, on_node: OnNode) -> None:
        assert self._mix is not None
        self._on_node = on_node
        self._turn = self._mix.begin_turn()
        self._poll()

    def _poll(self) -> None:
        """Take the requested node, if there is one, after a source has changed or is late."""
        if self._turn is None or self._mix is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        node = self._mix.poll(self._turn)
        if node is not None:
            self._turn = None
            self._on_node(node)
        elif self._turn.deadline is not None:
            self._timer = self._loop.call_at(self._turn.deadline, self._poll)


def _make_candidates(config: Config, logger: logging.Logger) -> list[Candidates]:
    """Return the protocols' own sources, one for each name. This runs the program's code."""
    named: dict[str, Protocol] = {}
    for protocol in () if config.no_dial else config.protocols:
        if protocol.dial_candidates is not None:
            named.setdefault(protocol.name, protocol)
    return [
        Candidates(f"dial_candidates of {name}", protocol.dial_candidates or (), logger)
        for name, protocol in named.items()
    ]
