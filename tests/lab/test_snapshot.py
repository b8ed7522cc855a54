"""Snapshots as values and as files: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import (
    booleans,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    recursive,
    text,
)

import p2p
from p2p.errors import ArgumentError
from p2p.lab import Snapshot, SnapshotNode

KEYS = [p2p.PrivateKey.from_bytes(bytes([number]) * 32) for number in range(1, 4)]
RECORD = p2p.Node.from_record(p2p.Record.sign(KEYS[2], 7, ip="192.0.2.7", tcp=1, udp=1))
URL = p2p.Node.from_parts(KEYS[2].public_key, "192.0.2.7", 30303, 30303)
NODES = (
    SnapshotNode(0, "n0", KEYS[0], "240.0.1.1", True, (RECORD, URL)),
    SnapshotNode(2, "ann", KEYS[1], None, False),
)
SNAPSHOT = Snapshot(
    seed=5,
    join="memory",
    discovery=True,
    nodes=NODES,
    edges=((0, 2),),
    connected=((0, 2),),
    sides=((0,),),
    links=((None, {"latency_s": 0.5}), ((2, 0), {"loss": 0.1})),
    options={"max_peers": 7},
    left_out=("observer",),
    message_events=0.5,
    time_s=9.25,
)
PLAIN: dict[str, Any] = json.loads(json.dumps(SNAPSHOT.to_json()))


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The JSON of the snapshot with another value at a place."""
    value = json.loads(json.dumps(PLAIN))
    part = value
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = to
    return value


def test_a_file_has_all_of_it_again(tmp_path: Path) -> None:
    SNAPSHOT.save(tmp_path / "lab.json")
    assert Snapshot.load(tmp_path / "lab.json") == SNAPSHOT
    assert os.listdir(tmp_path) == ["lab.json"]


def test_a_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    place = tmp_path / "lab.json"
    place.write_text("old")
    place.chmod(0o644)
    SNAPSHOT.save(str(place))
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert Snapshot.load(str(place)) == SNAPSHOT


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for place in (tmp_path, tmp_path / "link"):
        with pytest.raises(OSError, match="nothing but a file"):
            SNAPSHOT.save(place)
    with pytest.raises(FileNotFoundError):
        SNAPSHOT.save(tmp_path / "absent" / "lab.json")
    assert os.listdir(tmp_path) == ["link"]


def test_no_text_has_a_key() -> None:
    assert KEYS[0].to_bytes().hex() not in repr(SNAPSHOT) + repr(NODES)
    with pytest.raises(ArgumentError) as caught:
        Snapshot.from_json(changed("nodes", 0, "private_key", to="ff" * 32))
    assert "nodes[0].private_key: wanted 64 hex digits" in str(caught.value)
    assert "ff" not in str(caught.value)


@pytest.mark.parametrize(
    "value, words",
    [
        ([], "snapshot: wanted an object"),
        ({}, "snapshot.p2p-lab-snapshot: wanted an int; it is missing"),
        (changed("p2p-lab-snapshot", to=2), "wanted format 1, which this version reads; got 2"),
        (changed("seed", to="1"), "snapshot.seed: wanted an int"),
        (changed("seed", to=True), "snapshot.seed: wanted an int"),
        (changed("join", to="pigeons"), "snapshot.join: wanted one of memory, loopback"),
        (changed("discovery", to=1), "snapshot.discovery: wanted true or false"),
        (changed("nodes", to={}), "snapshot.nodes: wanted a list"),
        (changed("nodes", 1, to=5), r"snapshot.nodes\[1\]: wanted an object"),
        (changed("nodes", 1, "index", to=0), "nodes with different indexes and names"),
        (changed("nodes", 1, "name", to="n0"), "nodes with different indexes and names"),
        (changed("nodes", 1, "index", to=-1), r"nodes\[1\].index: wanted an int from 0"),
        (changed("nodes", 1, "ip", to="20.0.1"), r"nodes\[1\].ip: wanted an IP address or null"),
        (changed("nodes", 1, "ip", to=5), r"nodes\[1\].ip: wanted an IP address or null"),
        (changed("nodes", 1, "private_key", to="zz"), r"nodes\[1\].private_key: wanted 64 hex"),
        (changed("nodes", 0, "known", to=["enode://x"]), r"nodes\[0\].known\[0\]: "),
        (changed("nodes", 0, "known", to=[5]), r"nodes\[0\].known\[0\]: wanted text"),
        (changed("nodes", 0, "known", to=[""] * 10_001), "wanted at most 10000 items; got 10001"),
        (changed("edges", to=[[0, 1]]), r"edges\[0\]: wanted the indexes of two nodes"),
        (changed("edges", to=[[2, 0]]), r"edges\[0\]: wanted the indexes of two nodes, in order"),
        (changed("connected", to=[[0]]), r"connected\[0\]: wanted the indexes"),
        (changed("connected", to=[[0.0, 2]]), r"connected\[0\]: wanted the indexes"),
        (changed("connected", to=[[[], 2]]), r"connected\[0\]: wanted the indexes"),
        (changed("sides", to=[5]), "sides: wanted lists of indexes"),
        (changed("sides", to=[[7]]), "sides: wanted lists of indexes"),
        (changed("links", to=[{"from": 0}]), r"links\[0\].from: wanted two nodes"),
        (changed("links", to=[{"from": 0, "to": []}]), r"links\[0\].from: wanted two nodes"),
        (changed("options", to=[]), "options: wanted an object"),
        (changed("time_s", to=float("nan")), "time_s: wanted a number from 0 up"),
        (changed("time_s", to=10**400), "time_s: wanted a number from 0 up"),
        (changed("links", to=[{"cost": 1}]), r"links\[0\]: wanted fields of a Link; got 'cost'"),
        (changed("links", to=[{"self": 1}]), r"links\[0\]: wanted fields of a Link; got 'self'"),
        (changed("message_events", to=-1), "message_events: wanted a number from 0 up"),
    ],
)
def test_what_is_wrong_is_named(value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Snapshot.from_json(value)


ANY = recursive(
    none() | booleans() | integers() | floats() | text(),
    lambda inner: lists(inner, max_size=3) | dictionaries(text(), inner, max_size=3),
)


@given(name=integers(0, len(PLAIN) - 1), value=ANY)
def test_any_value_is_taken_or_refused_by_its_name(name: int, value: Any) -> None:
    place = list(PLAIN)[name]
    try:
        Snapshot.from_json(changed(place, to=value))
    except ArgumentError as error:
        assert f"snapshot.{place}" in str(error) or place == "nodes"  # edges without their nodes


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b'{"nodes": NaN}'])
def test_a_broken_file_is_named(tmp_path: Path, data: bytes) -> None:
    place = tmp_path / "lab.json"
    place.write_bytes(data)
    with pytest.raises(ArgumentError, match=r"lab\.json: "):
        Snapshot.load(place)


def test_a_file_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SNAPSHOT.save(tmp_path / "lab.json")
    monkeypatch.setattr("p2p.lab.snapshot.MAX_FILE_SIZE", 100)
    with pytest.raises(ArgumentError, match="at most 100 bytes"):
        Snapshot.load(tmp_path / "lab.json")


@pytest.mark.parametrize("call", [SNAPSHOT.save, Snapshot.load])
def test_paths_are_checked(call: Callable[[Any], object]) -> None:
    with pytest.raises(ArgumentError, match="path: wanted the path"):
        call(5)
