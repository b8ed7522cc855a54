"""The key log of a server: what it has, who may read it, and that no disk stops anything."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2p
from p2p.clock import Deadline
from p2p.keylog import writer
from p2p.keylog.lines import ConnectionKeys, SessionKeys, parse_lines
from p2p.keylog.writer import VARIABLE, KeyLog
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S

LOGGER = logging.getLogger("p2p.test")
TEST = p2p.Protocol("test", 1, 8)
KEYS = ConnectionKeys(*[bytes(32)] * 5)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").splitlines()


def test_both_ends_log_the_same_lines(nodes: Nodes, tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "other"]
    one, other = [
        nodes.start(no_discovery=False, key_log=path, protocols=[TEST]) for path in paths
    ]
    one.connect(other.self, PATIENCE_S)
    assert one.discovery_v5 is not None
    one.discovery_v5.ping(other.self, PATIENCE_S)
    one.stop()
    other.stop()
    found, theirs = [sorted(lines_of(path)) for path in paths]
    assert found == theirs
    session, connection = parse_lines(found)
    assert isinstance(connection, ConnectionKeys) and isinstance(session, SessionKeys)
    assert session[:2] == (one.self.id, other.self.id)


def test_file_is_for_its_owner_and_is_appended_to(
    nodes: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = nodes.start(protocols=[TEST])
    path, before = tmp_path / "keys", os.umask(0)
    try:
        for _ in range(2):
            server = nodes.start(key_log=path, protocols=[TEST])
            server.connect(other.self, PATIENCE_S)
            server.stop()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(lines_of(path)) == 2
    assert warnings(caplog) == [
        f"key log is on: with {str(path)!r}, all messages of this server can be decrypted"
    ] * 2


def test_file_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys"
    path.touch()
    path.chmod(0o640)
    log = KeyLog(path, LOGGER)
    log.start()
    assert log.stop(Deadline(PATIENCE_S)) == []
    (line,) = warnings(caplog)
    assert line.endswith(", and the file is open to other users")


def test_variable_turns_it_on(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "of all"))
    own = nodes.start(protocols=[TEST], key_log=tmp_path / "own")
    with p2p.connect(own.self, name="test", version=1, length=8):
        pass
    own.stop()
    assert lines_of(tmp_path / "of all") == lines_of(tmp_path / "own") != []


@pytest.mark.parametrize("value", [None, ""])
def test_it_is_off_by_default(
    nodes: Nodes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    value: str | None,
) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    nodes.pair()
    assert warnings(caplog) == []


def test_server_whose_key_log_cannot_be_opened_can_be_started_again(
    nodes: Nodes, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    server = nodes.new(key_log=folder / "keys")
    with pytest.raises(FileNotFoundError):
        server.start()
    folder.mkdir()
    server.start()
    assert (folder / "keys").exists()


@pytest.mark.parametrize("wrong", ["", 5, b"keys"])
def test_what_is_no_path_is_refused(nodes: Nodes, wrong: object) -> None:
    with pytest.raises(p2p.ArgumentError, match=r"^key_log: wanted a path, or None for the one "):
        nodes.new(key_log=wrong)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and its reading end: a disk that takes 64 KiB and then waits."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield path, reader
    os.close(reader)


def test_slow_disk_delays_nobody(pipe: tuple[Path, int]) -> None:
    path, reader = pipe
    log = KeyLog(path, LOGGER)
    log.start()
    count = 1000  # 330 kB
    for _ in range(count):
        log.write(KEYS)
    assert log.stop(Deadline(0.0)) == ["p2p-keylog"]
    with open(reader, "rb", closefd=False) as file:
        assert [line.decode().rstrip("\n") for line in file] == [KEYS.line] * count
    assert log.stop(Deadline(PATIENCE_S)) == []


def test_lines_beyond_the_bound_are_lost_and_counted(
    pipe: tuple[Path, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "MAX_QUEUED", 10)
    path, reader = pipe
    log = KeyLog(path, LOGGER)
    log.start()
    count = 1000
    for _ in range(count):
        log.write(KEYS)
    log.stop(Deadline(0.0))
    with open(reader, "rb", closefd=False) as file:
        written = len(file.readlines())
    log.stop(Deadline(PATIENCE_S))
    assert written < count
    lost = f"key log: {count - written} lines were lost, the disk was too slow"
    assert warnings(caplog)[-1] == lost


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_disk_ends_it(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    server = nodes.start(key_log="/dev/full", protocols=[TEST])
    for _ in range(2):
        server.connect(nodes.start(protocols=[TEST]).self, PATIENCE_S)
    assert server.stop() == []
    assert warnings(caplog)[1:] == [
        "key log '/dev/full' ends, it cannot be written: No space left on device"
    ]
