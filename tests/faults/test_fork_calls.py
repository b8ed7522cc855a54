"""Calls in a forked child on objects of its parent: each returns a value, or an error, at once.

Each public method of what a child may inherit stands in :data:`CALLS`, or a test fails. Those of
ANSWERS tell what they know without asking anybody; those of ENDS end their object, which in a child
is nothing to do; all others raise.
"""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.enode import NodeDB
from p2p.enode.iterator import buffered
from tests.faults.forked import outcome_in_child, outcomes_in_child
from tests.kit.nodes import HOST, Nodes, Talk
from tests.kit.swarm import stay
from tests.kit.waiting import PATIENCE_S

NODE = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 9)

READER = p2p.Protocol("test", 1, 8, stay)

#: The arguments of the methods that want any.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("add_peer", "add_trusted_peer", "remove_trusted_peer"), (NODE,)),
    **dict.fromkeys(("remove_peer", "dial_attempts", "connect"), (NODE,)),
    **dict.fromkeys(("ping", "resolve", "request_enr"), (NODE,)),
    "lookup": (bytes(64),),
    "find_node": (NODE, bytes(64)),
    "set_entry": ("key", 1),
    "delete_entry": ("key",),
    **dict.fromkeys(("write_msg", "WriteMsg"), (p2p.Msg(0),)),
    **dict.fromkeys(("send", "send_items"), (0, "text")),
    "running_cap": ("test", [1]),
    "open": ("test",),
    "__exit__": (None, None, None),
    "add_source": (iter(()),),
    **dict.fromkeys(("last_ping_received", "last_pong_received", "find_fails"), (NODE.id, NODE.ip)),
    **dict.fromkeys(("set_last_ping_received", "set_last_pong_received"), (NODE.id, NODE.ip, 1.0)),
    "set_find_fails": (NODE.id, NODE.ip, 1),
    **dict.fromkeys(("node", "delete_node", "local_seq", "stored_local_seq"), (NODE.id,)),
    "update_node": (NODE,),
    "query_seeds": (1, 1.0, 1.0, None),
    "expire": (1.0,),
    **dict.fromkeys(("set_local_seq", "reserve_local_seq"), (NODE.id, 2**63)),
}

#: Special methods that are called like others.
SPECIAL = ("__enter__", "__exit__", "__iter__", "__next__", "__repr__", "__str__")

#: They tell what they know, or give themselves.
ANSWERS = {
    "__repr__", "__str__", "__enter__",
    "Server.config", "Server.listen_addr", "Server.metrics_addr", "Server.nat",
    "Server.monitor_url",
    "Server.discovery_v4",
    "Server.discovery_v5",
    "Server.max_dialed_conns", "Server.max_inbound_conns",
    "UDPv4.address", "UDPv4.lost",
    "Peer.name", "Peer.log", "Peer.lifetime", "Peer.info", "Peer.running_cap",
    "Peer.is_connected", "Peer.disconnect_reason", "Peer.counters",
    "MsgPipe.is_closed", "MsgPipe.disconnect_reason", "MsgPipe.connection_id",
    "Subscription.lost", "Advertisement.topic",
    "ProtocolReadWriter.is_closed", "ProtocolReadWriter.disconnect_reason",
    "ClientReadWriter.is_closed", "ClientReadWriter.disconnect_reason",
}  # fmt: skip
#: They are for the library itself.
INTERNAL = {
    "RandomNodes.ask", "RandomNodes.end", "RandomNodes.table_changed", "_Buffered.start",
    "FairMix.begin_turn", "FairMix.poll",
}  # fmt: skip
ENDS = {"stop", "close", "__exit__"}


class World:
    """One of each thing that a child may inherit, all in use."""

    def __init__(self, nodes: Nodes, folder: Path) -> None:
        talk: Talk
        options = {"no_discovery": False, "discovery_topics": True}
        talk, self.other = nodes.pair(**options, node_database=folder / "nodes.db")
        self.server: p2p.Server = talk.server  # type: ignore[attr-defined]
        discovery, topics = self.server.discovery_v4, self.server.discovery_v5
        assert discovery is not None and topics is not None
        self.db = NodeDB(folder / "more.db")
        self.db.start()
        self.mix = p2p.enode.FairMix(1.0)
        self.mix.add_source(p2p.enode.cycle_nodes([NODE]))
        self.read_ahead: Any = buffered(p2p.enode.cycle_nodes([NODE]), 1)
        self.pipe = p2p.testing.msg_pipe()[0]
        there: p2p.Server = self.other.server  # type: ignore[attr-defined]
        self.client = p2p.connect(there.self, name="test", version=1, length=8)
        self.things: dict[str, Any] = {
            "server": self.server,
            "discovery": discovery,
            "peer": talk.peer,
            "read-writer": talk.rw,
            "subscription": self.server.subscribe_events(),
            "subscription of discovery": discovery.subscribe_events(),
            "random nodes": discovery.random_nodes(),
            "topic nodes": topics.find("a topic"),
            "advertisement": topics.advertise("a topic"),
            "database": self.db,
            "mix": self.mix,
            "read ahead": self.read_ahead,
            "pipe": self.pipe,
            "client": self.client,
        }

    def close(self) -> None:
        self.client.close()
        self.things["random nodes"].close()
        self.things["topic nodes"].close()
        self.mix.close()
        self.read_ahead.close()
        self.db.close()


@pytest.fixture
def world(nodes: Nodes, tmp_path: Path) -> Iterator[World]:
    world = World(nodes, tmp_path)
    yield world
    world.close()


THINGS = (
    "server", "discovery", "peer", "read-writer", "subscription", "subscription of discovery",
    "random nodes", "topic nodes", "advertisement", "database", "mix", "read ahead", "pipe",
    "client",
)  # fmt: skip


def names_of(kind: type) -> list[str]:
    """The methods and properties that a program may use; plain values are no calls."""
    names = [name for name in dir(kind) if not name.startswith("_")]
    names = [name for name in names if not inspect.ismemberdescriptor(getattr(kind, name))]
    names = [name for name in names if f"{kind.__name__}.{name}" not in INTERNAL]
    return names + [name for name in SPECIAL if name in dir(kind)]


def call_of(thing: Any, name: str) -> Callable[[], object]:
    """Use a method or a property; an iterator is read, too."""
    if not callable(getattr(type(thing), name)):
        return lambda: getattr(thing, name)
    if name == "__iter__":
        return lambda: next(iter(thing))
    return lambda: getattr(thing, name)(*ARGUMENTS.get(name, ()))


@pytest.mark.parametrize("what", THINGS)
def test_each_call_in_a_child_answers_or_says_what_to_do(world: World, what: str) -> None:
    thing = world.things[what]
    kind = type(thing).__name__
    outcomes = outcomes_in_child({name: call_of(thing, name) for name in names_of(type(thing))})
    for name, outcome in outcomes.items():
        case = f"{kind}.{name}: {outcome!r}"
        if name in ENDS:
            assert isinstance(outcome, str), case
        elif f"{kind}.{name}" in ANSWERS or name in ANSWERS:
            assert isinstance(outcome, (str, p2p.errors.WrongProcess)), case
        else:
            assert isinstance(outcome, p2p.errors.WrongProcess), case
            assert f"process {os.getpid()}" in str(outcome) and str(outcome).endswith(" here"), case


def test_parent_has_lost_nothing_by_what_a_child_has_called(world: World) -> None:
    for thing in world.things.values():
        ends = [name for name in sorted(ENDS) if hasattr(thing, name)]
        outcomes_in_child({name: call_of(thing, name) for name in ends})
    p2p.send(world.things["read-writer"], 0, "still here")
    assert world.other.read().decode(str) == "still here"
    assert next(world.mix) == next(world.read_ahead) == NODE
    world.db.set_local_seq(NODE.id, 7)


def test_leaving_a_with_block_in_a_child_takes_no_time(nodes: Nodes) -> None:
    server = nodes.new()

    def leave() -> str:
        server.__exit__(None, None, None)
        return "left"

    with server:
        assert outcome_in_child(leave) == "'left'"
        socket.create_connection((HOST, server.self.tcp), PATIENCE_S).close()


def test_child_has_none_of_the_sockets_and_selectors(world: World) -> None:
    def descriptors() -> list[str]:
        numbers = os.listdir("/proc/self/fd")
        links = [f"/proc/self/fd/{number}" for number in numbers]
        return [os.readlink(link) for link in links if os.path.lexists(link)]

    before = {link for link in descriptors() if not link.startswith("pipe")}
    assert any(link.startswith("socket") for link in before)
    inherited = str(outcome_in_child(descriptors))
    assert not any(kind in inherited for kind in ("socket:", "eventpoll", "eventfd")), inherited


def test_server_that_was_made_and_not_started_starts_in_a_child(nodes: Nodes) -> None:
    server = nodes.new(protocols=[READER])
    events = server.subscribe_events()
    node = nodes.start().self

    def use() -> str:
        with server:
            peer = server.connect(node, timeout=PATIENCE_S)
            return f"{peer.id == node.id} {events.get(PATIENCE_S).type}"

    assert outcome_in_child(use, among_locks=False) == "'True add'"


def test_child_makes_a_server_of_its_own(world: World, nodes: Nodes) -> None:
    node = nodes.start().self

    def use() -> bool:
        with nodes.new(protocols=[READER]) as server:
            return server.connect(node, timeout=PATIENCE_S).inbound

    assert outcome_in_child(use) == "False"
