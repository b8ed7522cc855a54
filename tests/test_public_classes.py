"""Rules for every public class: a mock knows its attributes, its ``repr`` says something.

Each class has an instance here, made as a program meets it, or a test fails.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from enum import Enum
from ipaddress import IPv4Address
from typing import Any
from unittest.mock import Mock

import pytest

import p2p
import p2p.capture
import p2p.explain
import p2p.monitor
import p2p.testing
from p2p.enode import LocalNode, NodeDB, NodeEndpoint, Now, Raw
from p2p.testing import conformance
from tests.eth.vectors import values as messages_of_eth
from tests.kit.inspect import events as server_events
from tests.kit.nodes import HOST, Nodes
from tests.kit.publicnames import public_classes
from tests.kit.waiting import PATIENCE_S

KEY = p2p.PrivateKey.from_bytes(b"\x05" * 32)
NODE = p2p.Node.from_parts(KEY.public_key, HOST, 30303)
END = p2p.Endpoint(IPv4Address(HOST), 30303)
TREE = p2p.dnsdisc.Tree(1, []).sign(KEY, "nodes.example.org")
PUBLISHED = p2p.dnsdisc.PublishedTree(
    p2p.dnsdisc.Link(KEY.public_key, "nodes.example.org"), 1, TREE.signature, (), (), {}, ()
)
R = p2p.DiscReason.REQUESTED

#: The arguments of errors that want other ones than a text.
ERROR_ARGUMENTS: dict[type, tuple[Any, ...]] = {
    p2p.errors.PacketError: ("hash", "text"),
    p2p.Disconnect: (R,),
    p2p.PeerDisconnected: (R, True),
    p2p.PipeClosed: (R, True),
    p2p.errors.LabError: ("text", [("n1", p2p.Timeout("text"))]),
    p2p.errors.RecentlyDialed: ("text", 3.0),
    p2p.errors.Throttled: ("text", 3.0),
    p2p.errors.NoSharedCapability: ("text", (), ()),
    p2p.errors.RefusedByPeer: (R,),
}

CAP = p2p.Cap("test", 1)
HELLO = p2p.testing.Hello(5, "name", [], 0, bytes(64))
#: Events of a capture.
CAPTURED: dict[str, Any] = {
    "ConnectionEnded": p2p.capture.ConnectionEnded(1.0, 1, END, END, "FIN"),
    "ConnectionSeen": p2p.capture.ConnectionSeen(1.0, 1, END, END, True, True),
    "MessageSeen": p2p.capture.MessageSeen(
        1.0, 1, END, END, CAP, 0, 16, "Name", b"", None, "", 64, True
    ),
    "MessagesLost": p2p.capture.MessagesLost(1.0, 1, END, END, 100, 1),
    "PacketSeen": p2p.capture.PacketSeen(1.0, END, END, "v4", "ping", None, None, "", 100),
    "Remark": p2p.capture.Remark(1.0, "text"),
    "Recorded": p2p.capture.Recorded(1.0, True, p2p.Msg(1)),
    "Recording": p2p.capture.Recording("test", 1, 8),
    "RecordingReadWriter": p2p.capture.RecordingReadWriter(
        p2p.testing.msg_pipe()[0], io.StringIO(), p2p.Protocol("test", 1, 8)
    ),
    "Replayed": p2p.testing.Replayed((), (), None),
    "Difference": p2p.testing.Difference(0, None, None),
}
#: What observers get.
OBSERVED: dict[str, Any] = {
    "BootnodeLeftOut": p2p.observe.BootnodeLeftOut(NODE, "reason"),
    "BootnodeSilent": p2p.observe.BootnodeSilent(NODE, 1),
    "ClockAhead": p2p.observe.ClockAhead(1.0, 1, ()),
    "ConnectionFailed": p2p.observe.ConnectionFailed(p2p.ConnectError("text")),
    "ConnectionSetup": p2p.observe.ConnectionSetup(KEY, HELLO, [(CAP, 1)], 1.0, None, False),
    "DisconnectReceived": p2p.observe.DisconnectReceived(R),
    "DiscoverySetup": p2p.observe.DiscoverySetup("v4", Now(1.0, 2.0), {}),
    "HandlerState": p2p.observe.HandlerState(CAP, 1, 0, 0, True, None),
    "HelloReceived": p2p.observe.HelloReceived(HELLO, ()),
    "IdentityKnown": p2p.observe.IdentityKnown(KEY.public_key),
    "ManyTimeouts": p2p.observe.ManyTimeouts(1),
    "MessageWaiting": p2p.observe.MessageWaiting(),
    "MessagesReceived": p2p.observe.MessagesReceived(0, []),
    "NameWanted": p2p.observe.NameWanted("name"),
    "NewConnection": p2p.observe.NewConnection(END, END, NODE),
    "NodeState": p2p.observe.NodeState.LIVE,
    "OperationDone": p2p.observe.OperationDone(1),
    "Secrets": p2p.observe.Secrets(
        KEY.public_key, True, KEY.public_key, b"", (b"", b""), (b"", b""), b"", b""
    ),
    "SharedCap": p2p.observe.SharedCap(CAP, 16, 1),
    "State": p2p.observe.State.OPEN,
    "TalkReceived": p2p.observe.TalkReceived(NODE.id, END, b"", b"", b""),
}

CLASSES = public_classes()
ERRORS = {name: kind for name, kind in CLASSES.items() if issubclass(kind, Exception)}
#: What programs implement, and never get an instance of that is no more than that.
INTERFACES = {
    *("MessageDecoder", "MonitorSource"),
    *("ConnectionObserver", "DiscoveryObserver", "Observer"),
    *("Clock", "Dialer", "Discovery", "LocalView", "MsgReadWriter", "NodeIterator", "NodeStore"),
    *("RandomSource", "Resolver", "ScriptedReadWriter", "Underlay"),
}


@p2p.messages.message(0)
class Greeting:
    """A message."""


EXPLANATION = p2p.explain.explain_message(b"\xc0")
EXPLAINED = {
    "Explanation": EXPLANATION,
    "Section": EXPLANATION.sections[0],
    "Value": EXPLANATION.sections[0].values[0],
}
CASE = conformance.SUITES["rlpx"][0]
CONFORMANCE = {
    "Case": CASE,
    "Result": conformance.Result(CASE, conformance.Verdict.PASSED, "", 0.1),
    "Target": conformance.Target(NODE),
    "Verdict": conformance.Verdict.PASSED,
}
GREETINGS = p2p.messages.Messages("test", 1, [Greeting])


class PageSource:
    """A source of a page that shows nothing."""

    kind = "server"

    def about(self) -> dict[str, Any]:
        return {}

    def watch(self, watch: p2p.monitor.Watch | None) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def happened(self) -> p2p.monitor.Happened:
        return p2p.monitor.Happened()


class World:
    """An instance of each class, of a server that has a peer."""

    def __init__(self, nodes: Nodes) -> None:
        talk, other = nodes.pair(no_discovery=False, discovery_topics=True)
        self.server: p2p.Server = talk.server  # type: ignore[attr-defined]
        discovery, topics = self.server.discovery_v4, self.server.discovery_v5
        assert discovery is not None and topics is not None
        self._stack = ExitStack()
        enter = self._stack.enter_context
        protocol = p2p.Protocol("test", 1, 8, lambda peer, rw: None)
        pipe = p2p.testing.msg_pipe()[0]
        requests = p2p.requests.Requests(pipe)
        remote = enter(p2p.testing.DiscoveryRemote(self.server))
        ping = remote.make_ping(discovery.address)
        self.instances: dict[str, Any] = {
            "DiscoveryRemote": remote,
            **messages_of_eth(),
            "Client": p2p.eth.Client(pipe, 69),
            "ENRRequest": p2p.testing.ENRRequest(1),
            "ENRResponse": p2p.testing.ENRResponse(bytes(32), b"\xc0"),
            "FaultyReadWriter": p2p.testing.FaultyReadWriter(pipe),
            "FindNode": p2p.testing.FindNode(bytes(64), 1),
            "HandlerRun": enter(p2p.testing.run_handler(protocol)),
            "Hello": HELLO,
            "NeighborNode": p2p.testing.NeighborNode(None, 1, 2, bytes(64)),
            "Neighbors": p2p.testing.Neighbors([], 1),
            "Ping": ping,
            "Pong": remote.make_pong(bytes(32), discovery.address),
            "Received": p2p.testing.Received(ping, KEY.public_key, bytes(32)),
            "Remote": enter(p2p.testing.Remote.dial(self.server)),
            "RemoteListener": enter(p2p.testing.RemoteListener()),
            "Advertisement": topics.advertise("a topic"),
            "TopicNodes": topics.find("a topic"),
            "BucketView": discovery.table().buckets[0],
            "Cap": p2p.Cap("test", 1),
            "CapCounters": talk.peer.counters.by_cap[talk.rw.protocol.cap],
            "ClientReadWriter": p2p.connect(other.server.self, name="test", version=1, length=8),  # type: ignore[attr-defined]
            "Chain": p2p.eth.Chain(bytes(32)),
            "Compatibility": p2p.eth.Compatibility.SAME_FORKS,
            "Config": self.server.config,
            "Counter": self.server.metrics["p2p/dials"],
            "Counters": discovery.counters(),
            "DialAttempt": self.server.dial_attempts(talk.peer.node)[0],
            "DialStep": p2p.errors.DialStep.TCP,
            "DiscReason": R,
            "Endpoint": discovery.address,
            "FairMix": p2p.enode.FairMix(1.0),
            "Family": p2p.metrics.FAMILIES[0],
            "ForkID": p2p.eth.ForkID(bytes(4), 0),
            "MaxLength": p2p.rlp.MaxLength(8),
            "Messages": GREETINGS,
            "Gauge": self.server.metrics["p2p/peers"],
            "Histogram": p2p.metrics.Histogram(p2p.metrics.FAMILIES[0], {}, 1, 0.5, {1.0: 1}),
            "Metrics": self.server.metrics,
            "Happened": p2p.monitor.Happened(),
            "Monitor": p2p.monitor.Monitor(PageSource(), f"{HOST}:0"),
            "Watch": p2p.monitor.Watch(),
            "MessageProtocol": p2p.messages.protocol(GREETINGS),
            "TypedReadWriter": p2p.messages.TypedReadWriter(pipe, GREETINGS),
            "Msg": p2p.Msg(1, b"\xc0"),
            "MsgPipe": p2p.testing.msg_pipe()[0],
            "Network": p2p.networks.MAINNET,
            "Netlist": p2p.Netlist.parse("10.0.0.0/8"),
            "MappedPort": p2p.nat.MappedPort("tcp", 1),
            "NatStatus": p2p.nat.NatStatus("", None, (), ""),
            "Node": NODE,
            "Link": p2p.dnsdisc.Link(KEY.public_key, "nodes.example.org"),
            "LocalNode": LocalNode(KEY, NodeDB()),
            "NodeAdded": p2p.discover.NodeAdded(NODE),
            "NodeDB": NodeDB(),
            "NodeEndpoint": NodeEndpoint(None, 0, 0),
            "NodeID": NODE.id,
            "NodeLists": p2p.dnsdisc.NodeLists([TREE.url]),
            "NodeRemoved": p2p.discover.NodeRemoved(NODE),
            "Now": Now(1.0, 2.0),
            "Peer": talk.peer,
            "PeerCounters": talk.peer.counters,
            "PeerEvent": p2p.PeerEvent("add", NODE.id),
            "PrivateKey": KEY,
            "Protocol": talk.rw.protocol,
            "Problem": p2p.dnsdisc.Problem("nodes.example.org", "not published"),
            "ProtocolReadWriter": talk.rw,
            "PublishedTree": PUBLISHED,
            "PublicKey": KEY.public_key,
            "RandomNodes": discovery.random_nodes(),
            "Raw": Raw(b"\x01"),
            "CodeCounters": p2p.requests.CodeCounters(),
            "PeerRates": p2p.requests.PeerRates(),
            "RateEstimator": p2p.requests.RateEstimator(),
            "Request": requests.start(0),
            "RequestCounters": requests.counters,
            "Requests": requests,
            "Record": self.server.self.record,
            "Server": self.server,
            "SignedTree": TREE,
            "SimulatedClock": p2p.testing.SimulatedClock(),
            "Subscription": self.server.subscribe_events(),
            "SystemClock": p2p.testing.SystemClock(),
            "TableNode": p2p.discover.TableNode(NODE, 1.5, 2, True),
            "TableView": discovery.table(),
            "Tree": p2p.dnsdisc.Tree(1, []),
            "UDPv4": discovery,
            "UDPv5": self.server.discovery_v5,
            **OBSERVED,
            **CONFORMANCE,
            **EXPLAINED,
            **CAPTURED,
            # what public functions return
            "iter_nodes": p2p.enode.iter_nodes([NODE]),
            "cycle_nodes": p2p.enode.cycle_nodes([NODE]),
            "filter_nodes": p2p.enode.filter_nodes(p2p.enode.iter_nodes([NODE]), bool),
        }
        for name, kind in ERRORS.items():
            self.instances[name] = kind(*ERROR_ARGUMENTS.get(kind, ("text",)))

    def close(self) -> None:
        for name in ("FairMix", "ClientReadWriter", "RandomNodes", "TopicNodes"):
            self.instances[name].close()
        self._stack.close()


@pytest.fixture
def world(nodes: Nodes) -> Iterator[World]:
    world = World(nodes)
    yield world
    world.close()


def test_each_public_class_has_an_instance_here(world: World) -> None:
    assert CLASSES.keys() - world.instances.keys() == INTERFACES


def test_mock_of_a_class_knows_the_attributes_of_its_instances(world: World) -> None:
    unknown = {
        (type(thing).__name__, name)
        for kind, thing in world.instances.items()
        # nobody mocks a tool for tests
        if kind != "Hello" and not type(thing).__module__.startswith("p2p.testing.")
        for name in dir(thing)
        if not isinstance(thing, Enum)  # Python's own, which hides them
        and not name.startswith("_")
        and not hasattr(Mock(spec=type(thing)), name)
    }
    assert unknown == set()


def test_what_an_instance_shows_is_of_public_classes(world: World) -> None:
    public = set(public_classes().values())
    found = {
        (name, attribute, type(value).__name__)
        for name, thing in world.instances.items()
        for attribute in dir(thing)
        if not attribute.startswith("_")
        for value in (getattr(thing, attribute, None),)
        if type(value).__module__.startswith("p2p.") and not public & set(type(value).__mro__)
    }
    packets = {name for name in found if name[2] == "PacketType"}
    assert found - packets == {("Peer", "log", "_PeerLog")}  # a logging.LoggerAdapter


def test_repr_is_more_than_a_name_and_a_number(world: World) -> None:
    plain = {
        name for name, thing in world.instances.items() if type(thing).__repr__ is object.__repr__
    }
    assert plain == set()


def test_repr_of_a_server_tells_state_and_address(nodes: Nodes) -> None:
    server = nodes.new(name="mine")
    who = f"Server 'mine' {p2p.Node.from_parts(server.config.private_key.public_key).id.short}"
    assert repr(server) == f"<{who}, new, {HOST}:0>"
    server.start()
    assert repr(server) == f"<{who}, running, {server.listen_addr}, 0 peers>"
    server.stop()
    assert repr(server) == f"<{who}, stopped, {server.listen_addr}>"


def test_repr_of_a_server_that_does_not_listen(nodes: Nodes) -> None:
    assert repr(nodes.new(listen_addr=None)).endswith(", new, does not listen>")


def test_repr_of_discovery_tells_state_and_address(nodes: Nodes) -> None:
    server = nodes.start(no_discovery=False)
    discovery = server.discovery_v4
    assert discovery is not None
    where = f"{HOST}:{discovery.address[1]}"
    assert repr(discovery) == f"<UDPv4, running, {where}>"
    server.stop()
    assert repr(discovery) == f"<UDPv4, stopped, {where}>"


def test_repr_of_a_subscription_tells_what_it_holds(nodes: Nodes) -> None:
    server = nodes.start()
    events = server.subscribe_events(capacity=1)
    assert repr(events) == "<Subscription, open, 0 unread, 0 lost>"
    for _ in range(2):
        server_events(server).publish(p2p.PeerEvent("add", NODE.id))
    assert repr(events) == "<Subscription, open, 1 unread, 1 lost>"
    server.stop()
    assert repr(events) == "<Subscription, closed, 1 unread, 1 lost>"


def test_repr_of_a_message_pipe_tells_what_it_holds() -> None:
    one, other = p2p.testing.msg_pipe()
    one.write_msg(p2p.Msg(1))
    assert repr(other) == "<MsgPipe, open, 1 to read>"
    one.close()
    assert repr(one) == "<MsgPipe, closed, 0 to read>"


def test_repr_of_a_read_writer_tells_whether_it_is_closed(nodes: Nodes) -> None:
    talk, _ = nodes.pair()
    assert repr(talk.rw) == f"<read-writer of test/1 with {talk.peer}, open>"
    talk.peer.disconnect()
    with pytest.raises(p2p.PeerDisconnected):
        talk.rw.read_msg(PATIENCE_S)
    assert repr(talk.rw) == f"<read-writer of test/1 with {talk.peer}, closed>"
