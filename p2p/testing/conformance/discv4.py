"""Cases of discovery v4 (discv4.md; EIP-8, EIP-868).

That the target does not answer is shown by a ping after the packet in question: its pong comes, and
nothing before it. Only where no ping may follow, a case waits for silence. Blocks its thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import get_args

from p2p.clock import Deadline
from p2p.codec import encode, encode_list
from p2p.crypto import PrivateKey, keccak256
from p2p.discover.v4.packet import (
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    Ping,
    Pong,
)
from p2p.discover.v4.wire import Received
from p2p.enode import Node, generate_key
from p2p.enr import Record
from p2p.errors import PacketError
from p2p.netutil import NodeEndpoint, is_loopback
from p2p.testing.conformance.case import ANSWER_S, CaseList, Skip, Target
from p2p.testing.packets import DiscoveryRemote

#: Wait for an answer that must not come, in seconds.
QUIET_S = 0.5
#: Nodes of a response at most (discv4.md, "FindNode Packet").
MAX_NEIGHBORS = 16
#: An endpoint of a network for documentation (RFC 5737).
_UNREACHABLE = NodeEndpoint(ip_address("192.0.2.0"), 1, 1)
#: Second address of this machine, for targets on loopback.
_OTHER_HOST = "127.0.0.2"

case = CaseList("discv4.md")
cases = case.cases


class _Tester(DiscoveryRemote):
    """A node that the target does not know, with checks of its answers."""

    def __init__(self, target: Target, key: PrivateKey | None = None, host: str | None = None):
        super().__init__(target.node, key, host=host)
        self._target = target

    def read_packet(self, timeout: float = ANSWER_S) -> Received | None:
        """Return the next packet of the target.

        Datagrams without the right hash are none of v4: the target may have v5 on the same port,
        and an earlier program our port.
        """
        deadline = Deadline(timeout)
        while True:
            try:
                return super().read_packet(deadline.left_at_least(0.0))
            except PacketError as error:
                if error.reason not in ("size", "hash"):
                    raise
            if deadline.is_over:
                return None

    def packets(self, seconds: float) -> Iterator[Received]:
        """Yield the packets of the target that come within ``seconds``; pings are answered."""
        deadline = Deadline(seconds)
        while (received := self.read_packet(deadline.left_at_least(0.0))) is not None:
            assert received.public_key == self._target.node.public_key, "another node answered"
            if isinstance(received.packet, Ping):
                self.pong(received.packet_hash)
            yield received
            if deadline.is_over:  # the target may send without end
                return

    def check_pong(self, ping_hash: bytes) -> None:
        """Wait for the pong to a ping."""
        for received in self.packets(self._target.answer_s):
            if isinstance(received.packet, Pong) and received.packet.ping_hash == ping_hash:
                return
        raise AssertionError(f"no Pong in {self._target.answer_s:g} s")

    def read_answer(self) -> Packet:
        """Return the next packet that is no request."""
        for received in self.packets(self._target.answer_s):
            if not isinstance(received.packet, (Ping, FindNode, ENRRequest)):
                return received.packet
        raise AssertionError(f"no answer in {self._target.answer_s:g} s")

    def prove(self) -> None:
        """Make the endpoint proof: the target must get a pong of ours to its ping.

        A target that knows the proof already does not ping.
        """
        self.check_pong(self.ping())
        for received in self.packets(QUIET_S):
            if isinstance(received.packet, Ping):
                return

    def expect_silence(self, *kinds: type[Packet]) -> None:
        """Check that no packet of ``kinds`` comes."""
        for received in self.packets(QUIET_S):
            assert not isinstance(received.packet, kinds), _shown(received.packet)

    def expect_ignored(self) -> None:
        """Check that the next answer is the pong to a new ping, none to what was sent before."""
        ping_hash = self.ping()
        answer = self.read_answer()
        assert isinstance(answer, Pong) and answer.ping_hash == ping_hash, _shown(answer)

    def send_signed(self, kind: int, data: bytes) -> bytes:
        """Send a packet with any type and data; return its hash."""
        signed = bytes([kind]) + data
        hashed = self.key.sign(keccak256(signed)) + signed
        self.send_raw(keccak256(hashed) + hashed)
        return keccak256(hashed)

    def neighbors(self, find: bytes) -> list[NeighborNode]:
        """Ask for the nodes near ``find``, 64 bytes, and return them all."""
        self.find_node(find)
        found: list[NeighborNode] = []
        for received in self.packets(self._target.answer_s):
            if isinstance(received.packet, Neighbors):
                found += received.packet.nodes
                break
        for received in self.packets(QUIET_S):
            if isinstance(received.packet, Neighbors):
                found += received.packet.nodes
        return found


def _shown(answer: Packet) -> str:
    return f"the target answered with a {type(answer).__name__}"


# Ping


@case("Ping Packet", "A Ping is answered by a Pong with its hash.")
def ping(target: Target) -> None:
    with _Tester(target) as tester:
        ping_hash = tester.ping()
        tester.check_pong(ping_hash)


@case("Pong Packet", "A Pong names the endpoint that the Ping came from, and has not expired.")
def pong_fields(target: Target) -> None:
    with _Tester(target) as tester:
        tester.ping()
        pong = tester.read_answer()
        assert isinstance(pong, Pong), _shown(pong)
        place = pong.recipient
        assert (place.ip, place.udp) == tester.endpoint, f"the Pong names {place}"
        assert pong.expiration > tester.now_unix(), "the Pong has expired"


@case("Ping Packet", "A Ping of an unknown node is followed by a Ping to it.")
def ping_back(target: Target) -> None:
    with _Tester(target) as tester:
        tester.ping()
        tester.expect(Ping, target.answer_s)


@case("Ping Packet", "A wrong recipient in a Ping is ignored.")
def ping_with_wrong_to(target: Target) -> None:
    with _Tester(target) as tester:
        tester.check_pong(tester.ping(recipient=_UNREACHABLE))


@case("Ping Packet", "A wrong sender in a Ping is ignored: the address of the packet counts.")
def ping_with_wrong_from(target: Target) -> None:
    with _Tester(target) as tester:
        tester.check_pong(tester.ping(sender=_UNREACHABLE))


@case("Ping Packet", "A mismatch of the version of a Ping is ignored.")
def ping_with_another_version(target: Target) -> None:
    with _Tester(target) as tester:
        tester.check_pong(tester.ping(version=555))


@case("Wire Protocol", "Additional elements of the list, and data after it, are ignored.")
def ping_with_more_data(target: Target) -> None:
    with _Tester(target) as tester:
        tester.check_pong(_send_with_more(tester))


@case("Wire Protocol", "Additional data is ignored in a Ping with a wrong sender, too.")
def ping_with_more_data_and_wrong_from(target: Target) -> None:
    with _Tester(target) as tester:
        tester.check_pong(_send_with_more(tester, sender=_UNREACHABLE))


def _send_with_more(tester: _Tester, **changes: object) -> bytes:
    made = tester.make_ping(tester.to, **changes)
    items = [*made.to_items()[:4], encode(b"more"), encode([b"and", 7])]
    return tester.send_signed(Ping.kind, encode_list(items) + b"\xc0more")


@case("Ping Packet", "A Ping that has expired is not answered.")
def expired_ping(target: Target) -> None:
    with _Tester(target) as tester:
        tester.ping(expiration=int(tester.now_unix()) - 3600)
        tester.expect_ignored()


@case("Wire Protocol", "A packet of an unknown type is not answered.")
def unknown_packet_type(target: Target) -> None:
    with _Tester(target) as tester:
        tester.send_signed(0x42, encode_list(tester.make_ping(tester.to).to_items()))
        tester.expect_ignored()


@case("Wire Protocol", "A packet with a wrong hash is not answered.")
def wrong_hash(target: Target) -> None:
    with _Tester(target) as tester:
        data, _ = tester.encode(tester.make_ping(tester.to))
        tester.send_raw(bytes([data[0] ^ 1]) + data[1:])
        tester.expect_silence(*get_args(Packet))


@case("Ping Packet", "A wrong sender is ignored after the endpoint proof, too.")
def bond_then_ping_with_wrong_from(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        tester.check_pong(tester.ping(sender=_UNREACHABLE))


# FindNode


@case("Endpoint Proof", "A FindNode without an endpoint proof is not answered.")
def find_node_without_proof(target: Target) -> None:
    with _Tester(target) as tester:
        tester.find_node(generate_key().public_key)
        tester.expect_silence(Neighbors)


@case("FindNode Packet", "A FindNode after the endpoint proof is answered by Neighbors.")
def find_node(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        tester.find_node(generate_key().public_key)
        answer = tester.read_answer()
        assert isinstance(answer, Neighbors), _shown(answer)


@case("FindNode Packet", "A FindNode is answered with 16 nodes at most, each once.")
def find_node_limit(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        nodes = tester.neighbors(generate_key().public_key.to_bytes())
        keys = [node.public_key for node in nodes]
        assert len(keys) <= MAX_NEIGHBORS, f"{len(keys)} nodes"
        assert len(keys) == len(set(keys)), "a node comes twice"


@case("Neighbors Packet", "Nodes of unsolicited Neighbors are not adopted.")
def unsolicited_neighbors(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        fake = generate_key().public_key.to_bytes()
        nodes = (NeighborNode(*_UNREACHABLE, fake),)
        tester.send(Neighbors(nodes, tester.expiration))
        found = tester.neighbors(fake)
        assert fake not in [node.public_key for node in found], "the target sent the node"


@case("FindNode Packet", "A FindNode that has expired is not answered.")
def expired_find_node(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        key = generate_key().public_key.to_bytes()
        tester.send(FindNode(key, int(tester.now_unix()) - 3600))
        tester.expect_ignored()


@case("Endpoint Proof", "A Pong with another hash is no endpoint proof.")
def find_node_after_a_wrong_pong(target: Target) -> None:
    with _Tester(target) as tester:
        tester.ping()
        tester.expect(Ping, target.answer_s)
        tester.pong(bytes(32))
        tester.find_node(generate_key().public_key)
        tester.expect_silence(Neighbors)


@case("Endpoint Proof", "An endpoint proof counts for its address only.")
def find_node_from_another_address(target: Target) -> None:
    key = generate_key()
    with _Tester(target, key) as tester:
        if not is_loopback(tester.endpoint.ip) or tester.endpoint.ip.version != 4:
            raise Skip("needs a second address of this machine, which loopback has")
        tester.prove()
        with _Tester(target, key, _OTHER_HOST) as other:
            other.find_node(generate_key().public_key)
            other.expect_silence(Neighbors)


# ENRRequest


@case("ENRRequest Packet", "An ENRRequest is answered with the node's own record.")
def enr_request(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        request_hash = tester.request_record()
        answer = tester.read_answer()
        assert isinstance(answer, ENRResponse), _shown(answer)
        assert answer.request_hash == request_hash, "the answer has another hash"
        node = Node.from_record(Record.from_rlp(answer.record))
        assert node.id == target.node.id, "the record is of another node"


@case("ENRRequest Packet", "An ENRRequest without an endpoint proof is not answered.")
def enr_request_without_proof(target: Target) -> None:
    with _Tester(target) as tester:
        tester.request_record()
        tester.expect_silence(ENRResponse)


@case("ENRRequest Packet", "An ENRRequest that has expired is not answered.")
def expired_enr_request(target: Target) -> None:
    with _Tester(target) as tester:
        tester.prove()
        tester.send(ENRRequest(int(tester.now_unix()) - 3600))
        tester.expect_ignored()
