"""Port mappings and our external address, kept up to date while a server runs.

The thread ``p2p-nat`` maps the ports, renews the mappings, asks for the external address every
:data:`CHECK_S`, and deletes the mappings at the end. Its requests block, since it has nothing else
to do. The first router that a search finds is used (:mod:`p2p.nat.routersearch`).
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from p2p.clock import Clock, Deadline
from p2p.loglimit import LogLimit, log_limited
from p2p.nat.errors import Interrupted, NatError, Restarted
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.leases import LIFETIME_S, MIN_PAUSE_S, RETRY_S, Leases
from p2p.nat.mapping import Mapped, NatStatus, PortMapping
from p2p.nat.routersearch import Find, RouterSearch, error_text
from p2p.net import Loop, Timer
from p2p.netutil import IPAddress, Scope, canonical, printable, scope_of

#: Pause before the next search, if there is no router.
FIND_AGAIN_S = 300.0
#: Time for an answer of a router that was found.
REQUEST_S = 8.0
#: Pause between looks at the external address: the record follows within a minute.
CHECK_S = 45.0
#: Time for the deletion of all mappings.
DELETE_S = 2.0
#: Failed requests in a row after which the router is looked for again.
MAX_FAILURES = 3
#: Seconds that the wall clock gains on ours between two looks if the machine has slept.
SLEEP_S = 60.0
#: Longest name of a router in the status, in characters.
MAX_NAME = 100
#: Keys of the warnings that are about no single port, the most important first.
_GENERAL = ("no router", "address", "not public")
_NO_ROUTER = (
    "no router answers ({}), so other nodes may not reach this one: turn on port mapping in the "
    "router, or forward the ports there and set the option advertise"
)


class Publisher(Protocol):
    """The receiver of our external endpoint. Called on ``p2p-nat``."""

    def publish(self, ip: IPAddress, udp: int | None, tcp: int | None) -> None:
        """Take the address, and the external ports that are mapped."""

    def retract(self, version: int) -> None:
        """Drop the address of this IP version."""


class _Published(NamedTuple):
    ip: IPAddress
    udp: int | None
    tcp: int | None


class PortMappings:
    """Mappings of ``ports``, each a protocol ("tcp", "udp") and a port, by the first router found.

    ``find`` has the kinds of routers to look for, by their names. ``may_publish`` tells whether an
    address that is not of the Internet is one that other nodes may use.
    """

    def __init__(
        self,
        find: Mapping[str, Find],
        ports: Iterable[tuple[str, int]],
        publisher: Publisher,
        *,
        may_publish: Callable[[IPAddress], bool],
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self._ports = tuple(ports)
        self._publisher = publisher
        self._may_publish = may_publish
        self._log = logger.getChild("nat")
        self._clock = clock
        self._loop = Loop("p2p-nat", clock, self._close, logger)
        self._search = RouterSearch(find, self._loop, self._search_ended, self._log)
        # fixed after start()
        self._stop: Stop | None = None
        self._limit = LogLimit(clock)
        # guarded by _lock
        self._lock = threading.Lock()
        self._is_ending = False
        # owned by p2p-nat, read by any thread for status()
        self._leases = Leases(self._ports)
        self._gateway: Gateway | None = None
        self._ip: IPAddress | None = None
        self._warned: dict[str, str] = {}  # warnings that are not to be repeated, until all is well
        # owned by p2p-nat
        self._must_search = True
        self._failures = 0
        self._check_at = -math.inf
        self._ahead_s = math.inf  # the wall clock's time minus ours
        self._ip_until = math.inf
        self._published: _Published | None = None
        self._timer: Timer | None = None

    # any thread

    def start(self) -> None:
        """Start the thread; does not wait for a router.

        Raises OSError if the process has no descriptors left, RuntimeError if the system has no
        threads left.
        """
        self._stop = Stop()
        self._loop.post(self._step)
        try:
            self._loop.start()
        except Exception:  # after a Ctrl-C the thread may run; stop() closes it
            self._stop.close()
            raise

    def stop(self, timeout_s: float) -> list[str]:
        """Delete the mappings and end the thread. Idempotent.

        A router that does not answer is waited for :data:`DELETE_S` at most. Returns the names of
        threads that still run after ``timeout_s``.
        """
        if self._stop is not None and self._begin_end():
            self._stop.set()
            self._loop.post(self._end, Deadline(min(timeout_s, DELETE_S)))
        if self._loop.can_start:
            self._loop.stop()
            self._close(None)
        deadline = Deadline(timeout_s)
        left = [] if self._loop.join(timeout_s) else [self._loop.name]
        return left + self._search.join(deadline)

    def status(self) -> NatStatus:
        """Return what is mapped, and what is wrong. Waits for nothing.

        Its parts may be of slightly different moments, since the thread goes on meanwhile.
        """
        gateway, warned = self._gateway, self._warned.copy()
        errors = (warned[key] for key in _GENERAL if key in warned)
        ports = self._leases.status(warned, self._loop.now())
        return NatStatus(
            "" if gateway is None else printable(gateway.name, MAX_NAME),
            self._ip,
            ports,
            next(errors, ""),
        )

    def _begin_end(self) -> bool:
        """Return whether this is the first call: a second one must not interrupt the deletions."""
        with self._lock:
            is_first, self._is_ending = not self._is_ending, True
            return is_first

    # p2p-nat: the search

    def _search_ended(self, found: Gateway | None) -> None:
        """Use the router that a search has found, if one is needed."""
        if self._stop is None or self._stop.is_set or not self._must_search:
            return
        if found is not None:
            self._use(found)
            self._step()
        elif not self._search.is_under_way:
            self._warn("no router", _NO_ROUTER.format(self._search.outcomes))
            pause_s = FIND_AGAIN_S if self._gateway is None else RETRY_S
            self._call_at(self._loop.now() + pause_s)

    def _use(self, gateway: Gateway) -> None:
        self._must_search = False
        self._failures = 0
        self._warned.pop("no router", None)
        # The old object of the same router has its times and the nonce of its mappings.
        if self._gateway is None or self._gateway.name != gateway.name:
            self._tell(f"found {gateway.name}")
            self._gateway = gateway
            self._leases = Leases(self._ports)
            self._check_at = -math.inf
        else:  # it was silent for a while, so it may have restarted
            self._leases.restart(self._loop.now())

    # p2p-nat: the mappings

    def _step(self) -> None:
        """Do what is due, and plan the next step."""
        self._drop_ended()
        self._notice_sleep()
        gateway = self._gateway
        if self._must_search or gateway is None:
            assert self._stop is not None
            self._search.begin(self._stop)
            return
        try:
            self._map(gateway)
            self._check_address(gateway)
            self._map(gateway)  # again if the address is a new one, and before it is published
        except Restarted as error:
            self._tell(str(error))
            self._leases.restart(self._loop.now())
        except Interrupted:
            return
        self._publish()
        self._must_search = self._failures >= MAX_FAILURES
        self._call_at(min(self._leases.deadline, self._check_at))

    def _map(self, gateway: Gateway) -> None:
        """Ask for the mappings that are due."""
        for mapping in self._leases.due(self._loop.now()):
            mapped = self._ask_for(mapping, gateway)
            if mapped is not None:
                self._grant(mapping, mapped, gateway)

    def _ask_for(self, mapping: PortMapping, gateway: Gateway) -> Mapped | None:
        """Ask for a mapping; None for a refusal."""
        try:
            return gateway.map(mapping, Deadline(REQUEST_S))
        except Interrupted:
            self._leases.interrupt(mapping)
            raise
        except Restarted:
            self._leases.refuse(mapping, self._loop.now())  # or it would stay due
            raise
        except NatError as error:
            self._failures += 1
            self._leases.refuse(mapping, self._loop.now())
            text = f"{gateway.name} does not map {mapping}: {error_text(error)}"
            self._warn(str(mapping), text)
            return None

    def _grant(self, mapping: PortMapping, mapped: Mapped, gateway: Gateway) -> None:
        self._failures = 0
        self._warned.pop(str(mapping), None)
        if self._leases.grant(mapping, mapped, self._loop.now()):
            port = mapped.external_port
            self._tell(f"{mapping} is mapped to external port {port} by {gateway.name}")
        if mapped.external_ip is not None:
            self._check_at = self._loop.now() + CHECK_S
            self._learn(mapped.external_ip, gateway)

    def _check_address(self, gateway: Gateway) -> None:
        """Ask for the external address, if that is due."""
        now = self._loop.now()
        if now < self._check_at:
            return
        self._check_at = now + CHECK_S
        try:
            ip = gateway.external_ip(Deadline(REQUEST_S))
        except Restarted:
            self._check_at = now + MIN_PAUSE_S
            raise
        except Interrupted:
            raise
        except NatError as error:
            self._failures += 1
            self._warn("address", f"{gateway.name} tells no external address: {error_text(error)}")
        else:
            self._failures = 0
            self._warned.pop("address", None)
            self._learn(ip, gateway)

    def _learn(self, ip: IPAddress, gateway: Gateway) -> None:
        """Take an external address; other than the last, it may mean that the mappings are lost."""
        before, self._ip = self._ip, canonical(ip)
        self._ip_until = self._loop.now() + LIFETIME_S
        if before == self._ip:
            return
        self._tell(f"external address {self._ip}, by {gateway.name}")
        self._warned.pop("not public", None)
        if before is not None:
            self._leases.restart(self._loop.now())

    def _notice_sleep(self) -> None:
        """Make all mappings due after a sleep of the machine: our time stood still meanwhile."""
        now = self._loop.now()
        before_s, self._ahead_s = self._ahead_s, self._clock.time_unix() - now
        if self._ahead_s - before_s > SLEEP_S:
            self._leases.restart(now)
            self._check_at = now

    def _drop_ended(self) -> None:
        """Drop mappings that were not renewed in time; if the router is lost, its address, too.

        So is one that was not confirmed for long: statements of other nodes are better.
        """
        now = self._loop.now()
        ended = self._leases.end_old(now)
        for mapping in ended:
            text = f"{mapping} is not mapped any more: the router did not renew it"
            self._tell(text, logging.WARNING)
        is_lost = ended and self._must_search and not self._leases.granted
        if is_lost or now >= self._ip_until:
            self._ip, self._ip_until = None, math.inf
        self._publish()

    # p2p-nat: the rest

    def _publish(self) -> None:
        """Tell the publisher of a change."""
        ip = self._ip if self._ip is not None and self._is_public(self._ip) else None
        udp, tcp = self._leases.external_port("udp"), self._leases.external_port("tcp")
        state = None if ip is None else _Published(ip, udp, tcp)
        before, self._published = self._published, state
        if before is not None and (ip is None or ip.version != before.ip.version):
            self._publisher.retract(before.ip.version)
        if state is not None and state != before:
            self._publisher.publish(*state)

    def _is_public(self, ip: IPAddress) -> bool:
        """Whether other nodes can use the address. Warns about one that they cannot."""
        if scope_of(ip) is Scope.GLOBAL or self._may_publish(ip):
            return True
        self._warn(
            "not public", f"external address {ip} is not public: another router is in between"
        )
        return False

    def _tell(self, text: str, level: int = logging.INFO) -> None:
        """Log a change, at DEBUG if there are many: a router decides how often."""
        log_limited(self._log, level, self._limit.admit(level, object()), "%s", text)

    def _warn(self, key: str, text: str) -> None:
        """Log a warning, at DEBUG if it is a repeated one."""
        if key in self._warned:
            self._log.debug("%s", text)
            return
        self._warned[key] = text
        self._tell(text, logging.WARNING)

    def _call_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._step)

    def _end(self, deadline: Deadline) -> None:
        """Delete the mappings, and end the thread."""
        assert self._stop is not None
        self._must_search = False
        self._search.join(deadline)
        self._stop.clear()
        for mapping in self._leases.deletions:
            assert self._gateway is not None
            try:
                self._gateway.unmap(mapping, deadline)
            except NatError as error:
                self._log.debug("%s: %s", mapping, error)
        self._leases, self._gateway, self._ip = Leases(self._ports), None, None
        self._loop.stop()

    def _close(self, error: BaseException | None) -> None:
        if self._stop is not None:
            self._stop.set()
            self._stop.close()
