"""A server fills its dialed slots by itself: from discovery, or with the nodes that protocols name."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import p2p
from p2p.dialing import REFUSAL_PAUSE_S, REFUSALS_IN_A_ROW
from p2p.enr import Record
from tests.hostile.target import eventually
from tests.nodes import HOST, WAIT_S, Nodes, await_event, listening, node_at, unused_port
from tests.swarm import Swarm, dialed, knows, stay


@pytest.fixture
def swarm(nodes: Nodes) -> Swarm:
    return Swarm(nodes)


def naming(candidates: Iterable[Any] | None, name: str = "test") -> p2p.Protocol:
    """A protocol that names its own candidates."""
    return p2p.Protocol(name, 1, 8, stay, dial_candidates=candidates)


def stranger(ip: str | None = HOST, tcp: int = 1) -> p2p.Node:
    return p2p.Node.from_parts(p2p.generate_key().public_key, ip, tcp)


def refused(server: p2p.Server) -> dict[str, int]:
    """Why candidates were refused since the last report."""
    return server._loop.call(lambda: dict(server._dialing._refused))


def under_way(server: p2p.Server) -> int:
    return server._loop.call(lambda: len(server._dialing._dials))


class Refusing:
    """A dialer that keeps the order of the dials, all of which fail."""

    def __init__(self) -> None:
        self.order: list[p2p.Node] = []

    def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
        self.order.append(node)
        raise ConnectionRefusedError("nobody is there")


class Blocking:
    """A source that has no node until :meth:`give`, and is not woken by anything else."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self._given: SimpleQueue[p2p.Node | None] = SimpleQueue()

    def give(self, node: p2p.Node | None) -> None:
        """Let it go on with a node; None ends it."""
        self._given.put(node)

    def __iter__(self) -> Iterator[p2p.Node]:
        return self

    def __next__(self) -> p2p.Node:
        self.reading.set()
        node = self._given.get()
        if node is None:
            raise StopIteration
        return node


class Closable(Blocking):
    """The same, but ``close`` wakes it."""

    def close(self) -> None:
        self.give(None)


# from discovery


def filled(server: p2p.Server, total: int) -> bool:
    """Whether it has dialed what it may, or is connected to all there are."""
    return len(dialed(server)) >= server.max_dialed_conns() or server.peer_count() == total - 1


def test_servers_that_know_a_bootnode_find_the_rest_and_fill_their_slots(swarm: Swarm) -> None:
    boot = swarm.start()
    servers = [boot, *(swarm.start(boot) for _ in range(5))]
    swarm.until(lambda: all(filled(server, 6) for server in servers))
    for server in servers:
        swarm.until(lambda s=server: knows(s, *(o for o in servers if o is not s)))  # type: ignore[misc]
    assert all(peer.dyn_dialed for server in servers for peer in dialed(server))


def test_slot_is_filled_again_when_a_dialed_peer_leaves(swarm: Swarm) -> None:
    boot = swarm.start(max_peers=8, dial_ratio=8)
    servers = [boot, *(swarm.start(boot, max_peers=8, dial_ratio=8) for _ in range(6))]
    swarm.until(lambda: all(filled(server, 7) for server in servers))
    here = servers[1]
    lost = {peer.id for peer in dialed(here)}
    for server in [server for server in servers if server.self().id in lost]:
        swarm.stop(server)
        servers.remove(server)
    swarm.until(lambda: not {peer.id for peer in here.peers()} & lost)
    swarm.until(lambda: all(filled(server, len(servers)) for server in servers))


def test_after_a_restart_peers_are_found_without_the_bootnode(
    swarm: Swarm, tmp_path: Path
) -> None:
    key = p2p.generate_key()
    options: dict[str, Any] = {"private_key": key, "node_database": tmp_path / "nodes.db"}
    boot = swarm.start()
    others = [swarm.start(boot) for _ in range(2)]
    first = swarm.start(boot, **options)
    swarm.until(lambda: knows(first, *others) and dialed(first))
    swarm.pass_time(10.0)  # until they have answered as nodes of the table
    seq = first.self().seq
    swarm.stop(first)
    swarm.stop(boot)
    again = swarm.start(**options)
    swarm.until(lambda: knows(again, *others) and again.peer_count() == 2)
    assert again.self().seq > seq


def test_nodes_outside_net_restrict_are_neither_kept_nor_dialed(swarm: Swarm) -> None:
    boot = swarm.start()
    apart = swarm.start(boot, net_restrict="10.0.0.0/8")
    other = swarm.start(boot)
    swarm.until(lambda: knows(boot, other) and dialed(other))
    assert apart.discovery is not None
    assert apart.discovery.nodes() == [] and apart.peer_count() == 0
    assert not knows(boot, apart)


def test_no_dial_finds_nodes_and_dials_none(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    other = swarm.start(boot, no_dial=True)
    swarm.until(lambda: knows(boot, other) and knows(other, boot))
    swarm.pass_time(3.0)
    assert boot.peer_count() == other.peer_count() == 0
    assert not [t.name for t in threading.enumerate() if t.name == "p2p-dial-feed"]


def test_protocol_with_candidates_of_its_own_wants_no_others(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    apart = swarm.start(boot, protocols=[naming(())])
    swarm.until(lambda: knows(apart, boot))
    swarm.pass_time(3.0)
    assert apart.peer_count() == 0


# from the protocols


@pytest.mark.parametrize("kind", ["list", "generator", "iterator", "mix"])
def test_candidates_of_a_protocol_are_dialed(nodes: Nodes, kind: str) -> None:
    there = [nodes.start().self() for _ in range(2)]
    given: Any = list(there)
    if kind == "generator":
        given = (node for node in there)
    elif kind == "iterator":
        given = p2p.iter_nodes(there)
    elif kind == "mix":
        given = p2p.FairMix(None)
        given.add_source(p2p.iter_nodes(there))
    here = nodes.start(protocols=[naming(given)], listen_addr=None)
    eventually(lambda: {peer.id for peer in here.peers()} == {node.id for node in there})
    assert all(peer.dyn_dialed for peer in here.peers())


def test_protocols_take_turns_however_much_each_has_to_offer(nodes: Nodes) -> None:
    dialer = Refusing()
    plenty = [stranger() for _ in range(50)]
    few = [stranger() for _ in range(10)]
    nodes.start(
        max_pending_peers=1,  # so that there is an order
        dialer=dialer,
        protocols=[naming(iter(plenty), "plenty"), naming(iter(few), "few")],
        clock=p2p.SimulatedClock(),
    )
    eventually(lambda: len(dialer.order) == 60)
    assert [node in few for node in dialer.order[:20]] in ([False, True] * 10, [True, False] * 10)
    assert set(dialer.order) == {*plenty, *few}


def test_protocols_of_one_name_share_the_candidates_of_the_first(nodes: Nodes) -> None:
    dialer = Refusing()
    first, second = stranger(), stranger()
    nodes.start(
        dialer=dialer,
        protocols=[
            p2p.Protocol("test", 1, 8, stay, dial_candidates=iter([first])),
            p2p.Protocol("test", 2, 8, stay, dial_candidates=iter([second])),
            naming(iter([first]), "other"),
        ],
    )
    eventually(lambda: dialer.order == [first])


def test_source_that_is_silent_holds_up_no_other(nodes: Nodes) -> None:
    clock, dialer, silent = p2p.SimulatedClock(), Refusing(), Closable()
    others = [stranger() for _ in range(5)]
    server = nodes.start(
        dialer=dialer,
        protocols=[naming(silent, "silent"), naming(iter(others), "other")],
        clock=clock,
    )

    def moved() -> bool:
        clock.advance(0.1)
        return len(dialer.order) == 5

    begun = clock.monotonic()
    eventually(moved)
    assert clock.monotonic() - begun < 12  # 5 s, then half each time: not 5 s for each node
    assert server.stop() == []


def test_candidate_that_leaves_is_dialed_again_when_its_list_is_not_over(nodes: Nodes) -> None:
    clock, talks = p2p.SimulatedClock(), nodes.talks()
    there = nodes.start(protocols=[talks.protocol()])
    here = nodes.start(protocols=[naming([there.self()])], clock=clock)
    first = talks.next()
    with here.subscribe_events() as events:
        first.end()
        await_event(events, "drop")
    for _ in range(40):
        clock.advance(1.0)
    assert talks.next().peer.id == here.self().id


# which are refused, and how it is told


def test_refused_candidates_are_counted_and_told_while_few_are_dialed(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock, key, talks = p2p.SimulatedClock(), p2p.generate_key(), nodes.talks()
    there = nodes.start().self()
    source = Closable()
    here = nodes.start(
        private_key=key,
        protocols=[talks.protocol(dial_candidates=source)],
        clock=clock,
        net_restrict="127.0.0.0/8",
        max_peers=12,
    )
    here.connect(there)
    clock.advance(9.0)
    with listening() as silent:
        pending = node_at(silent)
        for node in (
            p2p.Node.from_parts(key.public_key, HOST, 1),
            *(there, pending, pending),
            *(stranger("10.0.0.1"), stranger("10.0.0.2"), stranger(None), stranger(HOST, 0)),
            p2p.Node.from_record(Record.null(b"\x01" * 32, ip=HOST, tcp=1)),
        ):
            source.give(node)
        expected = {
            **{"IsSelf": 1, "AlreadyConnected": 1, "AlreadyDialing": 1},
            **{"NetRestricted": 2, "NoEndpoint": 2, "InvalidNode": 1},
        }
        eventually(lambda: refused(here) == expected)
        clock.advance(1.0)
        eventually(lambda: "looking for peers" in caplog.text)
    (line,) = [text for text in caplog.messages if "looking for peers" in text]
    assert line == (
        "looking for peers: 1 connected, 1 tried, 0 static; candidates refused: AlreadyConnected 1,"
        " AlreadyDialing 1, InvalidNode 1, IsSelf 1, NetRestricted 2, NoEndpoint 2"
    )
    assert refused(here) == {}


def reports(server: p2p.Server, clock: p2p.SimulatedClock, seconds: int) -> None:
    """Let seconds pass, each seen by the I/O thread."""
    for _ in range(seconds):
        clock.advance(1.0)
        server._loop.call(int)
        server._loop.call(int)


def test_search_is_told_every_ten_seconds(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.SimulatedClock()
    here = nodes.start(protocols=[naming(())], clock=clock)
    here._loop.call(int)
    for count in range(1, 4):
        reports(here, clock, 10)
        lines = [text for text in caplog.messages if "looking for peers" in text]
        assert len(lines) == count
    assert lines[-1].endswith("0 connected, 0 tried, 0 static; candidates refused: none")


@pytest.mark.parametrize(
    ("max_peers", "dialed_peers"), [(0, 0), (3, 1), (6, 2), (30, 3)], ids=str
)
def test_search_is_not_told_when_enough_are_dialed(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, max_peers: int, dialed_peers: int
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.SimulatedClock()
    here = nodes.start(protocols=[naming(())], clock=clock, max_peers=max_peers)
    for _ in range(dialed_peers):
        here.connect(nodes.start().self())
    reports(here, clock, 25)
    assert "looking for peers" not in caplog.text


def test_search_is_not_told_where_there_is_nothing_to_search(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.SimulatedClock()
    reports(nodes.start(clock=clock), clock, 25)
    assert "looking for peers" not in caplog.text


def test_candidate_without_a_key_harms_nobody(nodes: Nodes) -> None:
    with listening() as silent:
        port = silent.getsockname()[1]
        keyless = p2p.Node.from_record(Record.null(b"\x01" * 32, ip=HOST, tcp=port))
        there = nodes.start().self()
        here = nodes.start(protocols=[naming(iter([keyless, there]))])
        eventually(lambda: [peer.id for peer in here.peers()] == [there.id])
        assert refused(here) == {"InvalidNode": 1}


# how many


def test_dials_under_way_are_twice_the_missing_dialed_peers(nodes: Nodes) -> None:
    with listening(backlog=20) as silent:
        here = nodes.start(
            max_peers=6,
            protocols=[naming(node_at(silent) for _ in range(20))],
            clock=p2p.SimulatedClock(),
        )
        assert here.max_dialed_conns() == 2
        accepted = [silent.accept()[0] for _ in range(4)]
        assert under_way(here) == 4
        accepted.pop().close()  # one fails: there is room for one more
        accepted.append(silent.accept()[0])
        assert under_way(here) == 4
        here.connect(nodes.start().self())  # one peer is dialed now: two slots less
        for sock in accepted[:2]:
            sock.close()
        eventually(lambda: under_way(here) == 2)
        for sock in accepted:
            sock.close()


def test_dials_under_way_are_max_pending_peers_at_most(nodes: Nodes) -> None:
    with listening(backlog=20) as silent:
        here = nodes.start(
            max_peers=30,
            max_pending_peers=3,
            protocols=[naming(node_at(silent) for _ in range(20))],
            clock=p2p.SimulatedClock(),
        )
        accepted = [silent.accept()[0] for _ in range(3)]
        assert under_way(here) == 3
        accepted.pop().close()
        accepted.append(silent.accept()[0])
        assert under_way(here) == 3
        for sock in accepted:
            sock.close()


def test_candidate_that_comes_while_slots_are_taken_is_dialed_later(nodes: Nodes) -> None:
    source = Closable()
    with listening() as silent:
        here = nodes.start(max_peers=3, protocols=[naming(source)], clock=p2p.SimulatedClock())
        assert source.reading.wait(WAIT_S)  # it is asked for one already
        source.give(node_at(silent))
        first = silent.accept()[0]
        # By hand: the second of two slots. Then the candidate that was asked for comes.
        connecting = threading.Thread(target=failing_connect, args=(here, node_at(silent)))
        connecting.start()
        second = silent.accept()[0]
        source.give(node_at(silent))
        eventually(lambda: here._dialing._candidate is not None)
        assert under_way(here) == 2
        first.close()
        silent.accept()[0].close()
        second.close()
        connecting.join(WAIT_S)
        eventually(lambda: here._dialing._candidate is None)


def failing_connect(server: p2p.Server, node: p2p.Node) -> None:
    with pytest.raises(p2p.P2PError):
        server.connect(node)


def test_full_server_asks_for_no_candidates(nodes: Nodes) -> None:
    talks = nodes.talks()
    with listening() as silent:
        friend = p2p.generate_key()
        trusted = p2p.Node.from_parts(friend.public_key)
        source = Closable()
        here = nodes.start(
            max_peers=1,
            trusted_nodes=[trusted],
            protocols=[talks.protocol(dial_candidates=source)],
            clock=p2p.SimulatedClock(),
        )
        remote = nodes.remote(here, key=friend).join()  # trusted, or it would get no place
        talk = talks.next()
        source.give(node_at(silent))
        source.give(node_at(silent))
        eventually(lambda: here._dialing._candidate is not None)
        assert under_way(here) == 0 and refused(here) == {}
        talk.end()
        remote.ending()
        remote.sock.close()
        for _ in range(2):
            silent.accept()[0].close()


def test_source_that_repeats_itself_is_asked_less_often(nodes: Nodes) -> None:
    clock, key = p2p.SimulatedClock(), p2p.generate_key()
    ourselves = p2p.Node.from_parts(key.public_key, HOST, 1)
    here = nodes.start(private_key=key, protocols=[naming([ourselves])], clock=clock)
    eventually(lambda: refused(here) == {"IsSelf": REFUSALS_IN_A_ROW + 1})
    here._loop.call(int)
    assert refused(here) == {"IsSelf": REFUSALS_IN_A_ROW + 1}
    for count in range(2, 5):
        clock.advance(2 * REFUSAL_PAUSE_S)
        eventually(lambda n=count: refused(here) == {"IsSelf": REFUSALS_IN_A_ROW + n})  # type: ignore[misc]


def test_source_that_repeats_itself_may_have_a_new_node_after_all(nodes: Nodes) -> None:
    clock, key = p2p.SimulatedClock(), p2p.generate_key()
    ourselves = p2p.Node.from_parts(key.public_key, HOST, 1)
    there = nodes.start().self()
    source = iter([*[ourselves] * (REFUSALS_IN_A_ROW + 2), there])
    here = nodes.start(private_key=key, protocols=[naming(source)], clock=clock)

    def moved() -> bool:
        clock.advance(REFUSAL_PAUSE_S)
        return here.peer_count() == 1

    eventually(moved)


# sources that misbehave


@pytest.mark.parametrize("wrong", [None, "enode://...", 7], ids=repr)
def test_source_of_something_else_than_nodes_is_dropped_with_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, wrong: object
) -> None:
    there = nodes.start().self()
    here = nodes.start(protocols=[naming([wrong], "bad"), naming([there])])
    eventually(lambda: [peer.id for peer in here.peers()] == [there.id])
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "dial_candidates of bad: want a Node" in warning and repr(wrong) in warning


def test_source_that_raises_is_dropped_with_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[p2p.Node]:
        yield there
        raise ZeroDivisionError("planned")

    there, other = nodes.start().self(), nodes.start().self()
    here = nodes.start(protocols=[naming(broken(), "bad"), naming(iter([other]))])
    eventually(lambda: here.peer_count() == 2)
    eventually(lambda: "ZeroDivisionError('planned')" in caplog.text)
    assert here.stop() == []


def test_sources_that_end_leave_the_server_running(nodes: Nodes) -> None:
    here = nodes.start(protocols=[naming(iter(()), "none"), naming([])])
    assert here.connect(nodes.start().self())
    assert here.stop() == []


def test_stop_wakes_a_source_that_can_be_closed(nodes: Nodes) -> None:
    source = Closable()
    here = nodes.start(protocols=[naming(source)])
    assert source.reading.wait(WAIT_S)
    assert here.stop() == []


def test_stop_names_the_source_that_does_not_end(nodes: Nodes) -> None:
    source = Blocking()
    here = nodes.start(protocols=[naming(source)])
    assert source.reading.wait(WAIT_S)
    assert "p2p-source-1" in here.stop(timeout=0.3)
    source.give(None)


def test_source_that_asks_discovery_ends_with_it(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    asking = threading.Event()

    def walk() -> Iterator[p2p.Node]:
        while True:
            asking.set()
            assert here.discovery is not None
            here.discovery.ping(dead)
            yield dead

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        dead = stranger().with_endpoint(HOST, 1, silent.getsockname()[1])
        here = nodes.new(
            no_discovery=False, protocols=[naming(walk())], clock=p2p.SimulatedClock()
        )
        here.start()
        assert asking.wait(WAIT_S)
        assert here.stop() == []
    assert "failed" not in caplog.text


# static nodes, and nodes without an address


def test_static_node_without_an_address_is_found_and_dialed(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    there = swarm.start(boot, no_dial=True)
    swarm.until(lambda: knows(boot, there))
    nameless = p2p.Node.from_parts(there.self().public_key)
    here = swarm.start(boot, protocols=[naming(())], static_nodes=[nameless])
    swarm.until(lambda: here.peer_count() == 1)
    (peer,) = here.peers()
    assert peer.static_dialed and peer.id == nameless.id


def test_static_node_at_a_stale_address_is_found_and_dialed(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    there = swarm.start(boot, no_dial=True)
    swarm.until(lambda: knows(boot, there))
    stale = there.self().with_endpoint(HOST, unused_port(), unused_port())
    here = swarm.start(boot, protocols=[naming(())], static_nodes=[stale])
    swarm.until(lambda: here.peer_count() == 1)
    attempt = here.dial_attempts(stale)[-1]
    assert (attempt.step, attempt.address) == (p2p.DialStep.CONNECTED, there.listen_addr)


def ended_since(server: p2p.Server, node: p2p.Node, time_unix: float) -> bool:
    attempts = server.dial_attempts(node)
    return bool(attempts) and attempts[-1].time_unix >= time_unix


def test_discovery_is_asked_for_a_lost_static_node_ever_less_often(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    lost = p2p.Node.from_parts(p2p.generate_key().public_key)
    here = swarm.start(boot, protocols=[naming(())], no_dial=False)
    swarm.until(lambda: knows(here, boot))
    here.add_peer(lost)
    asked_at = []
    for number in range(30):  # it is tried every 35 s
        begun = swarm.clock.time_unix()
        swarm.until(lambda t=begun: ended_since(here, lost, t))  # type: ignore[misc]
        attempt = here.dial_attempts(lost)[-1]
        assert isinstance(attempt.error, p2p.NoEndpoint)
        if attempt.step is p2p.DialStep.RESOLVE:
            asked_at.append(35 * number)
        swarm.clock.advance(begun + 35.0 - swarm.clock.time_unix())
    # at the first chance after 60 s, then 120 s more, 240 s more, 480 s more
    assert asked_at == [0, 70, 210, 455, 945]


def test_node_without_an_address_can_be_connected_to(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    there = swarm.start(boot, no_dial=True)
    here = swarm.start(boot, protocols=[naming(())])
    swarm.until(lambda: knows(boot, there) and knows(here, boot))
    peer = swarm.ask(here.connect, p2p.Node.from_parts(there.self().public_key))
    assert peer.id == there.self().id and not peer.static_dialed


def test_node_that_nobody_knows_cannot_be_connected_to_as_often_as_one_tries(
    swarm: Swarm,
) -> None:
    boot = swarm.start(no_dial=True)
    here = swarm.start(boot, protocols=[naming(())])
    swarm.until(lambda: knows(here, boot))
    nobody = p2p.Node.from_parts(p2p.generate_key().public_key)
    for _ in range(3):
        with pytest.raises(p2p.NoEndpoint, match="discovery did not find it") as raised:
            swarm.ask(here.connect, nobody)
        assert raised.value.step is p2p.DialStep.RESOLVE


def test_node_without_an_address_is_refused_where_discovery_does_not_run(nodes: Nodes) -> None:
    with pytest.raises(p2p.NoEndpoint, match="no known address") as raised:
        nodes.start().connect(stranger(None))
    assert raised.value.step is p2p.DialStep.CHECK
