"""Programs that fork workers while their server runs, or start them in other ways."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from p2p.enode import NodeDB
from tests.kit.nodes import HOST
from tests.kit.processes import Program
from tests.kit.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
#: For a program that starts several interpreters.
PROGRAM_S = 30.0


@pytest.mark.parametrize(
    "method, inherits", [("fork", True), ("spawn", False), ("forkserver", False)]
)
def test_workers_of_multiprocessing(method: str, inherits: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.workers", method],
        cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM_S,
    )  # fmt: skip
    of_the_parent, own, again, end = done.stdout.splitlines()
    refusal = r"WrongProcess: this server belongs to process \d+, .*; make a new Server here"
    assert re.fullmatch(refusal if inherits else "none", of_the_parent)
    assert own == "connected with worker"
    assert again == "listens again: True True"
    assert end == "ended with 0"
    assert done.stderr == ""


# gunicorn --preload


@contextmanager
def gunicorn(workers: int) -> Iterator[str]:
    """The address of a running gunicorn, which has to end well, and soon."""
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--preload"]
    command += ["--workers", str(workers), "--bind", f"{HOST}:0", "tests.faults.preloaded:app"]
    with Program(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as master:
        assert master.stderr is not None
        try:
            lines = iter(master.stderr.readline, "")
            found = next(filter(None, (re.search(r"Listening at: (\S+)", line) for line in lines)))
            yield found[1]
            master.terminate()
            rest = master.communicate(timeout=PATIENCE_S)[1]
            assert "Traceback" not in rest, rest
        finally:
            master.kill()


def test_workers_of_gunicorn_that_preloads_a_server() -> None:
    with gunicorn(workers=2) as url:
        answers = {read(f"{url}/inherited") for _ in range(20)}
        own = {read(f"{url}/own").partition(" ")[2] for _ in range(4)}
    for answer in answers:
        assert re.fullmatch(r"\d+ WrongProcess: .* make a new Server here", answer), answer
    assert own == {"connected with worker"}


def read(url: str) -> str:
    with urlopen(url, timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


# the node database


@pytest.mark.parametrize("started", [False, True])
def test_end_of_a_child_leaves_the_parent_its_journal(tmp_path: Path, started: bool) -> None:
    """The end of an interpreter closes what is open, and SQLite would delete the journal then."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = tmp_path / "nodes.db"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), str(path), str(int(started))],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PROGRAM_S,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    with NodeDB(path) as db:
        assert db.local_seq(b"\x01" * 32) == 9


PROGRAM = """
import os, signal, sys
from p2p.enode import NodeDB

db = NodeDB(sys.argv[1])
if int(sys.argv[2]):
    db.start()
db.set_local_seq(b"\\x01" * 32, 5)
pid = os.fork()
if not pid:
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
db.set_local_seq(b"\\x01" * 32, 9)
os.kill(os.getpid(), signal.SIGKILL)
"""
