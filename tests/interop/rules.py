"""What must hold with every other implementation, whoever dials.

A test module derives a class from :class:`Rules` and names the kind of program to talk to. A fresh
program and a fresh server serve each test, so nothing is left over from the one before.
"""

from __future__ import annotations

import hashlib
import struct

import pytest

import p2p

from .ours import OurNode, Session, StartServer
from .program import Program, StartProgram

#: The largest leaves room for the snappy overhead of incompressible data (3 bytes in 64 KiB).
SIZES = [0, 1, 100, 1 << 10, 1 << 16, 1 << 20, (1 << 24) - (1 << 10)]
MANY = 10_000

#: What can be sent; INVALID stands for a Disconnect that cannot be read.
REASONS = [reason for reason in p2p.DiscReason if reason is not p2p.DiscReason.INVALID]

both_dial = pytest.mark.parametrize("dialer", ["we", "they"])


def payload(seed: int, size: int) -> bytes:
    """The bytes that stand for a seed, the same in every program."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def connect(dialer: str, ours: OurNode, theirs: Program) -> None:
    """Have the dialer dial the other."""
    if dialer == "we":
        ours.server.connect(p2p.parse_node(theirs.enode), timeout=10)
    else:
        theirs.do("dial", enode=ours.url)


class Rules:
    """The tests; ``kind`` names the program."""

    kind: str
    #: How long a silent connection is watched: longer than a peer lives whose pings get no answer.
    idle_s: float

    @pytest.fixture
    def theirs(self, start_program: StartProgram) -> Program:
        return start_program()

    @pytest.fixture
    def ours(self, start_server: StartServer) -> OurNode:
        return start_server()

    @pytest.fixture
    def session(self, dialer: str, ours: OurNode, theirs: Program) -> Session:
        """Our end of foo/1, connected."""
        connect(dialer, ours, theirs)
        theirs.expect("peer_added")
        return ours.session("foo/1")

    # handshake and hello

    @both_dial
    def test_each_side_learns_name_and_capabilities_of_the_other(
        self, dialer: str, start_program: StartProgram, start_server: StartServer
    ) -> None:
        theirs = start_program("foo/1/5,snack/3/2", name="their node/v1.2 ü")
        ours = start_server("bar/7/3,foo/1/5", name="our node/v0.1 ä")
        connect(dialer, ours, theirs)

        added = theirs.expect("peer_added")
        assert added["name"] == "our node/v0.1 ä"
        assert sorted(added["caps"]) == ["bar/7", "foo/1"]
        assert added["inbound"] == (dialer == "we")
        assert added["peer"] == p2p.parse_node(ours.url).id.hex()
        peer = ours.session("foo/1").peer
        assert peer.fullname == "their node/v1.2 ü"
        assert sorted((cap.name, cap.version) for cap in peer.caps) == [("foo", 1), ("snack", 3)]
        assert peer.id == p2p.parse_node(theirs.enode).id

    # messages

    @both_dial
    @pytest.mark.parametrize("size", SIZES)
    def test_payload_arrives_unchanged_each_way(
        self, dialer: str, size: int, theirs: Program, session: Session
    ) -> None:
        session.rw.write_msg(p2p.Msg(4, payload(1, size)))
        received = theirs.expect("message", code=4, size=size)
        assert received["sha256"] == sha256(payload(1, size))

        theirs.do("send", protocol="foo", code=3, size=size, seed=2)
        msg = session.next_message()
        assert msg.code == 3
        assert len(msg.payload) == size
        assert sha256(msg.payload) == sha256(payload(2, size))

    @both_dial
    def test_compressible_payload_arrives_unchanged_each_way(
        self, dialer: str, theirs: Program, session: Session
    ) -> None:
        theirs.set_mode("foo", "echo")
        data = b"devp2p " * 100_000
        session.rw.write_msg(p2p.Msg(2, data))
        assert session.next_message().payload == data

    @both_dial
    def test_large_messages_can_cross(self, dialer: str, theirs: Program, session: Session) -> None:
        size = 4 << 20
        for seed in range(3):
            theirs.do("send", protocol="foo", code=0, size=size, seed=seed)
        for seed in range(3):
            session.rw.write_msg(p2p.Msg(1, payload(seed, size)))
        for seed in range(3):
            assert sha256(session.next_message().payload) == sha256(payload(seed, size))
            assert theirs.expect("message")["sha256"] == sha256(payload(seed, size))

    @both_dial
    def test_many_messages_arrive_in_order_each_way(
        self, dialer: str, theirs: Program, session: Session
    ) -> None:
        theirs.set_mode("foo", "count", MANY)
        theirs.do("send_numbered", protocol="foo", code=1, count=MANY)
        for number in range(MANY):
            session.rw.write_msg(p2p.Msg(1, struct.pack(">I", number)))

        assert theirs.expect("counted", count=MANY)["in_order"]
        received = [struct.unpack(">I", session.next_message().payload)[0] for _ in range(MANY)]
        assert received == list(range(MANY))

    @both_dial
    def test_two_protocols_run_side_by_side(
        self, dialer: str, start_program: StartProgram, start_server: StartServer
    ) -> None:
        theirs = start_program("foo/1/5,bar/2/3")
        ours = start_server("foo/1/5,bar/2/3")
        connect(dialer, ours, theirs)

        for name, session in (("bar", ours.session("bar/2")), ("foo", ours.session("foo/1"))):
            last = 2 if name == "bar" else 4
            theirs.set_mode(name, "echo")
            for code in (0, last):
                session.rw.write_msg(p2p.Msg(code, name.encode()))
                theirs.expect("message", protocol=name, code=code, sha256=sha256(name.encode()))
                assert session.next_message() == p2p.Msg(code, name.encode())

    @both_dial
    def test_only_the_highest_shared_version_runs(
        self, dialer: str, start_program: StartProgram, start_server: StartServer
    ) -> None:
        theirs = start_program("foo/1/5,foo/2/8,foo/3/9,zoo/1/2")
        ours = start_server("foo/1/5,foo/2/8,foo/4/2,zoo/1/2")
        connect(dialer, ours, theirs)

        session = ours.session("foo/2")
        session.rw.write_msg(p2p.Msg(7, b"last code of version 2"))
        theirs.expect("message", protocol="foo", code=7)
        ours.session("zoo/1").rw.write_msg(p2p.Msg(1, b"the protocol behind it"))
        theirs.expect("message", protocol="zoo", code=1)
        assert not ours.has_session("foo/1")

    # ping

    @pytest.mark.parametrize("dialer", ["we"])
    def test_silent_connection_lives_on_pings(
        self, dialer: str, theirs: Program, session: Session
    ) -> None:
        theirs.expect_none("peer_dropped", within_s=self.idle_s)
        theirs.set_mode("foo", "echo")
        session.rw.write_msg(p2p.Msg(0, b"still there"))
        assert session.next_message().payload == b"still there"

    # disconnect

    @both_dial
    @pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
    def test_our_reason_reaches_them(
        self, dialer: str, reason: p2p.DiscReason, theirs: Program, session: Session
    ) -> None:
        session.peer.disconnect(reason)
        dropped = theirs.expect("peer_dropped")
        if reason is p2p.DiscReason.NETWORK_ERROR and "reason" not in dropped:
            return  # need not be told: the connection is taken to be broken
        assert (dropped.get("reason"), dropped["by_remote"]) == (int(reason), True)

    @both_dial
    @pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
    def test_their_reason_reaches_us(
        self, dialer: str, reason: p2p.DiscReason, theirs: Program, session: Session
    ) -> None:
        theirs.do("disconnect", reason=int(reason))
        end = session.end()
        assert (end.reason, end.by_remote) == (reason, True)

    @both_dial
    def test_what_was_written_before_disconnect_arrives_before_it(
        self, dialer: str, theirs: Program, session: Session
    ) -> None:
        theirs.set_mode("foo", "count", MANY)
        for number in range(MANY):
            session.rw.write_msg(p2p.Msg(0, struct.pack(">I", number)))
        session.peer.disconnect(p2p.DiscReason.USELESS_PEER)
        assert theirs.expect("counted")["in_order"]
        assert theirs.expect("peer_dropped").get("reason") == p2p.DiscReason.USELESS_PEER

    @both_dial
    def test_stop_of_our_server_tells_them_that_we_quit(
        self, dialer: str, ours: OurNode, theirs: Program, session: Session
    ) -> None:
        ours.server.stop()
        assert theirs.expect("peer_dropped").get("reason") == p2p.DiscReason.QUITTING

    @both_dial
    def test_their_end_is_an_event_with_its_reason(
        self, dialer: str, ours: OurNode, theirs: Program
    ) -> None:
        events = ours.server.subscribe_events()
        connect(dialer, ours, theirs)
        assert events.get(timeout=10).type == "add"
        ours.session("foo/1")
        theirs.expect("peer_added")  # or it has nobody yet to say farewell to
        theirs.do("quit")
        dropped = events.get(timeout=10)
        assert dropped.type == "drop"
        assert str(p2p.DiscReason.QUITTING) in str(dropped.error)

    # refusal

    def test_dial_without_shared_capability_is_refused(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        theirs = start_program("foo/1/5")
        ours = start_server("foo/2/5,bar/1/1")
        with pytest.raises(p2p.errors.NoSharedCapability) as refusal:
            connect("we", ours, theirs)
        assert [str(cap) for cap in refusal.value.theirs] == ["foo/1"]
        assert sorted(str(cap) for cap in refusal.value.ours) == ["bar/1", "foo/2"]
        assert theirs.expect("setup_failed").get("reason") == p2p.DiscReason.USELESS_PEER

    def test_their_dial_without_shared_capability_is_refused(
        self, start_program: StartProgram, start_server: StartServer
    ) -> None:
        theirs = start_program("foo/1/5")
        ours = start_server("foo/2/5")
        connect("they", ours, theirs)
        assert theirs.expect("setup_failed").get("reason") == p2p.DiscReason.USELESS_PEER
        assert not ours.has_session("foo/2")
