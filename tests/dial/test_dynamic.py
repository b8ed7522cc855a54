"""A server fills its dialed slots by itself, and finds the nodes that it is to be connected to."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from tests.kit import inspect
from tests.kit.candidates import Closable, naming, refused, stranger, under_way
from tests.kit.nodes import HOST, Nodes, closed_port, listening, node_at
from tests.kit.swarm import Swarm, dialed, knows
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def swarm(nodes: Nodes) -> Swarm:
    return Swarm(nodes)


# from discovery


def filled(server: p2p.Server, total: int) -> bool:
    """Whether it has dialed what it may, or is connected to all there are."""
    return len(dialed(server)) >= server.max_dialed_conns or server.peer_count == total - 1


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
    for server in [server for server in servers if server.self.id in lost]:
        swarm.stop(server)
        servers.remove(server)
    swarm.until(lambda: not {peer.id for peer in here.peers} & lost)
    swarm.until(lambda: all(filled(server, len(servers)) for server in servers))


def test_after_a_restart_peers_are_found_without_the_bootnode(
    swarm: Swarm, tmp_path: Path
) -> None:
    key = p2p.generate_key()
    options: dict[str, Any] = {"private_key": key, "node_database": tmp_path / "nodes.db"}
    boot = swarm.start()
    others = [swarm.start(boot) for _ in range(2)]
    first = swarm.start(boot, **options)
    swarm.until(lambda: knows(first, *others) and first.peers)
    swarm.pass_time(10.0)  # until they have answered as nodes of the table
    seq = first.self.seq
    swarm.stop(first)
    swarm.stop(boot)
    again = swarm.start(**options)
    swarm.until(lambda: knows(again, *others) and again.peer_count == 2)
    assert again.self.seq > seq


def test_nodes_outside_net_restrict_are_neither_kept_nor_dialed(swarm: Swarm) -> None:
    boot = swarm.start()
    apart = swarm.start(boot, net_restrict="10.0.0.0/8")
    other = swarm.start(boot)
    swarm.until(lambda: knows(boot, other) and other.peers)
    assert apart.discovery_v4 is not None
    assert apart.discovery_v4.nodes() == [] and apart.peer_count == 0
    assert not knows(boot, apart)


def test_no_dial_finds_nodes_and_dials_none(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    other = swarm.start(boot, no_dial=True)
    swarm.until(lambda: knows(boot, other) and knows(other, boot))
    swarm.pass_time(3.0)
    assert boot.peer_count == other.peer_count == 0
    assert inspect.dialing(boot)._ask_source is None


def test_protocol_with_candidates_of_its_own_wants_no_others(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    apart = swarm.start(boot, protocols=[naming(())])
    swarm.until(lambda: knows(apart, boot))
    swarm.pass_time(3.0)
    assert apart.peer_count == 0


# how many


def test_dials_under_way_are_twice_the_missing_dialed_peers(nodes: Nodes) -> None:
    with listening(backlog=20) as silent:
        here = nodes.start(
            max_peers=6,
            protocols=[naming(node_at(silent) for _ in range(20))],
            clock=p2p.testing.SimulatedClock(),
        )
        assert here.max_dialed_conns == 2
        accepted = [silent.accept()[0] for _ in range(4)]
        assert under_way(here) == 4
        accepted.pop().close()  # one fails: there is room for one more
        accepted.append(silent.accept()[0])
        assert under_way(here) == 4
        here.connect(nodes.start().self)  # one peer is dialed now: two slots less
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
            clock=p2p.testing.SimulatedClock(),
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
        clock = p2p.testing.SimulatedClock()
        here = nodes.start(max_peers=3, protocols=[naming(source)], clock=clock)
        assert source.reading.wait(PATIENCE_S)  # it is asked for one already
        source.give(node_at(silent))
        first = silent.accept()[0]
        # By hand: the second of two slots. Then the candidate that was asked for comes.
        connecting = threading.Thread(target=failing_connect, args=(here, node_at(silent)))
        connecting.start()
        second = silent.accept()[0]
        source.give(node_at(silent))
        eventually(lambda: inspect.dialing(here)._candidate is not None)
        assert under_way(here) == 2
        first.close()
        silent.accept()[0].close()
        second.close()
        connecting.join(PATIENCE_S)
        eventually(lambda: inspect.dialing(here)._candidate is None)


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
            clock=p2p.testing.SimulatedClock(),
        )
        remote = nodes.remote(here, key=friend).open()  # trusted, or it would get no place
        talk = talks.next()
        source.give(node_at(silent))
        source.give(node_at(silent))
        eventually(lambda: inspect.dialing(here)._candidate is not None)
        assert under_way(here) == 0 and refused(here) == {}
        talk.end()
        remote.ending()
        remote.sock.close()
        for _ in range(2):
            silent.accept()[0].close()


# static nodes, and nodes without an address


def test_static_node_without_an_address_is_found_and_dialed(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    there = swarm.start(boot, no_dial=True)
    swarm.until(lambda: knows(boot, there))
    nameless = p2p.Node.from_parts(there.self.public_key)
    here = swarm.start(boot, protocols=[naming(())], static_nodes=[nameless])
    swarm.until(lambda: here.peer_count == 1)
    (peer,) = here.peers
    assert peer.static_dialed and peer.id == nameless.id


def test_static_node_at_a_stale_address_is_found_and_dialed(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    there = swarm.start(boot, no_dial=True)
    swarm.until(lambda: knows(boot, there))
    stale = there.self.with_endpoint(HOST, closed_port(), closed_port())
    here = swarm.start(boot, protocols=[naming(())], static_nodes=[stale])
    swarm.until(lambda: here.peer_count == 1)
    attempt = here.dial_attempts(stale)[-1]
    assert (attempt.step, attempt.address) == (p2p.errors.DialStep.CONNECTED, there.listen_addr)


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
    begun = swarm.clock.time_unix()
    while len(asked_at) < 5:  # it is tried every 35 s, and up to 3.5 s later
        swarm.until(lambda t=begun: ended_since(here, lost, t), step_s=1.0)  # type: ignore[misc]
        attempt = here.dial_attempts(lost)[-1]
        assert isinstance(attempt.error, p2p.errors.NoEndpoint)
        if attempt.step is p2p.errors.DialStep.RESOLVE:
            asked_at.append(attempt.time_unix)
        begun = attempt.time_unix + 1.0
        swarm.clock.advance(20.0)
    # at the first chance after 60 s, then 120 s more, 240 s more, 480 s more
    for earlier, later, pause_s in zip(asked_at, asked_at[1:], (60, 120, 240, 480), strict=False):
        assert pause_s <= later - earlier < pause_s + 45


def test_node_without_an_address_can_be_connected_to(swarm: Swarm) -> None:
    boot = swarm.start(no_dial=True)
    there = swarm.start(boot, no_dial=True)
    here = swarm.start(boot, protocols=[naming(())])
    swarm.until(lambda: knows(boot, there) and knows(here, boot))
    peer = swarm.ask(here.connect, p2p.Node.from_parts(there.self.public_key))
    assert peer.id == there.self.id and not peer.static_dialed


def test_node_that_nobody_knows_cannot_be_connected_to_as_often_as_one_tries(
    swarm: Swarm,
) -> None:
    boot = swarm.start(no_dial=True)
    here = swarm.start(boot, protocols=[naming(())])
    swarm.until(lambda: knows(here, boot))
    nobody = p2p.Node.from_parts(p2p.generate_key().public_key)
    for _ in range(3):
        with pytest.raises(p2p.errors.NoEndpoint, match="discovery did not find it") as raised:
            swarm.ask(here.connect, nobody)
        assert raised.value.step is p2p.errors.DialStep.RESOLVE


def test_node_without_an_address_is_refused_where_discovery_does_not_run(nodes: Nodes) -> None:
    with pytest.raises(p2p.errors.NoEndpoint, match="no known address") as raised:
        nodes.start().connect(stranger(None))
    assert raised.value.step is p2p.errors.DialStep.CHECK
