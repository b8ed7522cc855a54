"""Text of strangers in what the server tells of its peers: nothing that a terminal would obey."""

from __future__ import annotations

import pytest

from p2p.codec import encode
from tests.kit.target import Inbox, target

NASTY = "evil\x1b[2J\x1b]0;owned\x07\r\nINFO fake line\u202e\u2028\0\x9b31m"


@pytest.mark.parametrize("name", [NASTY, "x" * 500 + "\n"])
def test_capabilities_of_a_peer_are_escaped_and_cut_in_its_info(name: str) -> None:
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.shake_hands()
        caps = [["test", 1], [name, 1]]
        remote.send_hello(encode([5, "x", caps, 0, remote.hello.node_key]))
        remote.expect_hello()
        inbox.peer()
        shown = victim.server.peers_info()[0]["caps"]
    inbox.ending()
    assert shown[0] == "test/1"
    assert all(text.isprintable() for text in shown)
    assert len(shown[1]) <= 300
