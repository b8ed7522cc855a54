"""The advertiser of one topic: where to register, when to try again, when to renew.

Pure: answers and time go in, requests come out; the owner sends them (discv5-theory, "Advertiser
Behaviour"). In each bucket of the service table up to K_register registrations are wanted, under
way or in place. Their phases::

    ASKING    a REGTOPIC is under way
       │ confirmation with a ticket         │ without one         │ failure, or too long
       ▼                                    ▼                     ▼
    WAITING   until the ticket is due    ADMITTED  until renewal  dropped; the node rests
       └──► ASKING, with the ticket         └──► ASKING, without

A registrar decides by itself about waits and lifetimes. So both have limits here, a registration
has a number of attempts and a time, and one that goes beyond them leaves its place to another node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from heapq import nsmallest
from itertools import islice
from typing import NamedTuple

from p2p.discover.v5.topics.table import TopicTable
from p2p.discover.v5.topics.usability import Usability
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import RandomSource

#: Registrations wanted in each bucket: K_register (discv5-theory, "Parameters").
K_REGISTER = 5
#: Requests under way at once.
MAX_ASKING = 4
#: Longest time to wait with one ticket, in seconds: the lifetime of an ad, E, and a little more.
MAX_WAIT_S = 960.0
#: Longest time that a registration may take, and most requests for it. With no other topic around,
#: a registrar of ours lets an ad wait for a little more than E.
MAX_REGISTRATION_S = 3600.0
MAX_REQUESTS = 16
#: Delay of a retry beyond its wait-time, in seconds and as a part of it: clocks differ, and a retry
#: that is early counts as a first one. Registrars wait for some seconds.
MIN_RETRY_DELAY_S = 0.05
RETRY_DELAY = 1e-3
#: Range of the lifetime of an ad, in seconds. A shorter one is not worth it, a longer one is
#: renewed earlier.
MIN_LIFETIME_S = 30.0
MAX_LIFETIME_S = 3600.0
#: Shortest and longest part of its lifetime that is left to an ad when its renewal begins. Between
#: them it is as long as the last registration took: where many advertise, each waits long.
MIN_RENEWAL = 0.2
MAX_RENEWAL = 0.95
#: Pause before a node that refused or failed is asked again, in seconds.
REST_S = 300.0
#: Interval at which empty places are looked at, in seconds, and while all places are empty.
FILL_INTERVAL_S = 30.0
FIRST_FILL_INTERVAL_S = 2.0


class Phase(Enum):
    """Phase of a registration."""

    ASKING = "asking"
    WAITING = "waiting"
    ADMITTED = "admitted"


@dataclass(slots=True, eq=False)
class Registration:
    """An ad at one registrar, or on its way there. Times are monotonic seconds."""

    node: Node
    distance: int
    began: float
    phase: Phase = Phase.ASKING
    ticket: bytes = b""
    requests: int = 0
    #: Time of the next request; infinity while one is under way.
    due: float = math.inf
    #: Time at which the admitted ad expires; minus infinity if there is none.
    expires: float = -math.inf


class RegisterRequest(NamedTuple):
    """A REGTOPIC to send to ``node``; ``ticket`` is empty in a first attempt."""

    node: Node
    ticket: bytes


def _any_node(node: Node) -> bool:
    return True


class Advertiser:
    """The registrations of one topic, in the buckets of ``table``."""

    def __init__(self, table: TopicTable, usability: Usability, random: RandomSource) -> None:
        self.table = table
        self._usability = usability
        self._random = random
        self._registrations: dict[NodeID, Registration] = {}
        self._resting: dict[NodeID, float] = {}  # until when
        self._next_fill = -math.inf

    # Queries.

    @property
    def deadline(self) -> float:
        """Time at which :meth:`requests` has something to do, in monotonic seconds.

        While MAX_ASKING requests are under way, the end of one comes first.
        """
        if not self._free_requests:
            return self._next_fill
        return min([self._next_fill, *(each.due for each in self._registrations.values())])

    def registrars(self, now: float) -> list[Node]:
        """Return the nodes that have our ad, as far as we know."""
        held = self._registrations.values()
        return [each.node for each in held if each.expires > now]

    def __len__(self) -> int:
        """Return the number of registrations, in any phase."""
        return len(self._registrations)

    # Inputs; each may be followed by requests().

    def requests(
        self, now: float, may_ask: Callable[[Node], bool] = _any_node
    ) -> list[RegisterRequest]:
        """Return the requests that are to be sent now. New ones go to nodes that ``may_ask``."""
        due = [each for each in self._registrations.values() if each.due <= now]
        chosen = nsmallest(self._free_requests, due, key=lambda each: each.due)
        new = self._new(now, may_ask)
        for registration in islice(new, self._free_requests - len(chosen)):
            self._registrations[registration.node.id] = registration
            chosen.append(registration)
        interval_s = FILL_INTERVAL_S if self._registrations else FIRST_FILL_INTERVAL_S
        self._next_fill = now + interval_s
        return [self._ask(registration) for registration in chosen]

    def confirmed(self, node_id: NodeID, ticket: bytes, wait_s: float, now: float) -> None:
        """Take a confirmation: with a ticket the ad waits, without one it is admitted."""
        registration = self._registrations.get(node_id)
        if registration is None or registration.phase is not Phase.ASKING:
            return
        if not ticket:
            self._admit(registration, wait_s, now)
        elif self._is_too_long(registration, wait_s, now):
            self._drop(registration, now)
        else:
            registration.phase = Phase.WAITING
            registration.ticket = ticket
            registration.due = now + wait_s + MIN_RETRY_DELAY_S + wait_s * RETRY_DELAY

    def failed(self, node_id: NodeID, now: float) -> None:
        """Note that a registrar has not answered, or not as it should."""
        registration = self._registrations.get(node_id)
        if registration is not None and registration.phase is Phase.ASKING:
            self._drop(registration, now)

    # Internals.

    @property
    def _free_requests(self) -> int:
        return MAX_ASKING - sum(r.phase is Phase.ASKING for r in self._registrations.values())

    def _ask(self, registration: Registration) -> RegisterRequest:
        registration.phase = Phase.ASKING
        registration.requests += 1
        registration.due = math.inf
        return RegisterRequest(registration.node, registration.ticket)

    def _admit(self, registration: Registration, lifetime_s: float, now: float) -> None:
        if lifetime_s < MIN_LIFETIME_S:
            self._drop(registration, now)
            return
        lifetime_s = min(lifetime_s, MAX_LIFETIME_S)
        took_s = now - registration.began
        left_s = min(max(took_s, lifetime_s * MIN_RENEWAL), lifetime_s * MAX_RENEWAL)
        registration.phase = Phase.ADMITTED
        registration.ticket, registration.requests = b"", 0
        registration.expires = now + lifetime_s
        registration.due = registration.began = registration.expires - left_s

    def _is_too_long(self, registration: Registration, wait_s: float, now: float) -> bool:
        return (
            wait_s > MAX_WAIT_S
            or now + wait_s > registration.began + MAX_REGISTRATION_S
            or registration.requests >= MAX_REQUESTS
        )

    def _drop(self, registration: Registration, now: float) -> None:
        del self._registrations[registration.node.id]
        self._resting[registration.node.id] = now + REST_S

    def _new(self, now: float, may_ask: Callable[[Node], bool]) -> Iterator[Registration]:
        """Choose nodes for the free places, from the farthest bucket to the nearest."""
        self._resting = {node_id: end for node_id, end in self._resting.items() if end > now}
        for distance in self.table.distances:
            held = sum(each.distance == distance for each in self._registrations.values())
            free = [node for node in self.table.at(distance) if self._is_free(node, now)]
            nodes = list(filter(may_ask, free))
            count = min(len(nodes), max(0, K_REGISTER - held))
            for node in self._random.sample(nodes, count):
                yield Registration(node, distance, now)

    def _is_free(self, node: Node, now: float) -> bool:
        return (
            node.id not in self._registrations
            and node.id not in self._resting
            and self._usability.is_usable(node.id, now)
        )
