"""Errors of the network and of a kernel without buffers: put in at the socket, see ``seams``."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

import p2p
import p2p.testing
from p2p.net import Loop, bind
from p2p.net.listener import Listener
from tests.faults.neighbors import Neighbors, stay, talk
from tests.faults.seams import FaultySocket, faulty_discovery, faulty_listener
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes, await_event
from tests.kit.services import Services, knows
from tests.kit.swarm import Swarm
from tests.kit.waiting import PATIENCE_S, eventually

#: What other systems, and Linux in some networks, let ``accept`` fail with for one connection.
OF_ONE_CONNECTION = [
    errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.EPERM, errno.ENETDOWN,
    errno.EHOSTUNREACH, errno.ETIMEDOUT,
]  # fmt: skip
#: What it fails with when there is nothing to accept with.
OF_THE_SYSTEM = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


@pytest.mark.parametrize("code", OF_ONE_CONNECTION, ids=errno.errorcode.get)
def test_connection_that_fails_before_it_is_accepted_holds_up_no_other(
    nodes: Nodes, code: int
) -> None:
    server = nodes.start(max_peers=20, protocols=[p2p.Protocol("test", 1, 8, stay), talk()])
    sock = faulty_listener(server)
    with Neighbors(nodes, server) as neighbors:
        for count in (1, 20, 100):  # within a pass, and more than a pass looks at
            sock.accept_errors += [code] * count
            assert nodes.remote(server).open()
            assert not sock.accept_errors
            neighbors.exchange(10)


@pytest.mark.parametrize("code", OF_THE_SYSTEM, ids=errno.errorcode.get)
def test_shortage_in_accept_delays_connections_and_nothing_else(
    nodes: Nodes, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.net.listener._BACK_OFF_S", 0.02)
    server = nodes.start(max_peers=20, protocols=[p2p.Protocol("test", 1, 8, stay), talk()])
    sock = faulty_listener(server)
    with Neighbors(nodes, server) as neighbors:
        sock.accept_errors += [code] * 3
        waiting = nodes.remote(server)
        neighbors.exchange(10)
        assert waiting.open()  # within three pauses
        assert not sock.accept_errors


def test_connections_that_were_reset_in_the_queue_hold_up_no_other(nodes: Nodes) -> None:
    """For real: Linux hands them out all the same, and they fail when they are used."""
    server = nodes.start(max_peers=20, protocols=[p2p.Protocol("test", 1, 8, stay), talk()])
    listener = inspect.listener(server)
    assert listener is not None
    with Neighbors(nodes, server) as neighbors:
        inspect.on_io(server, listener.pause)
        for _ in range(50):
            with socket.create_connection((HOST, server.self.tcp), PATIENCE_S) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        neighbors.exchange(10)
        inspect.on_io(server, listener.resume)
        assert nodes.remote(server).open()
    eventually(lambda: not inspect.pending_sessions(server))


def test_listener_that_fails_for_ever_burns_no_time(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    loop = Loop("io", clock)
    loop.start()
    sock = FaultySocket(fileno=bind(HOST, 0).detach())
    sock.accept_errors += [errno.ENOBUFS] * 1000
    listener = loop.call(Listener, loop, sock, lambda sock, address: sock.close())
    with socket.create_connection((HOST, listener.address[1]), PATIENCE_S):
        eventually(lambda: len(sock.accept_errors) == 999)
        passes = loop.passes
        for _ in range(10):
            loop.call(int)
        assert loop.passes - passes <= 30
        assert len(sock.accept_errors) == 999
        clock.advance(0.2)
        eventually(lambda: len(sock.accept_errors) == 998)
    loop.call(listener.close)
    loop.stop()
    assert loop.join(PATIENCE_S) and loop.crash is None


# datagrams


@pytest.mark.parametrize(
    "code", [errno.ENOBUFS, errno.ENETUNREACH, errno.EPERM, errno.EMSGSIZE], ids=errno.errorcode.get
)
def test_discovery_that_cannot_send_asks_in_vain_and_then_again(
    nodes: Nodes, code: int
) -> None:
    swarm = Swarm(nodes)
    there, here = swarm.start(), swarm.start()
    sock = faulty_discovery(here)
    assert here.discovery_v4 is not None
    here.discovery_v4.ping(there.self, PATIENCE_S)
    sock.send_error = code
    for _ in range(3):
        with pytest.raises(p2p.errors.NoResponse):
            swarm.ask(here.discovery_v4.ping, there.self, PATIENCE_S)
    assert here.discovery_v4.lost.keys() == {errno.errorcode[code]}
    assert here.discovery_v4.lost[errno.errorcode[code]] >= 3
    sock.send_error = 0
    here.discovery_v4.ping(there.self, PATIENCE_S)


def test_discovery_that_could_send_nothing_for_an_hour_finds_the_network_again(
    nodes: Nodes, services: Services
) -> None:
    """Its table is empty by then: each node was dropped when it did not answer."""
    boot = services.new()
    others = [services.new(boot.self) for _ in range(3)]
    services.pass_time_until(lambda: all(knows(other, boot) for other in others))
    one = others[0]
    driver = one._service._parts.driver
    assert driver is not None
    sock = driver._datagrams._sock  # the services count what passes through it

    def refuse(*args: object) -> int:
        raise OSError(errno.ENOBUFS, "planned")

    one._service._loop.call(setattr, sock, "sendto", refuse)
    for _ in range(120):
        services.clock.advance(30)
        services.settle()
    assert one.nodes() == []
    one._service._loop.call(delattr, sock, "sendto")
    services.pass_time_until(lambda: knows(one, boot))


def test_socket_without_buffers_takes_its_own_connection_down_alone(nodes: Nodes) -> None:
    """A TCP socket that cannot send any more is a connection that has failed."""
    server = nodes.start(
        max_peers=20, protocols=[p2p.Protocol("test", 1, 8, stay), talk()]
    )

    class NoBuffers(socket.socket):
        def send(self, *args: object) -> int:
            raise OSError(errno.ENOBUFS, "no buffer space available")

        sendmsg = send

    with Neighbors(nodes, server), server.subscribe_events() as events:
        remote = nodes.remote(server).open()
        await_event(events, "add")
        session = inspect.session_with(server, remote.node.id)

        def put() -> None:
            session.channel._sock = NoBuffers(fileno=session.channel._sock.detach())

        inspect.on_io(server, put)
        assert session.peer is not None
        session.peer._running[0].write_msg(p2p.Msg(0))
        event = await_event(events, "drop")
        assert event.peer == remote.node.id and "no buffer space" in event.error
