"""Answers that are expired when they come tell that our clock is ahead, and by how much."""

from __future__ import annotations

import logging
from ipaddress import IPv4Address
from typing import Any

import pytest

from p2p.clock import Clock
from p2p.discover.event import BootnodeSilent, ClockAhead
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.skew import MAX_VOTES, REPEAT_S, SkewWatch
from p2p.discover.v4.wire import Packet, Ping
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from tests.kit.link import PORT, Link, Remote, address_of
from tests.kit.services import Services

MINUTE_S = 60.0
AHEAD_S = 60.0


@pytest.fixture
def link() -> Link:
    return Link(plain=True)


def behind(link: Link, number: int, seconds: float = AHEAD_S, **options: Any) -> Remote:
    """A remote whose clock is behind that of the engines: to it, they are ahead."""

    def answer(packet: Packet, packet_hash: bytes) -> None:
        if isinstance(packet, Ping):
            remote.pong(packet_hash, expiration=int(link.now.unix - seconds) + 20)

    remote = link.remote(number, **options)
    remote.answers_pings = False
    remote.on_packet = answer
    return remote


def join(link: Link, *bootnodes: Remote) -> EngineV4:
    engine = link.node(1, bootnodes=[remote.node for remote in bootnodes])
    for remote in link.remotes.values():
        remote.to(engine)
    return engine


def ask(link: Link, engine: EngineV4, *remotes: Remote, seconds: float = MINUTE_S) -> None:
    """Ping all remotes every two seconds."""
    for _ in range(round(seconds / 2)):
        for remote in remotes:
            engine.operations.ping(remote.node, link.now)
        link.run(2.0)


def told(link: Link, engine: EngineV4) -> list[ClockAhead]:
    return [e for e in link.events[link.address(engine)] if isinstance(e, ClockAhead)]


def test_bootnode_that_alone_answers_tells_within_a_minute(link: Link) -> None:
    boot = behind(link, 2)
    engine = join(link, boot)
    link.run(MINUTE_S)
    (found,) = told(link, engine)
    assert found.seconds == pytest.approx(AHEAD_S, abs=1.0)
    assert found.bootnodes == (boot.id,)
    silent = [e for e in link.events[link.address(engine)] if isinstance(e, BootnodeSilent)]
    assert silent == []


def test_three_networks_tell(link: Link) -> None:
    remotes = [behind(link, number) for number in (2, 3, 4)]
    engine = join(link)
    ask(link, engine, *remotes[:2])
    assert told(link, engine) == []
    ask(link, engine, *remotes)
    (found,) = told(link, engine)
    assert found.seconds == pytest.approx(AHEAD_S, abs=1.0) and found.votes == 3


def test_it_is_told_once_an_hour(link: Link) -> None:
    engine = join(link, behind(link, 2))
    link.run(REPEAT_S)
    assert len(told(link, engine)) == 1
    link.run(REPEAT_S)
    assert len(told(link, engine)) == 2


def test_liar_with_many_keys_and_addresses_of_one_network_is_one_voice(link: Link) -> None:
    network = int(IPv4Address("20.9.9.0"))
    liars = [
        behind(link, number, address=(IPv4Address(network + number), PORT))
        for number in range(2, 32)
    ]
    engine = join(link)
    ask(link, engine, *liars)
    assert told(link, engine) == []


def test_liars_are_not_believed_while_others_are_in_time(link: Link) -> None:
    liars = [behind(link, number) for number in (2, 3, 4)]
    others = [link.remote(number) for number in (5, 6)]
    engine = join(link)
    ask(link, engine, *liars, *others)
    assert told(link, engine) == []


def test_one_bootnode_with_a_wrong_clock_is_not_believed_while_others_are_in_time(
    link: Link,
) -> None:
    wrong, right = behind(link, 2), link.remote(3).answering()
    engine = join(link, wrong, right)
    ask(link, engine, wrong, right)
    assert told(link, engine) == []


def test_networks_that_do_not_agree_are_not_believed(link: Link) -> None:
    remotes = [behind(link, 2 + n, 60.0 * (1 + n)) for n in range(4)]
    engine = join(link)
    ask(link, engine, *remotes)
    assert told(link, engine) == []


def test_one_in_four_that_is_in_time_changes_nothing(link: Link) -> None:
    """Some clients make packets that are valid for 60 s."""
    remotes = [*(behind(link, 2 + n) for n in range(3)), link.remote(9)]
    engine = join(link)
    ask(link, engine, *remotes)
    assert len(told(link, engine)) == 1


@pytest.mark.parametrize("expiration", [0, 2**63, 2**64 - 1])
def test_absurd_times_are_not_believed_alone(link: Link, expiration: int) -> None:
    liar = link.remote(2)
    liar.answers_pings = False
    liar.on_packet = lambda packet, packet_hash: liar.pong(packet_hash, expiration=expiration)
    engine = join(link)
    ask(link, engine, liar)
    assert told(link, engine) == []


def test_expired_pong_that_nobody_waits_for_is_no_evidence(link: Link) -> None:
    boot = link.remote(2)
    boot.answers_pings = False
    engine = join(link, boot)
    for _ in range(60):
        boot.pong(bytes(32), expiration=int(link.now.unix - AHEAD_S) + 20)
        link.run(1.0)
    assert told(link, engine) == []


def test_old_answers_are_forgotten() -> None:
    watch = SkewWatch(lambda node_id, ip: False)
    for number in range(2 * MAX_VOTES):
        ip = address_of(number)[0]
        watch.receive_pong(NodeID(bytes(32)), ip, None, Now(number * 0.1, 0.0))
    assert len(watch._votes) == MAX_VOTES
    watch.receive_pong(NodeID(bytes(32)), ip, None, Now(1000.0, 0.0))
    assert len(watch._votes) == 1


class Ahead:
    """A clock whose wall time is wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def time_unix(self) -> float:
        return self._clock.time_unix() + AHEAD_S

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


def test_warning_tells_the_difference_and_whose_clock_it_is(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    boot = services.new()
    started_at = services.clock.monotonic()
    with caplog.at_level(logging.WARNING, "p2p.discover"):
        service = services.new(boot.self, clock=Ahead(services.clock))
        services.pass_time_until(lambda: caplog.records)
    assert services.clock.monotonic() - started_at < MINUTE_S
    (line,) = caplog.messages
    assert line.startswith("the wall clock is 0:01:00 (60.") and boot.self.id.short in line
    assert service.counters().dropped["expired"] > 0
