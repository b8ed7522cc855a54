"""Both address families, in namespaces of the network that the tests make; for root on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .families import CASES

ROOT = Path(__file__).resolve().parent.parent.parent

#: Limit on one case.
LIMIT_S = 120.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"),
        reason="network namespaces need Linux, root and the program ip",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_both_families(case: str) -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.interop.families", case]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.stdout == "ok\n", done.stderr
