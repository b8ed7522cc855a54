"""p2p completion, in a real bash."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

BASH = """
source <(p2p completion bash)
complete -p p2p
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_p2p_completion p2p
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def bash(tmp_path):
    """A function that returns the completions of the last of some words."""
    program = tmp_path / "p2p"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m p2p "$@"\n')
    program.chmod(0o755)

    def complete(words):
        done = subprocess.run(
            ["bash", "-c", f"PATH={tmp_path}:$PATH\n{BASH.format(words=words)}"],
            capture_output=True, text=True, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        head, *completions = done.stdout.splitlines()
        assert "_p2p_completion p2p" in head and done.stderr == ""
        return completions

    return complete


def test_bash_completes_a_command(bash):
    assert bash("p2p nodes") == ["nodeset"]


def test_bash_completes_options_and_their_values(bash):
    assert bash("p2p nodeset filter --min") == ["--min-age"]
    assert bash("p2p nodeset filter --eth-network se") == ["sepolia"]


@pytest.mark.parametrize(("shell", "words"), [("zsh", "#compdef p2p"), ("fish", "complete --")])
def test_other_shells_have_a_script(run, shell, words):
    result = run("completion", shell)
    assert result.exit_code == 0 and words in result.out and "_P2P_COMPLETE" in result.out
    assert run("completion", shell, "--json").records[0]["script"].strip() == result.out.strip()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is missing")
def test_zsh_reads_its_script(run):
    script = run("completion", "zsh").out
    subprocess.run(["zsh", "-n"], input=script, text=True, check=True, timeout=60)


def test_an_unknown_shell_names_the_known_ones(run):
    result = run("completion", "tcsh")
    assert result.exit_code == 2 and "'bash', 'zsh', 'fish'" in result.err
