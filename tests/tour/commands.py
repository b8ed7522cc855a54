"""Every command of ``p2p``, a line each, from its click tree: a program of its own.

The tour runs it with the Python that has the wheel, so it imports nothing of the checkout.
"""

from __future__ import annotations

from collections.abc import Iterator

import click


def leaves(command: click.Command, path: str) -> Iterator[str]:
    """The commands below one, such as "p2p key new"; groups are not commands."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, f"{path} {name}")


if __name__ == "__main__":
    from p2p.cli.program import program

    print("\n".join(leaves(program, "p2p")))
