"""A bootnode that does not answer is reported by name, and not too often."""

from __future__ import annotations

import logging

import pytest

from p2p.discover.bootwatch import (
    REPEAT_AFTER_ANSWER_S,
    REPEAT_S,
    SILENT_PINGS,
    SILENT_S,
    BootnodeWatch,
)
from p2p.discover.event import BootnodeSilent
from p2p.discover.v4.engine import EngineV4
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.inputs import Now
from tests.kit.link import Link, Remote, key_of
from tests.kit.services import Services

MINUTE_S = 60.0


@pytest.fixture
def link() -> Link:
    return Link(plain=True)


@pytest.fixture
def silent(link: Link) -> Remote:
    remote = link.remote(2)
    remote.answers_pings = False
    return remote


def reports(link: Link, engine: EngineV4) -> list[BootnodeSilent]:
    events = link.events[link.address(engine)]
    return [event for event in events if isinstance(event, BootnodeSilent)]


def test_silent_bootnode_is_named_within_a_minute(link: Link, silent: Remote) -> None:
    engine = link.node(1, bootnodes=[silent.node])
    link.run(SILENT_S)
    assert reports(link, engine) == []
    link.run(MINUTE_S - SILENT_S)
    (report,) = reports(link, engine)
    assert report.node == silent.node and report.pings >= SILENT_PINGS


@pytest.mark.slow
def test_each_silent_bootnode_is_named(link: Link, silent: Remote) -> None:
    alive = link.remote(3).answering()
    other = link.remote(4)
    other.answers_pings = False
    engine = link.node(1, bootnodes=[silent.node, alive.node, other.node])
    alive.to(engine)
    link.run(4 * 3600.0)
    assert {report.node for report in reports(link, engine)} == {silent.node, other.node}


@pytest.mark.slow
def test_bootnode_that_stays_silent_is_named_once_a_day(link: Link, silent: Remote) -> None:
    engine = link.node(1, bootnodes=[silent.node])
    link.run(REPEAT_S - MINUTE_S)
    assert len(reports(link, engine)) == 1
    link.run(3600.0)
    assert len(reports(link, engine)) == 2


def test_bootnode_that_has_answered_in_between_is_named_again(link: Link, silent: Remote) -> None:
    engine = link.node(1, bootnodes=[silent.node])
    silent.to(engine)
    link.run(MINUTE_S)
    silent.answers_pings = True
    link.run(10 * MINUTE_S)
    silent.answers_pings = False
    link.run(REPEAT_AFTER_ANSWER_S - 20 * MINUTE_S)
    assert len(reports(link, engine)) == 1
    link.run(2 * REPEAT_AFTER_ANSWER_S)
    assert len(reports(link, engine)) == 2


def test_bootnode_that_is_started_with_us_is_not_named(link: Link, silent: Remote) -> None:
    engine = link.node(1, bootnodes=[silent.node])
    silent.to(engine).answering()
    link.run(SILENT_S - 5.0)
    silent.answers_pings = True
    link.run(3600.0)
    assert reports(link, engine) == []


def test_silence_at_another_address_is_not_the_bootnode_s(link: Link, silent: Remote) -> None:
    """Anybody may tell us of a wrong address of it."""
    alive = link.remote(3).answering()
    engine = link.node(1, bootnodes=[alive.node])
    alive.to(engine)
    moved = alive.node.with_ip(silent.address[0])
    for _ in range(100):
        engine.operations.ping(moved, link.now)
        link.run(1.0)
    assert reports(link, engine) == []


def test_warning_names_the_bootnode_and_says_what_it_may_be(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    gone = services.new(start=False).self
    services.new(gone)
    with caplog.at_level(logging.WARNING, "p2p.discover"):
        services.pass_time_until(lambda: caplog.records)
    (line,) = caplog.messages
    assert line.startswith(f"bootnode {gone.id.short} at 127.0.0.1:{gone.udp} does not answer")
    assert all(word in line for word in ("down", "port", "UDP", "another version of discovery"))


def test_bootnode_is_silent_if_it_answers_at_none_of_its_addresses() -> None:
    key = key_of(2)
    entries = {"ip": "1.2.3.4", "udp": 30303, "ip6": "2001::1"}
    node = Node.from_record(Record.sign(key, 1, entries))
    watch = BootnodeWatch()
    watch.move(None, node)
    ip4, ip6 = (each.ip for each in node.udp_endpoints)
    for second in range(SILENT_PINGS):
        watch.lose_ping(node.id, ip4, Now(SILENT_S * second, 0.0))
    watch.receive_pong(node.id, ip6)
    assert [report.node for report in watch.poll_reports()] == [node]
    watch.lose_ping(node.id, ip4, Now(REPEAT_S, 0.0))
    assert watch.poll_reports() == []
