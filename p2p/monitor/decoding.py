"""Names and fields of messages, by protocol and code.

It knows the protocols of a server that are declared (:mod:`p2p.messages`), and those of Ethereum.
``p2p-monitor`` only.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from p2p.errors import P2PError
from p2p.messages import MessageProtocol, Messages
from p2p.monitor.shown import fields_of, text
from p2p.protocol import Protocol

#: Largest payload that is decoded, in bytes.
MAX_PAYLOAD = 16 * 1024
#: Share of the time that decoding may take; samples beyond it have no fields.
SHARE = 0.02
#: Most codes that the page gets the names of.
_MAX_CODES = 256

#: The base protocol; its codes are not those of the capabilities.
BASE = "p2p/5"
BASE_NAMES = {0: "Hello", 1: "Disconnect", 2: "Ping", 3: "Pong"}


class Decoders:
    """The declared messages of a server's protocols."""

    def __init__(self, protocols: Iterable[Protocol]) -> None:
        # fixed after __init__
        self._caps = [str(protocol.cap) for protocol in protocols]
        self._messages = _messages_of(protocols)
        # owned by p2p-monitor
        self._left_s = 0.0

    def refill(self, elapsed_s: float) -> None:
        """Allow as much time for decoding as its share of ``elapsed_s`` is."""
        self._left_s = elapsed_s * SHARE

    def name_of(self, cap: str, code: int) -> str:
        """Return the name of a message; its code in hex digits if the protocol is not known."""
        if cap == BASE:
            return BASE_NAMES.get(code, f"0x{code:02x}")
        messages = self._messages.get(cap)
        return f"0x{code:02x}" if messages is None else messages.name_of(code)

    def fields_of(
        self, cap: str, code: int, payload: bytes | None
    ) -> tuple[list[list[str]] | None, str]:
        """Return the fields of a message, None if they are not known, and why they are not."""
        messages = self._messages.get(cap)
        if messages is None:
            return None, ""
        if payload is None:
            return None, f"not decoded: more than {MAX_PAYLOAD} bytes"
        if self._left_s <= 0:
            return None, "not decoded: too many messages"
        begun = time.perf_counter()
        try:
            return fields_of(messages.decode(code, payload)), ""
        except P2PError as error:
            return None, text(str(error))
        finally:
            self._left_s -= time.perf_counter() - begun

    def about(self) -> list[Mapping[str, Any]]:
        """Return the protocols with the names of their codes, for the page."""
        found: list[Mapping[str, Any]] = [_about(BASE, BASE_NAMES)]
        for cap in self._caps:
            messages = self._messages.get(cap)
            found.append(_about(cap, {} if messages is None else _names(messages)))
        return found


def _messages_of(protocols: Iterable[Protocol]) -> dict[str, Messages[Any]]:
    found: dict[str, Messages[Any]] = {}
    for protocol in protocols:
        if isinstance(protocol, MessageProtocol):
            found[str(protocol.cap)] = protocol.messages
        elif protocol.name in ("eth", "snap"):
            found |= _of_ethereum()
    return found


def _of_ethereum() -> dict[str, Messages[Any]]:
    from p2p import eth  # only for a server that has it: an eighth of the time of `import p2p`

    known = (eth.ETH69, eth.ETH70, eth.ETH71, eth.ETH72, eth.SNAP1, eth.SNAP2)
    return {str(messages.cap): messages for messages in known}


def _names(messages: Messages[Any]) -> dict[int, str]:
    names = {code: messages.name_of(code) for code in range(min(messages.length, _MAX_CODES))}
    return {code: name for code, name in names.items() if not name.startswith("0x")}


def _about(cap: str, names: Mapping[int, str]) -> Mapping[str, Any]:
    codes = {str(code): name for code, name in names.items()}
    return {"cap": cap, "known": bool(names), "codes": codes}
