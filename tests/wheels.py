"""Ask the package index whether every dependency has a wheel for each supported Python and system.

``python -m tests.wheels`` resolves the requirements of setup.cfg, those of the tests included, with
uv, which evaluates markers for the Python it is asked about; pip takes those of the running one.
Nothing is installed. It needs the network, so it is no test; tests/test_packaging.py is.
safe-pysha3 has no wheel for macOS, where it is built.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from tests.test_packaging import EXTRAS, PYTHONS, REQUIRED

SYSTEMS = (
    *("x86_64-manylinux_2_28", "aarch64-manylinux_2_28"),
    *("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
    *("aarch64-apple-darwin", "x86_64-apple-darwin"),
)


def resolve(python: str, system: str) -> subprocess.CompletedProcess[str]:
    """The versions that would be installed, one a line, or why none can be."""
    wanted = [*REQUIRED, *EXTRAS["test"]]
    if system.endswith("darwin"):
        wanted = [one for one in wanted if one.name != "safe-pysha3"]
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"),
        *("--no-annotate", "--only-binary", ":all:"),
        *("--python-version", python, "--python-platform", system, "-"),
    ]
    lines = "\n".join(map(str, wanted))
    return subprocess.run(command, input=lines, capture_output=True, text=True)


def main() -> int:
    pairs = list(product(PYTHONS, SYSTEMS))
    failed = False
    with ThreadPoolExecutor(4) as pool:
        outcomes = pool.map(lambda pair: resolve(*pair), pairs)
        for (python, system), done in zip(pairs, outcomes, strict=True):
            failed = failed or done.returncode != 0
            count = len(done.stdout.splitlines())
            print(f"{python} {system}:", done.stderr.strip() or f"{count} wheels", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
