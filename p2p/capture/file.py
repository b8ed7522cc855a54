"""Reading capture files, pcap and pcapng, by libpcap (pcapy-ng, the extra ``capture``).

The only module that imports pcapy. It blocks on the file, in the thread that iterates. The reasons
for the library are in ``docs/design/captures.md``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from p2p.arguments import check_type
from p2p.capture.decoder import CaptureDecoder
from p2p.capture.event import Event, Remark
from p2p.capture.keys import KeyRing
from p2p.capture.messages import MessageDecoder
from p2p.errors import ConfigError, DecodeError
from p2p.keylog.lines import MAX_LINE_SIZE, Keys, parse_lines


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
    either end; without one only discovery v4 can be read. ``protocols`` are the protocols whose
    messages are decoded, such as :class:`p2p.messages.Messages`; eth/69 to eth/72 and snap need not
    be given. The length of all shared ones must be known to tell their codes apart.

    Raises OSError for a file that cannot be opened, DecodeError for one that is no capture, and for
    a broken line of the key log, ConfigError without pcapy-ng; any of them at the first event.
    """
    check_type("path", path, (str, os.PathLike), "the path of a capture")
    check_type("keylog", keylog, (str, os.PathLike, type(None)), "the path of a key log, or None")
    pcapy = _library()
    keys = KeyRing() if keylog is None else KeyRing(read_keylog(keylog))
    if os.fspath(path) != "-":
        os.stat(path)  # raises the usual error for a file that is not there
    try:
        reader = pcapy.open_offline(os.fspath(path))
    except pcapy.PcapError as error:
        raise DecodeError(f"{os.fspath(path)} is no capture: {error}") from None
    with closing(reader):
        decoder = CaptureDecoder(reader.datalink(), keys, protocols)
        yield from _decode(reader, decoder, pcapy.PcapError)


def read_keylog(path: str | os.PathLike[str]) -> Iterable[Keys]:
    """Yield the secrets of a key log. Raises OSError, and DecodeError for a broken line."""
    with open(path, encoding="ascii", errors="replace") as file:
        yield from parse_lines(iter(lambda: file.readline(MAX_LINE_SIZE), ""))


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
