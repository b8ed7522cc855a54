"""Bootnodes: the address of each, the look-ups of their names, and their silence.

Pure. The name of a bootnode is looked up at the start, and again after at most ``REFRESH_S``.
While there is no address, or the bootnode does not answer at it, the name is looked up sooner,
after pauses that double: the name may appear late, or the bootnode move. Of several addresses one
is used; if it does not answer, the next look-up takes the next. Addresses outside ``net_restrict``
are left out, and a bootnode without any other is reported, once for each change.

The look-ups are the owner's: it gets the names from :meth:`Bootnodes.poll_due`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from p2p.discover.bootwatch import BootnodeWatch
from p2p.discover.event import BootnodeLeftOut, BootnodeSilent
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import IPAddress

#: Longest time between two look-ups of a name, in seconds.
REFRESH_S = 600.0
#: First pause between look-ups while a bootnode does not answer; the longest is REFRESH_S.
RETRY_S = 10.0
#: Pings lost in a row after which a bootnode counts as silent: a ping is repeated once.
SILENT_PINGS = 2


class Moved(NamedTuple):
    """A new address of a bootnode."""

    old: Node | None
    new: Node
    old_answers: bool


class _Bootnode:
    """One bootnode. Times are monotonic seconds."""

    def __init__(self, given: Node, is_seed: bool, is_watched: bool, now: Now) -> None:
        # fixed after __init__
        self.given = given
        self.is_seed = is_seed
        self.is_watched = is_watched
        #: The node without its name at the address in use; None without one.
        self.node: Node | None = None
        self.answers = False
        self.lost = 0
        self.pause_s = RETRY_S
        self.looked_up_at = now.monotonic
        self.next_at = now.monotonic if given.hostname else math.inf
        #: Reason of the last report.
        self.reported = ""

    def plan(self, now: Now) -> None:
        """Plan the next look-up, after one has ended."""
        self.looked_up_at = now.monotonic
        if self.answers:
            self.next_at = now.monotonic + REFRESH_S
        else:
            self.next_at = now.monotonic + self.pause_s
            self.pause_s = min(2 * self.pause_s, REFRESH_S)

    def note_answer(self) -> None:
        """Note a pong from the address in use."""
        self.lost = 0
        if self.answers:
            return
        self.answers, self.pause_s = True, RETRY_S
        if self.next_at < math.inf:
            self.next_at = self.looked_up_at + REFRESH_S

    def note_loss(self, now: Now) -> None:
        """Note a lost ping to the address in use."""
        self.lost += 1
        if self.lost < SILENT_PINGS or not self.answers:
            return
        self.answers = False
        if self.next_at < math.inf:
            self.next_at = max(now.monotonic, self.looked_up_at + RETRY_S)

    def choose(self, nodes: Sequence[Node]) -> Node:
        """Return the address to use from now on, of at least one."""
        ips = [node.ip for node in nodes]
        if self.node is None or self.node.ip not in ips:
            return nodes[0]
        used = ips.index(self.node.ip)
        return nodes[used if self.answers else (used + 1) % len(nodes)]


class Bootnodes:
    """The bootnodes of an engine.

    ``seeds`` are the first nodes to ask, ``watched`` those reported if they are silent or left out.
    ``allows`` tells whether ``net_restrict`` allows an address. ``ip_version`` is that of the
    socket (None: both); addresses of the other come last.
    """

    def __init__(
        self,
        seeds: Sequence[Node],
        watched: Sequence[Node],
        allows: Callable[[IPAddress], bool],
        now: Now,
        ip_version: int | None = None,
    ) -> None:
        self._ip_version = ip_version
        self._allows = allows
        self._watch = BootnodeWatch()
        self._reports: list[BootnodeLeftOut] = []
        given = dict.fromkeys((*seeds, *watched))
        self._all = [_Bootnode(node, node in seeds, node in watched, now) for node in given]
        self._by_id: dict[NodeID, list[_Bootnode]] = {}
        for bootnode in self._all:
            self._by_id.setdefault(bootnode.given.id, []).append(bootnode)
            if not bootnode.given.hostname or bootnode.given.udp_endpoint is not None:
                self._use(bootnode, _at_each_endpoint(bootnode.given.with_hostname("")))

    # Queries.

    @property
    def seeds(self) -> list[Node]:
        """The nodes to ask, at their present addresses."""
        found = [bootnode.node for bootnode in self._all if bootnode.is_seed]
        return [node for node in found if node is not None]

    def is_at(self, node_id: NodeID, ip: IPAddress) -> bool:
        """Whether the node is a bootnode, and ``ip`` one of its present addresses."""
        return bool(self._at(node_id, ip))

    def is_elsewhere(self, node: Node) -> bool:
        """Whether ``node`` is a bootnode whose name has another address now."""
        named = [known for known in self._by_id.get(node.id, ()) if known.given.hostname]
        found = [known.node.ip for known in named if known.node is not None]
        return bool(found) and node.ip not in found

    # Look-ups.

    @property
    def deadline(self) -> float:
        """Time of the next look-up, in monotonic seconds."""
        return min((bootnode.next_at for bootnode in self._all), default=math.inf)

    def poll_due(self, now: Now) -> list[str]:
        """Return the names to look up now, each once."""
        due = [bootnode for bootnode in self._all if bootnode.next_at <= now.monotonic]
        for bootnode in due:
            bootnode.next_at = math.inf  # until the look-up ends
        return list(dict.fromkeys(bootnode.given.hostname for bootnode in due))

    def receive_addresses(self, name: str, ips: Sequence[IPAddress], now: Now) -> list[Moved]:
        """Use the addresses of a name, and return the bootnodes that have another one now."""
        moved = []
        for bootnode in self._named(name):
            old, old_answers = bootnode.node, bootnode.answers
            self._use(bootnode, [bootnode.given.with_hostname("").with_ip(ip) for ip in ips])
            bootnode.plan(now)
            if bootnode.node is not None and bootnode.node != old:
                moved.append(Moved(old, bootnode.node, old_answers))
        return moved

    def receive_failure(self, name: str, reason: str, now: Now) -> None:
        """Note that a name could not be looked up; the last address is kept."""
        for bootnode in self._named(name):
            bootnode.plan(now)
            if bootnode.node is None and not bootnode.reported:
                self._report(bootnode, f"{reason}; its name is looked up again")

    # Answers.

    def receive_pong(self, node_id: NodeID, ip: IPAddress) -> None:
        """Note that the node at ``ip`` has answered a ping."""
        for bootnode in self._at(node_id, ip):
            bootnode.note_answer()
        self._watch.receive_pong(node_id, ip)

    def lose_ping(self, node_id: NodeID, ip: IPAddress, now: Now) -> None:
        """Note that a ping to the node at ``ip`` was not answered in time."""
        for bootnode in self._at(node_id, ip):
            bootnode.note_loss(now)
        self._watch.lose_ping(node_id, ip, now)

    def poll_reports(self) -> list[BootnodeLeftOut | BootnodeSilent]:
        """Return the reports since the last call."""
        reports, self._reports = self._reports, []
        return [*reports, *self._watch.poll_reports()]

    # Internals.

    def _at(self, node_id: NodeID, ip: IPAddress) -> list[_Bootnode]:
        known = self._by_id.get(node_id, ())
        return [each for each in known if each.node is not None and _is_at(each.node, ip)]

    def _named(self, name: str) -> list[_Bootnode]:
        return [bootnode for bootnode in self._all if bootnode.given.hostname == name]

    def _use(self, bootnode: _Bootnode, nodes: Sequence[Node]) -> None:
        """Use one of the addresses that are found for a bootnode."""
        usable = [node for node in nodes if node.udp_endpoint is not None]
        allowed = [node for node in usable if node.ip is not None and self._allows(node.ip)]
        allowed.sort(key=self._is_of_other_version)
        old = bootnode.node
        if allowed:
            bootnode.node, bootnode.reported = bootnode.choose(allowed), ""
        else:
            bootnode.node = None
            found = ", ".join(str(node.ip) for node in usable)
            self._report(bootnode, f"{found} is outside net_restrict" if found else "no address")
        if bootnode.node != old:
            bootnode.answers, bootnode.lost = False, 0
            if bootnode.is_watched:
                self._watch.move(old, bootnode.node)

    def _is_of_other_version(self, node: Node) -> bool:
        return node.ip is not None and self._ip_version not in (None, node.ip.version)

    def _report(self, bootnode: _Bootnode, reason: str) -> None:
        if reason != bootnode.reported and bootnode.is_watched:
            self._reports.append(BootnodeLeftOut(bootnode.given, reason))
        bootnode.reported = reason


def _at_each_endpoint(node: Node) -> list[Node]:
    """Return a node at each of its endpoints; as it is, if it has none."""
    return [node.with_endpoint(ip, tcp, udp) for ip, udp, tcp in node.endpoints] or [node]


def _is_at(node: Node, ip: IPAddress) -> bool:
    return any(endpoint.ip == ip for endpoint in node.endpoints)
