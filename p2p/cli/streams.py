"""The standard streams of the process, made fit for any text and any end. Any thread.

Characters that the encoding of a stream does not have are escaped, and bytes of the input that are
no text. A stream that the caller has closed is the null device: else the next file that is opened
would take its place. The reader of a pipe, such as head, may have enough: then the command ends,
with success. In the main thread that is a BrokenPipeError; another thread, which is one of a server
perhaps, goes on, and interrupts the main thread.
"""

from __future__ import annotations

import _thread
import io
import os
import sys
import threading

#: Set when the reader of the output has gone.
_reader_has_gone = threading.Event()


def prepare() -> None:
    """Prepare the standard streams, before a command runs."""
    _reader_has_gone.clear()
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write to the standard output at once."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        reader_has_gone()


def flush() -> None:
    """Write what is left."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        reader_has_gone()


def drop() -> None:
    """Write to the null device from now on."""
    _reader_has_gone.set()
    _to_null(1)


def finish() -> None:
    """Write what is left, or drop it: the interpreter flushes again, and would fail."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # full, or closed
        _to_null(1)


def reader_has_gone() -> None:
    """Write to the null device from now on, and end the command."""
    is_first = not _reader_has_gone.is_set()
    drop()
    if threading.current_thread() is threading.main_thread():
        raise BrokenPipeError
    if is_first:
        _thread.interrupt_main()


def is_read() -> bool:
    """Return whether the output still has a reader."""
    return not _reader_has_gone.is_set()


def tell(line: str) -> None:
    """Write a line to the standard error, if that can be written."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _to_null(2)


def _to_null(number: int) -> None:
    """Let what is written vanish: the interpreter flushes again at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
