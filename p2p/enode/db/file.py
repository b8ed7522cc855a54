"""The file of the node database: one SQLite file, which one process has open at a time.

Owns the handling of a file that cannot be used, and the texts of the errors. It does not decide
when to write (:mod:`p2p.enode.db.nodedb`). Every call blocks on the disk; one thread at a time may
call.

A file that is damaged, or of another version of the tables, is renamed (``nodes.db`` to
``nodes.db.broken`` or ``nodes.db.v1``, replacing an earlier one) and a new one is made: its content
can be learned again. Only the sequence numbers of our own records are carried over, if they can
still be read. A file that is not a database, or the database of another program, is left alone.

The file is in WAL mode: a process that is killed loses nothing that was written before. A power cut
loses the last moments at most, and never a batch that :meth:`DBFile.write` made durable.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from p2p import forks
from p2p.enode.db.rows import Batch, Contents
from p2p.enode.db.tables import TABLES, read_all, read_local, write_batch
from p2p.errors import NodeDBError

#: Identifies our files, in the header of the file: "p2pn".
APPLICATION_ID = 0x7032706E
#: The version of the tables. A file with another one is set aside.
VERSION = 1
#: Limit on the wait for another process that has the file open and may be about to close it.
LOCK_TIMEOUT_S = 1.0

#: SQLite's cache; small, since our own memory has the whole content of the file.
CACHE_KIB = 128

_MAGIC = b"SQLite format 3\0"
#: Files that SQLite keeps beside the database. They must be renamed before it: their content would
#: be applied to the next file of that name.
_COMPANIONS = ("-wal", "-journal", "-shm")

_MAX_SALVAGED_SEQ = 2**63


class BrokenFile(NodeDBError):
    """The file is damaged; :meth:`DBFile.replace_broken` makes a new one."""


class _OtherVersion(Exception):
    """The file is ours, with other tables."""


class DBFile:
    """An open file, locked against other processes."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Wrap an open connection; use :meth:`open` instead."""
        self.path = path
        self.is_open = True
        self._connection = connection
        forks.in_child(self, DBFile._keep_open)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], log: logging.Logger
    ) -> tuple[DBFile, Contents]:
        """Open the file, or make it, and read all of it; logs to ``log`` if one is set aside.

        Raises NodeDBError, which names the file, when it cannot be opened, read or written, when
        another process has it open, and when it belongs to another program.
        """
        place = Path(path).absolute()
        _check_place(place)
        try:
            return cls._open(place)
        except BrokenFile as error:
            return cls._open_after_setting_aside(place, "broken", str(error), log)
        except _OtherVersion as error:
            why = f"{place}: {error}"
            return cls._open_after_setting_aside(place, f"v{error.args[0]}", why, log)

    @classmethod
    def replace_broken(cls, path: Path, log: logging.Logger) -> DBFile:
        """Set aside a file that was closed because it is damaged, and make an empty one.

        Raises NodeDBError as :meth:`open` does.
        """
        return cls._open_after_setting_aside(path, "broken", f"{path} is damaged", log)[0]

    def write(self, batch: Batch) -> None:
        """Write a batch, atomically; durable when it has a local sequence number.

        Raises NodeDBError when it cannot be written; BrokenFile when the file is damaged.
        """
        with _errors(self.path):
            # FULL: the commit returns when the data are on the disk.
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if batch.local else 'NORMAL'}")
            with _transaction(self._connection):
                write_batch(self._connection, batch)

    def close(self) -> None:
        """Close the file. Data that can no longer be written is lost."""
        self.is_open = False
        with suppress(sqlite3.Error):
            self._connection.close()

    def _keep_open(self) -> None:
        """Keep the connection open in a forked child, even at the end of the process.

        Closing it would delete the journal of the parent, and with it the parent's changes (SQLite,
        "How To Corrupt", 2.6). Only a reference that is never released survives the end of the
        interpreter.
        """
        if self.is_open and sys.implementation.name == "cpython":
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    @classmethod
    def _open(cls, place: Path) -> tuple[DBFile, Contents]:
        is_new = not place.exists()
        with _errors(place):
            connection = sqlite3.connect(
                str(place), timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection, place)
                contents = _read(connection, place)
            except BaseException:
                connection.close()
                raise
        if is_new:
            _sync_directory(place.parent)
        return cls(place, connection), contents

    @classmethod
    def _open_after_setting_aside(
        cls, place: Path, suffix: str, why: str, log: logging.Logger
    ) -> tuple[DBFile, Contents]:
        local = _salvage_local(place)
        aside = _set_aside(place, suffix)
        log.warning("node database: %s; it is now %s, and a new one is made", why, aside)
        file, contents = cls._open(place)
        if local:
            file.write(Batch(local=local))
            contents.local.update(local)
        return file, contents


def _check_place(place: Path) -> None:
    """Refuse a file that is not ours, before SQLite opens it and before it could be renamed."""
    try:
        if place.is_dir():
            raise NodeDBError(f"node database {place}: is a directory")
        with open(place, "rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise NodeDBError(f"node database {place}: {error.strerror or error}") from error
    # A power cut can leave a file of zeros.
    if head not in (_MAGIC, b"") and any(head):
        raise NodeDBError(
            f"node database {place}: is not a database; move the file away, or name another one"
        )
    for needed in (place, place.parent):  # SQLite makes files beside its own
        if not os.access(needed, os.W_OK):
            raise NodeDBError(f"node database {place}: {needed} cannot be written")


@contextmanager
def _errors(place: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        text = ascii(str(error))[1:-1][:200]  # it may quote the content of the file
        if "locked" in text:
            text = "another process has it open"
        kind = BrokenFile if _is_damage(error) else NodeDBError
        raise kind(f"node database {place}: {text}") from error
    except OSError as error:
        raise NodeDBError(f"node database {place}: {error.strerror or error}") from error


def _is_damage(error: Exception) -> bool:
    """Whether the content of the file is the cause, not the disk, the lock or the permissions."""
    others = (sqlite3.OperationalError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
    if isinstance(error, others):
        return "malformed" in str(error) or "unsupported file format" in str(error)
    # SQLITE_CORRUPT and SQLITE_NOTADB, and messages that quote bytes which are not text.
    return True


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection, place: Path) -> None:
    # Exclusive first: then WAL needs no shared memory, and the lock is kept.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    _is_empty(connection, place)  # another program's file must not become a WAL one
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    with _transaction(connection):
        if _is_empty(connection, place):
            for statement in TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        version = _pragma(connection, "user_version")
        if version not in (0, VERSION):
            raise _OtherVersion(version)
        # Written even if it is already there, so that a read-only file is noticed now.
        connection.execute(f"PRAGMA user_version = {VERSION}")
    _check_tables(connection, place)


def _is_empty(connection: sqlite3.Connection, place: Path) -> bool:
    application_id = _pragma(connection, "application_id")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application_id == 0 and tables == 0:
        return True
    if application_id != APPLICATION_ID:
        raise NodeDBError(f"node database {place}: it is the database of another program")
    return False


def _check_tables(connection: sqlite3.Connection, place: Path) -> None:
    found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
    if found != set(TABLES):
        raise BrokenFile(f"node database {place}: its tables are not those of version {VERSION}")
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise BrokenFile(f"node database {place}: {str(result).strip()[:200]}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _read(connection: sqlite3.Connection, place: Path) -> Contents:
    try:
        return read_all(connection)
    except (TypeError, ValueError) as error:
        raise BrokenFile(f"node database {place}: {error}") from error


def _salvage_local(place: Path) -> dict[bytes, int]:
    """Return our own sequence numbers, if they can be read, since those must not fall."""

    def read() -> dict[bytes, int]:
        with closing(sqlite3.connect(str(place), timeout=LOCK_TIMEOUT_S)) as connection:
            return read_local(connection)

    try:
        # A higher number comes from a torn page, not from a record of ours.
        return {node_id: seq for node_id, seq in read().items() if seq < _MAX_SALVAGED_SEQ}
    except (sqlite3.Error, TypeError, ValueError):
        return {}


def _set_aside(place: Path, suffix: str) -> Path:
    aside = place.with_name(f"{place.name}.{suffix}")
    with _errors(place):
        for companion in _COMPANIONS:
            with suppress(FileNotFoundError):
                os.replace(f"{place}{companion}", f"{aside}{companion}")
        with suppress(FileNotFoundError):
            os.replace(place, aside)
    _sync_directory(place.parent)
    return aside


def _sync_directory(directory: Path) -> None:
    # Without this a power cut may lose the new name. Windows cannot open directories.
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
