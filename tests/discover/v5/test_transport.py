"""The requests of discovery v5 on behalf of the parts that all protocols share."""

from __future__ import annotations

import pytest

from p2p.discover.v5.transport import distances_to
from p2p.enode.nodeid import NodeID

NODE = NodeID(bytes(32))


@pytest.mark.parametrize(
    ("distance", "asked"),
    [
        (256, (256, 255, 254, 253, 252, 251, 250, 249)),
        (250, (250, 251, 249, 252, 248, 253, 247, 254)),
        (2, (2, 3, 1, 4, 5, 6, 7, 8)),
    ],
)
def test_lookup_asks_for_the_distance_of_its_target_and_those_next_to_it(
    distance: int, asked: tuple[int, ...]
) -> None:
    target = NodeID((1 << distance - 1).to_bytes(32, "big"))
    assert distances_to(target, NODE) == asked
