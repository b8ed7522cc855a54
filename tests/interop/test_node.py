"""The library against @ethereumjs/devp2p."""

from __future__ import annotations

import p2p

from .ours import StartServer
from .program import StartProgram
from .rules import Rules, connect


class TestNode(Rules):
    kind = "node"
    # It pings after 15 s, and the program has it wait 2 s for the pong.
    idle_s = 18.0

    def test_refusal_after_hello_has_its_reason(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        # It completes the hello with one peer too many, and then sends the reason.
        theirs = start_program(max_peers=0)
        ours = start_server()
        connect("we", ours, theirs)
        end = ours.session("foo/1").end()
        assert (end.reason, end.by_remote) == (p2p.DiscReason.TOO_MANY_PEERS, True)

    def test_highest_code_of_one_byte_arrives_each_way(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        # It reads one byte of code: 0x7f is the last, of which 16 are the base protocol's.
        protocols = f"foo/1/{0x80 - 16}"
        theirs = start_program(protocols)
        ours = start_server(protocols)
        connect("they", ours, theirs)
        theirs.set_mode("foo", "echo")
        session = ours.session("foo/1")
        session.rw.write_msg(p2p.Msg(0x7F - 16, b"last"))
        assert session.next_message().code == 0x7F - 16
