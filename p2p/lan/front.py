"""LAN discovery of a server: its links, the nodes found, and requests for one to dial.

The thread ``p2p-lan`` opens a :class:`~p2p.lan.link.Link` for each interface that is there, looks
again every :data:`CHECK_S`, announces our record again when it has changed, and reads what others
announce, a limited number in a second. Threads of the library zeroconf report the names that have
changed. Our record gets an address of a local network while it has no better one.

Any thread may ask for a node, with a callback, and read the list of the known ones.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

from p2p.clock import Clock
from p2p.enode import LocalNode
from p2p.enode.iterator import OnNode
from p2p.enode.localnode import FALLBACK_IP
from p2p.enode.node import Node
from p2p.errors import InvalidNode
from p2p.lan.announcement import Announcement, Checks
from p2p.lan.interfaces import MAX_ADDRESSES, Interface
from p2p.lan.known import KnownNodes
from p2p.lan.link import MAX_SHOWN, Link, LinkFailed
from p2p.lan.txt import txt_of
from p2p.loglimit import LogLimit, log_limited
from p2p.net import Loop, Timer
from p2p.netutil import IPAddress, printable

#: Time between two looks at the interfaces and at our record, in seconds.
CHECK_S = 5.0
#: Announcements that are looked at in each step, and the time between two steps, in seconds: a
#: flood costs at most 100 signatures a second, about 2 % of a processor.
LOOKS_PER_STEP = 10
STEP_S = 0.1
#: Limit on the names that wait for a look. Of more than that the new ones are left out, and all
#: names of the links are listed again when the others have been looked at.
MAX_WAITING = 1024
#: Time from a change to the log line about it, in seconds: a class is switched on together.
TELL_S = 1.0
#: The wall clock's lead over ours that means a sleep of the machine, in seconds.
SLEEP_S = 10.0


class Where(Protocol):
    """Interface of the place where we are reached."""

    #: The TCP port that is announced; None: nothing is.
    port: int | None
    #: Whether our record has the address of an interface while there is no better one.
    is_address: bool

    def interfaces(self) -> Sequence[Interface]:
        """Return the interfaces to use, with the addresses to announce. Raises OSError."""


class LanNodes:
    """Announces ``local`` and finds the nodes of the local network, from :meth:`start` on.

    ``where`` has our port, and the interfaces to use. ``on_found`` gets each node once, on
    ``p2p-lan``; it must neither block nor raise.
    """

    def __init__(
        self,
        local: LocalNode,
        where: Where,
        checks: Checks,
        on_found: OnNode,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self._local = local
        self._where = where
        self._checks = checks
        self._on_found = on_found
        self._clock = clock
        self._log = logger.getChild("lan")
        self._limit = LogLimit(clock)
        self._loop = Loop("p2p-lan", clock, self._loop_ended, logger)
        # guarded by _lock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[tuple[Link, str], bool] = OrderedDict()
        self._is_looking = False  # a look is planned
        self._has_dropped = False  # a change was left out
        self._nodes: tuple[Node, ...] = ()
        # owned by p2p-lan
        self._links: dict[Interface, Link] = {}
        self._random = random.Random()
        self._known = KnownNodes(self._random)
        self._askers: deque[OnNode] = deque()
        self._offer: Timer | None = None
        self._tell: Timer | None = None
        self._ahead_s: float | None = None  # the wall clock's time minus ours

    # any thread

    def start(self) -> None:
        """Start the thread; waits for nothing on the network.

        Raises OSError if the process has no descriptors left, RuntimeError if the system has no
        threads left.
        """
        self._set_address(self._read_interfaces())
        self._loop.post(self._check)
        self._loop.start()

    def stop(self, timeout_s: float) -> list[str]:
        """Withdraw our announcements, and end all threads. Idempotent.

        Returns the name of the thread if it still runs after ``timeout_s``.
        """
        self._loop.stop()
        return [] if self._loop.join(timeout_s) else [self._loop.name]

    @property
    def nodes(self) -> list[Node]:
        """The known nodes."""
        with self._lock:
            return list(self._nodes)

    def _ask(self, on_node: OnNode) -> None:
        """Have ``on_node`` called once with a node, on ``p2p-lan``; does not wait.

        ``on_node`` must neither block nor raise. It is not called after the end.
        """
        self._loop.post(self._add_asker, on_node)

    # threads of the library

    def _changed(self, link: Link, name: str, is_there: bool) -> None:
        with self._lock:
            self._wait_locked(link, name, is_there)
            must_begin, self._is_looking = not self._is_looking, True
        if must_begin:
            self._loop.post(self._look)

    def _wait_locked(self, link: Link, name: str, is_there: bool) -> None:
        if (link, name) in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[link, name] = is_there
        else:
            self._has_dropped = True

    # p2p-lan: interfaces and announcements

    def _check(self) -> None:
        """Open and close links as interfaces come and go, and announce what has changed."""
        self._loop.call_later(CHECK_S, self._check)
        wanted = self._read_interfaces()
        self._set_address(wanted)
        has_slept = self._has_slept()
        for interface in [each for each in self._links if has_slept or each not in wanted]:
            self._close(self._links[interface])
        if not wanted:
            self._warn("no interface with an address of a local network: waiting for one")
        for interface in wanted:
            if interface not in self._links:
                self._open(interface)
        self._announce()

    def _read_interfaces(self) -> Sequence[Interface]:
        try:
            return self._where.interfaces()
        except OSError as error:
            self._warn(f"cannot list the interfaces: {error}")
            return []

    def _has_slept(self) -> bool:
        """Whether the machine has slept. What we announced has expired then."""
        before_s, self._ahead_s = self._ahead_s, self._clock.time_unix() - self._clock.monotonic()
        return before_s is not None and self._ahead_s - before_s > SLEEP_S

    def _set_address(self, interfaces: Sequence[Interface]) -> None:
        """Give our record the first address there is, of IPv4 if possible."""
        if self._where.is_address:
            ips = [ip for interface in interfaces for ip in interface.ips]
            self._local.set_fallback_ip(min(ips, key=_version_of, default=FALLBACK_IP))

    def _open(self, interface: Interface) -> None:
        link = Link(interface, self._changed)
        try:
            link.open()
        except LinkFailed as error:
            self._warn(f"no LAN discovery at {error}")
            self._end_link(link)
            return
        self._links[interface] = link
        addresses = ", ".join(map(str, interface.ips))
        what = "looks for nodes" if self._where.port is None else "announces this node"
        self._log_limited(f"{what} at {interface.name} ({addresses})")

    def _close(self, link: Link) -> None:
        """Close a link, and remove what was found there."""
        del self._links[link.interface]
        self._end_link(link)
        self._known.remove_interface(link.interface.index)
        self._count_changed()

    def _end_link(self, link: Link) -> None:
        try:
            link.close()
        except LinkFailed as error:
            self._log.debug("close of %s", error)

    def _announce(self) -> None:
        """Replace links that have failed; announce our record again if it has changed."""
        txt = txt_of(self._local.record)
        for link in list(self._links.values()):
            try:
                link.check()
                if self._where.port is not None:
                    link.announce(txt, self._where.port)
            except LinkFailed as error:
                self._warn(f"LAN discovery begins again at {error}")
                self._close(link)

    # p2p-lan: announcements of others

    def _look(self) -> None:
        """Look at the names that have changed, some at a time; rest after each step."""
        with self._lock:
            number = min(LOOKS_PER_STEP, len(self._waiting))
            changed = [self._waiting.popitem(last=False) for _ in range(number)]
            must_list = self._has_dropped and not changed
            self._has_dropped = self._has_dropped and not must_list
            self._is_looking = bool(changed) or must_list
        for (link, name), is_there in changed:
            if link in self._links.values():
                self._look_at(link, name, is_there)
        if must_list:
            self._list_again()
        if changed or must_list:
            self._loop.call_later(STEP_S, self._look)

    def _list_again(self) -> None:
        """Make up for changes that were left out: remove what is gone, look at what is unknown.

        The order is random, so that a flood that goes on cannot leave out the same names each time.
        """
        names = {
            (link.interface.index, name): link
            for link in self._links.values()
            for name in link.names()
        }
        known = self._known.places
        for place in known - names.keys():
            self._known.remove(place)
        self._count_changed()
        unknown = list(names.keys() - known)
        self._random.shuffle(unknown)
        with self._lock:
            for place in unknown:
                self._wait_locked(names[place], place[1], True)

    def _look_at(self, link: Link, name: str, is_there: bool) -> None:
        place = (link.interface.index, name)
        try:
            if is_there:
                self._put(link, name)
            else:
                self._known.remove(place)
        except (InvalidNode, LinkFailed) as error:
            self._known.remove(place)
            shown = printable(name, MAX_SHOWN)
            self._log.debug("%s at %s is refused: %s", shown, link.interface.name, error)
        self._count_changed()

    def _put(self, link: Link, name: str) -> None:
        announcement = link.look(name)
        if announcement is None:  # not complete yet
            return
        place = (link.interface.index, name)
        node = self._checks.node_of(announcement, link.interface)
        if node is None:
            self._known.remove(place)  # the name may have been another node's
            self._check_ours(announcement)
            return
        is_new = node.id not in {each.id for each in self._known.nodes}
        if self._known.put(place, node, self._loop.now()):
            self._log.debug("%r is announced at %s", node, link.interface.name)
            if is_new:
                self._on_found(node)
            self._offer_next()

    def _check_ours(self, announcement: Announcement) -> None:
        """Warn of another node with our key, as the copies of one disk have."""
        own = {ip for interface in self._links for ip in interface.ips}
        if own.isdisjoint(announcement.ips) or announcement.port != self._where.port:
            where = ", ".join(map(str, announcement.ips[:MAX_ADDRESSES]))
            text = f"another node has our key, at {where}: each one needs its own private_key"
            log_limited(self._log, logging.WARNING, self._limit.admit("key", where), "%s", text)

    def _count_changed(self) -> None:
        """Publish the list, and plan the log line if the number has changed."""
        before, nodes = len(self._nodes), tuple(self._known.nodes)
        with self._lock:
            self._nodes = nodes
        if len(nodes) != before and self._tell is None:
            self._tell = self._loop.call_later(TELL_S, self._tell_number)

    def _tell_number(self) -> None:
        self._tell = None
        number = len(self._nodes)
        self._log_limited(f"found {number} {'node' if number == 1 else 'nodes'} on the LAN")

    # p2p-lan: candidates

    def _add_asker(self, on_node: OnNode) -> None:
        self._askers.append(on_node)
        self._offer_next()

    def _offer_next(self) -> None:
        """Give each request a node; plan the next look if there is none yet."""
        if self._offer is not None:
            self._offer.cancel()
            self._offer = None
        while self._askers:
            node = self._known.poll_offer(self._loop.now())
            if node is None:
                break
            self._askers.popleft()(node)
        when = self._known.next_offer
        if self._askers and when is not None:
            self._offer = self._loop.call_at(when, self._offer_next)

    # p2p-lan: the rest

    def _log_limited(self, text: str) -> None:
        """Log a change, at DEBUG if there are many: others decide how often."""
        log_limited(self._log, logging.INFO, self._limit.admit("found", object()), "%s", text)

    def _warn(self, text: str) -> None:
        """Log a warning, at DEBUG if it is a repeated one, or one of many."""
        log_limited(self._log, logging.WARNING, self._limit.admit("warned", text), "%s", text)

    def _loop_ended(self, error: BaseException | None) -> None:
        """Close all links at the same time: each takes a moment to say goodbye."""
        links, self._links = list(self._links.values()), {}
        closing = [thread for link in links[1:] if (thread := self._begin_end(link))]
        for link in links[:1]:
            self._end_link(link)
        for thread in closing:
            thread.join()

    def _begin_end(self, link: Link) -> threading.Thread | None:
        """Close a link in a thread; in this one, and return None, if the system has no more."""
        thread = threading.Thread(target=self._end_link, args=(link,), name="p2p-lan-end")
        try:
            thread.start()
        except RuntimeError:
            self._end_link(link)
            return None
        return thread


def _version_of(ip: IPAddress) -> int:
    return ip.version
