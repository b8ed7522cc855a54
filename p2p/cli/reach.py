"""Whether a node answers, step by step: by discovery v4 and v5 over UDP, by RLPx over TCP.

The functions yield an :class:`Answer` for each step as it ends. They own the sockets that they
open, which are closed when they return. Any thread; each call blocks at most ``timeout_s`` a step.

The hello of a node is had although no capability is shared: an observer of the connection keeps it,
before either end closes the connection with "useless peer".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import p2p
from p2p import discover, errors, observe
from p2p.cli.shown import address_of, shown

#: Most capabilities of a hello that are shown.
MAX_CAPS = 64
#: Capability that is offered when the user has named none: no node has it.
NO_CAP = p2p.Cap("ping", 1)
#: Codes of an offered capability: more than any known one has.
CAP_LENGTH = 64


@dataclass(frozen=True)
class Answer:
    """The outcome of one step. ``seconds`` is the time that it took; ``error`` why it failed."""

    step: str
    seconds: float
    address: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    error: errors.P2PError | None = None


def discovery(
    protocol: str, key: p2p.PrivateKey, node: p2p.Node, timeout_s: float
) -> Iterator[Answer]:
    """Ping ``node`` by the discovery protocol "v4" or "v5"; the answer has its record's number."""
    kind = discover.UDPv4 if protocol == "v4" else discover.UDPv5
    step, address = f"disc{protocol}", address_of(node, udp=True)
    with kind(key, ":0", ntp_server=None) as front:
        began = time.monotonic()
        try:
            seq = front.ping(node, timeout_s)
        except errors.P2PError as error:
            yield Answer(step, time.monotonic() - began, address, error=error)
        else:
            facts = {} if seq is None else {"record_seq": seq}
            yield Answer(step, time.monotonic() - began, address, facts)


def rlpx(
    key: p2p.PrivateKey, node: p2p.Node, timeout_s: float, caps: Sequence[p2p.Cap] = ()
) -> Iterator[Answer]:
    """Connect to ``node``: TCP, the handshake (auth and ack), the hello.

    The last answer has an error if the node could not be reached, or refused. A node that finds us
    useless, or has no capability in common with us, has answered.
    """
    offered = [p2p.Protocol(*cap, CAP_LENGTH) for cap in caps or (NO_CAP,)]
    watch = _Watch(time.monotonic(), address_of(node))
    server = p2p.Server(
        private_key=key,
        name=f"p2p/{p2p.__version__}",
        max_peers=1,
        protocols=offered,
        observer=watch,
    )
    failure: p2p.ConnectError | None = None
    with server:
        try:
            server.connect(node, timeout_s)
        except p2p.ConnectError as error:
            failure = error
    yield from watch.answers
    if failure is not None and not (watch.has_hello and _is_useless(failure)):
        yield watch.failed(failure)


def _is_useless(error: p2p.ConnectError) -> bool:
    if isinstance(error, errors.RefusedByPeer):
        return error.reason is p2p.DiscReason.USELESS_PEER
    return isinstance(error, errors.NoSharedCapability)


class _Watch(observe.Observer, observe.ConnectionObserver):
    """Observer of a connection: the time of each step, and the hello. Called on ``p2p-io``."""

    def __init__(self, began: float, address: str) -> None:
        self.answers: list[Answer] = []
        self.has_hello = False
        self._since = began
        self._address = address

    def connection(self, new: observe.NewConnection) -> observe.ConnectionObserver:
        self._address = str(new.remote)
        self._step("tcp")
        return self

    def packet_in(self, packet: bytes, body: bytes, plain: bool) -> None:
        self._step("handshake")

    def events(self, events: Sequence[observe.ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, observe.HelloReceived):
                self.has_hello = True
                self._step("hello", facts_of(event.hello))

    def failed(self, error: p2p.ConnectError) -> Answer:
        """Return the answer for the end by ``error``, at the step after the last."""
        reached = [answer.step for answer in self.answers]
        steps = ("tcp", "handshake", "hello", "connected")
        step = next(step for step in steps if step not in reached)
        return Answer(step, time.monotonic() - self._since, self._address, error=error)

    def _step(self, name: str, facts: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        self.answers.append(Answer(name, now - self._since, self._address, facts or {}))
        self._since = now


def facts_of(hello: observe.Hello) -> dict[str, Any]:
    """Return what a hello says, escaped."""
    caps = sorted(hello.caps)[:MAX_CAPS]
    return {
        "name": shown(hello.name),
        "p2p_version": hello.version,
        "capabilities": [shown(cap, 40) for cap in caps],
        "listen_port": hello.listen_port,
    }
