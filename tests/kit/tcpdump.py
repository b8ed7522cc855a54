"""A tcpdump of the loopback interface, for tests that may run one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.processes import Program

TCPDUMP = shutil.which("tcpdump")


def reason_to_skip() -> str | None:
    """Reason why no test can capture here, or None."""
    if TCPDUMP is None:
        return "tcpdump is not installed"
    return None if os.geteuid() == 0 else "only root may capture"


needs_tcpdump = pytest.mark.skipif(reason_to_skip() is not None, reason=reason_to_skip() or "")


@contextmanager
def captured(path: Path, *ports: int) -> Iterator[None]:
    """Capture what passes on these ports of the loopback interface into a file, in the block."""
    assert TCPDUMP is not None
    ways = " or ".join(f"port {port}" for port in ports)
    # The buffer, in KiB, is for a megabyte at once: without it, packets are dropped.
    command = [TCPDUMP, "-i", "lo", "-U", "--immediate-mode", "-s", "0", "-B", "32768"]
    with Program(
        [*command, "-Z", "root", "-w", str(path), ways], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            while "listening on" not in line:
                assert line, "tcpdump has not begun"
                line = process.stderr.readline()
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
