"""The node's own key and the file that keeps it.

Any thread; these functions block on the file system. The file is the one go-ethereum writes and
reads: the private key as 64 hex digits, followed by at most two line ends.

A program that can read the file can act as the node, so the file has mode 0600 from the moment it
exists: a key is written to a new file beside the target, flushed to the disk, and renamed to the
target. A reader sees the old file or the new one, never half of it, and a power cut loses neither.
Windows has no such modes; there the rules of the directory apply.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from p2p.arguments import check_type
from p2p.crypto import PrivateKey
from p2p.errors import InvalidKey

KEY_DIGITS = 64
#: Line ends that may follow, in bytes.
_MAX_END = 2
_HEX = re.compile(rb"[0-9a-fA-F]*")
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def generate_key() -> PrivateKey:
    """Make a new private key from the system's random source."""
    return PrivateKey.generate(os.urandom)


def load_key(path: str | os.PathLike[str]) -> PrivateKey:
    """Read a key file.

    Raises InvalidKey, which names the file, if it does not contain a key, ArgumentTypeError if
    ``path`` is not a path, and OSError if the file cannot be read.
    """
    with open(_place(path), "rb") as file:
        content = file.read(KEY_DIGITS + _MAX_END + 1)
    try:
        return PrivateKey.from_bytes(_decode_file(content))
    except InvalidKey as error:
        raise InvalidKey(f"key file {os.fspath(path)!r}: {error}") from None


def save_key(path: str | os.PathLike[str], key: PrivateKey) -> None:
    """Write a key file, or replace the one that is there.

    Raises ArgumentTypeError unless ``key`` is a PrivateKey and ``path`` a path, and OSError, which
    names the file: IsADirectoryError for a directory, and one with ELOOP for a symbolic link, which
    would be replaced while its target keeps the old key, with EINVAL for a device or a pipe.
    """
    check_type("key", key, PrivateKey, "a PrivateKey")
    place = _place(path)
    _check_place(place)
    with _new_file(place, key) as new:
        os.replace(new, place)
    _sync_directory(place.parent)


def load_or_generate_key(path: str | os.PathLike[str]) -> PrivateKey:
    """Read the key file; if there is none, make a key and write it there first.

    Programs that do this at the same time all get the one key that stays in the file. Raises as
    :func:`load_key` and :func:`save_key` do; a file that does not contain a key is never replaced.
    """
    place = _place(path)
    try:
        return load_key(place)
    except FileNotFoundError:
        pass
    key = generate_key()
    try:
        _create(place, key)
    except FileExistsError:
        return load_key(place)
    return key


def _place(path: str | os.PathLike[str]) -> Path:
    # open() would take the number of a descriptor, and close it
    check_type("path", path, (str, os.PathLike), "a str or a path")
    return Path(path)


def _decode_file(content: bytes) -> bytes:
    digits, end = content[:KEY_DIGITS], content[KEY_DIGITS:]
    if any(byte < 0x21 for byte in digits):
        digits = digits[: next(i for i, byte in enumerate(digits) if byte < 0x21)]
    if len(digits) < KEY_DIGITS:
        raise InvalidKey(f"too short, want {KEY_DIGITS} hex digits")
    if not _HEX.fullmatch(digits):
        raise InvalidKey("not all characters are hex digits")
    if end.strip(b"\r\n"):
        raise InvalidKey("invalid character at the end")
    if len(end) > _MAX_END:
        raise InvalidKey(f"too long, want {KEY_DIGITS} hex digits")
    return bytes.fromhex(digits.decode("ascii"))


def _check_place(place: Path) -> None:
    try:
        mode = os.lstat(place).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a key is not written through a symbolic link", str(place))
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
    if not stat.S_ISREG(mode):
        text = "a key is not written in place of a device or a pipe"
        raise OSError(errno.EINVAL, text, str(place))


def _create(place: Path, key: PrivateKey) -> None:
    """Create a key file, atomically. Raises FileExistsError if there is one already."""
    with _new_file(place, key) as new:
        try:
            os.link(new, place)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _create_without_link(place, key)
    _sync_directory(place.parent)


def _create_without_link(place: Path, key: PrivateKey) -> None:
    # Some file systems (FAT, some network mounts) have no hard links. A second program still never
    # overwrites the key, but may read the file before it is written.
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    _write(descriptor, key)


@contextmanager
def _new_file(place: Path, key: PrivateKey) -> Iterator[str]:
    """Yield the name of a complete key file beside ``place``; delete it unless it was moved."""
    try:
        # mkstemp creates with mode 0600 and never opens what exists already.
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        error.filename = str(place)
        raise
    try:
        _write(descriptor, key)
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _write(descriptor: int, key: PrivateKey) -> None:
    with open(descriptor, "wb") as file:
        file.write(key.to_bytes().hex().encode("ascii"))
        file.flush()
        os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    # Without this a power cut may lose the new name. Windows cannot open directories.
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
