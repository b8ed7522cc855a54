"""Whom the scheduler dials and when, as rounds of inputs and expected dials on virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from p2p.dial.history import MAX_HISTORY, REDIAL_JITTER, REMOTE_WINDOW_S
from p2p.dial.limits import NETWORK_LIMIT
from p2p.dial.scheduler import DialScheduler
from p2p.errors import (
    AlreadyConnected,
    AlreadyDialing,
    CrowdedNetwork,
    DialStep,
    IsSelf,
    NetRestricted,
    NoEndpoint,
    RecentlyDialed,
    TooManyPeers,
)
from p2p.netutil import Netlist, OwnNetworks


@dataclass(frozen=True)
class Node:
    id: bytes
    ip: IPv4Address | IPv6Address | None
    tcp: int = 30303
    hostname: str = ""


def node_id(number: int) -> bytes:
    return number.to_bytes(32, "big")


def node(number: int, ip: str | None = "127.0.0.1", tcp: int = 30303, hostname: str = "") -> Node:
    return Node(node_id(number), None if ip is None else ip_address(ip), tcp, hostname)


SELF = 0xFFFF
T0 = 1000.0


class Chance:
    """A random source that draws no jitter."""

    def __init__(self, jitter: float = 0.0) -> None:
        self._random = random.Random(0x1111)
        self.randrange = self._random.randrange
        self.sample = self._random.sample
        self.jitter = jitter

    def random(self) -> float:
        return self.jitter


def scheduler(
    max_dialed: int = 4,
    max_active: int = 5,
    net_restrict: str | None = None,
    static: Iterable[int] = (),
    looks_up_names: bool = True,
) -> DialScheduler:
    made: DialScheduler = DialScheduler(
        node_id(SELF),
        max_dialed,
        max_active,
        None if net_restrict is None else Netlist.parse(net_restrict),
        looks_up_names=looks_up_names,
        random=Chance(),
    )
    for number in static:
        made.add_static(node(number))
    return made


def numbers(nodes: Iterable[Node]) -> list[int]:
    return sorted(int.from_bytes(dialed.id, "big") for dialed in nodes)


@dataclass(frozen=True)
class Round:
    """What happens at one time, and the dials it must lead to. Rounds are 16 s apart.

    ``discovered`` nodes are dialed by their turn while there are free slots, after static ones.
    """

    dialed_peers: Sequence[int] = ()
    inbound_peers: Sequence[int] = ()
    peers_removed: Sequence[int] = ()
    add_static: Sequence[int] = ()
    remove_static: Sequence[int] = ()
    succeeded: Sequence[int] = ()
    failed: Sequence[int] = ()
    discovered: Sequence[int] = ()
    want: Sequence[int] = ()


class Play:
    """Plays rounds on a scheduler and compares the dials."""

    def __init__(self, dialing: DialScheduler) -> None:
        self.dialing = dialing
        self.dialed: dict[int, bool] = {}
        self.queue: list[Node] = []
        self.now = T0

    def run(self, rounds: Sequence[Round]) -> None:
        for index, turn in enumerate(rounds):
            self.tell(turn)
            got = self.dialing.poll(self.now)
            self.queue += [node(number) for number in turn.discovered]
            while self.queue and self.dialing.free_slots() > 0:
                found = self.queue.pop(0)
                if self.dialing.check_dial(found, self.now) is None:
                    self.dialing.begin(found, self.now)
                    got.append(found)
            assert numbers(got) == sorted(turn.want), f"round {index}"
            self.now += 16

    def tell(self, turn: Round) -> None:
        for number in turn.dialed_peers:
            self.add_peer(number, True)
        for number in turn.inbound_peers:
            self.add_peer(number, False)
        for number in turn.peers_removed:
            self.dialing.peer_removed(node_id(number), self.dialed.pop(number))
        for number in turn.add_static:
            self.dialing.add_static(node(number))
        for number in turn.remove_static:
            self.dialing.remove_static(node_id(number))
        for number in turn.succeeded:
            self.add_peer(number, True)
            self.dialing.dial_done(node_id(number))
        for number in turn.failed:
            self.dialing.dial_done(node_id(number))

    def add_peer(self, number: int, dialed: bool) -> None:
        self.dialed[number] = dialed
        self.dialing.peer_added(node_id(number), dialed)


# Scenarios.


def test_dials_of_found_nodes_use_twice_the_missing_dialed_peers() -> None:
    Play(scheduler(max_dialed=4, max_active=5)).run(
        [
            # 3 of 4 are connected, so there are 2 slots; connected nodes are passed over
            Round(dialed_peers=[0, 1, 2], discovered=[0, 2, 3, 4, 5, 6, 7, 8], want=[3, 4]),
            Round(failed=[4], want=[5]),
            # all dialed peers are there: no slots
            Round(succeeded=[3], failed=[5], discovered=[9]),
            # 3 leave, which makes 6 slots, but at most 5 dials go on at once
            Round(peers_removed=[0, 1, 2], discovered=[10, 11, 12], want=[6, 7, 8, 9, 10]),
        ]
    )


def test_static_nodes_are_dialed_beyond_the_share_of_dialed_peers() -> None:
    Play(scheduler(max_dialed=1, max_active=10)).run(
        [
            Round(dialed_peers=[1], add_static=[2, 3, 4], want=[2, 3, 4]),
            Round(succeeded=[2, 3, 4], discovered=[5]),
        ]
    )


def test_static_nodes_that_are_connected_are_not_dialed_until_they_leave() -> None:
    Play(scheduler(max_active=10)).run(
        [
            Round(dialed_peers=[1], inbound_peers=[2], add_static=[1, 2, 3], want=[3]),
            Round(succeeded=[3]),
            Round(peers_removed=[1], want=[1]),
            Round(failed=[1], peers_removed=[2], want=[2]),
        ]
    )


def test_static_nodes_wait_while_max_active_dials_are_under_way() -> None:
    play = Play(scheduler(max_active=2, static=[1, 2, 3]))
    first = numbers(play.dialing.poll(T0))
    assert len(first) == 2
    (rest,) = {1, 2, 3} - set(first)
    play.run([Round(), Round(failed=first[:1], want=[rest])])


def test_static_node_that_is_removed_is_not_dialed_again() -> None:
    Play(scheduler(max_active=1)).run(
        [
            Round(add_static=[1], want=[1]),
            Round(add_static=[2], failed=[1], want=[2]),
            # 1 is in the history, 2 is being dialed, 3 is ready
            Round(add_static=[3], remove_static=[1, 2, 3], failed=[2]),
            Round(),
            Round(),
            Round(),
        ]
    )


def test_static_node_is_dialed_again_when_its_history_ends() -> None:
    Play(scheduler(max_active=3)).run(
        [
            Round(add_static=[1, 2, 3], want=[1, 2, 3]),
            Round(succeeded=[1, 2], failed=[3]),
            Round(),
            Round(want=[3]),
        ]
    )


def test_static_node_that_leaves_early_is_dialed_when_its_history_ends() -> None:
    Play(scheduler()).run(
        [
            Round(add_static=[1], want=[1]),
            Round(succeeded=[1]),
            Round(peers_removed=[1]),
            Round(want=[1]),
        ]
    )


def test_static_node_that_leaves_late_is_dialed_at_once() -> None:
    Play(scheduler()).run(
        [
            Round(add_static=[1], want=[1]),
            Round(succeeded=[1]),
            Round(),
            Round(),
            Round(peers_removed=[1], want=[1]),
        ]
    )


def test_manual_dial_keeps_a_static_node_from_being_dialed() -> None:
    dialing = scheduler(static=[1])
    dialing.begin(node(1), T0)
    assert dialing.poll(T0) == []
    dialing.dial_done(node_id(1))
    assert dialing.poll(T0 + 1) == []
    assert dialing.poll(T0 + REMOTE_WINDOW_S) == [node(1)]


def test_manual_dials_count_as_dials_under_way() -> None:
    dialing = scheduler(max_active=2, static=[1, 2])
    dialing.begin(node(9), T0)
    assert len(dialing.poll(T0)) == 1
    assert dialing.free_slots() == 0
    dialing.begin(node(8), T0)
    assert dialing.free_slots() == -1


def test_only_trusted_static_nodes_are_dialed_while_full() -> None:
    dialing = scheduler(static=[1, 2])
    dialing.set_trusted(node_id(2), True)
    dialing.set_full(True)
    assert dialing.poll(T0) == [node(2)]
    dialing.set_full(False)
    assert dialing.poll(T0) == [node(1)]


def test_static_node_that_becomes_trusted_is_dialed_while_full() -> None:
    dialing = scheduler(static=[1])
    dialing.set_full(True)
    assert dialing.poll(T0) == []
    dialing.set_trusted(node_id(1), True)
    assert dialing.poll(T0) == [node(1)]


def test_static_node_that_is_no_longer_trusted_waits_for_room() -> None:
    dialing = scheduler()
    dialing.set_trusted(node_id(1), True)
    dialing.add_static(node(1))
    dialing.set_full(True)
    dialing.set_trusted(node_id(1), False)
    assert dialing.poll(T0) == []
    dialing.set_full(False)
    assert dialing.poll(T0) == [node(1)]


def test_trusted_node_that_is_not_static_is_never_polled() -> None:
    dialing = scheduler()
    dialing.set_trusted(node_id(1), True)
    assert dialing.poll(T0) == []
    assert not dialing.is_static(node_id(1))


@pytest.mark.parametrize(
    "useless",
    [node(SELF), node(1, ip=None), node(1, tcp=0), node(1, ip="9.9.9.9")],
    ids=["self", "no address", "no port", "restricted"],
)
def test_static_node_that_cannot_be_dialed_is_passed_over(useless: Node) -> None:
    dialing = scheduler(net_restrict="127.0.0.0/8", static=[2])
    dialing.add_static(useless)
    assert dialing.poll(T0) == [node(2)]
    assert dialing.next_deadline(T0) == T0 + REMOTE_WINDOW_S


def test_static_node_added_again_takes_the_new_endpoint() -> None:
    dialing = scheduler()
    dialing.add_static(node(1, ip=None))
    assert dialing.poll(T0) == []
    dialing.add_static(node(1, ip="127.0.0.7"))
    dialing.add_static(node(1, ip="127.0.0.8"))
    assert dialing.poll(T0) == [node(1, ip="127.0.0.8")]


def test_is_static_follows_add_and_remove() -> None:
    dialing = scheduler(static=[1])
    assert dialing.is_static(node_id(1))
    dialing.remove_static(node_id(1))
    assert not dialing.is_static(node_id(1))
    dialing.remove_static(node_id(1))


def test_static_nodes_are_picked_at_random() -> None:
    dialing = scheduler(max_active=50, static=range(2000))
    first = [int.from_bytes(dialed.id, "big") for dialed in dialing.poll(T0)]
    assert len(set(first)) == 50
    assert first != sorted(first)
    assert max(first) > 1500
    assert min(first) < 500


def test_each_of_many_static_nodes_gets_its_turn() -> None:
    dialing = scheduler(max_active=50, static=range(2000))
    seen: set[bytes] = set()
    for _ in range(40):
        for dialed in dialing.poll(T0):
            seen.add(dialed.id)
            dialing.dial_done(dialed.id)
    assert len(seen) == 2000
    assert dialing.poll(T0) == []


# check_dial: one error for each reason, in this order.


def test_node_may_be_dialed_when_nothing_speaks_against_it() -> None:
    assert scheduler().check_dial(node(1), T0) is None


@pytest.mark.parametrize(
    "without_endpoint",
    [node(1, ip=None), node(1, tcp=0), node(1, ip="0.0.0.0"), node(1, ip="::")],
)
def test_node_without_endpoint_is_refused(without_endpoint: Node) -> None:
    assert type(scheduler().check_dial(without_endpoint, T0)) is NoEndpoint


def test_node_with_only_a_host_name_may_be_dialed() -> None:
    named = node(1, ip=None, hostname="node.example")
    assert scheduler(net_restrict="10.0.0.0/8").check_dial(named, T0) is None


def test_name_that_only_the_dialer_looks_up_is_refused_with_net_restrict() -> None:
    named = node(1, ip=None, hostname="abc.onion")
    error = scheduler(net_restrict="10.0.0.0/8", looks_up_names=False).check_dial(named, T0)
    assert type(error) is NetRestricted
    assert str(error) == "the dialer looks up abc.onion, so that net_restrict cannot be checked"
    assert scheduler(looks_up_names=False).check_dial(named, T0) is None


def test_each_address_of_the_name_of_a_candidate_counts_for_its_network() -> None:
    dialing = scheduler()
    named = node(1, ip=None, hostname="node.example")
    dialing.begin_candidate(named, T0)
    for host in range(NETWORK_LIMIT):
        assert dialing.admit_found(named.id, ip_address(f"9.9.9.{host}"), T0) is None
    for _ in range(2):
        error = dialing.admit_found(named.id, ip_address("9.9.9.9"), T0)
        assert type(error) is CrowdedNetwork


def test_node_with_a_host_name_but_no_port_is_refused() -> None:
    named = node(1, ip=None, tcp=0, hostname="node.example")
    assert type(scheduler().check_dial(named, T0)) is NoEndpoint


def test_address_outside_net_restrict_is_refused() -> None:
    dialing = scheduler(net_restrict="10.0.0.0/8")
    assert type(dialing.check_dial(node(1), T0)) is NetRestricted
    assert dialing.check_dial(node(1, ip="10.0.0.1"), T0) is None


def test_resolved_address_outside_net_restrict_is_refused() -> None:
    error = scheduler(net_restrict="10.0.0.0/8").check_address(ip_address("9.9.9.9"))
    assert type(error) is NetRestricted
    assert "9.9.9.9" in str(error)


def test_recently_dialed_tells_how_long_to_wait() -> None:
    dialing = scheduler()
    dialing.begin(node(1), T0)
    dialing.dial_done(node_id(1))
    error = dialing.check_dial(node(1), T0 + 10)
    assert type(error) is RecentlyDialed
    assert error.retry_in_s == REMOTE_WINDOW_S - 10
    assert dialing.check_dial(node(1), T0 + REMOTE_WINDOW_S) is None


def test_untrusted_node_is_refused_while_full() -> None:
    dialing = scheduler()
    dialing.set_full(True)
    dialing.set_trusted(node_id(2), True)
    assert type(dialing.check_dial(node(1), T0)) is TooManyPeers
    assert dialing.check_dial(node(2), T0) is None


def test_reasons_are_checked_in_the_order_of_go_ethereum() -> None:
    dialing = scheduler(net_restrict="10.0.0.0/8")
    dialing.set_full(True)
    # number, so that each holds all reasons from one on
    dialing.begin(node(1), T0)
    for number in (1, 2):
        dialing.peer_added(node_id(number), True)
    for number in (2, 3, 4):
        dialing.begin(node(number), T0)
        dialing.dial_done(node_id(number))
    reasons = [
        dialing.check_dial(candidate, T0)
        for candidate in (
            node(SELF, tcp=0),
            node(1, tcp=0),
            node(1),
            node(2),
            node(3),
            node(4, ip="10.0.0.4"),
            node(5, ip="10.0.0.5"),
        )
    ]
    assert [type(reason) for reason in reasons] == [
        IsSelf,
        NoEndpoint,
        AlreadyDialing,
        AlreadyConnected,
        NetRestricted,
        RecentlyDialed,
        TooManyPeers,
    ]
    assert all(reason is not None and reason.step is DialStep.CHECK for reason in reasons)


# The address that a name leads to, or a search.


def test_found_address_is_judged_as_a_known_one() -> None:
    dialing = scheduler(net_restrict="20.0.0.0/8, 192.0.2.0/24")
    named = [node(number, None, 30303, "node.example") for number in range(1, 6)]
    found = ["30.0.0.1", "192.0.2.1", *(f"20.0.0.{number}" for number in range(1, 4))]
    errors = []
    for candidate, ip in zip(named, found, strict=True):
        assert dialing.check_candidate(candidate, T0) is None
        dialing.begin_candidate(candidate, T0)
        errors.append(type(dialing.admit_found(candidate.id, ip_address(ip), T0)))
    assert errors == [NetRestricted, NoEndpoint, type(None), type(None), CrowdedNetwork]


def test_candidate_at_an_address_of_nobody_is_refused() -> None:
    assert type(scheduler().check_candidate(node(1, "240.0.0.1"), T0)) is NoEndpoint
    assert scheduler().check_dial(node(1, "240.0.0.1"), T0) is None  # named by the user
    own = OwnNetworks(Netlist.parse("203.0.113.0/24"))
    dialing: DialScheduler = DialScheduler(b"", 4, 5, own=own, random=Chance())
    for number in range(1, 13):
        candidate = node(number, f"203.0.113.{number}")
        assert dialing.check_candidate(candidate, T0) is None
        dialing.begin_candidate(candidate, T0)


def test_pause_counts_from_the_connection() -> None:
    dialing = scheduler(static=[1])
    (first,) = dialing.poll(T0)
    assert first.ip is not None
    dialing.connection_opened(first.id, first.ip, T0 + 10)
    dialing.dial_done(first.id)
    assert dialing.poll(T0 + REMOTE_WINDOW_S) == []
    assert dialing.next_deadline(T0 + REMOTE_WINDOW_S) == T0 + 10 + REMOTE_WINDOW_S
    assert dialing.poll(T0 + 10 + REMOTE_WINDOW_S) == [first]


# Static nodes that are never dialed.


def test_static_node_that_can_never_be_dialed_is_told_of_once_with_the_reason() -> None:
    dialing = scheduler(net_restrict="10.0.0.0/8", static=[1, SELF])
    dialing.add_static(node(2, ip=None))
    dialing.add_static(node(3, tcp=0, ip="10.0.0.3"))
    assert dialing.poll(T0) == []
    told = {refused.id: type(error) for refused, error in dialing.poll_refusals()}
    assert told == {
        node_id(1): NetRestricted,
        node_id(SELF): IsSelf,
        node_id(2): NoEndpoint,
        node_id(3): NoEndpoint,
    }
    dialing.peer_added(node_id(1), False)
    dialing.peer_removed(node_id(1), False)
    assert dialing.poll(T0) == dialing.poll_refusals() == []


def test_static_node_that_is_added_again_is_told_of_again() -> None:
    dialing = scheduler(net_restrict="10.0.0.0/8", static=[1])
    for _ in range(2):
        dialing.poll(T0)
        assert len(dialing.poll_refusals()) == 1
        dialing.add_static(node(1))


def test_static_node_that_is_not_dialed_for_now_is_not_told_of() -> None:
    dialing = scheduler(static=[1, 2, 3, 4])
    dialing.peer_added(node_id(1), False)
    dialing.begin(node(2), T0)
    dialing.begin(node(3), T0)
    dialing.dial_done(node_id(3))
    dialing.poll(T0)
    dialing.set_full(True)
    dialing.add_static(node(5))
    dialing.poll(T0)
    assert dialing.poll_refusals() == []


# Nodes whose address discovery is to find.


def test_node_without_an_address_may_be_dialed_when_it_can_be_searched_for() -> None:
    dialing = scheduler(net_restrict="10.0.0.0/8")
    assert dialing.check_dial(node(1, ip=None, tcp=0), T0, resolvable=True) is None
    assert type(dialing.check_dial(node(1, ip=None, tcp=0), T0)) is NoEndpoint


@pytest.mark.parametrize(
    "useless", [node(1, tcp=0), node(1, ip="0.0.0.0"), node(1, None, 0, "node.example")], ids=repr
)
def test_node_with_half_an_endpoint_is_not_searched_for(useless: Node) -> None:
    assert type(scheduler().check_dial(useless, T0, resolvable=True)) is NoEndpoint


def test_search_spares_a_node_no_other_check() -> None:
    dialing = scheduler()
    dialing.begin(node(1, ip=None), T0)
    dialing.peer_added(node_id(2), True)
    reasons = [dialing.check_dial(node(n, None), T0, resolvable=True) for n in (SELF, 1, 2)]
    assert [type(reason) for reason in reasons] == [IsSelf, AlreadyDialing, AlreadyConnected]


def test_static_node_without_an_address_is_polled_only_when_it_can_be_searched_for() -> None:
    dialing = scheduler()
    dialing.add_static(node(1, ip=None))
    assert dialing.poll(T0) == []
    dialing.can_resolve = True
    dialing.add_static(node(1, ip=None))
    assert dialing.poll(T0) == [node(1, ip=None)]
    dialing.dial_done(node_id(1))
    assert dialing.poll(T0 + 1) == []
    assert dialing.poll(T0 + REMOTE_WINDOW_S) == [node(1, ip=None)]


def test_scheduler_tells_whether_there_is_room_for_peers() -> None:
    dialing = scheduler(max_dialed=1)
    assert (dialing.is_full, dialing.wants_more) == (False, True)
    dialing.peer_added(node_id(1), True)
    dialing.set_full(True)
    assert (dialing.is_full, dialing.wants_more, dialing.dialed_peers) == (True, False, 1)


# The time of the next dial.


def test_there_is_no_deadline_without_static_nodes() -> None:
    dialing = scheduler()
    dialing.begin(node(1), T0)
    dialing.dial_done(node_id(1))
    assert dialing.next_deadline(T0) is None


def test_deadline_is_now_while_a_static_node_is_ready() -> None:
    assert scheduler(static=[1]).next_deadline(T0) == T0


def test_deadline_is_the_end_of_the_history() -> None:
    dialing = scheduler(static=[1])
    dialing.poll(T0)
    dialing.dial_done(node_id(1))
    dialing.poll(T0 + 1)
    assert dialing.next_deadline(T0 + 1) == T0 + REMOTE_WINDOW_S


def test_there_is_no_deadline_while_max_active_dials_are_under_way() -> None:
    dialing = scheduler(max_active=1, static=[1, 2])
    dialing.poll(T0)
    assert dialing.next_deadline(T0) is None


def test_there_is_no_deadline_for_ready_nodes_while_full() -> None:
    dialing = scheduler(static=[1])
    dialing.set_full(True)
    assert dialing.next_deadline(T0) is None


@pytest.mark.parametrize("seed", range(20))
def test_owner_that_follows_the_deadlines_never_spins_and_misses_no_dial(seed: int) -> None:
    source = random.Random(seed)
    dialing = scheduler(max_active=3, static=range(8))
    peers: set[bytes] = set()
    under_way: list[bytes] = []
    last: dict[bytes, float] = {}
    now = T0
    for _ in range(400):
        for dialed in dialing.poll(now):
            assert dialed.id not in peers
            assert now - last.get(dialed.id, -1e9) >= REMOTE_WINDOW_S
            under_way.append(dialed.id)
            last[dialed.id] = now
        assert len(under_way) <= 3
        due = [n for n in range(8) if dialing.check_dial(node(n), now) is None]
        assert not due or len(under_way) == 3
        deadline = dialing.next_deadline(now)
        assert deadline is None or deadline > now
        choice = source.randrange(3)
        if choice == 0 and under_way:
            done = under_way.pop(source.randrange(len(under_way)))
            if source.randrange(2):
                peers.add(done)
                dialing.peer_added(done, True)
            dialing.dial_done(done)
        elif choice == 1 and peers:
            left = sorted(peers)[source.randrange(len(peers))]
            peers.discard(left)
            dialing.peer_removed(left, True)
        elif deadline is not None:
            now = deadline


# Bounds.


def test_history_is_bounded_and_frees_the_oldest() -> None:
    dialing = scheduler(static=[0])
    for number in range(MAX_HISTORY + 1):
        dialing.begin(node(number), T0)
        dialing.dial_done(node_id(number))
    assert type(dialing.check_dial(node(1), T0)) is RecentlyDialed
    assert dialing.poll(T0) == [node(0)]


# the random part of the pause


def test_pause_has_a_random_part() -> None:
    chance = Chance(jitter=0.5)
    dialing: DialScheduler = DialScheduler(node_id(SELF), 4, 5, random=chance)
    dialing.begin(node(1), T0)
    dialing.dial_done(node_id(1))
    pause_s = REMOTE_WINDOW_S * (1 + REDIAL_JITTER / 2)
    error = dialing.check_dial(node(1), T0)
    assert isinstance(error, RecentlyDialed)
    assert error.retry_in_s == pause_s
    # Later dials may end no earlier, or the history would not be in order.
    chance.jitter = 0.0
    dialing.begin(node(2), T0)
    dialing.dial_done(node_id(2))
    error = dialing.check_dial(node(2), T0)
    assert isinstance(error, RecentlyDialed)
    assert error.retry_in_s == pause_s
