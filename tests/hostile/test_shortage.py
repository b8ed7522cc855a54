"""No descriptors left: connections wait in the kernel, peers go on, and then it recovers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, resource
from tests.kit import inspect
from tests.kit.remote import connect
from tests.kit.target import talk, target
from tests.kit.waiting import PATIENCE_S, eventually
import p2p

def warnings():
    return [line for line in victim.log.lines() if "cannot accept" in line]

with target() as victim, talk(victim) as honest:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
    try:
        while True:
            fillers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    # Room for the remote's own descriptor only: the server has none to accept it with.
    os.close(fillers.pop())
    with victim.attack() as remote:
        eventually(warnings)
        loop = inspect.loop(victim.server)
        passes = loop.passes
        honest.exchange(200)
        remote.flush()
        # It does not try again and again at once.
        told = len(warnings())
        victim.clock.advance(0.3)
        honest.exchange(20)
        assert victim.sessions()[1] == 0
        for filler in fillers:
            os.close(filler)
        victim.clock.advance(0.3)
        remote.shake_hands()
        remote.send_hello()
        remote.expect_hello()
        eventually(lambda: victim.server.peer_count == 2)
        honest.exchange()
        assert told == 1, victim.log.lines()
    victim.await_quiet(peers=1)
print("recovered")
"""


def test_server_without_descriptors_keeps_its_peers_and_recovers() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stdout == "recovered\n", done.stderr
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
