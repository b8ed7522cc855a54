"""Errors as one line with an exit code. Pure.

A command raises the library's errors as they are; :func:`failure_of` gives each its exit code. For
all else it raises a :class:`Failure`, whose text says what to do.
"""

from __future__ import annotations

import errno
import os
import re

import click

import p2p
from p2p import errors
from p2p.cli.exitcode import ExitCode
from p2p.cli.remedy import remedy_of
from p2p.cli.shown import shown

#: Most characters of the text of an error of the library, which may quote a remote.
MAX_TEXT = 400
#: The number that Python puts before the text of an error of the system.
_ERRNO = re.compile(r"\[Errno -?\d+\] ")

#: The exit code of each class of errors; the first that fits counts.
EXIT_CODES: dict[tuple[type[Exception], ...], ExitCode] = {
    (errors.RefusedByPeer, errors.NoSharedCapability, errors.PeerDisconnected): ExitCode.REFUSED,
    (errors.LocalProtocolError, errors.PacketError, errors.DecodeError): ExitCode.USAGE,
    (errors.RemoteProtocolError, errors.HandshakeFailed, errors.WrongIdentity): ExitCode.REFUSED,
    (errors.Timeout, errors.ConnectError): ExitCode.NO_ANSWER,
    (errors.NodeNotFound,): ExitCode.NEGATIVE,
    (errors.NodeDBError, OSError): ExitCode.SYSTEM,
}

_PORT_HINT = "; another program has this port: give another one, or port 0 for any that is free"


class Failure(Exception):
    """The failure of a command: one line that says what to do, and an exit code."""

    def __init__(self, text: str, exit_code: ExitCode = ExitCode.NEGATIVE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def failure_of(error: Exception) -> Failure:
    """Return the failure for any error that left a command."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, click.ClickException):
        return Failure(_usage(error), ExitCode(error.exit_code))
    for classes, code in EXIT_CODES.items():
        if isinstance(error, classes):
            return Failure(_text(error), code)
    text = f"{type(error).__name__}: {error} (a defect of p2p; --debug shows where)"
    return Failure(text, ExitCode.DEFECT)


def _usage(error: click.ClickException) -> str:
    text = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        end = "" if text.endswith("?") else "."
        return f"{text.rstrip('.')}{end} See: {error.ctx.command_path} --help"
    return text


def text_of(error: Exception) -> str:
    """Return what has happened, without what to do about it."""
    text = str(error) or type(error).__name__
    return shown(_ERRNO.sub("", text), MAX_TEXT)


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fspath(error.filename)}: " if error.filename else ""
        hint = _PORT_HINT if error.errno == errno.EADDRINUSE else ""
        return place + error.strerror + hint
    if isinstance(error, p2p.P2PError):
        remedy = remedy_of(error)
        return text_of(error) + (f"; {remedy}" if remedy else "")
    return str(error)
