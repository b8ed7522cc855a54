"""The command line ``p2p``, with click and rich (extra ``cli``).

It uses public names of the library only. A module for each command, or group of commands, named
after it; beside them:

=============  ======================================================================
`program`      the group of all commands, and :func:`main`, which runs it
`command`      classes of commands and groups: the example in the help, ``--debug``
`exitcode`     exit codes
`commands`     every command by its name, imported when wanted
`failure`      one line for each error, with its exit code
`output`       text for a terminal, JSON lines for a program, progress
`streams`      the standard streams: closed, of another encoding, without a reader
`parameters`   types of arguments: nodes, key files; what is read from standard input
=============  ======================================================================

A new command is a module with a function under ``@command(...)``, or a group of them, and an entry
in `commands`. It prints by :class:`~p2p.cli.output.Output`, and raises errors of the
library, or :class:`~p2p.cli.failure.Failure`. Ctrl-C is a KeyboardInterrupt, which it lets pass. A
library of another extra is imported by the function that needs it.
"""

from __future__ import annotations

from p2p.cli.program import main

__all__ = ["main"]
