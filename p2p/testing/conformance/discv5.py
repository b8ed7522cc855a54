"""Cases of discovery v5.1 (discv5-wire.md, discv5-theory.md).

That the target does not answer is shown by a ping after the message in question, as in
:mod:`p2p.testing.conformance.discv4`, or by silence. A case blocks its thread.
"""

from __future__ import annotations

from contextlib import ExitStack

from p2p.clock import Deadline
from p2p.codec import encode as encode_rlp
from p2p.codec import encode_list
from p2p.discover.v5.message import (
    MessageType,
    Nodes,
    Ping,
    Pong,
    TalkRequest,
    TalkResponse,
    encode,
)
from p2p.discover.v5.packet import MessagePacket, WhoAreYou, mask, message_head
from p2p.enode import Node, generate_key, log_distance
from p2p.netutil import is_loopback
from p2p.testing.conformance.case import CaseList, Skip, Target
from p2p.testing.conformance.tester5 import TesterV5

#: Wait for an answer that must not come, in seconds.
QUIET_S = 0.5
#: Nodes of a response at most (discv5-wire.md, "FINDNODE Request"), and the target itself.
MAX_NODES = 17
#: Nodes that the target is to adopt, and the limit on the time for it, in seconds.
BYSTANDERS = 5
ADOPTION_S = 60.0
_OTHER_HOST = "127.0.0.2"

case = CaseList("discv5-wire.md")
cases = case.cases


# Handshake


@case("WHOAREYOU Packet", "A message that cannot be decrypted is answered by a WHOAREYOU for it.")
def whoareyou(target: Target) -> None:
    with TesterV5(target) as tester:
        challenge = tester.expect_whoareyou(tester.send_random())
        assert challenge.enr_seq == 0, f"enr-seq {challenge.enr_seq} for an unknown node"


@case("Handshake Message Packet", "A handshake makes a session, and its message is answered.")
def handshake(target: Target) -> None:
    with TesterV5(target) as tester:
        tester.handshake()
        ping = Ping(tester.new_id(), 1)
        tester.ask(ping, Pong)


@case("Handshake Message Packet", "A handshake with a wrong ID signature makes no session.")
def handshake_with_a_wrong_signature(target: Target) -> None:
    with TesterV5(target) as tester:
        challenge = tester.expect_whoareyou(tester.send_random())
        tester.sign_with(generate_key())
        tester.answer(challenge, encode(Ping(tester.new_id(), 1)))
        _expect_no_message(tester)


@case("Handshake Message Packet", "The record must be in the handshake if enr-seq is zero.")
def handshake_without_record(target: Target) -> None:
    with TesterV5(target) as tester:
        challenge = tester.expect_whoareyou(tester.send_random())
        # The size of the record is left out of the answer, as if the target knew it.
        known = challenge._replace(enr_seq=tester.local.record.seq)
        tester.answer(known, encode(Ping(tester.new_id(), 1)))
        _expect_no_message(tester)


@case("discv5-theory.md, Handshake Steps", "A second message gets the same WHOAREYOU again.")
def handshake_resend(target: Target) -> None:
    with TesterV5(target) as tester:
        first = tester.expect_whoareyou(tester.send_random())
        tester.send_random()
        second = tester.read_packet(target.answer_s)
        assert isinstance(second, WhoAreYou), "there is no second WHOAREYOU"
        assert second.head == first.head, "the second WHOAREYOU is another one"


@case("discv5-theory.md, Session Cache", "A session counts for one address only.")
def session_from_another_address(target: Target) -> None:
    with TesterV5(target) as tester:
        if not is_loopback(tester.endpoint.ip) or tester.endpoint.ip.version != 4:
            raise Skip("needs a second address of this machine, which loopback has")
        tester.handshake()
        other = tester.bind(_OTHER_HOST)
        nonce = tester.send_under_session(encode(Ping(tester.new_id(), 1)), other)
        tester.expect_whoareyou(nonce, other)


@case("Protocol Header", "A packet with another protocol-id is not answered.")
def wrong_protocol_id(target: Target) -> None:
    with TesterV5(target) as tester:
        head = message_head(bytes(16), bytes(12), tester.id)
        head = head[:16] + b"discv6" + head[22:]
        tester.send_raw(mask(head, target.node.id) + bytes(24))
        assert tester.read_packet(QUIET_S) is None, "the target answered"


# PING


@case("PONG Response", "A PONG names the endpoint that the PING came from.")
def pong_fields(target: Target) -> None:
    with TesterV5(target) as tester:
        pong = tester.handshake()
        assert pong.recipient == tester.endpoint, f"the PONG names {pong.recipient}"


@case("Protocol Messages", "A request ID is mirrored as it is, with leading zeros.")
def ping_with_zeros_in_the_request_id(target: Target) -> None:
    with TesterV5(target) as tester:
        tester.ask(Ping(b"\0\0\0\1", 1), Pong)


@case("Protocol Messages", "A request ID of more than 8 bytes is refused.")
def ping_with_a_long_request_id(target: Target) -> None:
    with TesterV5(target) as tester:
        tester.handshake()
        items = [encode_rlp(bytes(9)), encode_rlp(1)]
        tester.send_under_session(bytes([MessageType.PING]) + encode_list(items))
        _expect_only_pong(tester)


@case("Protocol Messages", "A message of an unknown type is not answered.")
def unknown_message_type(target: Target) -> None:
    with TesterV5(target) as tester:
        tester.handshake()
        items = [encode_rlp(tester.new_id()), encode_rlp(1)]
        tester.send_under_session(b"\x7f" + encode_list(items))
        _expect_only_pong(tester)


# TALKREQ


@case("TALKREQ Request", "An unknown protocol is answered by an empty TALKRESP.")
def talk_of_an_unknown_protocol(target: Target) -> None:
    with TesterV5(target) as tester:
        request = TalkRequest(tester.new_id(), b"test-protocol", b"")
        response = tester.ask(request, TalkResponse)
        assert not response.response, f"the response has {len(response.response)} bytes"


@case("TALKREQ Request", "An empty request ID is mirrored, too.")
def talk_with_an_empty_request_id(target: Target) -> None:
    with TesterV5(target) as tester:
        response = tester.ask(TalkRequest(b"", b"test-protocol", b""), TalkResponse)
        assert not response.response, f"the response has {len(response.response)} bytes"


# FINDNODE


@case("FINDNODE Request", "Distance 0 is answered with the node's own record.")
def find_node_at_distance_zero(target: Target) -> None:
    with TesterV5(target) as tester:
        records = tester.find_node([0])
        assert len(records) == 1, f"{len(records)} records"
        assert Node.from_record(records[0]).id == target.node.id, "a record of another node"


@case("FINDNODE Request", "Nodes are at the requested distances, and 16 at most.")
def find_node_distances(target: Target) -> None:
    with TesterV5(target) as tester:
        for distances in ([256], [255, 254], list(range(257))):
            nodes = [Node.from_record(record) for record in tester.find_node(distances)]
            found = {log_distance(node.id, target.node.id) for node in nodes}
            assert found <= set(distances), f"nodes at {sorted(found - set(distances))}"
            assert len(nodes) <= MAX_NODES, f"{len(nodes)} nodes"


@case("FINDNODE Request", "Nodes that have answered the target are in its responses.")
def find_node_results(target: Target) -> None:
    with ExitStack() as stack:
        bystanders = [stack.enter_context(TesterV5(target)) for _ in range(BYSTANDERS)]
        for bystander in bystanders:
            bystander.handshake()
        wanted = {bystander.id: bystander for bystander in bystanders}
        asker = stack.enter_context(TesterV5(target))
        distances = sorted({log_distance(node_id, target.node.id) for node_id in wanted})
        deadline = Deadline(ADOPTION_S)
        missing = set(wanted)
        while missing:
            assert deadline.left_at_least(0.0) > 0, f"{len(missing)} nodes are missing"
            for bystander in bystanders:
                _serve(bystander)
            nodes = [Node.from_record(record) for record in asker.find_node(distances)]
            missing = set(wanted) - {node.id for node in nodes}


def _serve(tester: TesterV5) -> None:
    """Answer what the target has asked."""
    for packet in tester.packets(0.05):
        tester.open(packet)


def _expect_no_message(tester: TesterV5) -> None:
    for packet in tester.packets(QUIET_S):
        if isinstance(packet, MessagePacket):
            assert tester.open(packet) is None, "the target answered"


def _expect_only_pong(tester: TesterV5) -> None:
    """Check that the next response is the PONG to a new PING."""
    ping = Ping(tester.new_id(), 1)
    tester.send_under_session(encode(ping))
    for packet in tester.packets(tester.answer_s):
        message = tester.open(packet)
        if isinstance(message, (Pong, Nodes, TalkResponse)):
            kind = type(message).__name__
            assert message.request_id == ping.request_id, f"the target answered with a {kind}"
            return
    raise AssertionError("the target no longer answers")
