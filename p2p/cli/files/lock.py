"""A lock for the time in which a command owns a file that it writes whole. Main thread.

The file is replaced at each save, so the lock is a file of its own beside it, ``.NAME.lock``, which
is removed at the end. The system drops the lock of a process that dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Keep other commands from writing ``path`` in the block. None, a pipe, a device: do nothing.

    Raises Failure if another command has it, OSError if the folder cannot be written to.
    """
    if path is None or (path.exists() and not path.is_file()):
        yield
        return
    lock = path.resolve()
    lock = lock.with_name(f".{lock.name}.lock")
    descriptor = _open_locked(lock, path)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is locked, so that it is ours
        os.close(descriptor)


def _open_locked(lock: Path, path: Path) -> int:
    """Open and lock the file; again if its owner has removed it meanwhile."""
    while True:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(lock, flags, 0o600)
        except OSError as error:
            error.filename = str(path)  # the user knows no other
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            text = f"{path}: another command writes it; wait for its end, or give another file"
            raise Failure(text, ExitCode.SYSTEM) from None
        except OSError:
            os.close(descriptor)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)
