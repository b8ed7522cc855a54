from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import threading
from typing import Any

import pytest

from p2p.crypto import PrivateKey
from p2p.enode import generate_key, load_key, load_or_generate_key, save_key
from p2p.errors import InvalidKey

CASES: list[dict[str, Any]] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "crypto.json").read_text()
)["key_file"]["cases"]
REASONS = {
    "key file too short": "too short",
    "invalid hex character": "hex digits",
    "invalid character at end": "at the end",
    "key file too long": "too long",
}
posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "nodekey"


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["content"][60:]))
def test_key_file_is_64_digits_and_at_most_two_line_ends(
    case: dict[str, Any], place: pathlib.Path
) -> None:
    place.write_bytes(case["content"].encode())
    if case["valid"]:
        assert load_key(place).to_bytes().hex() == case["content"].strip()
    else:
        with pytest.raises(InvalidKey, match=REASONS[case["error"]]) as caught:
            load_key(place)
        assert str(place) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"0x" + b"1" * 64, b" " + b"1" * 64, b"1" * 63 + b" 1", b"\xff" * 64, b"0" * 64],
)
def test_file_that_holds_no_key_is_refused(content: bytes, place: pathlib.Path) -> None:
    place.write_bytes(content)
    with pytest.raises(InvalidKey, match="nodekey"):
        load_key(place)


def test_error_does_not_show_the_file(place: pathlib.Path) -> None:
    place.write_bytes(b"12345678" * 8 + b"9")
    with pytest.raises(InvalidKey) as caught:
        load_key(place)
    assert "12345678" not in str(caught.value).replace(str(place), "")


def test_missing_file_is_an_os_error_with_the_path(place: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_key(place)
    assert caught.value.filename == str(place)


def test_generated_keys_differ() -> None:
    assert generate_key() != generate_key()


def test_saved_key_is_loaded_again(place: pathlib.Path) -> None:
    key = generate_key()
    save_key(place, key)
    assert load_key(str(place)) == key
    assert place.read_bytes() == key.to_bytes().hex().encode()


@posix_only
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_key_file_is_for_its_owner_only(umask: int, tmp_path: pathlib.Path) -> None:
    old = os.umask(umask)
    try:
        save_key(tmp_path / "saved", generate_key())
        load_or_generate_key(tmp_path / "generated")
    finally:
        os.umask(old)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
def test_replaced_key_file_is_for_its_owner_only(place: pathlib.Path) -> None:
    place.write_bytes(b"old")
    place.chmod(0o644)
    save_key(place, generate_key())
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_nothing_is_left_beside_the_key_file(place: pathlib.Path) -> None:
    save_key(place, generate_key())
    save_key(place, generate_key())
    load_or_generate_key(place.with_name("other"))
    assert sorted(path.name for path in place.parent.iterdir()) == ["nodekey", "other"]


def test_key_is_not_saved_over_a_directory(place: pathlib.Path) -> None:
    place.mkdir()
    with pytest.raises(IsADirectoryError, match="nodekey"):
        save_key(place, generate_key())
    assert list(place.parent.iterdir()) == [place]


@posix_only
def test_key_is_not_saved_in_place_of_a_pipe_or_a_device(place: pathlib.Path) -> None:
    """A key for /dev/null replaced it by a file."""
    os.mkfifo(place)
    with pytest.raises(OSError, match="device or a pipe.*nodekey") as caught:
        save_key(place, generate_key())
    assert caught.value.errno == errno.EINVAL
    assert place.is_fifo()


@posix_only
@pytest.mark.parametrize("target", ["there", "missing"])
def test_key_is_not_saved_through_a_symbolic_link(target: str, place: pathlib.Path) -> None:
    old = generate_key()
    save_key(place.with_name("there"), old)
    place.symlink_to(target)
    with pytest.raises(OSError, match="symbolic link") as caught:
        save_key(place, generate_key())
    assert caught.value.errno == errno.ELOOP
    assert load_key(place.with_name("there")) == old


@posix_only
def test_key_is_loaded_through_a_symbolic_link(place: pathlib.Path) -> None:
    key = generate_key()
    save_key(place.with_name("there"), key)
    place.symlink_to("there")
    assert load_or_generate_key(place) == key


@posix_only
def test_symbolic_link_to_nothing_is_not_replaced(place: pathlib.Path) -> None:
    place.symlink_to("missing")
    with pytest.raises(FileNotFoundError):
        load_or_generate_key(place)
    assert place.is_symlink()


def test_missing_directory_is_an_os_error_with_the_path(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "missing" / "nodekey"
    for attempt in (lambda: save_key(place, generate_key()), lambda: load_or_generate_key(place)):
        with pytest.raises(FileNotFoundError) as caught:
            attempt()
        assert caught.value.filename == str(place)


def test_generated_key_stays_the_same(place: pathlib.Path) -> None:
    assert load_or_generate_key(place) == load_or_generate_key(place) == load_key(place)


def test_broken_key_file_is_never_replaced(place: pathlib.Path) -> None:
    place.write_bytes(b"precious")
    with pytest.raises(InvalidKey):
        load_or_generate_key(place)
    assert place.read_bytes() == b"precious"


def test_programs_that_start_together_get_the_one_key(place: pathlib.Path) -> None:
    count = 8
    barrier = threading.Barrier(count)
    keys: list[PrivateKey] = []

    def start() -> None:
        barrier.wait(timeout=10)
        keys.append(load_or_generate_key(place))

    threads = [threading.Thread(target=start, name=f"starter-{i}") for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert set(keys) == {load_key(place)}
    assert len(keys) == count


def test_reader_never_sees_half_a_key(place: pathlib.Path) -> None:
    keys = {generate_key() for _ in range(2)}
    save_key(place, next(iter(keys)))
    done = threading.Event()
    saved = 0

    def keep_saving() -> None:
        nonlocal saved
        while not done.is_set():
            for key in keys:
                save_key(place, key)
            saved += 1

    writer = threading.Thread(target=keep_saving, name="writer")
    writer.start()
    try:
        reads = 0
        while reads < 200 or (saved < 20 and writer.is_alive()):
            assert load_key(place) in keys
            reads += 1
    finally:
        done.set()
        writer.join(timeout=10)
    assert saved >= 20
