"""Plays every command of ``p2p`` from an installed wheel: ``python -m tests.tour build/venv/bin``.

The argument is the folder of the environment's programs. The commands run in a temporary folder,
talk to nodes on loopback that they start themselves, and see nothing of the checkout. The exit code
is 1 at the first one whose exit code or output is not as expected, or if a command is missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.tour.player import Player, StepFailed
from tests.tour.steps import FILES, TOUR, Run, Start, Step

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "testdata" / "discv4_packets.json"


def environment_of(programs: Path, home: Path) -> dict[str, str]:
    """The environment of a new user: the programs of the wheel come first, nothing is set."""
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb"}


def missing(commands: Sequence[str], steps: Sequence[Step]) -> list[str]:
    """The commands that no step has."""
    lines = [step.command for step in steps if isinstance(step, (Run, Start))]
    played = "\n".join(lines)
    return [each for each in commands if not re.search(rf"\b{each}(?![\w-])", played)]


def check_wheel(programs: Path, environment: dict[str, str], folder: Path) -> int:
    """Check that ``p2p`` is the wheel's, and its commands are in the tour; return their number."""

    def ask(*arguments: str) -> str:
        command = [str(programs / "python"), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StepFailed(f"the wheel is not installed in {programs}:\n{done.stderr}")
        return done.stdout.strip()

    place = Path(ask("-c", "import p2p; print(p2p.__file__)")).resolve()
    if not place.is_relative_to(programs.parent):
        raise StepFailed(f"p2p is not from the wheel, but from {place}")
    commands = ask(str(HERE / "commands.py")).splitlines()
    if left := missing(commands, TOUR):
        raise StepFailed(f"not in the tour: {', '.join(left)}; add them to tests/tour/steps.py")
    return len(commands)


def make_files(folder: Path) -> None:
    """Write the files that the commands read."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copy(HERE / "nameserver.py", folder)
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    (folder / "packet.hex").write_text(vectors["packets"][0]["packet"] + "\n", encoding="utf-8")


def main(programs: Path) -> int:
    # Under a shell in the background SIGINT is ignored, and would be so by all commands.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="p2p-tour-") as name:
        folder = Path(name)
        make_files(folder)
        environment = environment_of(programs, folder)
        with Player(folder, environment) as player:
            try:
                total = check_wheel(programs, environment, folder)
                player.play(TOUR)
            except StepFailed as failure:
                print(f"FAILED: {failure}")
                return 1
    skipped = f", {len(player.skipped)} skipped" if player.skipped else ""
    seconds = time.monotonic() - began
    print(f"\n{player.count} lines played{skipped}, with all {total} commands, in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.tour FOLDER-OF-PROGRAMS")
    sys.exit(main(Path(sys.argv[1]).resolve()))
