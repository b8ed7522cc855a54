"""``p2p completion bash | zsh | fish``: the scripts that click makes for shells. Main thread.

A script calls ``p2p`` at each Tab, with the environment variable that click looks for.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from p2p.cli.command import command
from p2p.cli.output import Output, with_output

SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    examples="""
    p2p completion bash > ~/.local/share/bash-completion/completions/p2p
    p2p completion zsh > ~/.zfunc/_p2p
    p2p completion fish > ~/.config/fish/completions/p2p.fish
    """,
)
@click.argument("shell", type=click.Choice(SHELLS))
@with_output
def completion(output: Output, shell: str) -> None:
    """Print the script that completes commands in a shell.

    Open a new shell afterwards. For zsh, ~/.zfunc must be in fpath before compinit.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    program = click.get_current_context().find_root().command
    script = kind(program, {}, "p2p", "_P2P_COMPLETE").source()
    output.result({"shell": shell, "script": script}, script)
