"""What must hold of discovery v5 with every other implementation.

A test module derives a class from :class:`DiscoveryRulesV5` and names the kind of program to talk
to. In each test all nodes are new, and know nobody but their bootnodes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

import pytest

import p2p
from p2p.discover.v5.talk import MAX_TALK_SIZE
from p2p.enode.distance import log_distance
from p2p.netutil import Endpoint

from .discovery import OurDiscoveryV5, StartDiscoveryV5
from .discovery_rules import wait_until
from .program import Event, ProgramV5, Refused, StartProgramV5
from .relay import LoseFirst, Passing, Relay, Rule, SwapFirst, pass_on, repeat

MAX_DISTANCE = 256
#: Nodes of a response at most, less the one that asks.
MOST_NODES = 15
#: Distances at which random keys are found soon.
FAR_DISTANCES = range(251, 257)
#: Requests until a lost one counts as a fault.
TRIES = 3
TALK = "interop"

T = TypeVar("T")


def ask_again(program: ProgramV5, cmd: str, answer: str, **fields: object) -> Event:
    """Have a program ask until it is answered, for not all of them repeat a lost packet."""
    for _ in range(TRIES - 1):
        try:
            return program.ask(cmd, answer, **fields)
        except Refused:
            continue
    return program.ask(cmd, answer, **fields)


def nodes_around(
    center: p2p.Node, start: Callable[[p2p.PrivateKey], p2p.Node]
) -> dict[int, set[p2p.NodeID]]:
    """Start nodes at some distances from a node, as many at the largest as a response can have."""
    wanted = dict.fromkeys(FAR_DISTANCES, 1) | {MAX_DISTANCE: MOST_NODES}
    found: dict[int, set[p2p.NodeID]] = {distance: set() for distance in wanted}
    while any(len(found[distance]) < number for distance, number in wanted.items()):
        key = p2p.generate_key()
        distance = log_distance(p2p.NodeID.from_public_key(key.public_key), center.id)
        if len(found.get(distance, ())) < wanted.get(distance, 0):
            found[distance].add(start(key).id)
    return found


def answer_talk(ours: OurDiscoveryV5) -> list[bytes]:
    """Answer their talk requests with the bytes reversed; returns the list that gets them."""
    requests: list[bytes] = []

    def answer(node_id: p2p.NodeID, endpoint: Endpoint, request: bytes) -> bytes:
        requests.append(request)
        return request[::-1]

    ours.udp.on_talk(TALK, answer)
    return requests


class Pair:
    """A node of theirs and one of ours, with a relay between them."""

    ours: OurDiscoveryV5

    def __init__(self, stack: ExitStack, kind: str, rule: Rule) -> None:
        self.theirs = ProgramV5(kind)
        stack.callback(self.theirs.stop)
        self.relay = Relay(rule)
        stack.enter_context(self.relay)
        self.ours = ours = OurDiscoveryV5(told_port=self.relay.our_port)
        stack.enter_context(ours)
        self.their_node = self.relay.join(ours.node, ours.udp.address.port, self.theirs.node)

    def ping(self) -> None:
        """Have ours ping theirs, through the relay."""
        assert self.ours.udp.ping(self.their_node) == self.theirs.node.seq

    def ping_back(self) -> None:
        """Have theirs ping ours, through the relay."""
        pong = ask_again(self.theirs, "ping", "pong", enode=str(self.ours.node))
        assert pong["seq"] == self.ours.local.seq


#: Starts nodes of theirs and ours with a relay between them, which follows a rule.
StartPair = Callable[[Rule], Pair]


@pytest.mark.usefixtures("patient_v5")
class DiscoveryRulesV5:
    """The tests; ``kind`` names the program."""

    kind: str

    # ping

    def test_our_ping_is_answered(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        assert ours.udp.ping(theirs.node) == theirs.node.seq

    def test_their_ping_is_answered(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        pong = ask_again(theirs, "ping", "pong", enode=str(ours.node))
        assert (pong["peer"], pong["seq"]) == (ours.node.id.hex(), ours.local.seq)

    def test_pings_cross(self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5) -> None:
        theirs, ours = start_v5(), start_ours()
        # Each begins a handshake, and they may have another session for the newer.
        theirs.do("ping", enode=str(ours.node))
        assert ours.udp.ping(theirs.node) == theirs.node.seq
        ask_again(theirs, "ping", "pong", enode=str(ours.node))
        assert ours.udp.ping(theirs.node) == theirs.node.seq

    # find_node

    def test_we_find_their_nodes_at_every_distance(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        records: list[str] = []

        def start(key: p2p.PrivateKey) -> p2p.Node:
            node = start_ours(key=key).node
            records.append(str(node))
            return node

        expected = nodes_around(theirs.node, start) | {0: {theirs.node.id}}
        table = theirs.ask("add_nodes", "table", nodes=records)["nodes"]
        assert len(table) == len(records)
        for distance in range(MAX_DISTANCE + 1):
            found = {node.id for node in ours.udp.find_node(theirs.node, [distance])}
            assert found - {ours.node.id} == expected.get(distance, set()), distance

    def test_they_find_our_nodes_at_every_distance(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()

        def start(key: p2p.PrivateKey) -> p2p.Node:
            other = start_ours(key=key)
            other.udp.ping(ours.node)
            ours.expect_added(other.node)
            return other.node

        expected = nodes_around(ours.node, start) | {0: {ours.node.id}}
        for distance in range(MAX_DISTANCE + 1):
            record = str(ours.node)
            fields = {"enode": record, "distances": [distance]}
            found = ask_again(theirs, "find_node", "found", **fields)["nodes"]
            wanted = {node_id.hex() for node_id in expected.get(distance, ())}
            assert set(found) - {theirs.node.id.hex()} == wanted, distance

    # who asks is known, and who is looked for is found

    def test_their_bootnode_knows_us_when_we_have_asked_it(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_v5()
        ours = start_ours(boot.record)
        assert boot.expect("node_added", peer=ours.node.id.hex())["record"] == str(ours.node)
        assert ours.expect_added(boot.node)[boot.node.id] == boot.node

    def test_our_bootnode_knows_them_when_they_have_asked_it(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_ours()
        theirs = start_v5(bootnodes=[str(boot.node)])
        assert boot.expect_added(theirs.node)[theirs.node.id] == theirs.node

    def test_our_lookup_finds_their_node(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_v5()
        others = [start_v5() for _ in range(3)]
        boot.ask("add_nodes", "table", nodes=[other.record for other in others])
        ours = start_ours(boot.record)
        for other in others:
            assert ours.udp.lookup(other.node.public_key)[0] == other.node

    def test_their_lookup_finds_our_node(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        boot = start_ours()
        others = [start_ours(str(boot.node)) for _ in range(3)]
        boot.expect_added(*(other.node for other in others))
        theirs = start_v5(bootnodes=[str(boot.node)])
        for other in others:
            key = other.node.public_key.to_bytes().hex()

            def is_found(key: str = key, wanted: str = other.node.id.hex()) -> bool:
                return wanted in theirs.ask("lookup", "found", key=key)["nodes"]

            wait_until(is_found)

    # talk requests

    def test_they_answer_our_talk_requests(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        theirs.ask("on_talk", "answering", protocol=TALK)
        request = bytes(range(250)) * 4
        assert ours.udp.talk(theirs.node, TALK, request) == request[::-1]
        told = theirs.expect("talk_request", peer=ours.node.id.hex(), protocol=TALK)
        assert told["request"] == request.hex()
        assert ours.udp.talk(theirs.node, TALK, b"") == b""
        assert ours.udp.talk(theirs.node, "unknown", request) == b""

    def test_we_answer_their_talk_requests(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        requests = answer_talk(ours)
        # Some put even a long first request into their handshake, and it does not fit.
        ask_again(theirs, "ping", "pong", enode=str(ours.node))

        def talk(protocol: str, request: bytes) -> bytes:
            fields = {"enode": str(ours.node), "protocol": protocol, "request": request.hex()}
            return bytes.fromhex(ask_again(theirs, "talk", "talked", **fields)["response"])

        request = bytes(range(250)) * 4
        assert talk(TALK, request) == request[::-1]
        assert request in requests
        assert talk(TALK, b"") == b""
        assert talk("unknown", request) == b""

    def test_longest_talk_each_way(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        theirs.ask("on_talk", "answering", protocol=TALK)
        answer_talk(ours)
        ask_again(theirs, "ping", "pong", enode=str(ours.node))
        request = bytes(MAX_TALK_SIZE - len(TALK))
        assert ours.udp.talk(theirs.node, TALK, request) == request
        fields = {"enode": str(ours.node), "protocol": TALK, "request": request.hex()}
        assert ask_again(theirs, "talk", "talked", **fields)["response"] == request.hex()

    # records

    def test_we_get_their_record_when_it_has_changed(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        assert ours.udp.request_enr(theirs.node) == theirs.node
        told = theirs.ask("set_entry", "self", key="test", value="changed")
        assert ours.udp.ping(theirs.node) == told["seq"] > theirs.node.seq
        assert str(ours.udp.request_enr(theirs.node)) == told["record"]

    def test_we_fetch_their_record_when_their_pong_tells_of_one(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs = start_v5()
        ours = start_ours(theirs.record)
        ours.expect_added(theirs.node)
        record = theirs.ask("set_entry", "self", key="test", value="changed")["record"]
        wait_until(lambda: [str(node) for node in ours.udp.nodes()] == [record])

    def test_they_get_our_record_when_it_has_changed(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        before = str(ours.node)
        assert ask_again(theirs, "request_enr", "record", enode=before)["record"] == before
        ours.local.set("test", "changed")
        answer = ask_again(theirs, "request_enr", "record", enode=before)
        assert answer["record"] == str(ours.node) != before

    def test_they_fetch_our_record_when_we_tell_of_one(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs = start_v5()
        ours = start_ours(theirs.record)
        theirs.expect("node_added", peer=ours.node.id.hex())
        ours.local.set("test", "changed")

        def is_fetched() -> bool:
            ours.udp.ping(theirs.node)
            table = theirs.ask("table", "table")["nodes"]
            return [entry["seq"] for entry in table] == [ours.local.seq]

        wait_until(is_fetched)

    # a restart in the middle of a session

    def restart(self, ours: OurDiscoveryV5, start_ours: StartDiscoveryV5) -> OurDiscoveryV5:
        """Start a node of ours anew, with its key and port and without its sessions."""
        port = ours.udp.address.port
        assert ours.udp.stop() == []
        return start_ours(key=ours.key, port=port)

    def test_we_ask_after_a_restart_of_ours(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        ours.udp.ping(theirs.node)
        again = self.restart(ours, start_ours)
        assert again.udp.ping(theirs.node) == theirs.node.seq
        assert again.udp.find_node(theirs.node, [0]) == [theirs.node]

    def test_they_ask_after_a_restart_of_ours(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        ask_again(theirs, "ping", "pong", enode=str(ours.node))
        again = self.restart(ours, start_ours)
        pong = ask_again(theirs, "ping", "pong", enode=str(again.node))
        assert pong["seq"] == again.local.seq

    def test_we_ask_after_a_restart_of_theirs(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        ours.udp.ping(theirs.node)
        theirs.stop()
        again = start_v5(key=theirs.key, port=theirs.node.udp)
        assert ours.udp.ping(theirs.node) == again.node.seq
        assert ours.udp.find_node(theirs.node, [0]) == [again.node]

    def test_they_ask_after_a_restart_of_theirs(
        self, start_v5: StartProgramV5, start_ours: StartDiscoveryV5
    ) -> None:
        theirs, ours = start_v5(), start_ours()
        ask_again(theirs, "ping", "pong", enode=str(ours.node))
        theirs.stop()
        again = start_v5(key=theirs.key, port=theirs.node.udp)
        pong = ask_again(again, "ping", "pong", enode=str(ours.node))
        assert pong["seq"] == ours.local.seq

    # a network that loses, repeats and reorders

    def test_their_whoareyou_is_lost(self, start_pair: StartPair) -> None:
        rule = LoseFirst("ours", "whoareyou")
        pair = start_pair(rule)
        pair.ping()
        assert rule.lost == 1

    def test_our_whoareyou_is_lost(self, start_pair: StartPair) -> None:
        rule = LoseFirst("theirs", "whoareyou")
        pair = start_pair(rule)
        pair.ping_back()
        assert rule.lost == 1

    @pytest.mark.parametrize("to", ["ours", "theirs"])
    def test_handshake_is_lost(self, start_pair: StartPair, to: str) -> None:
        rule = LoseFirst(to, "handshake")
        pair = start_pair(rule)
        pair.ping_back() if to == "ours" else pair.ping()
        assert rule.lost == 1
        pair.ping()
        pair.ping_back()

    def test_every_packet_comes_twice(self, start_pair: StartPair) -> None:
        pair = start_pair(repeat)
        for _ in range(5):
            pair.ping()
            pair.ping_back()
        assert pair.ours.udp.find_node(pair.their_node, [0]) == [pair.theirs.node]

    @pytest.mark.parametrize("asker", ["ours", "theirs"])
    def test_all_packets_come_again_after_the_session_was_made(
        self, start_pair: StartPair, asker: str
    ) -> None:
        pair = start_pair(pass_on)
        ask: Callable[[], None] = pair.ping if asker == "ours" else pair.ping_back
        ask()
        dropped = pair.ours.udp.counters().dropped
        old: list[Passing] = list(pair.relay.packets)
        for packet in old:
            pair.relay.send(packet)
        for kind in ("handshake", "whoareyou"):
            if any((packet.to, packet.kind) == ("ours", kind) for packet in old):
                reason = "handshake" if kind == "handshake" else "unsolicited"
                wait_until(partial(is_more, pair, dropped, reason))
        pair.ping()
        pair.ping_back()

    def test_their_responses_come_in_another_order(
        self, start_pair: StartPair, start_ours: StartDiscoveryV5
    ) -> None:
        pair = start_pair(pass_on)
        nodes = [start_ours().node for _ in range(MOST_NODES)]
        pair.theirs.ask("add_nodes", "table", nodes=[str(node) for node in nodes])
        distances = sorted({log_distance(node.id, pair.theirs.node.id) for node in nodes})
        wanted = {node.id for node in nodes}
        find = partial(pair.ours.udp.find_node, pair.their_node, distances)
        assert {node.id for node in find()} - {pair.ours.node.id} == wanted
        rule = SwapFirst("ours")
        pair.relay.rule = rule
        assert {node.id for node in find()} - {pair.ours.node.id} == wanted
        assert rule.swapped


def is_more(pair: Pair, before: dict[str, int], reason: str) -> bool:
    """Whether ours has dropped more packets for a reason than before."""
    return pair.ours.udp.counters().dropped.get(reason, 0) > before.get(reason, 0)
