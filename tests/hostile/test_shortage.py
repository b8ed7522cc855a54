"""No descriptors left: connections wait in the kernel, peers go on, and then it recovers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import logging, os, resource, sys
from tests.hostile.remote import PATIENCE_S, connect
from tests.hostile.target import eventually, talk, target
import p2p

lines = []
class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger("p2p.net").addHandler(Lines())

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
        eventually(lambda: any("cannot accept" in line for line in lines))
        loop = victim.server._loop
        passes = loop.passes
        honest.exchange(200)
        remote.flush()
        # It does not try again and again at once.
        warnings = len(lines)
        victim.clock.advance(0.3)
        honest.exchange(20)
        assert victim.sessions()[1] == 0
        for filler in fillers:
            os.close(filler)
        victim.clock.advance(0.3)
        remote.shake_hands()
        remote.say_hello()
        remote.receive_hello()
        eventually(lambda: victim.server.peer_count() == 2)
        honest.exchange()
        assert warnings == 1, lines
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
