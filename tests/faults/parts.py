"""What the tests of faults share: threads that report, programs in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import p2p

ROOT = Path(__file__).resolve().parents[2]


def stranger() -> p2p.Node:
    """A node that nobody is."""
    return p2p.Node.from_parts(p2p.generate_key().public_key, "127.0.0.1", 9, 9)


def run_program(program: str, *arguments: str, timeout_s: float = 50.0) -> str:
    """Run a program in a process of its own, with warnings as errors; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done.stdout
