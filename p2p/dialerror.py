"""The named error for each way in which a dial fails.

Pure functions of how a TCP connection or a session ended; whoever dialed raises what they return.
"""

from __future__ import annotations

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
from p2p.peer import printable
from p2p.rlpx import State
from p2p.session import Session

#: How much of a stranger's capabilities an error shows: of each, and how many. Real names have up
#: to 8 letters, real nodes up to 10 capabilities.
CAP_LENGTH, MAX_CAPS = 30, 20


def tcp_error(error: OSError) -> ConnectError:
    """The named error for what a connect failed with."""
    made: ConnectError
    if isinstance(error, ConnectionRefusedError):
        made = DialRefused(str(error))
    elif isinstance(error, TimeoutError):
        made = DialTimeout(f"no TCP connection: {error}", DialStep.TCP)
    else:
        made = Unreachable(str(error))
    made.__cause__ = error
    return made


def session_error(session: Session, config: Config) -> ConnectError:
    """The named error for how a dialed session ended before it was a peer."""
    ending = session.ending
    assert ending is not None
    made: ConnectError
    if isinstance(ending.cause, RemoteTimeout):
        made = DialTimeout(str(ending.cause), ending.step)
    elif isinstance(ending.cause, UnexpectedIdentity):
        made = WrongIdentity(str(ending.cause))
    elif ending.cause is not None and not isinstance(ending.cause, OSError):
        made = HandshakeFailed(f"{type(ending.cause).__name__}: {ending.cause}", ending.step)
    elif ending.by_remote and session.machine.state is State.CLOSED:  # by a Disconnect
        made = RefusedByPeer(ending.reason, ending.step)
    elif ending.by_remote:
        made = ConnectionLost(_lost_text(ending.step, ending.cause), ending.step)
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
    return ConnectionLost(f"connection given up: {reason}", session.machine.step)


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
