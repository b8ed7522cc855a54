"""Programs for the tests of the node database: what must happen in a process of its own.

    python dbprogram.py kill FOLDER COUNT    a process that writes is killed, again and again
    python dbprogram.py hold FILE            opens the database, and waits for the end of its input
    python dbprogram.py full FILE            the disk is full, then it is not
    python dbprogram.py readonly FILE        opens the database as somebody who may not write

Each prints what it found; a failure is a traceback.
"""

from __future__ import annotations

import logging
import os
import random
import resource
import signal
import sys
from ipaddress import ip_address
from pathlib import Path

from p2p.clock import SimulatedClock
from p2p.enode import LocalNode, NodeDB, NodeID, load_or_generate_key
from p2p.errors import NodeDBError

OTHER = NodeID(b"\x07" * 32)
NOBODY = 65534


def kill(folder: Path, count: int) -> None:
    """Fork, let the child write until it has told so many numbers, kill it, compare, repeat."""
    choice = random.Random(1)
    highest: dict[str, int] = {"record": 0, "stored": 0}
    keys = set()
    for _ in range(count):
        wanted = choice.choice((0, 1, choice.randrange(2000), choice.randrange(200)))
        first = dict.fromkeys(highest, 0)
        for kind, text in child_lines(folder, wanted):
            if kind == "key":
                keys.add(text)
                continue
            number = int(text)
            if not first[kind]:
                first[kind] = number
                # What the child finds is not below what any child before has told.
                assert number > highest[kind], (kind, number, highest)
            highest[kind] = max(highest[kind], number)
    assert len(keys) <= 1, "the key has changed"
    with NodeDB(folder / "nodes.db") as db:
        assert db.local_seq(OTHER) >= highest["stored"]
    print(f"killed {count} times, {highest['record'] > 0} {highest['stored'] > 0}")


def child_lines(folder: Path, wanted: int) -> list[tuple[str, str]]:
    """All that a child had told when it was killed, which is after so many lines."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write_for_ever(folder, writing)
    os.close(writing)
    with open(reading, encoding="ascii") as pipe:
        lines = []
        for line in pipe:
            if len(lines) >= wanted:
                break
            lines.append(line)
        os.kill(child, signal.SIGKILL)
        lines += pipe.readlines()
    _, status = os.waitpid(child, 0)
    assert status == signal.SIGKILL, f"the child ended by itself: {status}"
    # The last line may be torn; the number in it was not told.
    return [(line.split()[0], line.split()[1]) for line in lines if line.endswith("\n")]


def write_for_ever(folder: Path, pipe: int) -> None:
    try:
        key = load_or_generate_key(folder / "nodekey")
        os.write(pipe, f"key {key.public_key.to_bytes().hex()}\n".encode())
        db = NodeDB(folder / "nodes.db")
        db.start()
        # The clock stands still, so that it is the database alone that makes the numbers grow.
        local = LocalNode(key, db, clock=SimulatedClock())
        stored = db.local_seq(OTHER)
        turn = 0
        while True:
            turn += 1
            local.set("turn", turn)
            os.write(pipe, f"record {local.seq}\n".encode())
            address = ip_address(turn % 1000)
            db.set_last_pong_received(NodeID(turn.to_bytes(32, "big")), address, float(turn))
            if turn % 20 == 1:
                stored += 1
                db.set_local_seq(OTHER, stored)
                os.write(pipe, f"stored {stored}\n".encode())
    except BaseException:
        logging.exception("the child fails")
    os._exit(1)


def hold(path: Path) -> None:
    with NodeDB(path):
        print("open", flush=True)
        sys.stdin.read()


def full(path: Path) -> None:
    logging.basicConfig(format="%(levelname)s", stream=sys.stdout, level=logging.INFO)
    db = NodeDB(path)
    db.set_local_seq(OTHER, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    for number in range(500):
        db.set_last_pong_received(NodeID(number.to_bytes(32, "big")), ip_address("1.2.3.4"), 1.0)
    for _ in range(3):
        try:
            db.set_local_seq(OTHER, 2)
        except NodeDBError as error:
            assert str(path) in str(error), error
            print("refused")
    assert db.last_pong_received(NodeID(bytes(32)), ip_address("1.2.3.4")) == 1.0
    assert db.stored_local_seq(OTHER) == 2  # waiting would not help
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    db.set_local_seq(OTHER, 3)
    db.close()
    db = NodeDB(path)
    print(db.local_seq(OTHER), db.contacts_count)
    db.close()


def readonly(path: Path) -> None:
    if os.getuid() == 0:
        os.setuid(NOBODY)
    try:
        NodeDB(path)
    except NodeDBError as error:
        print(error)


if __name__ == "__main__":
    program, target, *rest = sys.argv[1:]
    globals()[program](Path(target), *map(int, rest))
