"""The tour has every command, and fails where one does. `make demo-tour` plays it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from p2p.cli.program import program
from tests.tour import player as player_module
from tests.tour.__main__ import check_wheel, environment_of, missing
from tests.tour.commands import leaves
from tests.tour.player import Player, StepFailed
from tests.tour.steps import TOUR, Chapter, End, Run, Start, Step

COMMANDS = list(leaves(program, "p2p"))


@pytest.fixture
def play(tmp_path: Path):
    """Return a function that plays steps, and returns the player after its end."""

    def play(*steps: Step, limit_s: float = 30.0) -> Player:
        with Player(tmp_path, dict(os.environ), limit_s) as player:
            player.play(steps)
        return player

    return play


def test_every_command_is_in_the_tour() -> None:
    assert {"p2p key new", "p2p discv5 crawl", "p2p crawl"} <= set(COMMANDS)
    assert missing(COMMANDS, TOUR) == []


@pytest.mark.parametrize("left", ["p2p key new", "p2p ping", "p2p crawl", "p2p discv4 crawl"])
def test_sweep_names_a_command_without_a_step(left: str) -> None:
    steps = [step for step in TOUR if left not in getattr(step, "command", "")]
    assert missing(COMMANDS, steps) == [left]


def test_every_start_has_its_end() -> None:
    running: list[str] = []
    for step in TOUR:
        if isinstance(step, Start):
            running.append(step.name)
        elif isinstance(step, End):
            running.remove(step.name)
    assert running == []


def test_command_and_output_are_shown_and_counted(play, capsys) -> None:
    steps = (Chapter("One"), Run("echo 1; seq 20"), Run("echo $A-", "^hello-$"))
    player = play(Run("echo hello", variable="A"), *steps)
    out = capsys.readouterr().out
    assert out.startswith("$ A=$(echo hello)\n  hello\n\n== One\n$ echo 1; seq 20\n  1\n  1\n  2\n")
    assert "  7\n  … 12 lines\n  20\n$ echo $A-\n" in out
    assert player.count == 3


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Run("exit 3"), "exit code 3; expected 0"),
        (Run("true", exit_codes=(1, 2)), "exit code 0; expected 1 or 2"),
        (Run("echo yes", "no"), "output like 'no'"),
        (Start("A", "echo yes", "no"), "no output like 'no':\nyes"),
        (Start("A", "true", file="missing"), "no file missing"),
    ],
)
def test_first_failure_ends_the_tour(play, tmp_path: Path, step: Step, text: str) -> None:
    with pytest.raises(StepFailed, match=text.replace("(", r"\(")):
        play(step, Run("touch later"))
    assert not (tmp_path / "later").exists()


def test_time_of_the_tour_is_limited(play) -> None:
    with pytest.raises(StepFailed, match="the time of the tour is over"):
        play(Run(f"{sys.executable} -c 'import signal; signal.pause()'"), limit_s=0.0)


def test_step_is_repeated_until_it_is_as_expected(play) -> None:
    play(Run("echo x >> file; wc -l < file", "^ *3$", repeat=True), Run("cat file", "x\nx\nx\n$"))


PROGRAM = "import signal; print('at 1', flush=True); signal.pause()"


def test_started_command_gets_ctrl_c(play, capsys) -> None:
    code = f"try:\n {PROGRAM}\nexcept KeyboardInterrupt:\n print('done')"
    start = Start("A", f'{sys.executable} -c "{code}"', r"at (\d)")
    play(start, Run("echo $A", "^1$"), End("A", until="at 1", output="^done$"))
    assert "$ A=1\n" in capsys.readouterr().out


def test_failure_kills_what_runs(play) -> None:
    program = f'{sys.executable} -c "import os; print(os.getpid()); {PROGRAM}"'
    with Player(Path.cwd(), dict(os.environ), 30.0) as player:
        player.play([Start("A", program, r"^(\d+)\nat 1")])
        pid = int(player._environment["A"])
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_step_without_what_it_needs_is_skipped_with_the_reason(play, capsys, monkeypatch) -> None:
    monkeypatch.setitem(player_module.NEEDS, "tcpdump", lambda: "tcpdump is not installed")
    steps = (Start("A", "false", needs="tcpdump"), End("A", needs="tcpdump"))
    player = play(*steps, Run("false", needs="tcpdump"))
    assert player.count == 0 and len(player.skipped) == 2
    assert "$ false\n  SKIPPED: tcpdump is not installed\n" in capsys.readouterr().out


def test_checkout_is_not_taken_for_the_wheel(tmp_path: Path, monkeypatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**environment_of(programs, tmp_path), "PYTHONPATH": root}
    with pytest.raises(StepFailed, match="p2p is not from the wheel, but from"):
        check_wheel(programs, environment, tmp_path)


def test_command_on_screen_shows_its_screen(play, capsys) -> None:
    # One call of write: where output is not buffered, print writes the end of the line by itself.
    show = "sys.stdout.write(f'\\033[2J\\033[2;3Hat {sys.stdout.isatty()}\\n'); sys.stdout.flush()"
    code = f"try:\n {show}; signal.pause()\nexcept KeyboardInterrupt: print('bye')"
    catch = f"import sys, signal\n{code}"
    start = Start("A", f'{sys.executable} -c "{catch}"', "^  at True$", on_screen=True)
    play(start, End("A", output="^bye$"))
    assert "\n    at True\n^C in A\n" in capsys.readouterr().out
