from __future__ import annotations

from p2p.discover.v5.topics.usability import MAX_FAILS, MAX_NODES, REST_S, Usability
from p2p.enode.nodeid import NodeID

NODE = NodeID(bytes(32))


def failing(times: int) -> Usability:
    usability = Usability()
    for _ in range(times):
        usability.failed(NODE, 100.0)
    return usability


def test_node_rests_after_failures_in_a_row() -> None:
    assert failing(MAX_FAILS - 1).is_usable(NODE, 100.0)
    usability = failing(MAX_FAILS)
    assert not usability.is_usable(NODE, 100.0 + REST_S - 1)
    assert usability.is_usable(NODE, 100.0 + REST_S)


def test_after_its_rest_a_node_begins_anew() -> None:
    usability = failing(MAX_FAILS)
    usability.failed(NODE, 100.0 + REST_S)
    assert usability.is_usable(NODE, 100.0 + REST_S)


def test_answer_ends_the_row_of_failures() -> None:
    usability = failing(MAX_FAILS - 1)
    usability.answered(NODE)
    usability.failed(NODE, 100.0)
    assert usability.is_usable(NODE, 100.0)


def test_memory_is_bounded() -> None:
    usability = failing(MAX_FAILS)
    for number in range(MAX_NODES):
        usability.failed(NodeID(number.to_bytes(32, "little")[::-1]), 100.0)
    assert len(usability) == MAX_NODES
