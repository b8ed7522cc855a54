"""States of an RLPx connection, and the transitions between them.

Pure data. Only :meth:`Connection._enter` changes a state, and it enforces the table below. A test
compares this drawing with that table::

    state          leaves by                                     for
    AWAIT_AUTH     auth received, by the end that listens        IDENTIFIED
    AWAIT_ACK      ack received, by the end that dials           IDENTIFIED
    IDENTIFIED     accept_identity(), which sends our hello      AWAIT_HELLO
    AWAIT_HELLO    hello received                                GREETED
    GREETED        accept_hello()                                OPEN
    any            Disconnect received or sent, a failure        CLOSED

IDENTIFIED and GREETED are pauses: the caller decides, and data that arrive meanwhile are kept.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """State of a connection; see the table at the head of the module."""

    AWAIT_AUTH = "await auth"
    AWAIT_ACK = "await ack"
    IDENTIFIED = "identified"
    AWAIT_HELLO = "await hello"
    GREETED = "greeted"
    OPEN = "open"
    CLOSED = "closed"


#: The states that may follow each; a connection begins in one of the first two.
TRANSITIONS: dict[State, set[State]] = {
    State.AWAIT_AUTH: {State.IDENTIFIED, State.CLOSED},
    State.AWAIT_ACK: {State.IDENTIFIED, State.CLOSED},
    State.IDENTIFIED: {State.AWAIT_HELLO, State.CLOSED},
    State.AWAIT_HELLO: {State.GREETED, State.CLOSED},
    State.GREETED: {State.OPEN, State.CLOSED},
    State.OPEN: {State.CLOSED},
    State.CLOSED: set(),
}
