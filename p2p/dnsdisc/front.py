"""The nodes of lists in DNS, for programs and servers that ask for one at a time.

The thread ``p2p-dns`` drives a :class:`~p2p.dnsdisc.client.Client` (:class:`_Walker`). It owns the
client, and makes no step unless a node was asked for. A look-up blocks a thread of its own, which a
stop gives up (:mod:`p2p.net.lookups`). Any thread may ask: through an iterator, which waits, or
with a callback.
"""

from __future__ import annotations

import logging
import random
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial

from p2p import forks
from p2p.arguments import wrong, wrong_type
from p2p.clock import Clock, SystemClock, finite_timeout
from p2p.dnsdisc.client import Client, NodeFound
from p2p.dnsdisc.resolver import Resolver, TextResolver, check_installed
from p2p.enode.iterator import ClosableNodes, NodeIterator, OnNode
from p2p.enode.node import Node
from p2p.errors import LoopCrashed, ServerStateError, ServerStopped
from p2p.leaks import stop_if_leaked
from p2p.net import Lookups, Loop, Timer

#: Limit on the wait of ``stop`` for the thread, in seconds.
STOP_TIMEOUT_S = 5.0


class _Walker:
    """The client, its thread and the requests for nodes. Refers to no :class:`NodeLists`."""

    def __init__(
        self, client: Client, resolver: TextResolver, clock: Clock, logger: logging.Logger
    ) -> None:
        # fixed after __init__
        self.log = logger.getChild("dnsdisc")
        self.resolver = resolver
        self.loop = Loop("p2p-dns", clock, self._loop_ended, logger)
        self._lookups = Lookups(resolver.look_up)
        # owned by p2p-dns
        self._client = client
        #: Domains of the program's lists whose first look-up has not ended yet.
        self._unread = {link.domain for link in client.trees}
        self._askers: deque[OnNode] = deque()
        self._timer: Timer | None = None
        self._is_looking_up = False
        # guarded by _lock; iterators that the program has dropped leave it by themselves
        self._lock = threading.Lock()
        self._iterators: weakref.WeakSet[_Nodes] = weakref.WeakSet()

    # any thread

    def ask(self, on_node: OnNode) -> bool:
        """Have ``on_node`` called with the next node. Returns False after the end."""
        return self.loop.post(self._add_asker, on_node)

    def new_iterator(self) -> _Nodes:
        nodes = _Nodes(self)
        with self._lock:
            self._iterators.add(nodes)
        return nodes

    def end(self) -> None:
        """Ask the thread to end, and end the iterators at once."""
        self.loop.stop()
        self._lookups.stop()
        self._end_iterators()

    def _end_iterators(self) -> None:
        with self._lock:
            iterators = tuple(self._iterators)
        for nodes in iterators:
            nodes.close()

    # p2p-dns

    def _loop_ended(self, cause: BaseException | None) -> None:
        self._end_iterators()

    def _add_asker(self, on_node: OnNode) -> None:
        self._askers.append(on_node)
        self._schedule()

    def _schedule(self) -> None:
        """Plan the next step of the client, if a node is wanted."""
        if self._askers and self._timer is None and not self._is_looking_up:
            self._timer = self.loop.call_at(self._client.deadline, self._step)

    def _step(self) -> None:
        self._timer = None
        name = self._client.poll_lookup(self.loop.now())
        if name is None:
            self._pass_on()
        else:
            self._is_looking_up = True
            found = self._lookups.begin(name)
            found.add_done_callback(partial(self.loop.post, self._looked_up, name))

    def _looked_up(self, name: str, found: Future[list[str]]) -> None:
        self._is_looking_up = False
        try:
            self._client.receive_texts(name, found.result(), self.loop.now())
        except ServerStopped:
            return
        except (OSError, RuntimeError) as error:  # RuntimeError: the system has no threads left
            self._tell(name, str(error))
            self._client.receive_failure(name, self.loop.now())
        self._pass_on()
        self._unread -= {name}

    def _pass_on(self) -> None:
        """Hand out what the client has found, and plan the next step."""
        for event in self._client.poll_events():
            if isinstance(event, NodeFound):
                self._askers.popleft()(event.node)
            else:
                self._tell(event.name, f"{event.name} of {event.link} is refused: {event.error}")
        self._schedule()

    def _tell(self, name: str, why: str) -> None:
        """Log a failure. It is a warning if it is the first look-up of a list of the program."""
        if name in self._unread:
            self.log.warning("no nodes of the list %s yet: %s; it is looked up again", name, why)
        else:
            self.log.debug("%s", why)


class _Nodes(ClosableNodes):
    """An endless iterator over nodes of the lists. Any thread."""

    def __init__(self, walker: _Walker) -> None:
        # fixed after __init__
        self._walker = walker
        # guarded by _changed
        self._changed = forks.Condition("iterator")
        self._nodes: deque[Node] = deque()
        self._closed = False

    def __next__(self) -> Node:
        """Return the next node; wait until there is one."""
        with self._changed:
            if not self._nodes and not self._closed:
                if not self._walker.ask(self._found):
                    self._closed = True
                self._changed.wait_for(lambda: self._nodes or self._closed)
            if not self._closed:
                return self._nodes.popleft()
        crash = self._walker.loop.crash
        if crash is not None:
            raise LoopCrashed(f"{self._walker.loop.name} died of {crash!r}") from crash
        raise StopIteration

    def _found(self, node: Node) -> None:
        """Take a node. On ``p2p-dns``."""
        with self._changed:
            self._nodes.append(node)
            self._changed.notify_all()

    def close(self) -> None:
        """End the iteration for all waiting threads. Idempotent; any thread."""
        if not self._changed.is_here:
            return
        with self._changed:
            self._closed = True
            self._nodes.clear()
            self._changed.notify_all()

    def __repr__(self) -> str:
        return f"<nodes of lists, {'closed' if self._closed else 'open'}>"


class NodeLists:
    """The nodes of signed lists in DNS (EIP-1459), for a program without a server::

        with p2p.dnsdisc.NodeLists(p2p.networks.SEPOLIA.dns_trees) as lists:
            for node in lists.random_nodes():
                ...

    ``urls`` are the URLs of the lists, "enrtree://<key>@<domain>", at most 64; lists that they link
    to are followed. ``resolver`` is a ``dns.resolver.Resolver``; None: the default one of
    dnspython, which asks the name servers of the system. ``clock`` is the source of time (None: the
    system), ``logger`` gets the log (None: the logger "p2p").

    Use it in a ``with`` block, or call :meth:`start` and :meth:`stop`; it cannot be started again.
    Any thread may use it. In a forked child its calls raise WrongProcess. Raises InvalidTree for an
    invalid URL, ArgumentError for none, or too many of them, ConfigError if dnspython is not
    installed.
    """

    def __init__(
        self,
        urls: Iterable[str],
        *,
        resolver: Resolver | None = None,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        if isinstance(urls, (str, bytes)) or not isinstance(urls, Iterable):
            raise wrong_type("urls", urls, 'a list of URLs such as "enrtree://<key>@<domain>"')
        if resolver is not None and not callable(getattr(resolver, "resolve", None)):
            raise wrong_type("resolver", resolver, "a dns.resolver.Resolver, or None")
        clock = clock or SystemClock()
        check_installed()
        client = Client(urls, random.Random(), clock.monotonic())
        if not client.trees:
            raise wrong("urls", [], "at least one URL")
        # fixed after __init__
        self._process = forks.here
        self._urls = [str(link) for link in client.trees]
        # The thread does not refer to this object, which the program may lose (p2p.leaks).
        self._walker = _Walker(
            client, TextResolver(resolver), clock, logger or logging.getLogger("p2p")
        )
        # fixed after start()
        self._finalizer: weakref.finalize[..., object] | None = None

    def start(self) -> None:
        """Start the thread; looks nothing up. Logs a warning if there is no name server.

        Raises ServerStateError if it was started or stopped before, OSError if the process has no
        descriptors left, RuntimeError if the system has no threads left.
        """
        self._process.check("node lists")
        walker = self._walker
        if not walker.loop.can_start:
            raise ServerStateError("cannot start: the node lists were started or stopped before")
        try:
            walker.resolver.check()
        except OSError as error:
            walker.log.warning("dns_discovery finds no nodes: %s", error)
        walker.loop.start()
        self._finalizer = stop_if_leaked(self, f"{self!r}", walker.end)

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """End the thread and the iterators; callbacks of pending requests are dropped. Idempotent.

        A look-up under way is given up. Returns the name of the thread if that still runs after
        ``timeout`` seconds. In a forked child it does nothing.
        """
        timeout = finite_timeout(timeout)
        if not self._process.is_here:
            return []
        if self._finalizer is not None:
            self._finalizer.detach()
        self._walker.end()
        return [] if self._walker.loop.join(timeout) else [self._walker.loop.name]

    def __enter__(self) -> NodeLists:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def random_nodes(self) -> NodeIterator:
        """Return an endless iterator over nodes of the lists, in random order; close it after use.

        ``next`` waits for a node. The same nodes come again and again. At most three look-ups are
        made per second, and none unless a node is wanted. It ends when any thread closes it or
        stops the lists; if an internal error ended their thread, ``next`` raises LoopCrashed.
        Several threads may read it; each node goes to one of them. Raises ServerStateError before
        the start.
        """
        self._process.check("node lists")
        if self._walker.loop.can_start:
            raise ServerStateError("the node lists are not started")
        return self._walker.new_iterator()

    def _ask(self, on_node: OnNode) -> None:
        """Have ``on_node`` called once with the next node, on ``p2p-dns``; does not wait.

        ``on_node`` must neither block nor raise. It is not called after the end.
        """
        self._walker.ask(on_node)

    def __repr__(self) -> str:
        return f"<NodeLists, {', '.join(self._urls)}>"
