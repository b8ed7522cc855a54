"""The kinds of failed connections, as go-ethereum names them."""

from __future__ import annotations

import pytest

from p2p.dial.failures import kind_of_failure
from p2p.errors import (
    AlreadyConnected,
    ConnectError,
    ConnectionLost,
    DialRefused,
    DialStep,
    DialTimeout,
    DiscReason,
    HandshakeFailed,
    IsSelf,
    NameNotResolved,
    NoSharedCapability,
    RefusedByPeer,
    TooManyPeers,
    Unreachable,
    WrongIdentity,
)
from p2p.peers.outcomes import DIAL_KINDS, LASTING_S, SERVE_KINDS, Outcomes, kind_of
from p2p.peers.phase import Ending
from p2p.rlpx.state import State

R = DiscReason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DialRefused("x"), "connection"),
        (Unreachable("x"), "connection"),
        (DialTimeout("x", DialStep.TCP), "connection"),
        (DialTimeout("x", DialStep.ACK), "rlpx/enc"),
        (ConnectionLost("x"), "rlpx/enc"),
        (HandshakeFailed("x", DialStep.ACK), "rlpx/enc"),
        (HandshakeFailed("x", DialStep.HELLO), "rlpx/proto"),
        (ConnectionLost("x", DialStep.HELLO), "rlpx/proto"),
        (TooManyPeers("x", DialStep.HELLO), "saturated"),
        (RefusedByPeer(R.TOO_MANY_PEERS), "saturated"),
        (RefusedByPeer(R.ALREADY_CONNECTED), "known"),
        (AlreadyConnected("x", DialStep.HELLO), "known"),
        (IsSelf("x", DialStep.HELLO), "self"),
        (NoSharedCapability("x", (), ()), "useless"),
        (RefusedByPeer(R.USELESS_PEER), "useless"),
        (WrongIdentity("x"), "id/unexpected"),
        (RefusedByPeer(R.SUBPROTOCOL_ERROR), "rlpx/proto"),
        (NameNotResolved("x"), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_kind_of_a_failed_dial(error: ConnectError, kind: str) -> None:
    assert kind_of_failure(error) == kind
    assert kind in DIAL_KINDS


@pytest.mark.parametrize(
    ("reason", "state", "kind"),
    [
        (R.TOO_MANY_PEERS, State.IDENTIFIED, "saturated"),
        (R.ALREADY_CONNECTED, State.GREETED, "known"),
        (R.SELF, State.IDENTIFIED, "self"),
        (R.USELESS_PEER, State.GREETED, "useless"),
        (R.UNEXPECTED_IDENTITY, State.AWAIT_HELLO, "id/unexpected"),
        (R.NETWORK_ERROR, State.AWAIT_AUTH, "rlpx/enc"),
        (R.READ_TIMEOUT, State.AWAIT_HELLO, "rlpx/proto"),
        (R.QUITTING, State.OPEN, "other"),
    ],
    ids=str,
)
def test_kind_of_a_failed_inbound_connection(reason: R, state: State, kind: str) -> None:
    assert kind_of(Ending(reason, False, state)) == kind
    assert kind in SERVE_KINDS


def test_connection_without_an_ending_is_another_failure() -> None:
    assert kind_of(None) == "other"


def test_peer_counts_as_lasting_from_a_minute_on() -> None:
    outcomes = Outcomes(SERVE_KINDS)
    for lifetime_s in (0.0, LASTING_S - 0.1, LASTING_S, 1e6):
        outcomes.peer_left(lifetime_s)
    assert outcomes.lasting_ended == 2
    assert outcomes.failed == dict.fromkeys(SERVE_KINDS, 0)
