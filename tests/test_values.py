"""Public values can be copied and pickled, and are equal to what they were made of."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import p2p
import p2p.dnsdisc
import p2p.explain
import p2p.monitor
import p2p.testing
from p2p import observe
from p2p.capture import (
    ConnectionEnded,
    ConnectionSeen,
    MessageSeen,
    MessagesLost,
    PacketSeen,
    Recorded,
    Recording,
    Remark,
)
from p2p.discover import BucketView, Counters, TableNode
from p2p.enode import NodeEndpoint, Now, Raw
from p2p.testing import conformance
from tests.eth.vectors import values as messages_of_eth
from tests.kit.copying import WAYS
from tests.kit.publicnames import public_classes

KEY = p2p.PrivateKey.from_bytes(bytes(range(1, 33)))
RECORD = p2p.Record.sign(KEY, 7, ip="192.0.2.7", tcp=30303, udp=30303, eth=[b"\x01", 2])
NODE = p2p.Node.from_record(RECORD)
NAMED = p2p.Node.from_parts(KEY.public_key, None, 1, 2).with_hostname("node.example")
ADDRESS = NODE.tcp_endpoint
COUNTERS = Counters(timeouts=3)
COUNTERS.packets_in["ping"] += 5
LINK = p2p.dnsdisc.Link(KEY.public_key, "nodes.example")
TREE = p2p.dnsdisc.Tree(3, [NODE], [LINK])
CAP_COUNTERS = p2p.CapCounters(1, 2, 3, 4)
FAMILY = p2p.metrics.FAMILIES[2]
LABELS = {"protocol": "eth", "version": "68", "code": "0x02"}


def run(peer: object, rw: object) -> None:
    """A handler that does nothing."""


CAP = p2p.Cap("eth", 68)
CASE = conformance.SUITES["discv4"][0]
CODE_COUNTERS = p2p.requests.CodeCounters(5, 4, 1, 0, 0, 0.25, 0.5)
HELLO = p2p.testing.Hello(5, "name", (), 0, bytes(64))
MSG = p2p.Msg(3, b"abc")
DIFFERENCE = p2p.testing.Difference(0, MSG, None)
RECORDED = Recorded(1.5, True, MSG)
SHARED = observe.SharedCap(CAP, 16, 8)
VALUE = p2p.explain.Value("hash", b"\x01", "keccak256(data)", "a note")
SECTION = p2p.explain.Section("Header", "Its fields.", [VALUE])
PING = p2p.testing.Ping(4, NodeEndpoint(None, 1, 2), NodeEndpoint(None, 3, 4), 5, 6)

VALUES: dict[str, list[Any]] = {
    "ENRRequest": [p2p.testing.ENRRequest(1)],
    "ENRResponse": [p2p.testing.ENRResponse(bytes(32), b"\xc0")],
    "FindNode": [p2p.testing.FindNode(bytes(64), 1)],
    "Hello": [p2p.testing.Hello(5, "name", (), 0, bytes(64))],
    "NeighborNode": [p2p.testing.NeighborNode(None, 1, 2, bytes(64))],
    "Neighbors": [p2p.testing.Neighbors((), 1)],
    "Ping": [PING],
    "Pong": [p2p.testing.Pong(NodeEndpoint(None, 1, 2), bytes(32), 3)],
    "Received": [p2p.testing.Received(PING, KEY.public_key, bytes(32))],
    "BucketView": [BucketView(256, (TableNode(NODE, 1.5, 2, True),), (NAMED,))],
    "Cap": [p2p.Cap("eth", 68)],
    "CapCounters": [CAP_COUNTERS],
    "Chain": [p2p.eth.Chain(bytes(32), [5, 3], (7,), 6)],
    "Compatibility": list(p2p.eth.Compatibility),
    "Counter": [p2p.metrics.Counter(FAMILY, LABELS, 3)],
    "Counters": [COUNTERS],
    "DialAttempt": [
        p2p.DialAttempt(1.5, ADDRESS, p2p.errors.DialStep.CONNECTED),
    ],
    "DialStep": list(p2p.errors.DialStep),
    "DiscReason": [*p2p.DiscReason, p2p.DiscReason(0x42)],
    "Endpoint": [NODE.tcp_endpoint],
    "Family": [*p2p.metrics.FAMILIES],
    "ForkID": [p2p.eth.ForkID(b"\x01\x02\x03\x04", 5)],
    "Gauge": [p2p.metrics.Gauge(FAMILY, LABELS, 3)],
    "Histogram": [p2p.metrics.Histogram(FAMILY, LABELS, 2, 0.5, {0.1: 1, 1.0: 2})],
    "Link": [LINK],
    "MappedPort": [p2p.nat.MappedPort("tcp", 30303, 30304, 300.0)],
    "Msg": [p2p.Msg(3, b"abc", 1.5), p2p.Msg(0)],
    "NatStatus": [p2p.nat.NatStatus("PCP 192.0.2.1", None, (), "no answer")],
    "Netlist": [p2p.Netlist.parse("10.0.0.0/8, fd00::/8"), p2p.Netlist()],
    "Network": [p2p.networks.MAINNET, p2p.networks.Network("own", 5, p2p.eth.Chain(bytes(32)))],
    "Node": [NODE, NAMED],
    "NodeAdded": [p2p.discover.NodeAdded(NODE)],
    "NodeEndpoint": [NodeEndpoint(None, 0, 0)],
    "NodeID": [NODE.id],
    "NodeRemoved": [p2p.discover.NodeRemoved(NODE)],
    "Now": [Now(1.5, 2.5)],
    "PeerCounters": [p2p.PeerCounters(1, 2, {p2p.Cap("eth", 68): CAP_COUNTERS})],
    "PeerEvent": [p2p.PeerEvent("drop", NODE.id, "client quitting", msg_code=0)],
    "PrivateKey": [KEY],
    "Problem": [p2p.dnsdisc.Problem("nodes.example", "not published")],
    "Protocol": [p2p.Protocol("eth", 68, 17, run, attributes={"eth": b"x"})],
    "PublishedTree": [
        p2p.dnsdisc.PublishedTree(LINK, 3, "", (RECORD,), (LINK,), {"nodes.example": "x"}, ())
    ],
    "PublicKey": [KEY.public_key],
    "Raw": [Raw(b"\x01")],
    "Record": [RECORD],
    "SignedTree": [TREE.sign(KEY, "nodes.example")],
    "TableNode": [TableNode(NODE, 1.5, 2, True)],
    "Tree": [TREE],
    "TableView": [p2p.discover.TableView(NODE.id, 2.5, ())],
    **{name: [value] for name, value in messages_of_eth().items()},
    # p2p.capture
    "ConnectionEnded": [ConnectionEnded(1.5, 1, ADDRESS, ADDRESS, "FIN")],
    "ConnectionSeen": [ConnectionSeen(1.5, 1, ADDRESS, ADDRESS, True, False)],
    "MessageSeen": [
        MessageSeen(1.5, 1, ADDRESS, ADDRESS, CAP, 1, 17, "Ping", b"\xc0", PING, "", 64, True)
    ],
    "MessagesLost": [MessagesLost(1.5, 1, ADDRESS, ADDRESS, 640, None)],
    "PacketSeen": [PacketSeen(1.5, ADDRESS, ADDRESS, "v4", "ping", NODE.id, PING, "", 99)],
    "Recorded": [RECORDED, Recorded(2.5, False, None, p2p.DiscReason.REQUESTED)],
    "Recording": [Recording("chat", 1, 8, "a peer", (RECORDED,))],
    "Remark": [Remark(1.5, "cut off")],
    # p2p.discover and p2p.observe
    "BootnodeLeftOut": [observe.BootnodeLeftOut(NODE, "no address")],
    "BootnodeSilent": [observe.BootnodeSilent(NODE, 3)],
    "ClockAhead": [observe.ClockAhead(9.5, 4, (NODE.id,))],
    "ConnectionFailed": [observe.ConnectionFailed(None)],
    "ConnectionSetup": [observe.ConnectionSetup(KEY, HELLO, ((CAP, 8),), 1.5, None, False)],
    "DisconnectReceived": [observe.DisconnectReceived(p2p.DiscReason.REQUESTED)],
    "DiscoverySetup": [observe.DiscoverySetup("v4", Now(1.5, 2.5), {"private_key": KEY})],
    "HelloReceived": [observe.HelloReceived(HELLO, (SHARED,))],
    "IdentityKnown": [observe.IdentityKnown(KEY.public_key)],
    "ManyTimeouts": [observe.ManyTimeouts(33)],
    "MessageWaiting": [observe.MessageWaiting()],
    "MessagesReceived": [observe.MessagesReceived(0, [(1, b"\xc0", 1.5)])],
    "NameWanted": [observe.NameWanted("node.example")],
    "NewConnection": [observe.NewConnection(ADDRESS, ADDRESS, NODE)],
    "NodeState": list(observe.NodeState),
    "OperationDone": [observe.OperationDone(3), observe.OperationDone(3, [NODE])],
    "Secrets": [
        observe.Secrets(
            *(KEY.public_key, True, KEY.public_key, b"e"),
            *((b"n", b"m"), (b"auth", b"ack"), b"a", b"b"),
        )
    ],
    "SharedCap": [SHARED],
    "State": list(observe.State),
    "TalkReceived": [observe.TalkReceived(NODE.id, ADDRESS, b"\x01", b"chat", b"hello")],
    # p2p.explain
    "Explanation": [p2p.explain.Explanation("A packet", [SECTION])],
    "Section": [SECTION],
    "Value": [VALUE],
    # p2p.monitor
    "Watch": [p2p.monitor.Watch(5, frozenset(["eth/69"]), None)],
    # p2p.messages and p2p.requests
    "CodeCounters": [CODE_COUNTERS],
    "MaxLength": [p2p.rlp.MaxLength(32)],
    "RequestCounters": [p2p.requests.RequestCounters(1, 2, {3: CODE_COUNTERS})],
    # p2p.testing
    "Case": [CASE],
    "Difference": [DIFFERENCE],
    "Replayed": [p2p.testing.Replayed((MSG,), (DIFFERENCE,), None)],
    "Result": [conformance.Result(CASE, conformance.Verdict.PASSED, "", 0.5)],
    "Target": [conformance.Target(NODE, 1.5)],
    "Verdict": list(conformance.Verdict),
}
#: Tools for tests.
KIT = {
    *("DiscoveryRemote", "FaultyReadWriter", "HandlerRun", "Remote", "RemoteListener"),
    "ScriptedReadWriter",
}
#: Public classes that are no values: what they stand for is in this process alone, or is nothing.
LIVE = {
    *("ClientReadWriter", "Clock", "Config", "Dialer", "Discovery", "FairMix", "LocalNode"),
    "Client",
    *("LocalView", "Metrics", "MsgPipe", "MsgReadWriter", "NodeDB", "NodeIterator", "NodeLists"),
    "NodeStore",
    *("Peer", "ProtocolReadWriter", "RandomNodes", "RandomSource", "Resolver", "Server"),
    *("Advertisement", "SimulatedClock", "Subscription", "SystemClock", "TopicNodes", "UDPv4"),
    *("UDPv5", "Underlay", *KIT),
    *("ConnectionObserver", "DiscoveryObserver", "HandlerState", "Observer"),
    *("Happened", "Monitor", "MonitorSource"),
    *("MessageDecoder", "MessageProtocol", "Messages", "TypedReadWriter"),
    *("PeerRates", "RateEstimator", "RecordingReadWriter", "Request", "Requests"),
}


def test_each_public_class_is_a_value_or_known_to_be_none() -> None:
    public = public_classes()
    errors = {name for name, kind in public.items() if issubclass(kind, p2p.P2PError)}
    assert public.keys() - errors == VALUES.keys() | LIVE
    assert not VALUES.keys() & LIVE


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", VALUES)
def test_value_is_equal_to_its_copy(name: str, way: Callable[[Any], Any]) -> None:
    for value in VALUES[name]:
        again = way(value)
        assert type(again) is type(value) and type(value).__name__ == name
        assert again == value
        assert repr(again) == repr(value)
        assert fields(again) == fields(value)


def fields(value: Any) -> dict[str, object]:
    """Each attribute by name; to compare may pass over some, as over the time of a message."""
    found = {}
    for name in dir(value):
        with suppress(p2p.InvalidNode):  # the key of a node that has none
            if not name.startswith("_") and not callable(getattr(value, name)):
                found[name] = getattr(value, name)
    return found


def test_attempt_is_copied_with_its_error() -> None:
    error = p2p.errors.DialRefused("nothing listens")
    attempt = p2p.DialAttempt(1.5, ADDRESS, p2p.errors.DialStep.TCP, error)
    again = pickle.loads(pickle.dumps(attempt))
    assert again.outcome == attempt.outcome == "tcp: DialRefused: nothing listens"
    assert (again.time_unix, again.address, again.step) == (1.5, ADDRESS, p2p.errors.DialStep.TCP)
