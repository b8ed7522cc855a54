"""What the check of a peer costs does not grow with the number of peers there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.kit import inspect
from tests.kit.nodes import Nodes


class Uncounted(dict[Any, Any]):
    """Peers that may be looked up, and not gone through."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        self.walks += 1
        return super().__iter__()


def test_check_of_a_peer_does_not_go_through_all_peers(nodes: Nodes) -> None:
    server = nodes.start(max_peers=10)
    peers = inspect.peer_set(server)._peers = Uncounted()
    nodes.remote(server).shake_hands()  # its identity has been checked, and it is no peer yet
    assert inspect.on_io(server, lambda: peers.walks) == 0
