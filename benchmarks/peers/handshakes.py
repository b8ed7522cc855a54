"""Connections a second: TCP, both handshakes, and the orderly end, until the peer has left.

A handshake is done when both ends have exchanged hellos and the connection has been closed again;
then the next begins, in one lane, or in eight at the same time. A connection that is refused
because the other side has not noticed the previous end is tried again and not counted.

``whole``: a node of the one implementation dials a node of the other. Each dials in its own way,
but without its pauses: go-ethereum's scheduler dials a node once in 35 s, so its program passes the
connection to ``SetupConn`` as the scheduler does; @ethereumjs/devp2p would wait for 2 s after its
own Disconnect, so its program ends the socket then.

``bare``: the dialing end is the same for all: go-ethereum's ``rlpx.Conn`` without a server, with a
new key each time. It costs little, so the figures show the cost of the listening end.
"""

from __future__ import annotations

from benchmarks.node import MAX_LANES
from benchmarks.peers.messages import Figures, share
from benchmarks.peers.process import Ends, Pair
from benchmarks.peers.scale import Scale

LANES = (1, MAX_LANES)
THOUSAND = 1e3


def whole(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return the handshakes a second between nodes, and the seconds of CPU for a thousand."""
    figures = {}
    shaker, listener = ends.dialer(pair, "shake"), ends.listener(pair)
    for lanes in LANES:
        before = shaker.cpu_s(), listener.cpu_s()
        answer = shaker.ask("shake", count=share(scale.handshakes, pair, scale, 16), lanes=lanes)
        dialing, listening = shaker.cpu_s() - before[0], listener.cpu_s() - before[1]
        count = answer["count"]
        figures[f"handshakes {lanes}"] = count / answer["seconds"]
        if lanes == 1:
            figures["handshake CPU"] = (dialing + listening) / count * THOUSAND
            figures["handshake CPU to dial"] = dialing / count * THOUSAND
            figures["handshake CPU to listen"] = listening / count * THOUSAND
        figures[f"refused {lanes}"] = answer["refusals"] / count
    return figures


def bare(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return the handshakes a second of a bare dialer, and the seconds of CPU of the listener."""
    figures = {}
    shaker, listener = ends.dialer(pair, "bare-shake"), ends.listener(pair)
    for lanes in LANES:
        before = listener.cpu_s()
        answer = shaker.ask("shake", count=share(scale.handshakes, pair, scale, 16), lanes=lanes)
        count = answer["count"]
        figures[f"bare handshakes {lanes}"] = count / answer["seconds"]
        figures[f"bare handshake CPU {lanes}"] = (listener.cpu_s() - before) / count * THOUSAND
    return figures
