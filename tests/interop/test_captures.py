"""A capture of go-ethereum talking to us, read with our key log, against what both have seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import p2p
import p2p.capture
from p2p.capture import ConnectionEnded, MessageSeen, PacketSeen
from p2p.keylog.writer import VARIABLE
from tests.kit.tcpdump import captured, needs_tcpdump
from tests.kit.waiting import eventually

from .geth import PROGRAM, Geth
from .ours import StartServer
from .program import StartProgram, StartProgramV5
from .rules import both_dial, connect, payload

pytest.importorskip("pcapy")
pytestmark = needs_tcpdump

SIZES = [0, 100, 70_000, 1 << 20]


class TestGo:
    kind = "go"

    @both_dial
    def test_capture_has_the_messages_of_both(
        self,
        dialer: str,
        start_program: StartProgram,
        start_server: StartServer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path, keylog = tmp_path / "file.pcap", tmp_path / "keys"
        monkeypatch.setenv(VARIABLE, str(keylog))
        theirs, ours = start_program("foo/1/5"), start_server("foo/1/5")
        port = p2p.parse_node(ours.url).tcp
        with captured(path, theirs.node.tcp, port):
            connect(dialer, ours, theirs)
            theirs.expect("peer_added")
            session = ours.session("foo/1")
            for number, size in enumerate(SIZES):
                session.rw.write_msg(p2p.Msg(4, payload(number, size)))
                theirs.expect("message", code=4, size=size)
                theirs.do("send", protocol="foo", code=3, size=size, seed=number + 10)
                session.next_message()
            session.peer.disconnect(p2p.DiscReason.QUITTING)
            theirs.expect("peer_dropped")
            eventually(lambda: has_ended(path, keylog), "the end is in the capture")
        seen = [e for e in p2p.capture.read(path, keylog=keylog) if isinstance(e, MessageSeen)]
        said = [(event.code, event.payload) for event in seen if event.cap == p2p.Cap("foo", 1)]
        assert said == [
            each
            for number, size in enumerate(SIZES)
            for each in ((4, payload(number, size)), (3, payload(number + 10, size)))
        ]
        hellos = [event.value for event in seen[:2] if isinstance(event.value, p2p.observe.Hello)]
        assert {hello.name for hello in hellos} == {"our node", "their node"}
        assert all(event.is_authentic for event in seen)
        assert [event.value for event in seen if event.name == "Disconnect"][:1] == [
            p2p.DiscReason.QUITTING
        ]

    def test_capture_has_the_packets_of_discovery_v5(
        self, start_v5: StartProgramV5, tmp_path: Path
    ) -> None:
        path, keylog = tmp_path / "file.pcap", tmp_path / "keys"
        theirs = start_v5()
        ours = p2p.Server(
            private_key=p2p.generate_key(),
            name="ours",
            max_peers=1,
            listen_addr="127.0.0.1:0",
            bootstrap_nodes=[theirs.node],
            key_log=keylog,
        )
        with captured(path, theirs.node.udp), ours:
            assert ours.discovery_v5 is not None
            ours.discovery_v5.ping(theirs.node, 10.0)
            eventually(lambda: {"ping", "pong"} <= kinds_of(path, keylog))
        assert "whoareyou" in kinds_of(path, keylog)


class TestGeth:
    @pytest.fixture
    def geth(self, tmp_path: Path) -> Iterator[Geth]:
        if not PROGRAM.exists():
            pytest.fail("geth is not built; run tests/interop/build.sh go")
        (tmp_path / "geth").mkdir()
        geth = Geth(tmp_path / "geth", 20)
        yield geth
        geth.stop()

    def test_capture_has_the_messages_of_eth(self, geth: Geth, tmp_path: Path) -> None:
        path, keylog = tmp_path / "file.pcap", tmp_path / "keys"
        options = {"name": "eth", "version": 69, "length": p2p.eth.ETH69.length}
        status = p2p.eth.make_status(geth.network, 69)
        with captured(path, geth.node.tcp):
            with p2p.connect(geth.node, key_log=keylog, **options) as rw:
                theirs = p2p.eth.handshake(rw, status, geth.network.chain)
                headers = p2p.eth.Client(rw, 69).get_block_headers(1, 3)
            eventually(lambda: has_ended(path, keylog), "the end is in the capture")
        events = p2p.capture.read(path, keylog=keylog)
        seen = [event for event in events if isinstance(event, MessageSeen) and event.cap]
        assert [event.error for event in seen] == [""] * len(seen)
        values = [event.value for event in seen]
        assert status in values and theirs in values
        (answer,) = [value for value in values if isinstance(value, p2p.eth.BlockHeaders)]
        assert list(answer.headers) == list(headers)


def has_ended(path: Path, keylog: Path) -> bool:
    return any(isinstance(one, ConnectionEnded) for one in p2p.capture.read(path, keylog=keylog))


def kinds_of(path: Path, keylog: Path) -> set[str]:
    events = p2p.capture.read(path, keylog=keylog)
    kinds = [event.kind for event in events if isinstance(event, PacketSeen)]
    return {kind.removeprefix("handshake, ") for kind in kinds}
