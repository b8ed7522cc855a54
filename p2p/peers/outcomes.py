"""Counts of connections that were begun, by their outcome, for the metrics.

Pure; ``p2p-io`` counts, any thread may read. There is one for the connections that were dialed, and
one for the inbound ones. The kinds of failures are those of go-ethereum (``p2p/metrics.go``): they
are few, and ``Server.dial_attempts`` has the precise error of each dial.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from p2p.errors import DialStep, DiscReason
from p2p.peers.phase import Ending
from p2p.rlpx.state import State

#: Seconds after which a peer counts as lasting.
LASTING_S = 60.0

#: No TCP connection; of dials only.
CONNECTION = "connection"
#: A failure in the handshake: of the encryption, or of the hellos.
ENC, PROTO = "rlpx/enc", "rlpx/proto"
#: A refusal by either end, by its reason.
REFUSALS = {
    DiscReason.TOO_MANY_PEERS: "saturated",
    DiscReason.ALREADY_CONNECTED: "known",
    DiscReason.SELF: "self",
    DiscReason.USELESS_PEER: "useless",
    DiscReason.UNEXPECTED_IDENTITY: "id/unexpected",
}
#: Any other failure.
OTHER = "other"

#: The kinds of failures of inbound connections, and those of dials.
SERVE_KINDS = (*REFUSALS.values(), ENC, PROTO, OTHER)
DIAL_KINDS = (CONNECTION, *SERVE_KINDS)

#: The kind of a failure that is no refusal, by the step at which it happened.
OF_STEP = {
    DialStep.TCP: CONNECTION,
    DialStep.AUTH: ENC,
    DialStep.ACK: ENC,
    DialStep.HELLO: PROTO,
}
_OF_STATE = {
    State.AWAIT_AUTH: ENC,
    State.AWAIT_ACK: ENC,
    State.IDENTIFIED: PROTO,
    State.AWAIT_HELLO: PROTO,
    State.GREETED: PROTO,
}


#: Limits of ours that refuse an inbound connection, and how the log tells them. The third gives up
#: the oldest one in its handshake for a new one.
THROTTLED, RESTRICTED, DISPLACED = "throttled", "restricted", "displaced"
REFUSAL_TEXTS = {THROTTLED: "too many attempts", RESTRICTED: "outside net_restrict"}


class Outcomes:
    """Counts of connections: begun, peers by now, peers that have stayed, and failures by kind.

    ``refused`` are those that were not begun, or were given up, for a limit of ours, by its name.
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        # owned by p2p-io, read by any thread; the keys are fixed
        self.begun = 0
        self.succeeded = 0
        self.lasting_ended = 0  # peers that have stayed for LASTING_S, and have left
        self.failed = dict.fromkeys(kinds, 0)
        self.refused: Counter[str] = Counter()

    def peer_left(self, lifetime_s: float) -> None:
        """Count a peer that has left, once it is in no list of peers any more."""
        self.lasting_ended += lifetime_s >= LASTING_S


def kind_of(ending: Ending | None) -> str:
    """Return the kind of the end of a connection that was no peer yet."""
    if ending is None:
        return OTHER
    return REFUSALS.get(ending.reason) or _OF_STATE.get(ending.state, OTHER)
