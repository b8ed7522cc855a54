"""The discovery engine: datagrams from several sources, and time, in any order.

The body of a case is a row of RLP items, a script. What is no list is passed over; a list begins
with a number:

=======  ====================  ===========================================================
0        [0, tenths of 1 s]    time passes
1 to 6   [type, source, data]  a packet with that type and data, signed by the source
7        [7, source, bytes]    a datagram as it is
8        [8, what, source]     a command of the engine's owner
=======  ====================  ===========================================================

In the data of a pong and of an ENR response an empty hash becomes that of the engine's latest
request to the source, so that the answer is awaited. Source 0 has proved its address and is known
to the table from the start, the others have not; one is on the local network, one has IPv6.

The engine never raises; whatever it sends can be decoded; to an address that nobody has proved it
sends three bytes, at the most, for each that came from there. What arrives is signed as on the
wire. What the engine sends is not, which halves the time an input takes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from p2p.codec import encode, encode_list
from p2p.crypto import PrivateKey, PublicKey, keccak256
from p2p.discover import transport
from p2p.discover.v4 import packet as v4packet
from p2p.discover.v4 import wire as v4wire
from p2p.discover.v4.amplification import MAX_AMPLIFICATION
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import ENRRequest, Packet, PacketType, Received
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.errors import DecodeError, InvalidKey, PacketError
from p2p.netutil import IPAddress, NodeEndpoint
from tests.fuzz import rlptree
from tests.fuzz.rlptree import Tree
from tests.fuzz.scene import START, Scene, label, run_script, steps_of
from tests.fuzz.target import REPAIRED, Target
from tests.fuzz.targets.frame import number, part
from tests.fuzz.targets.packet import seal
from tests.kit.link import PORT, START_UNIX, address_of, key_of
from tests.kit.localrecords import fixed_local

OWN = key_of(0)
OWN_LOCAL = fixed_local(OWN, NodeEndpoint(*address_of(0), PORT))
SOURCES: tuple[tuple[IPAddress, int], ...] = (
    address_of(1),
    address_of(2),
    (IPv4Address("192.168.1.7"), PORT),
    (IPv6Address("2001:db8::7"), PORT),
)
KEYS = tuple(key_of(index + 1) for index in range(len(SOURCES)))
NODES = tuple(
    Node.from_parts(key.public_key, address[0], PORT, address[1])
    for key, address in zip(KEYS, SOURCES, strict=True)
)
MAX_STEPS = 60
#: Time after a script, in which everything asked must have come to an end, in seconds.
REST_S = 3.0
#: Packets of the engine that are decoded.
MAX_CHECKED = 5
#: Where the hash stands in the data of an answer.
_HASH_FIELD = {2: 1, 6: 0}


@dataclass
class V4Scene(Scene[EngineV4]):
    """An engine, the time, and what the engine has asked of whom."""

    max_wakes = 40

    hashes: dict[IPAddress, dict[int, bytes]] = field(default_factory=dict)
    said: list[bytes] = field(default_factory=list)

    def flush(self) -> None:
        """Take what the engine says, and remember what it asks."""
        for data, (ip, port) in self.engine.datagrams_to_send():
            assert 0 < port < 0x10000
            self.said.append(data)
            kind = data[v4wire.TYPE_OFFSET]
            if kind in (PacketType.PING, PacketType.ENR_REQUEST):
                self.hashes.setdefault(ip, {})[kind] = data[:32]
        self.engine.poll_events()

    def take(self, step: Tree) -> None:
        kind = number(step, 0)
        source = number(step, 1) % len(SOURCES)
        if not isinstance(step, list):
            return
        if kind == 0:
            self.wait(min(number(step, 1), 50_000) / 10)
        elif 1 <= kind <= 6:
            data = rlptree.write(with_hash(self, step[2:], kind, source))
            datagram = seal(KEYS[source], bytes([kind]) + data)
            self.engine.receive_datagram(datagram, SOURCES[source], self.now)
        elif kind == 8:
            command(self, number(step, 1) % 5, NODES[number(step, 2) % len(NODES)])
        else:
            self.engine.receive_datagram(part(step, 2), SOURCES[source], self.now)


def build(variant: int, repaired: bool, body: bytes) -> V4Scene:
    store = NodeMemory()
    known, ip = NodeID.from_public_key(KEYS[0].public_key), SOURCES[0][0]
    store.set_last_pong_received(known, ip, START.unix - 60)
    store.set_last_ping_received(known, ip, START.unix - 60)
    rng = random.Random(variant)
    engine = EngineV4(
        OWN,
        OWN_LOCAL,
        store,
        bootnodes=[NODES[0]],
        entropy=rng.randbytes,
        random=rng,
        now=START,
        encode=plain_encode,
    )
    engine.handle_timeout(START)
    return V4Scene(engine, steps_of(repaired, body, MAX_STEPS))


def with_hash(scene: V4Scene, data: list[Tree], kind: int, source: int) -> list[Tree]:
    """The data, with the hash of the request where an answer has an empty one."""
    index = _HASH_FIELD.get(kind, 0)
    fields = data[0] if data else b""
    if kind not in _HASH_FIELD or not isinstance(fields, list) or len(fields) <= index:
        return data
    if fields[index] != b"":
        return data
    request = PacketType.PING if kind == PacketType.PONG else PacketType.ENR_REQUEST
    asked = scene.hashes.get(SOURCES[source][0], {}).get(request, b"")
    return [[*fields[:index], asked, *fields[index + 1 :]], *data[1:]]


def command(scene: V4Scene, what: int, node: Node) -> None:
    engine, now = scene.engine, scene.now
    if what == 0:
        engine.operations.ping(node, now)
    elif what == 1:
        engine.operations.lookup(transport.Target.of_key(node.public_key.to_bytes()), now)
    elif what == 2:
        engine.operations.request_enr(node, now)
    elif what == 3:
        engine.operations.resolve(node, now)
    else:
        engine.refresh(now)


def check(scene: V4Scene, again: V4Scene) -> None:
    for ip, _port in SOURCES:
        came, went = scene.engine.unproven_bytes(ip)
        assert went <= MAX_AMPLIFICATION * came
    scene.wakes = 0
    scene.wait(REST_S)
    for data in scene.said[:MAX_CHECKED]:
        assert len(data) <= v4wire.MAX_PACKET_SIZE
        assert plain_decode(data).public_key == OWN.public_key


# The wire without signatures: the public key stands in the place of the signature.

_PACKETS = {
    int(kind.kind): kind
    for kind in (
        v4packet.Ping,
        v4packet.Pong,
        v4packet.FindNode,
        v4packet.Neighbors,
        v4packet.ENRRequest,
        v4packet.ENRResponse,
    )
}


def plain_encode(private_key: PrivateKey, packet: Packet) -> tuple[bytes, bytes]:
    body = private_key.public_key.to_bytes() + bytes([0, packet.kind])
    body += encode_list(packet.to_items())
    packet_hash = keccak256(body)
    return packet_hash + body, packet_hash


def plain_decode(datagram: bytes) -> Received:
    if keccak256(datagram[32:]) != datagram[:32]:
        raise PacketError("hash", "the hash does not match")
    try:
        packet = _PACKETS[datagram[97]].from_data(datagram[98:])
        public_key = PublicKey.from_bytes(datagram[32:96])
    except (DecodeError, InvalidKey, KeyError) as error:
        raise PacketError("data", str(error)) from error
    return Received(packet, public_key, datagram[:32])


def seeds() -> list[bytes]:
    late = int(START_UNIX) + 3600
    own = [SOURCES[0][0].packed, PORT, PORT]
    ping = [4, own, own, late, 7]
    pong = [own, b"", late, 7]
    told = [
        [address_of(n)[0].packed, PORT, PORT, key_of(n).public_key.to_bytes()] for n in range(9, 13)
    ]
    neighbors = [told, late]
    record = Record.sign(KEYS[0], 7, ip=str(SOURCES[0][0]), udp=PORT, tcp=PORT)
    response = rlptree.encode([b"\6", b"", [b"", *rlptree.read(record.to_rlp())]])
    lookup, wait_s = encode([8, 1, 0]), encode([0, 3])
    scripts = [
        encode([1, 1, ping]) + encode([2, 1, pong]) + encode([3, 1, [b"t" * 64, late]]),
        encode([1, 0, ping]) + encode([3, 0, [b"t" * 64, late]]) + encode([5, 0, [late]]),
        lookup + wait_s + encode([4, 0, neighbors]) + wait_s * 2 + encode([4, 0, [[], late]]),
        encode([8, 2, 0]) + wait_s + response + wait_s,
        encode([8, 0, 2]) + encode([2, 2, pong]) + encode([1, 2, ping]) + encode([0, 600]),
        encode([8, 0, 0]) + encode([2, 0, pong]) + wait_s + encode([8, 3, 0]) + response,
        encode([1, 3, [4, [b"", 0, 0], [bytes(16), 1, 2], late]]) + encode([2, 3, pong]),
        encode([1, 1, ping]) * 5 + encode([0, 40_000]) + encode([1, 1, [*ping[:3], 2**64 - 1]]),
        encode([4, 0, neighbors]) * 3 + encode([8, 4, 0]) + encode([0, 20_000]),
        encode([7, 0, b"noise" * 30]) + encode([7, 1, b""]),
    ]
    return [bytes([REPAIRED | n % 4 << 1]) + script for n, script in enumerate(scripts)] + [
        b"\0" + v4wire.encode(KEYS[0], ENRRequest(late))[0]
    ]


TARGETS = (
    Target(
        "discovery",
        seeds=seeds,
        build=build,
        decode=run_script,
        errors=(),
        check=check,
        label=label,
        shallow=("dropped: size", "dropped: hash", "dropped: signature", "dropped: none"),
        words=(b"\xc2\0\3", b"\xc2\0\x64", b"\xc3\x08\1\0", b"\xc3\x08\2\0", b"\xc3\x08\3\0"),
        max_size=1400,
    ),
)
