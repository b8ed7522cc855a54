"""examples/file_transfer.py prints what its docstring says, resumes, and leaves bad nodes."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import p2p

CHUNK_SIZE = 256 * 1024
SIZE = 12 * CHUNK_SIZE
#: Its messages.
SUMMARY, CHUNK, REPLY = range(3)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def offer(run: Any, path: Path) -> tuple[str, str, str]:
    """Offer a file; returns both lines, and the identifier of the file in the first."""
    offering = run("file_transfer.py", "offer", str(path))
    first, url = offering.line(), offering.line()
    return first, url, first.split()[-1]


def test_file_comes_from_three_nodes_as_the_docstring_shows(
    run: Any, documented: Any, assert_like: Any, film: Path, tmp_path: Path
) -> None:
    offer_shows, fetch_shows = documented("file_transfer.py")
    first, url, file_id = offer(run, film)
    urls = [url, *(offer(run, film)[1] for _ in range(2))]
    copy = tmp_path / "copy.bin"
    code, lines, errors = run("file_transfer.py", "fetch", file_id, str(copy), *urls).end()
    assert (code, errors) == (0, "")
    assert_like([first, url], offer_shows)
    assert_like([line.replace(str(copy), "copy.bin") for line in lines], fetch_shows)
    counts = [int(number) for number in re.findall("[0-9]+", lines[-1])]
    assert len(counts) == 3 and sum(counts) == 12
    assert copy.read_bytes() == film.read_bytes()


def test_chunks_that_are_here_are_not_fetched_again(run: Any, film: Path, tmp_path: Path) -> None:
    content, copy = film.read_bytes(), tmp_path / "copy.bin"
    copy.write_bytes(bytes(CHUNK_SIZE) + content[CHUNK_SIZE : 5 * CHUNK_SIZE] + b"cut")
    _, url, file_id = offer(run, film)
    code, lines, _ = run("file_transfer.py", "fetch", file_id, str(copy), url).end()
    assert (code, lines[0], lines[-1]) == (0, "4 of 12 chunks are here", "chunks of each peer: 8")
    assert copy.read_bytes() == content


def summary_of(content: bytes) -> bytes:
    """The size of a file, and the hashes of its chunks."""
    chunks = [content[at : at + CHUNK_SIZE] for at in range(0, len(content), CHUNK_SIZE)]
    return len(content).to_bytes(8, "big") + b"".join(sha256(chunk).digest() for chunk in chunks)


@pytest.mark.slow
@pytest.mark.skipif("P2P_EXAMPLES_FULL" not in os.environ, reason="P2P_EXAMPLES_FULL=1 runs it")
def test_200_megabytes_come_from_three_nodes(run: Any, tmp_path: Path) -> None:
    film, copy = tmp_path / "film.bin", tmp_path / "copy.bin"
    film.write_bytes(random.Random(1).randbytes(200_000_000))
    _, url, file_id = offer(run, film)
    urls = [url, *(offer(run, film)[1] for _ in range(2))]
    fetching = run("file_transfer.py", "fetch", file_id, str(copy), *urls)
    assert fetching.line() == "0 of 763 chunks are here"
    assert [fetching.line() for _ in range(10)] == [f"{10 * part} %" for part in range(1, 11)]
    code, lines, errors = fetching.end()
    assert (code, errors) == (0, "")
    assert copy.read_bytes() == film.read_bytes()


class BadNode:
    """A node that offers the file, and does ``act`` when it is asked for a chunk."""

    def __init__(self, film: Path, act: Callable[[p2p.MsgReadWriter, p2p.Msg], None]) -> None:
        self._summary = summary_of(film.read_bytes())
        self._act = act
        self._server = p2p.Server(
            private_key=p2p.generate_key(), name="bad", max_peers=5, listen_addr="127.0.0.1:0",
            no_discovery=True, protocols=[p2p.Protocol("file", 1, 3, run=self._handle)],
        )  # fmt: skip

    def _handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            if msg.code == SUMMARY:
                rw.send_items(REPLY, msg.decode(tuple[int])[0], self._summary)
            else:
                self._act(rw, msg)

    def __enter__(self) -> str:
        self._server.start()
        return self._server.self.url

    def __exit__(self, *error: object) -> None:
        self._server.stop()


def lie(rw: p2p.MsgReadWriter, msg: p2p.Msg) -> None:
    rw.send_items(REPLY, msg.decode(tuple[int, int])[0], b"a lie")


def leave(rw: p2p.MsgReadWriter, msg: p2p.Msg) -> None:
    rw.close()


def keep_silent(rw: p2p.MsgReadWriter, msg: p2p.Msg) -> None:
    pass


@pytest.fixture
def bad_nodes(film: Path) -> Iterator[list[str]]:
    with BadNode(film, lie) as liar, BadNode(film, leave) as quitter:
        yield [liar, quitter]


def test_bad_nodes_are_left_and_others_send_their_chunks(
    run: Any, film: Path, tmp_path: Path, bad_nodes: list[str]
) -> None:
    _, url, file_id = offer(run, film)
    copy = tmp_path / "copy.bin"
    code, lines, errors = run(
        "file_transfer.py", "fetch", file_id, str(copy), *bad_nodes, url
    ).end()
    assert (code, errors) == (0, "")
    assert copy.read_bytes() == film.read_bytes()
    assert sorted(lines[-1].rpartition(": ")[2].split(", ")) == ["0", "0", "12"]


def test_file_that_does_not_become_complete_goes_on_later(
    run: Any, film: Path, tmp_path: Path, bad_nodes: list[str]
) -> None:
    _, url, file_id = offer(run, film)
    copy = tmp_path / "copy.bin"
    code, lines, _ = run("file_transfer.py", "fetch", file_id, str(copy), bad_nodes[0]).end()
    assert code == 1
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]+: chunk [0-9]+ of it is wrong", lines[1])
    assert lines[-1].endswith("is not complete; the same command goes on")
    assert run("file_transfer.py", "fetch", file_id, str(copy), url).end()[0] == 0
    assert copy.read_bytes() == film.read_bytes()


def test_another_file_than_the_wanted_one_is_not_taken(
    run: Any, film: Path, tmp_path: Path
) -> None:
    _, url, _ = offer(run, film)
    code, lines, _ = run("file_transfer.py", "fetch", "00", str(tmp_path / "copy"), url).end()
    assert code == 1
    assert lines[0].endswith(": it offers another file")


def test_ctrl_c_ends_it_without_a_traceback(run: Any, film: Path, tmp_path: Path) -> None:
    file_id = sha256(summary_of(film.read_bytes())).hexdigest()
    with BadNode(film, keep_silent) as silent:
        fetching = run("file_transfer.py", "fetch", file_id, str(tmp_path / "copy"), silent)
        assert fetching.line() == "0 of 12 chunks are here"
        fetching.interrupt()
        code, lines, errors = fetching.end()
    assert (code, errors) == (1, "")
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]+: client quitting \(local\)", lines[0])
