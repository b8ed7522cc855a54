"""Thousands of hostile connects: they wait in a bounded number, and hold up nobody.

The strangers (:mod:`tests.stress.strangers`) come as fast as they can, several hundred at a time,
each from another address of 127.0.0.0/8. Loopback is exempt from the limit of one connection in
30 s from an address, so that this is what an attacker with as many addresses as connections could
do. Meanwhile live peers echo, and honest nodes connect and leave one after the other. Strangers
are counted by the server where they come and go; that a connection is closed is also what its
stranger sees.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.stress.figure import Figure, Scale
from tests.stress.honest import Newcomer, live_peers, p99, while_echoing
from tests.stress.served import Served
from tests.stress.strangers import Attack

CONNECTS = {Scale.SHORT: 1500, Scale.FULL: 10_000}
AT_A_TIME = {Scale.SHORT: 200, Scale.FULL: 400}
LIVE_PEERS = 5
BEFORE_S = 1.0
SEED = 20
MAX_PENDING = 50
CLOSED_S = 6.0
#: As many as may be pending may linger, until they have read our last words; those accepted in a
#: pass of the loop are still counted in the next.
MAX_OPEN = 2 * MAX_PENDING + 32
#: 5 s of the handshake and half a second of lingering.
SOCKET_S = 6.0
HANDSHAKE_S = 1.0
PING_S = 0.3


def run(scale: Scale) -> Iterator[Figure]:
    """The attack, with honest nodes before it and during it."""
    with Served() as served, Attack(served.node, SEED) as attack:
        before = served.descriptors
        with live_peers(served.node, LIVE_PEERS) as peers:
            _, quiet, _ = while_echoing(peers, lambda: time.sleep(BEFORE_S))
            newcomer = Newcomer(served.node)
            newcomer.start()
            cpu_s = served.ask("state")["cpu_s"]
            try:
                came, echoes, _ = while_echoing(
                    peers,
                    lambda: attack.ask("attack", count=CONNECTS[scale], at_a_time=AT_A_TIME[scale]),
                )
            finally:
                shakes = newcomer.end()
            cpu_s = served.ask("state")["cpu_s"] - cpu_s
        served.ask("await_peers", count=0)
        strangers, left = served.ask("strangers"), served.descriptors - before
    yield Figure("hostile connects", sum(came["came"].values()), "", least=CONNECTS[scale])
    yield Figure("hostile connects a second", sum(came["came"].values()) / came["seconds"], "/s")
    yield Figure("pending at a time, at the most", strangers["most_pending"], "", MAX_PENDING)
    yield Figure(
        "sockets of strangers at a time, at the most", strangers["most_open"], "", MAX_OPEN
    )
    slowest_s = came["slowest_s"]
    yield Figure("slowest to be closed, as it sees it", slowest_s, "s", CLOSED_S, timed=True)
    yield Figure("slowest socket to be given up", strangers["oldest_s"], "s", SOCKET_S, timed=True)
    yield Figure("never closed", came["never"], "", 0)
    yield Figure("honest handshakes meanwhile", len(shakes), "", least=20, timed=True)
    yield Figure("attempts at one that were given up", newcomer.given_up, "")
    yield Figure("honest handshake, p99", p99(shakes), "s", HANDSHAKE_S, timed=True)
    yield Figure("echoes of live peers meanwhile", len(echoes), "", least=100, timed=True)
    yield Figure("echo of a live peer before, p99", 1000 * p99(quiet), "ms")
    yield Figure("echo of a live peer, p99", 1000 * p99(echoes), "ms", 1000 * PING_S, timed=True)
    cost = 1000 * cpu_s / CONNECTS[scale]
    yield Figure("CPU of the server for a hostile connect, with all else it did", cost, "ms")
    yield Figure("descriptors left open", left, "", 0)
