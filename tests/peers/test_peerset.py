"""The peer set: who may join, who gives way, and what is told of it."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

import p2p
from p2p import DiscReason
from p2p.netutil import Endpoint
from p2p.rlpx import State
from tests.kit import inspect
from tests.kit.remote import Remote, RemoteListener
from tests.kit.target import Inbox, Target, dial, target
from tests.kit.waiting import PATIENCE_S, eventually

# making room


@pytest.mark.parametrize(
    "arrivals",
    [
        ["silent", "silent", "silent"],
        ["acked", "silent", "silent"],
        ["half", "silent", "acked"],
        ["acked", "acked", "acked"],
    ],
    ids=str,
)
def test_oldest_pending_gives_way_however_far_it_has_come(arrivals: list[str]) -> None:
    """Everybody can get an ack in any name, so having one makes nobody worth more."""
    with target(max_pending_peers=len(arrivals)) as victim:
        remotes: list[Remote] = []
        try:
            for kind in arrivals:
                remotes.append(victim.attack())
                if kind == "acked":
                    remotes[-1].shake_hands()
                elif kind == "half":
                    remotes[-1].send_raw(remotes[-1].pending()[:50])
                eventually(lambda: victim.sessions()[1] == len(remotes))
            ports = [remote.sock.getsockname()[1] for remote in remotes]
            with victim.attack():
                line = victim.log.await_line("gave up")
                assert victim.sessions()[1] == len(arrivals)
        finally:
            for remote in remotes:
                remote.sock.close()
        assert f":{ports[0]}:" in line
        victim.await_quiet()


# addresses


def accept(victim: Target, ip: str) -> bool:
    """Hand the server a connection that comes from ``ip``; whether it was taken."""
    ours, theirs = socket.socketpair()
    peer_set = inspect.peer_set(victim.server)
    before = victim.sessions()[0]
    inspect.on_io(victim.server, peer_set.accept, theirs, Endpoint(ip_address(ip), 30303))
    taken = victim.sessions()[0] > before
    ours.close()
    victim.await_quiet()
    return taken


def test_address_of_the_internet_may_connect_once_in_30_s() -> None:
    with target() as victim:
        assert accept(victim, "8.8.8.8")
        assert not accept(victim, "8.8.8.8")
        victim.log.await_line("refused connection from 8.8.8.8:30303: too many attempts")
        assert accept(victim, "8.8.4.4")
        assert victim.server.metrics["p2p/serves/refused/throttled"].value == 1
        victim.clock.advance(29.0)
        assert not accept(victim, "8.8.8.8")
        victim.clock.advance(1.5)
        assert accept(victim, "8.8.8.8")


def test_address_of_the_lan_may_connect_at_will() -> None:
    with target() as victim:
        assert all(accept(victim, "192.168.1.7") for _ in range(5))


def test_address_outside_net_restrict_does_not_count_as_an_attempt() -> None:
    with target(net_restrict="8.8.8.0/24") as victim:
        assert not accept(victim, "1.1.1.1")
        victim.log.await_line("outside net_restrict")
        assert accept(victim, "8.8.8.8")


# no room for anybody


def test_server_for_no_peers_dials_only_trusted_static_nodes() -> None:
    with RemoteListener() as refused, RemoteListener() as trusted:
        nodes = [refused.node, trusted.node]
        with target(max_peers=0, static_nodes=nodes, trusted_nodes=[trusted.node]) as victim:
            with trusted.accept() as remote:
                remote.open()
                eventually(lambda: victim.server.peer_count == 1)
                assert not inspect.on_io(victim.server, lambda: inspect.dials(victim.server))
                assert victim.server.dial_attempts(refused.node) == []


# what is told


def test_peer_is_among_the_peers_when_its_coming_is_told() -> None:
    with target() as victim, victim.attack() as remote:
        seen: list[int] = []
        with victim.server.subscribe_events() as events:
            remote.open()
            assert events.get(PATIENCE_S).type == "add"
            seen.append(victim.server.peer_count)
            remote.reset()
            assert events.get(PATIENCE_S).type == "drop"
            seen.append(victim.server.peer_count)
        assert seen == [1, 0]


def test_each_peer_is_told_once_however_it_leaves() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.server.subscribe_events() as events:
        for _ in range(3):
            with victim.attack() as remote:
                remote.open()
                peer = inbox.peer()
                peer.disconnect(DiscReason.USELESS_PEER)
                peer.disconnect(DiscReason.QUITTING)
                assert remote.disconnect_reason() is DiscReason.USELESS_PEER
            inbox.ending()
            added, dropped = events.get(PATIENCE_S), events.get(PATIENCE_S)
            assert (added.type, dropped.type) == ("add", "drop")
            assert added.peer == dropped.peer == remote.node.id
            assert dropped.error == "useless peer (local)"
        with pytest.raises(p2p.Timeout):
            events.get(0)


def test_trust_is_given_to_and_taken_from_a_connected_peer() -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.open()
        peer = inbox.peer()
        assert not peer.trusted
        victim.server.add_trusted_peer(remote.node)
        eventually(lambda: peer.trusted)
        victim.server.remove_trusted_peer(remote.node)
        eventually(lambda: not peer.trusted)
        assert victim.server.peer_count == 1


def test_server_without_protocols_keeps_any_peer_and_leaves_nothing_of_it() -> None:
    with target(protocols=[]) as victim, victim.attack() as remote:
        remote.open()
        eventually(lambda: victim.server.peer_count == 1)
        remote.reset()
        victim.await_quiet()


def test_crash_leaves_no_peers_whatever_they_run() -> None:
    with target(protocols=[]) as victim, victim.attack() as one, victim.attack() as two:
        one.open()
        two.open()
        eventually(lambda: victim.server.peer_count == 2)
        inspect.crash(victim.server, RuntimeError("injected"))
        victim.await_quiet()


# two nodes that dial each other


@pytest.fixture
def keys() -> tuple[p2p.PrivateKey, p2p.PrivateKey]:
    """Two keys, that of the smaller node ID first."""
    one, two = sorted(
        (p2p.generate_key() for _ in range(2)),
        key=lambda key: p2p.Node.from_parts(key.public_key).id,
    )
    return one, two


def test_greater_node_holds_its_hello_while_it_dials(
    keys: tuple[p2p.PrivateKey, p2p.PrivateKey],
) -> None:
    smaller, greater = keys
    inbox = Inbox()
    with target(inbox.run, private_key=greater) as victim, RemoteListener(smaller) as listener:
        join = dial(victim, listener.node)
        with listener.accept() as dialed, victim.attack(key=smaller) as inbound:
            dialed.shake_hands()
            _await_ack(victim)
            inbound.shake_hands()
            inbound.send_hello()
            dialed.send_hello()
            dialed.expect_hello()
            assert inbound.disconnect_reason() is DiscReason.ALREADY_CONNECTED
            assert join() is None
            assert not inbox.peer().inbound


def test_smaller_node_follows_the_choice_of_the_greater(
    keys: tuple[p2p.PrivateKey, p2p.PrivateKey],
) -> None:
    smaller, greater = keys
    inbox = Inbox()
    with target(inbox.run, private_key=smaller) as victim, RemoteListener(greater) as listener:
        with victim.server.subscribe_events() as events:
            join = dial(victim, listener.node)
            with listener.accept() as dialed, victim.attack(key=greater) as inbound:
                inbound.shake_hands()
                dialed.open()
                inbound.send_hello()
                inbound.expect_hello()
                assert victim.server.peers == []  # the greater node has not chosen
                dialed.say_disconnect(b"\xc1\x05")
                assert join() is None
                assert inbox.peer().inbound
                (peer,) = victim.server.peers
                assert peer.inbound
                assert events.get(PATIENCE_S).type == "add"
                with pytest.raises(p2p.Timeout):
                    events.get(0)
    inbox.ending()


def test_message_shows_the_choice_of_the_greater(
    keys: tuple[p2p.PrivateKey, p2p.PrivateKey],
) -> None:
    smaller, greater = keys
    inbox = Inbox()
    with target(inbox.run, private_key=smaller) as victim, RemoteListener(greater) as listener:
        join = dial(victim, listener.node)
        with listener.accept() as dialed, victim.attack(key=greater) as inbound:
            inbound.shake_hands()
            dialed.open()
            dialed.send_payloads((0, b"chosen"))
            assert join() is None
            assert inbox.message().payload == b"chosen"
            assert not inbox.peer().inbound
    inbox.ending()


def test_inbound_connection_with_a_peer_is_refused(
    keys: tuple[p2p.PrivateKey, p2p.PrivateKey],
) -> None:
    smaller, greater = keys
    inbox = Inbox()
    with target(inbox.run, private_key=smaller) as victim, RemoteListener(greater) as listener:
        join = dial(victim, listener.node)
        with listener.accept() as dialed:
            dialed.open()
            assert join() is None
            inbox.peer()
            with victim.attack(key=greater) as inbound:
                inbound.shake_hands()
                assert inbound.disconnect_reason() is DiscReason.ALREADY_CONNECTED
            dialed.send_payloads((0, b"still here"))
            assert inbox.message().payload == b"still here"
    inbox.ending()


def test_dial_that_has_no_answer_keeps_nobody_out(
    keys: tuple[p2p.PrivateKey, p2p.PrivateKey],
) -> None:
    """The address we dial may be a wrong one; then only the other way works."""
    smaller, greater = keys
    inbox = Inbox()
    with target(inbox.run, private_key=greater) as victim, RemoteListener(smaller) as listener:
        join = dial(victim, listener.node)
        with listener.accept() as silent, victim.attack(key=smaller) as inbound:
            silent.receive()
            inbound.open()
            assert inbox.peer().inbound
            silent.sock.close()
            assert join() is None  # the node is a peer, by its own dial
            assert victim.server.peer_count == 1


def test_inbound_connection_that_fails_does_not_hold_up_a_dial(
    keys: tuple[p2p.PrivateKey, p2p.PrivateKey],
) -> None:
    smaller, greater = keys
    inbox = Inbox()
    with target(inbox.run, private_key=smaller) as victim, RemoteListener(greater) as listener:
        join = dial(victim, listener.node)
        with listener.accept() as dialed:
            with victim.attack(key=greater) as inbound:
                inbound.shake_hands()
            eventually(lambda: victim.sessions()[1] == 0)
            dialed.open()
            assert join() is None
            assert not inbox.peer().inbound


def _await_ack(victim: Target) -> None:
    def acked() -> bool:
        sessions = inspect.watched_sessions(victim.server)
        return any(session.machine.state is State.AWAIT_HELLO for session in sessions)

    eventually(acked)

