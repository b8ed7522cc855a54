"""Captures of two real processes by tcpdump, against what their handlers have seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import p2p
import p2p.capture
from p2p.capture import ConnectionEnded, ConnectionSeen, MessageSeen, MessagesLost, PacketSeen
from p2p.keylog.writer import VARIABLE
from tests.kit.processes import Program
from tests.kit.tcpdump import captured, needs_tcpdump
from tests.kit.waiting import PATIENCE_S, eventually

pytest.importorskip("pcapy")

pytestmark = [needs_tcpdump, pytest.mark.slow]

#: A node that answers each message with the same payload under the next code.
PROGRAM = """
import p2p, sys

def answer(peer, rw):
    for msg in rw:
        rw.write_msg(p2p.Msg(msg.code + 1, msg.payload))

server = p2p.Server(
    private_key=p2p.generate_key(),
    name="answers",
    max_peers=5,
    listen_addr=sys.argv[1],
    protocols=[p2p.Protocol("twice", 3, 8, answer)],
)
with server:
    print(server.self.url, flush=True)
    sys.stdin.read()
"""
#: From one byte to many segments.
PAYLOADS = [b"\x01", b"text" * 100, os.urandom(70_000), bytes(1_000_000), b"\x05" * 20]


@contextmanager
def answering(keylog: Path, address: str) -> Iterator[p2p.Node]:
    """The node of PROGRAM in a process of its own."""
    with Program(
        [sys.executable, "-c", PROGRAM, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, VARIABLE: str(keylog)},
    ) as process:
        assert process.stdout is not None
        yield p2p.parse_node(process.stdout.readline().strip())
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_capture_has_what_both_ends_have_seen(tmp_path: Path, address: str) -> None:
    path, keylog = tmp_path / "file.pcap", tmp_path / "keys"
    answers = []
    with answering(keylog, address) as node, captured(path, node.tcp):
        with p2p.connect(node, name="twice", version=3, length=8) as rw:
            for payload in PAYLOADS:
                rw.write_msg(p2p.Msg(2, payload))
                answers.append(rw.read_msg(PATIENCE_S))
        eventually(lambda: ended(path, keylog), "the end of the connection is in the capture")
    events = list(p2p.capture.read(path, keylog=keylog))
    (began,) = [event for event in events if isinstance(event, ConnectionSeen)]
    assert began.destination.port == node.tcp and began.from_start
    seen = [event for event in events if isinstance(event, MessageSeen)]
    assert [event.name for event in seen[:2]] == ["Hello", "Hello"]
    assert (seen[-1].name, seen[-1].value) == ("Disconnect", p2p.DiscReason.REQUESTED)
    cap = p2p.Cap("twice", 3)
    said = [(event.cap, event.code, event.payload) for event in seen if event.wire_code >= 16]
    asked = [(cap, 2, payload) for payload in PAYLOADS]
    told = [(cap, answer.code, answer.payload) for answer in answers]
    assert said == [one for both in zip(asked, told, strict=True) for one in both]
    assert all(event.is_authentic for event in seen)
    assert not any(isinstance(event, MessagesLost) for event in events)


def ended(path: Path, keylog: Path) -> bool:
    return any(isinstance(one, ConnectionEnded) for one in p2p.capture.read(path, keylog=keylog))


def test_capture_has_the_packets_of_discovery(tmp_path: Path) -> None:
    path, keylog = tmp_path / "file.pcap", tmp_path / "keys"
    with answering(keylog, "127.0.0.1:0") as node, captured(path, node.udp):
        with p2p.discover.UDPv5(p2p.generate_key(), "127.0.0.1:0") as v5:
            record = v5.request_enr(node, PATIENCE_S)
            v5.talk(record, "nothing", b"", PATIENCE_S)
        with p2p.discover.UDPv4(p2p.generate_key(), "127.0.0.1:0") as v4:
            v4.ping(node, PATIENCE_S)
        eventually(lambda: {"pong", "talkresp"} <= kinds_of(path, keylog))
    kinds = kinds_of(path, keylog)
    assert {"ping", "whoareyou", "handshake, findnode", "nodes", "talkreq"} <= kinds


def kinds_of(path: Path, keylog: Path) -> set[str]:
    events = p2p.capture.read(path, keylog=keylog)
    return {event.kind for event in events if isinstance(event, PacketSeen)}
