"""The command line ``p2p``, with click and rich (extra ``cli``).

It uses public names of the library only. A module for each command, or group of commands, named
after it; a folder where it has several: `node`, `discovery`, `crawl`, `doctor`. Beside them:

===============  ====================================================================
`program`        the group of all commands, and :func:`main`, which runs it
`commands`       every command by its name, imported when wanted
`command`        classes of commands and groups: the example in the help, ``--debug``
`parameters`     types of arguments: nodes, key files; what is read from standard input
`programobject`  types of arguments such as "eth/69" and "chat:handle"
`options`        options that several commands have
`enroptions`     options of the commands that sign a record
`output`         text for a terminal, JSON lines for a program, progress
`streams`        the standard streams: closed, of another encoding, without a reader
`plain`          values of the library as JSON and as a short text
`shown`          text of remotes, escaped
`entrytext`      entries of a record as text, and back
`failure`        one line for each error, with its exit code
`exitcode`       exit codes
`remedy`         advice for each class of error
`reach`          whether a node answers, for several commands
`files`          go-ethereum's files: nodes.json and node lists of DNS
===============  ====================================================================

A new command is a module with a function under ``@command(...)``, or a group of them, and an entry
in `commands`. It prints by :class:`~p2p.cli.output.Output`, and raises errors of the
library, or :class:`~p2p.cli.failure.Failure`. Ctrl-C is a KeyboardInterrupt, which it lets pass. A
library of another extra is imported by the function that needs it.
"""

from __future__ import annotations

from p2p.cli.program import main

__all__ = ["main"]
