"""Two nodes that dial each other: one connection stays, and each handler begins once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import p2p
from p2p.peers.collision import HOLD_S, Collisions
from tests.kit.meeting import GoNode, Meeting, OurNode, explore

pytestmark = pytest.mark.slow

SMALL, GREAT = sorted(
    (p2p.PrivateKey.from_bytes(bytes([number]) * 32) for number in (1, 2)),
    key=lambda key: p2p.Node.from_parts(key.public_key).id,
)
SMALL_ID, GREAT_ID = (p2p.Node.from_parts(key.public_key).id for key in (SMALL, GREAT))

# every order of the steps of two handshakes


@pytest.mark.parametrize(
    ("small", "great"),
    [(OurNode, OurNode), (OurNode, GoNode), (GoNode, OurNode)],
    ids=["ours-ours", "ours-go", "go-ours"],
)
def test_every_order_ends_with_one_connection(
    small: Callable[..., Any], great: Callable[..., Any]
) -> None:
    orders = 0
    for meeting in explore(lambda: Meeting([small(SMALL), great(GREAT)], [SMALL, GREAT])):
        orders += 1
        one, other = meeting.nodes
        assert len(one.peers) == 1
        assert one.peers == other.peers
        assert (one.begun, other.begun) == (1, 1)
    assert orders > 40


# a connection in the name of a node whose key it does not have


@pytest.fixture(params=[SMALL, GREAT], ids=["small", "great"])
def ours(request: pytest.FixtureRequest) -> Iterator[OurNode]:
    made = OurNode(request.param)
    yield made
    made.close()


def shake_hands(node: OurNode, go: GoNode, connection: int) -> None:
    """Deliver what both have sent until they are silent."""
    silent = False
    while not silent:
        packets = [(go, node.sent(connection)), (node, go.sent(connection))]
        silent = not any(packet for _, packet in packets)
        for receiver, packet in packets:
            if packet:
                receiver.receive(connection, packet)


def test_forged_handshake_delays_a_dial_by_a_second_at_most(ours: OurNode) -> None:
    key = GREAT if ours.key == SMALL else SMALL
    go, forger = GoNode(key), GoNode(key)
    ours.open(1, None)
    forger.open(1, ours.key.public_key)
    ours.receive(1, forger.sent(1) or b"")
    assert ours.sent(1)  # ack and hello, which it cannot open
    ours.open(0, key.public_key)
    go.open(0, None)
    shake_hands(ours, go, 0)
    assert ours.peers == []
    ours.run(HOLD_S)
    shake_hands(ours, go, 0)
    assert ours.peers == [0]
    assert ours.begun == 1


def test_dial_that_gets_no_answer_delays_an_inbound_connection_by_a_second_at_most() -> None:
    # Its address may be a wrong one, where somebody else answers the auth.
    ours, go, other = OurNode(GREAT), GoNode(SMALL), GoNode(SMALL)
    ours.open(0, SMALL.public_key)
    other.open(0, None)
    other.receive(0, ours.sent(0) or b"")
    ours.receive(0, other.sent(0) or b"")  # the ack, and no hello
    ours.open(1, None)
    go.open(1, GREAT.public_key)
    shake_hands(ours, go, 1)
    assert ours.peers == []
    ours.run(HOLD_S)
    shake_hands(ours, go, 1)
    assert ours.peers == [1]
    ours.close()


def test_refused_dial_ends_though_somebody_claims_to_be_the_node(ours: OurNode) -> None:
    # The node may not have noticed that we restarted, and refuse us for some time.
    key = GREAT if ours.key == SMALL else SMALL
    refusing, forger = GoNode(key), GoNode(key)
    refusing.refuses_all = True
    ours.open(0, key.public_key)
    refusing.open(0, None)
    ours.open(1, None)
    forger.open(1, ours.key.public_key)
    ours.receive(1, forger.sent(1) or b"")
    shake_hands(ours, refusing, 0)
    assert ours.settled == []
    ours.run(HOLD_S)  # for our hello, if ours is the greater ID
    ours.run(HOLD_S)  # for the peer that the node may be by its own dial
    assert len(ours.settled) == 1


@pytest.mark.parametrize("end", ["hello", "stop"])
def test_hundreds_of_held_connections_end_one_by_one(end: str) -> None:
    # Each may free the next; with a call for each the stack would end.
    ours, go = OurNode(GREAT, max_pending_peers=400), GoNode(SMALL)
    ours.open(0, SMALL.public_key)
    go.open(0, None)
    go.receive(0, ours.sent(0) or b"")
    ours.receive(0, go.sent(0) or b"")  # the ack: our hello is out
    for number in range(1, 301):
        forger = GoNode(SMALL)
        ours.open(number, None)
        forger.open(number, GREAT.public_key)
        ours.receive(number, forger.sent(number) or b"")
    assert len(ours.peer_set._holds) == 300
    if end == "hello":
        shake_hands(ours, go, 0)
        assert ours.peers == [0]
    else:
        ours.peer_set.stop(0.0, lambda: None)
        ours.run()
    assert not ours.peer_set._holds
    ours.close()


def test_large_frame_ends_the_hold_before_it_is_kept() -> None:
    ours, go, other = OurNode(SMALL), GoNode(GREAT), GoNode(GREAT)
    ours.open(1, None)
    other.open(1, SMALL.public_key)
    ours.receive(1, other.sent(1) or b"")  # our hello is out
    ours.open(0, GREAT.public_key)
    go.open(0, None)
    shake_hands(ours, go, 0)
    assert ours.peers == []
    go.machine(0).send_messages([(16, os.urandom(200_000))])
    ours.receive(0, (go.sent(0) or b"")[:5000])
    assert ours.peers == [0]
    ours.close()


# the rule by itself


def test_greater_node_sends_one_hello_at_a_time() -> None:
    collisions: Collisions[str] = Collisions(GREAT_ID)
    assert not collisions.must_wait(SMALL_ID, "dialed", inbound=False)
    assert collisions.must_wait(SMALL_ID, "inbound", inbound=True)
    assert collisions.settled(SMALL_ID, "dialed") == "inbound"
    assert not collisions.must_wait(SMALL_ID, "inbound", inbound=True)


def test_greater_node_opens_at_once() -> None:
    collisions: Collisions[str] = Collisions(GREAT_ID)
    assert not collisions.must_wait(SMALL_ID, "dialed", inbound=False)
    assert collisions.must_wait(SMALL_ID, "inbound", inbound=True)
    assert not collisions.must_wait(SMALL_ID, "dialed", inbound=False)


def test_smaller_node_opens_what_is_left() -> None:
    collisions: Collisions[str] = Collisions(SMALL_ID)
    assert not collisions.must_wait(GREAT_ID, "dialed", inbound=False)
    assert not collisions.must_wait(GREAT_ID, "inbound", inbound=True)
    assert collisions.must_wait(GREAT_ID, "inbound", inbound=True)
    assert collisions.must_wait(GREAT_ID, "dialed", inbound=False)
    assert collisions.settled(GREAT_ID, "dialed") == "inbound"


@pytest.mark.parametrize("self_id", [SMALL_ID, GREAT_ID], ids=["small", "great"])
def test_connections_of_one_direction_do_not_collide(self_id: bytes) -> None:
    # or somebody else could delay a node's dial by one in its name
    other = GREAT_ID if self_id == SMALL_ID else SMALL_ID
    collisions: Collisions[str] = Collisions(self_id)
    for name in ("first", "second", "second", "first"):
        assert not collisions.must_wait(other, name, inbound=True)


def test_other_nodes_do_not_collide() -> None:
    collisions: Collisions[str] = Collisions(GREAT_ID)
    assert not collisions.must_wait(SMALL_ID, "dialed", inbound=False)
    assert not collisions.must_wait(b"another node", "inbound", inbound=True)


def test_hold_ends_once() -> None:
    collisions: Collisions[str] = Collisions(GREAT_ID)
    collisions.must_wait(SMALL_ID, "dialed", inbound=False)
    collisions.must_wait(SMALL_ID, "inbound", inbound=True)
    assert collisions.release(SMALL_ID, "inbound")
    assert not collisions.release(SMALL_ID, "inbound")
    assert sorted(collisions.of(SMALL_ID)) == ["dialed", "inbound"]


def test_nothing_is_kept_of_connections_that_are_settled() -> None:
    collisions: Collisions[str] = Collisions(GREAT_ID)
    collisions.must_wait(SMALL_ID, "dialed", inbound=False)
    collisions.must_wait(SMALL_ID, "inbound", inbound=True)
    assert collisions.settled(SMALL_ID, "inbound") is None
    assert collisions.settled(SMALL_ID, "dialed") is None
    assert collisions.of(SMALL_ID) == []
    assert not collisions._greeted and not collisions._held
