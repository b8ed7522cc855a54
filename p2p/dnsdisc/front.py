"""The nodes of lists in DNS, for a program that asks for one at a time.

The thread ``p2p-dns`` drives a :class:`~p2p.dnsdisc.client.Client` and makes its look-ups, which
block. It owns the client, and makes no step unless a node was asked for. Any thread may ask.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Iterable

from p2p.clock import Clock
from p2p.dnsdisc.client import Client, NodeFound
from p2p.dnsdisc.resolver import TextResolver
from p2p.enode.iterator import OnNode
from p2p.inputs import RandomSource
from p2p.net import Loop, Timer


class NodeLists:
    """The nodes of the lists ``urls``, in random order, again and again.

    ``resolver`` makes the look-ups; None is one that asks the name servers of the system. Raises
    InvalidTree for an invalid URL.
    """

    def __init__(
        self,
        urls: Iterable[str],
        clock: Clock,
        logger: logging.Logger,
        *,
        resolver: TextResolver | None = None,
        randomness: RandomSource | None = None,
    ) -> None:
        # fixed after __init__
        self._log = logger.getChild("dnsdisc")
        self._resolver = resolver or TextResolver()
        self._loop = Loop("p2p-dns", clock, logger=logger)
        # owned by p2p-dns
        self._client = Client(urls, randomness or random.Random(), clock.monotonic())
        self._askers: deque[OnNode] = deque()
        self._timer: Timer | None = None

    # any thread

    def start(self) -> None:
        """Start the thread; looks nothing up. Logs a warning if there is no name server.

        Raises OSError if the process has no descriptors left, RuntimeError if the system has no
        threads left.
        """
        try:
            self._resolver.check()
        except OSError as error:
            self._log.warning("dns_discovery finds no nodes: %s", error)
        self._loop.start()

    def stop(self, timeout_s: float) -> list[str]:
        """End the thread; the callbacks of pending requests are dropped. Idempotent.

        A look-up under way is not cut short. Returns the name of the thread if that still runs
        after ``timeout_s``; it ends when the look-up has ended.
        """
        self._loop.stop()
        return [] if self._loop.join(timeout_s) else [self._loop.name]

    def ask(self, on_node: OnNode) -> None:
        """Have ``on_node`` called once with the next node, on ``p2p-dns``; does not wait.

        ``on_node`` must neither block nor raise. It is not called after the end.
        """
        self._loop.post(self._add_asker, on_node)

    # p2p-dns

    def _add_asker(self, on_node: OnNode) -> None:
        self._askers.append(on_node)
        self._schedule()

    def _schedule(self) -> None:
        """Plan the next step of the client, if a node is wanted."""
        if self._askers and self._timer is None:
            self._timer = self._loop.call_at(self._client.deadline, self._step)

    def _step(self) -> None:
        self._timer = None
        name = self._client.poll_lookup(self._loop.now())
        if name is not None:
            self._look_up(name)
        for event in self._client.poll_events():
            if isinstance(event, NodeFound):
                self._askers.popleft()(event.node)
            else:
                self._log.debug("%s of %s is refused: %s", event.name, event.link, event.error)
        self._schedule()

    def _look_up(self, name: str) -> None:
        try:
            texts = self._resolver.look_up(name)
        except OSError as error:
            self._log.debug("%s", error)
            self._client.receive_failure(name, self._loop.now())
        else:
            self._client.receive_texts(name, texts, self._loop.now())
