"""Capture files: their formats, their faults, and what is needed to read them."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary, integers

import p2p
import p2p.capture
from p2p.capture import file
from p2p.capture.event import MessageSeen, Remark
from tests.capture.captures import (
    ETHERNET,
    LOOPBACK,
    RAW,
    SLL,
    SLL2,
    converse,
    decode,
    messages,
    segments,
    tcp,
    write_pcap,
    write_pcapng,
)

pytest.importorskip("pcapy")

TALK = converse((0, 16, b"one"), (1, 19, b"two" * 1000), (0, 17, b"three"), ends=True)
PACKETS = [tcp(segment) for segment in segments(TALK)]
EVENTS = decode(PACKETS, TALK.keys)


@pytest.fixture
def keylog(tmp_path: Path) -> Path:
    path = tmp_path / "keys.log"
    path.write_text(f"# comment\n{TALK.keys.line}\n", encoding="ascii")
    return path


@pytest.mark.parametrize("link_type", [ETHERNET, LOOPBACK, RAW, SLL, SLL2])
def test_pcap_of_each_link_layer(tmp_path: Path, keylog: Path, link_type: int) -> None:
    path = tmp_path / "file.pcap"
    write_pcap(path, PACKETS, link_type=link_type)
    events = list(p2p.capture.read(path, keylog=keylog))
    assert messages(events) == messages(EVENTS)
    assert events[0].time == pytest.approx(1_700_000_000.002)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_of_each_byte_order_and_clock(
    tmp_path: Path, keylog: Path, order: str, nanoseconds: bool
) -> None:
    path = tmp_path / "file.pcap"
    write_pcap(path, PACKETS, order=order, nanoseconds=nanoseconds)
    events = list(p2p.capture.read(str(path), keylog=str(keylog)))
    assert messages(events) == messages(EVENTS)
    assert events[-1].time == pytest.approx(1_700_000_000 + (len(PACKETS) - 1) / 1000)


def test_pcapng(tmp_path: Path, keylog: Path) -> None:
    path = tmp_path / "file.pcapng"
    write_pcapng(path, PACKETS, [ETHERNET, ETHERNET])
    assert messages(p2p.capture.read(path, keylog=keylog)) == messages(EVENTS)


def test_pcapng_of_several_link_layers_says_so(tmp_path: Path) -> None:
    path = tmp_path / "file.pcapng"
    write_pcapng(path, PACKETS, [ETHERNET, RAW])
    (remark,) = p2p.capture.read(path)
    assert isinstance(remark, Remark)
    assert remark.text.startswith("the rest of the capture cannot be read: an interface has a type")


def test_file_that_ends_in_a_packet_is_read_as_far_as_it_goes(tmp_path: Path, keylog: Path) -> None:
    path = tmp_path / "file.pcap"
    write_pcap(path, PACKETS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-300])
    *events, remark = p2p.capture.read(path, keylog=keylog)
    assert isinstance(remark, Remark) and "truncated dump file" in remark.text
    assert any(isinstance(event, MessageSeen) for event in events)


def test_file_with_a_snapshot_length(tmp_path: Path, keylog: Path) -> None:
    path = tmp_path / "file.pcap"
    write_pcap(path, PACKETS, snaplen=200)
    events = list(p2p.capture.read(path, keylog=keylog))
    assert isinstance(events[-1], Remark) and "tcpdump -s 0" in events[-1].text


@pytest.mark.parametrize("content", [b"", b"x", b"no capture at all" * 10])
def test_file_that_is_no_capture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(p2p.DecodeError, match="is no capture"):
        list(p2p.capture.read(path))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file.pcap"
    with pytest.raises(FileNotFoundError):
        list(p2p.capture.read(path))
    write_pcap(path, [])
    with pytest.raises(FileNotFoundError):
        list(p2p.capture.read(path, keylog=tmp_path / "keys"))


def test_broken_key_log_is_named_by_its_line(tmp_path: Path) -> None:
    path, keys = tmp_path / "file.pcap", tmp_path / "keys"
    write_pcap(path, [])
    keys.write_bytes(b"# \xff\nRLPX 00\n")
    with pytest.raises(p2p.DecodeError, match="^line 2: RLPX line has fields of other sizes"):
        list(p2p.capture.read(path, keylog=keys))


@pytest.mark.parametrize("wrong", [None, 5, b"path"])
def test_what_is_no_path_is_refused(wrong: object) -> None:
    with pytest.raises(p2p.ArgumentError, match="^path: wanted the path of a capture"):
        list(p2p.capture.read(wrong))  # type: ignore[arg-type]


def test_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pcapy", None)
    with pytest.raises(p2p.ConfigError, match=r"pip install 'p2p-blocking\[capture\]'"):
        list(p2p.capture.read("file.pcap"))


@settings(max_examples=60)
@given(binary(min_size=1, max_size=8), integers(0, 2**16))
def test_changed_file_raises_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, change: bytes, place: int
) -> None:
    folder = tmp_path_factory.mktemp("changed", numbered=True)
    for number, write in enumerate((write_pcap, write_pcapng)):
        path = folder / f"file{number}"
        write(path, PACKETS[:8])  # type: ignore[operator]
        content = bytearray(path.read_bytes())
        start = place % min(len(content), 400)
        content[start : start + len(change)] = change
        path.write_bytes(content)
        try:
            list(p2p.capture.read(path))
        except p2p.DecodeError:
            pass


def test_key_log_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"#" * 10_000_000 + b"\n" + TALK.keys.line.encode() + b"\n")
    with closing(file.KeyLogFile(path)) as log:
        assert list(log.read()) == [TALK.keys]


def test_key_log_may_grow_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    whole = TALK.keys.line.encode() + b"\n"
    path.write_bytes(b"# comment")
    with closing(file.KeyLogFile(path)) as log, path.open("ab", buffering=0) as written:
        assert list(log.read()) == []
        written.write(b" goes on\n" + whole[:100])
        assert list(log.read()) == []
        written.write(whole[100:-1])
        assert list(log.read()) == [TALK.keys]
        written.write(b"\n" + whole + b"RLPX 00\n")
        with pytest.raises(p2p.DecodeError, match="^line 5: "):
            list(log.read())
