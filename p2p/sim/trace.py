"""Event trace of a simulated network, as lines of text that are easy to follow.

A line has the time in simulated seconds, the node, and the event. The line for the sending of a
datagram includes its latency or loss; a second line follows only if its target then refuses it.
Nodes have the names that they were added under, other hosts their address::

       0.000  n2 -> n1   ping, 131 bytes, 87 ms
       0.087  n1 -> n2   pong, 155 bytes, 91 ms
       0.087  n1 -> n2   ping, 131 bytes, lost
       0.178  n2         + n1 in the table
       0.600  n2         lookup 1: 1 node

None of this costs anything while a network has no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from p2p.discover.event import (
    BootnodeLeftOut,
    BootnodeSilent,
    ClockAhead,
    Event,
    ManyTimeouts,
    NameWanted,
    NodeAdded,
    NodeRemoved,
    OperationDone,
    TalkReceived,
)
from p2p.discover.v4.wire import (
    ENRResponse,
    FindNode,
    Neighbors,
    Packet,
    PacketType,
    Ping,
    Pong,
    Received,
)
from p2p.errors import PacketError

if TYPE_CHECKING:
    from p2p.netutil import Endpoint

Write = Callable[[str], object]

_NAMES_WIDTH = 14


class Trace:
    """Writer of lines to ``write``. With ``nodes`` only those in which one of these names occurs.

    ``decode`` reads the packets of discovery v4; those of v5 are encrypted, and None stands for it.
    """

    def __init__(
        self,
        write: Write,
        nodes: Collection[str] | None,
        name_of: Callable[[Endpoint], str],
        decode: Callable[[bytes], Received] | None,
    ) -> None:
        self._write = write
        self._nodes = None if nodes is None else frozenset(nodes)
        self._name_of = name_of
        self._decode = decode

    def sent(
        self,
        time: float,
        source: Endpoint,
        target: Endpoint,
        data: bytes,
        outcome: list[float] | str,
    ) -> None:
        """Write the sending of a datagram.

        ``outcome`` is its latency, or several if it is duplicated, none if it is lost at random; a
        text gives another reason of its loss.
        """
        names = self._name_of(source), self._name_of(target)
        if self._wanted(*names):
            if not isinstance(outcome, str):
                outcome = " and ".join(f"{delay * 1000:.0f} ms" for delay in outcome) or "lost"
            what = f"{self._describe(data)}, {len(data)} bytes, {outcome}"
            self._line(time, " -> ".join(names), what)

    def refused(self, time: float, source: Endpoint, target: Endpoint, why: str) -> None:
        """Write that a datagram was refused at its target, and the reason."""
        names = self._name_of(source), self._name_of(target)
        if self._wanted(*names):
            self._line(time, " -> ".join(names), why)

    def happened(self, time: float, name: str, what: str) -> None:
        """Write an event of a node, given as text."""
        if self._wanted(name):
            self._line(time, name, what)

    def event(
        self, time: float, name: str, event: Event, name_of_id: Callable[[bytes], str]
    ) -> None:
        """Write an event of a node's engine."""
        if isinstance(event, NodeAdded):
            what = f"+ {name_of_id(event.node.id)} in the table"
        elif isinstance(event, NodeRemoved):
            what = f"- {name_of_id(event.node.id)} from the table"
        elif isinstance(event, ManyTimeouts):
            what = f"{event.count} requests in a row without an answer"
        elif isinstance(event, BootnodeSilent):
            what = f"bootnode {name_of_id(event.node.id)} does not answer"
        elif isinstance(event, BootnodeLeftOut):
            what = f"bootnode {name_of_id(event.node.id)} is left out: {event.reason}"
        elif isinstance(event, NameWanted):
            what = f"the name {event.name} is wanted, and a simulation has none"
        elif isinstance(event, ClockAhead):
            what = f"the wall clock is {event.seconds:.0f} s ahead"
        elif isinstance(event, TalkReceived):
            what = f"talk request of {name_of_id(event.node_id)}, {event.protocol!r}"
        else:
            what = _outcome(event)
        self.happened(time, name, what)

    def _wanted(self, *names: str) -> bool:
        return self._nodes is None or not self._nodes.isdisjoint(names)

    def _line(self, time: float, names: str, what: str) -> None:
        self._write(f"{time:10.3f}  {names:<{_NAMES_WIDTH}}  {what}")

    def _describe(self, data: bytes) -> str:
        if self._decode is None:
            return "packet"
        try:
            packet = self._decode(data).packet
        except PacketError as error:
            return f"noise ({error.reason})"
        return _DESCRIPTIONS.get(packet.kind, _plain)(packet)


def _plain(packet: Packet) -> str:
    return str(packet.kind)


def _with_seq(packet: Packet) -> str:
    assert isinstance(packet, (Ping, Pong))
    return f"{packet.kind}" if packet.enr_seq is None else f"{packet.kind} (seq {packet.enr_seq})"


def _find(packet: Packet) -> str:
    assert isinstance(packet, FindNode)
    return f"findnode {packet.target[:4].hex()}.."


def _neighbors(packet: Packet) -> str:
    assert isinstance(packet, Neighbors)
    return f"neighbors ({_count(len(packet.nodes))})"


def _record(packet: Packet) -> str:
    assert isinstance(packet, ENRResponse)
    return f"enrresponse ({len(packet.record)} bytes of record)"


_DESCRIPTIONS: dict[PacketType, Callable[[Packet], str]] = {
    PacketType.PING: _with_seq,
    PacketType.PONG: _with_seq,
    PacketType.FINDNODE: _find,
    PacketType.NEIGHBORS: _neighbors,
    PacketType.ENR_RESPONSE: _record,
}


def _outcome(event: OperationDone) -> str:
    head = f"operation {event.operation}: "
    if event.error is not None:
        return f"{head}{type(event.error).__name__}, {event.error}"
    if isinstance(event.result, list):
        return f"{head}{_count(len(event.result))} found"
    return f"{head}done"


def _count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"
