"""The named error for each kind of failure of a dial.

Pure functions of the end of a TCP connection or of a session. The caller that dialed raises the
error that they return.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2p.config import Config
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
    NoSharedCapability,
    RefusedByPeer,
    RemoteTimeout,
    TooManyPeers,
    UnexpectedIdentity,
    Unreachable,
    WrongIdentity,
)
from p2p.netutil import printable
from p2p.peers.outcomes import OF_STEP, OTHER, REFUSALS
from p2p.peers.session import Session
from p2p.rlpx import State

#: Characters of each remote capability that an error shows, and number of capabilities. Real names
#: have up to 8 letters, real nodes up to 10 capabilities.
CAP_LENGTH, MAX_CAPS = 30, 20

#: The step of a dial for each state of its connection.
_STEPS = {
    State.AWAIT_AUTH: DialStep.AUTH,
    State.AWAIT_ACK: DialStep.ACK,
    State.IDENTIFIED: DialStep.HELLO,
    State.AWAIT_HELLO: DialStep.HELLO,
    State.GREETED: DialStep.HELLO,
    State.OPEN: DialStep.CONNECTED,
}

#: The errors of an attempt to connect.
_OF_TCP = (DialRefused, DialTimeout, Unreachable)

#: The event that a dial waits for at each step, for the text of a timeout.
_AWAITED = {
    DialStep.CHECK: "start of the dial",
    DialStep.RESOLVE: "address of the node",
    DialStep.TCP: "TCP connection",
    DialStep.AUTH: "handshake (auth)",
    DialStep.ACK: "answer to the handshake (ack)",
    DialStep.HELLO: "hello",
    DialStep.CONNECTED: "start of the handlers",
}

#: The reason of each refusal that has an error of its own.
_REFUSED = {
    AlreadyConnected: DiscReason.ALREADY_CONNECTED,
    IsSelf: DiscReason.SELF,
    NoSharedCapability: DiscReason.USELESS_PEER,
    TooManyPeers: DiscReason.TOO_MANY_PEERS,
    WrongIdentity: DiscReason.UNEXPECTED_IDENTITY,
}


def timeout_error(step: DialStep, timeout_s: float) -> DialTimeout:
    """Return the error for a caller whose timeout ended at ``step``."""
    return DialTimeout(f"no {_AWAITED[step]} within {timeout_s:g} s", step)


def step_of(state: State) -> DialStep:
    """Return the step of a dial whose connection is in ``state``, or was before it closed."""
    return _STEPS[state]


def tcp_error(error: OSError) -> ConnectError:
    """Return the named error for the OSError of a TCP connect."""
    made: ConnectError
    if isinstance(error, ConnectionRefusedError):
        made = DialRefused(str(error))
    elif isinstance(error, TimeoutError):
        made = DialTimeout(f"no TCP connection: {error}", DialStep.TCP)
    else:
        made = Unreachable(str(error))
    made.__cause__ = error
    return made


def error_of_all(errors: Sequence[ConnectError]) -> ConnectError:
    """Return the error of a dial that has tried one address or more: the text names all.

    Its class is that of the last attempt to connect; if no address may be dialed, that of the last
    refusal.
    """
    tried = [error for error in errors if isinstance(error, _OF_TCP)]
    error = (tried or errors)[-1]
    if len(errors) > 1:
        error.args = ("; ".join(str(each) for each in errors),)
    return error


def session_error(session: Session, config: Config) -> ConnectError:
    """Return the named error for a dialed session that ended before it was a peer."""
    ending = session.ending
    assert ending is not None
    step = step_of(ending.state)
    made: ConnectError
    if isinstance(ending.cause, RemoteTimeout):
        made = DialTimeout(str(ending.cause), step)
    elif isinstance(ending.cause, UnexpectedIdentity):
        made = WrongIdentity(str(ending.cause))
    elif ending.cause is not None and not isinstance(ending.cause, OSError):
        made = HandshakeFailed(f"{type(ending.cause).__name__}: {ending.cause}", step)
    elif ending.by_remote and session.machine.state is State.CLOSED:  # by a Disconnect
        made = RefusedByPeer(ending.reason, step)
    elif ending.by_remote:
        made = ConnectionLost(_lost_text(step, ending.cause), step)
    else:
        made = _own_refusal(ending.reason, session, config)
    made.__cause__ = ending.cause
    return made


def _own_refusal(reason: DiscReason, session: Session, config: Config) -> ConnectError:
    if reason is DiscReason.USELESS_PEER and session.machine.remote_hello is not None:
        ours = sorted(protocol.cap for protocol in config.protocols)
        theirs = session.machine.remote_hello.caps
        text = f"no capability in common: ours {_join(ours)}, theirs {_join(theirs)}"
        return NoSharedCapability(text, ours, theirs)
    if reason is DiscReason.TOO_MANY_PEERS:
        return TooManyPeers("max_peers was reached while the connection was made", DialStep.HELLO)
    if reason is DiscReason.ALREADY_CONNECTED:
        return AlreadyConnected("the node became a peer in the meantime", DialStep.HELLO)
    if reason is DiscReason.SELF:
        return IsSelf("the node is this node", DialStep.HELLO)
    step = step_of(session.machine.last_state)
    return ConnectionLost(f"connection given up: {reason}", step)


def _lost_text(step: DialStep, cause: object) -> str:
    text = f"remote closed the connection where {step} was expected"
    if cause is not None:
        text += f" ({cause})"
    if step is DialStep.ACK:
        text += (
            "; it does so if its public key is another one, if all its handshake slots are taken, "
            "or if our address has connected within the last 30 s"
        )
    return text


def _join(caps: object) -> str:
    assert isinstance(caps, (list, tuple))
    text = ", ".join(printable(str(cap), CAP_LENGTH) for cap in caps[:MAX_CAPS])
    return f"[{text}]" if len(caps) <= MAX_CAPS else f"[{text}, ...]"


def kind_of_failure(error: ConnectError) -> str:
    """Return the kind of a failed dial, as the metrics have it (:mod:`p2p.peers.outcomes`)."""
    reason = error.reason if isinstance(error, RefusedByPeer) else _REFUSED.get(type(error))
    refusal = None if reason is None else REFUSALS.get(reason)
    return refusal or OF_STEP.get(error.step, OTHER)
