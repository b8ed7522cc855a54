"""What a program gives the server for each sub-protocol that it speaks.

A protocol is immutable data and may be shared by servers and threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p2p.errors import ConfigError
from p2p.rlpx import Cap

if TYPE_CHECKING:
    from p2p.enode import Node
    from p2p.message import MsgReadWriter
    from p2p.peer import Peer

#: Message codes one protocol may ask for. Real ones have less than 64; the code is a 64-bit number.
MAX_LENGTH = 2**32


@dataclass(frozen=True)
class Protocol:
    """A sub-protocol.

    ``name`` and ``version`` make its capability; ``length`` is how many message codes it has.
    ``run(peer, rw)`` is called in a thread of its own for each peer that has the capability; the
    connection ends when it returns (DiscReason.QUITTING) or raises (the exception's ``disc_reason``
    if it has one, else DiscReason.SUBPROTOCOL_ERROR). ``node_info()`` and ``peer_info(id)`` give
    what ``Server.node_info`` and ``Peer.info`` show of the protocol; ``peer_info`` may return None
    while its own handshake goes on. ``attributes`` are put into our node record, by key.
    ``dial_candidates`` are nodes worth dialing for this protocol: a collection, which is gone
    through again and again, or an iterator, which may block and is read once.

    Raises ConfigError, naming the option, for anything else.
    """

    name: str
    version: int
    length: int
    run: Callable[[Peer, MsgReadWriter], object]
    node_info: Callable[[], Any] | None = None
    peer_info: Callable[[bytes], Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    dial_candidates: Iterable[Node] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise ConfigError(f"Protocol.name must be printable text, not {self.name!r}")
        _check_number("version", self.version, 2**32 - 1)
        _check_number("length", self.length, MAX_LENGTH)
        if not callable(self.run):
            raise ConfigError(f"Protocol.run must be callable as run(peer, rw), not {self.run!r}")
        for option in ("node_info", "peer_info"):
            value = getattr(self, option)
            if value is not None and not callable(value):
                raise ConfigError(f"Protocol.{option} must be callable or None, not {value!r}")
        if not isinstance(self.attributes, Mapping):
            raise ConfigError(f"Protocol.attributes must be a mapping, not {self.attributes!r}")
        for key in self.attributes:
            if not isinstance(key, str):
                raise ConfigError(f"Protocol.attributes must have keys of type str, not {key!r}")
        if not isinstance(self.dial_candidates, (Iterable, type(None))):
            raise ConfigError(
                f"Protocol.dial_candidates must be iterable or None, not {self.dial_candidates!r}"
            )

    @property
    def cap(self) -> Cap:
        """The capability, as it stands in hello."""
        return Cap(self.name, self.version)


def _check_number(option: str, value: object, limit: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ConfigError(f"Protocol.{option} must be a number from 0 to {limit}, not {value!r}")
