"""A server inside or outside of a home: ``python -m tests.interop.homeserver``.

Without arguments it dials and pings each node whose URL it is given, a line each. With the value of
the option ``nat`` it tells its log, and its endpoint whenever that changes, until its input ends.
Each line of the output is an event, as JSON.
"""

from __future__ import annotations

import logging
import sys
import threading

import p2p
from p2p.nat import front

from .homeprogram import PORT, tell
from .program import DEADLINE_S

#: Between two looks at the own endpoint, and pauses of the server between two looks at the router.
PAUSE_S = 0.05
CHECK_S = 0.5


def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for _ in rw:
        pass


def server(nat: str) -> p2p.Server:
    return p2p.Server(
        private_key=p2p.generate_key(),
        name="home",
        max_peers=5,
        listen_addr=f":{PORT}",
        nat=nat,
        no_dial=True,
        protocols=[p2p.Protocol("test", 1, 1, run)],
    )


class Told(logging.Handler):
    """Tells each line of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        tell("log", text=record.getMessage())


def be_inside(nat: str) -> None:
    front.CHECK_S = CHECK_S
    logging.getLogger("p2p.nat").addHandler(Told())
    logging.getLogger("p2p.nat").setLevel(logging.DEBUG)
    ended = threading.Event()
    node = server(nat)
    node.start()
    watch = threading.Thread(target=tell_changes, args=(node, ended))
    watch.start()
    sys.stdin.read()
    ended.set()
    watch.join()
    tell("stopped", left=node.stop())


def tell_changes(node: p2p.Server, ended: threading.Event) -> None:
    told: object = None
    while not ended.wait(PAUSE_S):
        now = node.self
        here = {"ip": str(now.ip), "udp": now.udp, "tcp": now.tcp, "url": now.url}
        if here != told:
            tell("self", **here)
            told = here


def be_outside() -> None:
    with server("none") as node:
        tell("ready")
        assert node.discovery_v4 is not None
        for line in sys.stdin:
            try:
                there = p2p.parse_node(line)
                peer = node.connect(there, timeout=DEADLINE_S)
                peer.disconnect()
                tell(
                    "reached",
                    tcp=peer.id == there.id,
                    seq=node.discovery_v4.ping(there, DEADLINE_S),
                )
            except p2p.P2PError as error:
                tell("reached", error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    if sys.argv[1:]:
        be_inside(sys.argv[1])
    else:
        be_outside()
