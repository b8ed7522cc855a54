"""Reading capture files, pcap and pcapng, by libpcap (pcapy-ng, the extra ``capture``).

The only module that imports pcapy. It blocks on the file, in the thread that iterates. The reasons
for the library are in ``docs/design/captures.md``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from p2p.arguments import check_each, check_type
from p2p.capture.decoder import CaptureDecoder
from p2p.capture.event import Event, Remark
from p2p.capture.keys import KeyRing
from p2p.capture.messages import MessageDecoder
from p2p.errors import ConfigError, DecodeError
from p2p.keylog.lines import MAX_LINE_SIZE, Keys, parse_line, parse_lines


def read(
    path: str | os.PathLike[str],
    *,
    keylog: str | os.PathLike[str] | None = None,
    protocols: Sequence[MessageDecoder] = (),
) -> Iterator[Event]:
    """Decode a capture and yield its events, in the order of the packets that complete them::

        for event in p2p.capture.read("node.pcap", keylog="keys.log", protocols=[CHAT]):
            print(event)

    ``path`` is a file of tcpdump or Wireshark, "-" the standard input. ``keylog`` is a key log of
    either end, which may still grow; without one only discovery v4 can be read. ``protocols`` are
    the protocols whose messages are decoded, such as :class:`p2p.messages.Messages`; eth/69 to
    eth/72 and snap need not be given. The length of all shared ones must be known to tell their
    codes apart.

    Raises ArgumentTypeError for arguments of another type, OSError for a file that cannot be
    opened, DecodeError for one that is no capture, and for a broken line of the key log,
    ConfigError without pcapy-ng; any of them at the first event. Any thread; each iterator belongs
    to one.
    """
    check_type("path", path, (str, os.PathLike), "the path of a capture")
    check_type("keylog", keylog, (str, os.PathLike, type(None)), "the path of a key log, or None")
    check_each("protocols", protocols, MessageDecoder, "a list of p2p.messages.Messages")
    pcapy = _library()
    if os.fspath(path) != "-":
        os.stat(path)  # raises the usual error for a file that is not there
    try:
        reader = pcapy.open_offline(os.fspath(path))
    except (pcapy.PcapError, UnicodeEncodeError) as error:  # libpcap takes paths in UTF-8 only
        raise DecodeError(f"{os.fspath(path)} is no capture: {error}") from None
    with ExitStack() as stack:
        stack.enter_context(closing(reader))
        log = None if keylog is None else stack.enter_context(closing(KeyLogFile(keylog)))
        keys = KeyRing(more=None if log is None else log.read)
        decoder = CaptureDecoder(reader.datalink(), keys, protocols)
        yield from _decode(reader, decoder, pcapy.PcapError)


class KeyLogFile:
    """A key log that may still be written to. Raises OSError if it cannot be opened."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open(path, "rb")  # closed by close()
        self._next_line = 1

    def read(self) -> Iterator[Keys]:
        """Yield the secrets since the last call. Raises DecodeError for a broken line."""
        return iter(parse_lines(self._lines(), self._next_line))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(MAX_LINE_SIZE):
            text = line.decode("ascii", errors="replace")
            may_grow = not line.endswith(b"\n") and len(line) < MAX_LINE_SIZE
            if may_grow and not _is_whole(text):
                self._file.seek(-len(line), os.SEEK_CUR)
                return
            self._next_line += 1
            yield text


def _is_whole(line: str) -> bool:
    """Whether a line without its end has all its fields."""
    try:
        return parse_line(line) is not None
    except DecodeError:
        return False


def _decode(reader: Any, decoder: CaptureDecoder, failure: type[Exception]) -> Iterator[Event]:
    time = 0.0
    while True:
        try:
            header, data = reader.next()
        except failure as error:
            yield from decoder.end()
            yield Remark(time, f"the rest of the capture cannot be read: {error}")
            return
        if header is None:
            yield from decoder.end()
            return
        seconds, microseconds = header.getts()
        time = seconds + microseconds / 1e6
        yield from decoder.receive(data, time)


def _library() -> Any:
    try:
        import pcapy
    except ImportError:
        wanted = "reading captures needs pcapy-ng: pip install 'p2p-blocking[capture]'"
        raise ConfigError(wanted) from None
    return pcapy
