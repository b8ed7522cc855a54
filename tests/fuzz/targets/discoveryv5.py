"""The engine of discovery v5: datagrams from several sources, and time, in any order.

The body of a repaired case is a row of RLP items, a script. What is no list is passed over; a list
begins with a number:

=======  ======================  =========================================================
0        [0, tenths of 1 s]      time passes
1 to 6   [type, source, data]    a message with that type and data, under the session
16 to 19 [type + 9, source, data] a message about topics
7        [7, source, bytes]      a datagram as it is
8        [8, what, source]       a command of the engine's owner
9        [9, source, type, ...]  a handshake with that message, for the engine's challenge
10       [10, source, seq]       a challenge for the engine's latest message, 0: one to keep
11       [11, source, bytes]     a packet with its head masked, after the protocol's name
12       [12, source, place, n]  the source's last datagram once more, a byte of it changed
=======  ======================  =========================================================

In the data of a response an empty request ID becomes that of the engine's latest request to the
source, so that the response is awaited. Source 0 has a session from the start, and is known to the
table unless the variant says otherwise; of the others one is on the local network, one has IPv6.

The engine never raises; whatever it sends can be decoded. A source that has neither answered a
challenge nor been asked by the engine's owner gets nothing but challenges, no more bytes in all
than came from there, and none that is larger than the datagram it answers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from p2p.codec import encode
from p2p.crypto import PrivateKey
from p2p.discover.event import TalkReceived
from p2p.discover.transport import Target as LookupTarget
from p2p.discover.v5 import message as messages
from p2p.discover.v5 import packet as packets
from p2p.discover.v5.engine import EngineV5
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.keys import SessionKeys
from p2p.discover.v5.packet import HandshakePacket, WhoAreYou
from p2p.discover.v5.sessions import Session, Sessions
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import PacketError
from p2p.netutil import Endpoint, NodeEndpoint
from tests.fuzz import rlptree
from tests.fuzz.rlptree import Tree
from tests.fuzz.scene import START, Scene, label, run_script, steps_of
from tests.fuzz.target import REPAIRED, Target
from tests.fuzz.targets import packetv5
from tests.fuzz.targets.discovery import KEYS, OWN, OWN_LOCAL, SOURCES
from tests.fuzz.targets.frame import number, part
from tests.kit.link import PORT, address_of, key_of
from tests.kit.localrecords import fixed_local

OWN_NODE = Node.from_record(OWN_LOCAL.record)
ADDRESSES = tuple(Endpoint(*source) for source in SOURCES)
LOCALS = tuple(
    fixed_local(key, NodeEndpoint(address.ip, address.port, 0))
    for key, address in zip(KEYS, ADDRESSES, strict=True)
)
for each in LOCALS:
    each.set(TOPICS_ENTRY, TOPICS_VERSION)
NODES = tuple(Node.from_record(local.record) for local in LOCALS)
REMOTE = OWN_NODE.id, Endpoint(*address_of(0))
FIRST_KEYS = SessionKeys(b"initiator's key ", b"recipient's key ")
MAX_STEPS = 10
#: Time after a script in which requests are sent again and given up, in seconds.
REST_S = 1.5
REST_WAKES = 2
#: Bit of the variant: the table is empty at the start.
LONELY = 1
#: Types of messages that answer a request.
RESPONSES = (2, 4, 6, 8, 10)
#: Number of a step with a message about topics, less its type.
TOPIC_STEP = 9
TOPIC = bytes(range(32))


class Source:
    """Another node: its sessions, and what the engine has said to it."""

    def __init__(self, key: PrivateKey, index: int, rng: random.Random) -> None:
        self.node = NODES[index]
        self.address = ADDRESSES[index]
        self.handshakes = Handshakes(key, LOCALS[index], rng.randbytes)
        self.sessions = Sessions(self.node.id, rng.randbytes)
        self.challenge: WhoAreYou | None = None
        self.asked_nonce = bytes(packets.NONCE_SIZE)
        self.request_id = b""
        self.last = b""
        self.claimed_id = bytes(self.node.id)
        self.bytes_in = self.bytes_out = 0
        self.unread: list[tuple[bytes, float]] = []
        #: Whether the engine may say more than a challenge.
        self.is_open = False

    def take(self, datagram: bytes, now: float) -> None:
        """Take a datagram of the engine; from the time when it may be anything, for later."""
        if self.is_open:
            self.unread.append((datagram, now))
            return
        packet = self._read(datagram)
        assert isinstance(packet, WhoAreYou), "more than a challenge for an unproven address"
        self.challenge = packet
        self.bytes_out += len(datagram)

    def read_all(self) -> None:
        """Read what has come since the last call."""
        unread, self.unread = self.unread, []
        for datagram, now in unread:
            self._read_any(datagram, now)

    def _read_any(self, datagram: bytes, now: float) -> None:
        packet = self._read(datagram)
        if isinstance(packet, WhoAreYou):
            self.challenge = packet
            return
        assert packet.source == OWN_NODE.id
        if isinstance(packet, HandshakePacket):
            try:
                accepted = self.handshakes.accept(REMOTE, packet, now)
            except PacketError:  # its challenge was forged or is over
                return
            self.sessions.add(REMOTE, accepted.session)
            self._note(accepted.plaintext)
            return
        self.asked_nonce = packet.nonce
        plaintext = self.sessions.decrypt(REMOTE, packet)
        if plaintext is not None:
            self._note(plaintext)

    def message(self, plaintext: bytes) -> bytes:
        """A message under the session, or one that the engine cannot read."""
        session = self.sessions.get(REMOTE)
        if session is None:
            return self.handshakes.random_message(REMOTE).datagram + plaintext[:1000]
        return self.sessions.encrypt(REMOTE, session, plaintext).datagram

    def handshake(self, plaintext: bytes) -> bytes:
        """The answer to the engine's challenge; without one, a message."""
        if self.challenge is None:
            return self.message(plaintext)
        datagram, session = self.handshakes.answer(self.challenge, OWN_NODE, plaintext)
        self.sessions.add(REMOTE, session)
        self.challenge, self.is_open = None, True
        return datagram

    def whoareyou(self, seq: int, now: float) -> bytes:
        """A challenge; with 0 one whose handshake the source can read."""
        kept = self.handshakes.challenge(REMOTE, self.asked_nonce, None, now) if not seq else None
        head = packets.whoareyou_head(bytes(packets.IV_SIZE), self.asked_nonce, bytes(16), seq)
        return kept or packets.mask(head, OWN_NODE.id)

    def _read(self, datagram: bytes) -> packets.Packet:
        """Read a datagram for the source, or for the node that it said it was."""
        try:
            return packets.decode(datagram, self.node.id)
        except PacketError:
            return packets.decode(datagram, self.claimed_id)

    def _note(self, plaintext: bytes) -> None:
        said = messages.decode(plaintext)
        if said.kind not in RESPONSES:
            self.request_id = said.request_id


@dataclass
class V5Scene(Scene[EngineV5]):
    """An engine, the time, and the sources."""

    max_wakes = 5

    sources: list[Source]
    talks: list[TalkReceived] = field(default_factory=list)

    def flush(self) -> list[bytes]:
        """Take what the engine says to the sources, and return it."""
        said = []
        for data, address in self.engine.datagrams_to_send():
            assert 0 < address.port < 0x10000 and len(data) <= packets.MAX_PACKET_SIZE
            source = next((each for each in self.sources if each.address == address), None)
            if source is not None:
                source.take(data, self.time)
                said.append(data)
        self.talks += [each for each in self.engine.poll_events() if isinstance(each, TalkReceived)]
        return said

    def take(self, step: Tree) -> None:
        if not isinstance(step, list):
            return
        kind = number(step, 0)
        source = self.sources[number(step, 1) % len(self.sources)]
        if kind == 0:
            self.wait(min(number(step, 1), 50_000) / 10)
        elif kind == 8:
            source = self.sources[number(step, 2) % len(self.sources)]
            command(self, number(step, 1) % 8, source)
        else:
            receive(self, source, datagram_of(source, kind, step, self.time))


def build(variant: int, repaired: bool, body: bytes) -> V5Scene:
    rng = random.Random(variant)
    engine = EngineV5(
        OWN,
        OWN_LOCAL,
        NodeMemory(),
        bootnodes=[] if variant & LONELY else [NODES[0]],
        entropy=rng.randbytes,
        random=rng,
        topics=True,
        now=START,
    )
    sources = [Source(key, index, rng) for index, key in enumerate(KEYS)]
    known = sources[0]
    known.is_open = True
    known.sessions.add(REMOTE, Session(FIRST_KEYS, True, rng.randbytes))
    recipient = Session(FIRST_KEYS, False, rng.randbytes)
    engine._sessions.add((known.node.id, known.address), recipient)
    engine.handle_timeout(START)
    return V5Scene(engine, steps_of(repaired, body, MAX_STEPS), sources)


def datagram_of(source: Source, kind: int, step: list[Tree], now: float) -> bytes:
    source.read_all()
    if 1 <= kind <= 6:
        return source.message(plaintext_of(source, kind, step[2:]))
    if 7 <= kind - TOPIC_STEP <= 10:
        return source.message(plaintext_of(source, kind - TOPIC_STEP, step[2:]))
    if kind == 9:
        return source.handshake(plaintext_of(source, number(step, 2), step[3:]))
    if kind == 10:
        return source.whoareyou(number(step, 2), now)
    if kind == 11:
        return packetv5.seal(packetv5.START + part(step, 2), OWN_NODE.id)
    if kind == 12 and source.last:
        place = number(step, 2) % len(source.last)
        changed = bytes([(source.last[place] + number(step, 3)) % 256])
        return source.last[:place] + changed + source.last[place + 1 :]
    return part(step, 2)


def plaintext_of(source: Source, kind: int, data: list[Tree]) -> bytes:
    """A message; a response gets the ID of the request where it has an empty one."""
    fields = data[0] if data else b""
    if kind in RESPONSES and isinstance(fields, list) and fields and fields[0] == b"":
        data = [[source.request_id, *fields[1:]], *data[1:]]
    return bytes([kind % 256]) + rlptree.write(data)


def receive(scene: V5Scene, source: Source, datagram: bytes) -> None:
    """Let the engine have a datagram; what it says at once is the answer."""
    scene.flush()
    source.last, source.claimed_id = datagram, claimed_id(datagram)
    source.bytes_in += len(datagram)
    scene.engine.receive_datagram(datagram, source.address, scene.now)
    answers = scene.flush()
    if not source.is_open:
        assert sum(map(len, answers)) <= len(datagram), "an answer larger than its cause"
        assert source.bytes_out <= source.bytes_in


def claimed_id(datagram: bytes) -> bytes:
    """The source that a datagram states, of any kind that has one."""
    try:
        packet = packets.decode(datagram, OWN_NODE.id)
    except PacketError:
        return bytes(32)
    return bytes(32) if isinstance(packet, WhoAreYou) else packet.source


def command(scene: V5Scene, what: int, source: Source) -> None:
    operations, now, node = scene.engine.operations, scene.now, source.node
    if what == 5:
        if scene.talks:
            scene.engine.respond(scene.talks.pop(), b"response", now)
        return
    source.is_open = True
    if what == 0:
        operations.ping(node, now)
    elif what == 1:
        goal = LookupTarget.of_key(node.public_key.to_bytes())
        operations.lookup(goal, now)
    elif what == 2:
        operations.request_enr(node, now)
    elif what == 3:
        operations.find_node(node, [0, 255, 256], now)
    elif what == 6:
        scene.engine.topics._table(TOPIC).add(node, proven=True)
        scene.engine.advertise(TOPIC, now)
    elif what == 7:
        scene.engine.topics._table(TOPIC).add(node, proven=True)
        operations.find_topic(TOPIC, 1, now)
    else:
        operations.talk(node, b"protocol", b"request", now)


def check(scene: V5Scene, again: V5Scene) -> None:
    counters = scene.engine.counters
    assert counters.unproven_bytes_out <= counters.unproven_bytes_in
    for source in scene.sources:
        source.read_all()
    scene.wakes = scene.max_wakes - REST_WAKES
    scene.wait(REST_S)


def step_of(*items: object) -> bytes:
    return encode(list(items))


def seeds() -> list[bytes]:
    ip = SOURCES[0][0].packed
    ping, find, talk = [b"id", 1], [b"id", [0, 256, 255, 257]], [b"id", b"protocol", b"request"]
    pong = [b"", 1, ip, PORT]
    told = [
        rlptree.read(Record.sign(key_of(n), 1, ip=str(address_of(n)[0]), udp=PORT).to_rlp())[0]
        for n in range(9, 12)
    ]
    nodes = rlptree.encode([b"\4", b"", [b"", b"\1", told]])
    records = [rlptree.read(node.record.to_rlp())[0] for node in NODES if node.record is not None]
    register = [[b"id", TOPIC, record, b"", [256, 255]] for record in records]
    query = [b"id", TOPIC, [256, 255, 254]]
    ads = rlptree.encode([b"\x13", b"", [b"", b"\1", records[:2]]])
    wait_s = step_of(0, 3)
    head = packets.message_head(bytes(16), bytes(12), NODES[1].id) + bytes(24)
    scripts = [
        step_of(1, 0, ping) + step_of(3, 0, find) + step_of(5, 0, talk),
        step_of(1, 1, ping) + step_of(9, 1, 1, ping) + step_of(3, 1, find),
        step_of(1, 3, ping) + step_of(9, 3, 3, find) + step_of(5, 3, talk),
        step_of(8, 0, 0) + step_of(2, 0, pong) + step_of(8, 3, 0) + nodes + wait_s,
        step_of(8, 1, 0) + nodes + wait_s + nodes + step_of(0, 100),
        step_of(8, 0, 2) + step_of(10, 2, 0) + step_of(2, 2, pong) + wait_s,
        step_of(8, 4, 1) + step_of(10, 1, 0) + step_of(2, 1, pong)
        + step_of(6, 1, [b"", b"response"]),
        step_of(5, 0, talk) + step_of(8, 5, 0) + step_of(10, 0, 1) + wait_s,
        step_of(1, 1, ping) * 3 + step_of(12, 1, 60, 1) + step_of(0, 20),
        step_of(1, 1, ping) + step_of(9, 1, 1, ping) + step_of(12, 1, 80, 1),
        step_of(11, 1, head[len(packetv5.START) :]) + step_of(7, 0, b"noise" * 30),
        step_of(1, 1, ping) + step_of(9, 1, 7, b"") + step_of(9, 1, 2, pong),
        step_of(16, 0, register[0]) + step_of(18, 0, query),
        step_of(16, 0, register[1]) + step_of(18, 0, query),
        step_of(8, 6, 0) + step_of(17, 0, [b"", 1, b"ticket", 200]) + wait_s
        + step_of(17, 0, [b"", 1, b"", 900_000]) + step_of(0, 6000),
        step_of(8, 7, 0) + ads + wait_s,
    ]
    return [bytes([REPAIRED | n % 4 << 1]) + script for n, script in enumerate(scripts)] + [
        b"\0" + packets.mask(head[:-24], OWN_NODE.id) + bytes(24)
    ]


TARGETS = (
    Target(
        "discovery-v5",
        seeds=seeds,
        build=build,
        decode=run_script,
        errors=(),
        check=check,
        label=label,
        shallow=("dropped: none",),
        words=(b"\xc2\0\3", b"\xc2\0\x64", b"\xc3\x08\1\0", b"\xc3\x0a\1\1", b"\xc3\x08\5\0"),
        max_size=850,
    ),
)
