"""The lines of a key log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import binary, builds, lists, one_of, text

from p2p.enode.nodeid import NodeID
from p2p.errors import DecodeError
from p2p.keylog.lines import (
    MAX_LINE_SIZE,
    ConnectionKeys,
    Keys,
    SessionKeys,
    connection_id,
    connection_of,
    parse_line,
    parse_lines,
)
from tests.rlpx.handshakes import PACKETS
from tests.rlpx.vectors import unhex

value = binary(min_size=32, max_size=32)
key = binary(min_size=16, max_size=16)
connections = builds(ConnectionKeys, value, value, value, value, value)
node_ids = builds(NodeID, value)
sessions = builds(SessionKeys, node_ids, node_ids, key, key)


@given(lists(one_of(connections, sessions)))
def test_what_is_written_is_read(keys: list[Keys]) -> None:
    lines = [one.line for one in keys]
    assert list(parse_lines(lines)) == keys
    assert all(len(line) < MAX_LINE_SIZE for line in lines)


def test_line_of_a_connection() -> None:
    fields = [bytes([n]) * 32 for n in range(5)]
    digits = " ".join(field.hex() for field in fields)
    assert ConnectionKeys(*fields).line == f"RLPX {digits}"


@pytest.mark.parametrize("line", ["", "\n", "# RLPX", "CLIENT_RANDOM 00 00", "rlpx 00", "RLPXX"])
def test_line_of_another_kind_is_ignored(line: str) -> None:
    assert parse_line(line) is None


GOOD = ConnectionKeys(*[bytes(32)] * 5).line


@pytest.mark.parametrize(
    "line",
    ["RLPX", GOOD[:-2], GOOD + "00", GOOD + " 00", GOOD[:-1] + "g", "DISCV5 " + GOOD[5:]]
    + [GOOD + "0" * 10_000],
)
def test_broken_line_is_named_by_its_number_and_not_repeated(line: str) -> None:
    with pytest.raises(DecodeError, match=r"^line 2: (RLPX|DISCV5) line has ") as caught:
        list(parse_lines(["# comment", line]))
    assert "00000000" not in str(caught.value)


@given(text())
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        parse_line(line)
    except DecodeError:
        pass


@pytest.mark.parametrize("name", ["auth1", "auth2", "auth3"])
def test_auth_packet_tells_its_connection(name: str) -> None:
    packet = unhex(PACKETS[name]["packet"])
    assert connection_id(packet) in connection_of(packet)
    start = 1 if name == "auth1" else 3  # auth1 is from before EIP-8
    assert connection_id(packet) == packet[start : start + 32]


@given(binary(max_size=40))
def test_beginning_of_any_stream_has_few_connections(data: bytes) -> None:
    assert len(connection_of(data)) <= 2
