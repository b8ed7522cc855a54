"""Requests and their responses: who was asked, under which session, and until when we wait.

Pure. A response names its request by the request ID, and must come from the node and the endpoint
that were asked, under a session with them. Without a session, one request makes the handshake: it
is sent as a message that the remote cannot decrypt, the WHOAREYOU names it by its nonce, and it is
repeated in the handshake packet. Requests to the same remote wait until the response to it shows
that there is a session; then they are sent under it, as are those that a remote could not decrypt
because it had lost the session (discv5-theory, "Handshake Implementation Considerations"). A talk
request makes no handshake: it may be too large for that packet, and its response may take long, so
a ping goes in its place. The response to some requests is several messages, of more than one type;
each of them names the total.

A request without a response is sent again once, except in lookups. The function of the requester is
called once, with the responses, or with None.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from p2p.crypto import Entropy
from p2p.discover.bootnodes import Bootnodes
from p2p.discover.local import LocalView
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.timers import Timer, Timers
from p2p.discover.traffic import Traffic
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.message import (
    MAX_REQUEST_ID_SIZE,
    FindNode,
    Message,
    MessageType,
    Nodes,
    Ping,
    RegConfirmation,
    RegTopic,
    TalkRequest,
    TopicNodes,
    TopicQuery,
    encode,
)
from p2p.discover.v5.packet import WhoAreYou
from p2p.discover.v5.sessions import Remote, Session, Sessions
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint

#: Time in which a response must come, in seconds; each packet of a handshake has as much. The
#: specification says 0.5, go-ethereum takes 0.7.
REPLY_TIMEOUT_S = 0.7
#: Number of packets of a request until it counts as unanswered. A lookup sends one, as in
#: go-ethereum: it asks many nodes, and waits long enough for those that are gone.
TRIES = 2
LOOKUP_TRIES = 1
#: Messages that are read of a response, whatever its total says. Sixteen records of 300 bytes need
#: as many; @chainsafe/discv5 puts three records into each, however short they are.
MAX_RESPONSES = 6
#: The same for a response about topics: one message, or four with ten ads, and auxiliary records.
MAX_TOPIC_RESPONSES = 10
#: Requests that may wait for a session with one remote.
MAX_WAITING = 256

Request: TypeAlias = Ping | FindNode | TalkRequest | RegTopic | TopicQuery
#: Gets the responses, None if none came.
Done: TypeAlias = Callable[[Sequence[Message] | None, Now], None]

_RESPONSES = {
    MessageType.PING: (MessageType.PONG,),
    MessageType.FINDNODE: (MessageType.NODES,),
    MessageType.TALKREQ: (MessageType.TALKRESP,),
    MessageType.REGTOPIC: (MessageType.REGCONFIRMATION, MessageType.NODES),
    MessageType.TOPICQUERY: (MessageType.TOPICNODES, MessageType.NODES),
}


@dataclass(slots=True, eq=False)
class _Call:
    node: Node
    remote: Remote
    request: Request
    done: Done
    most_tries: int = TRIES
    tries: int = 0
    answered_try: int = 0  # at which a WHOAREYOU was last answered
    nonces: list[bytes] = field(default_factory=list)  # of the packets it was sent in
    session: Session | None = None  # that it was sent under
    responses: list[Message] = field(default_factory=list)
    timer: Timer | None = None


@dataclass(slots=True, eq=False)
class _Queue:
    """The requests to one remote: those sent, by ID, and those that wait for a session."""

    sent: dict[bytes, _Call] = field(default_factory=dict)
    waiting: deque[_Call] = field(default_factory=deque)
    handshake: _Call | None = None  # the one that asks for a session, or makes it


class Requests:
    """The requests under way."""

    def __init__(
        self,
        handshakes: Handshakes,
        sessions: Sessions,
        timers: Timers,
        traffic: Traffic,
        bootnodes: Bootnodes,
        entropy: Entropy,
        local: LocalView,
        observer: DiscoveryObserver | None,
    ) -> None:
        self._handshakes = handshakes
        self._sessions = sessions
        self._timers = timers
        self._traffic = traffic
        self._bootnodes = bootnodes
        self._entropy = entropy
        self._local = local
        self._observer = observer
        self._queues: dict[Remote, _Queue] = {}
        self._by_nonce: dict[bytes, _Call] = {}

    # Asking.

    def ask(
        self,
        node: Node,
        to: Endpoint,
        request: Request,
        done: Done,
        now: Now,
        most_tries: int = TRIES,
    ) -> None:
        """Send a request, which gets an ID of its own, to ``node`` at ``to``."""
        request = replace(request, request_id=new_request_id(self._entropy))
        self._begin(_Call(node, (node.id, to), request, done, most_tries), now)

    def _begin(self, call: _Call, now: Now) -> None:
        queue = self._queues.setdefault(call.remote, _Queue())
        if queue.handshake is None or self._sessions.get(call.remote) is not None:
            self._transmit(queue, call, now)
        elif len(queue.waiting) < MAX_WAITING:
            queue.waiting.append(call)
        else:
            call.done(None, now)

    def awaits(self, remote: Remote) -> bool:
        """Whether a response may come from there."""
        queue = self._queues.get(remote)
        return queue is not None and bool(queue.sent)

    def is_awaited(self, remote: Remote, response: Message) -> bool:
        """Whether a response answers a request under way."""
        queue = self._queues.get(remote)
        call = None if queue is None else queue.sent.get(response.request_id)
        return call is not None and response.kind in _RESPONSES[call.request.kind]

    def sent_to(self, nonce: bytes, endpoint: Endpoint) -> NodeID | None:
        """Return the node to which a packet was sent, which a WHOAREYOU of ``endpoint`` names."""
        call = self._by_nonce.get(nonce)
        return call.remote[0] if call is not None and call.remote[1] == endpoint else None

    def __len__(self) -> int:
        """Return the number of requests under way."""
        return sum(len(queue.sent) + len(queue.waiting) for queue in self._queues.values())

    # Input.

    def receive_whoareyou(self, challenge: WhoAreYou, now: Now) -> None:
        """Repeat the request of :meth:`sent_to` in a handshake packet."""
        call = self._by_nonce[challenge.nonce]
        queue = self._queues[call.remote]
        leading = queue.handshake
        if leading is not None and leading is not call and leading.session is not None:
            return  # one handshake at a time; this request follows when it is over
        if call.answered_try == call.tries:
            return  # a WHOAREYOU that came twice
        call.answered_try = call.tries
        if isinstance(call.request, TalkRequest):
            call = self._ping_in_place_of(call, queue)
        datagram, session = self._handshakes.answer(challenge, call.node, encode(call.request))
        self._sessions.add(call.remote, session)
        if self._observer is not None:
            self._observer.secrets(*call.remote, True, *session.keys)
        call.session = session
        queue.handshake = call
        self._traffic.send(str(call.request.kind), call.request, datagram, call.remote[1], now)
        self._restart_timer(call, now)

    def receive_response(self, remote: Remote, message: Message, now: Now) -> bool:
        """Take a response that came under a session. Returns whether it was waited for."""
        if not self.is_awaited(remote, message):
            return False
        call = self._queues[remote].sent[message.request_id]
        self._traffic.answered()
        call.responses.append(message)
        if len(call.responses) >= _total_of(call):
            self._end(call, now)
        self.use_session(remote, now)
        return True

    def use_session(self, remote: Remote, now: Now) -> None:
        """Send the requests that wait for a session, and those that another one went under.

        Call it when a remote has passed a handshake that it began.
        """
        queue = self._queues.get(remote)
        session = self._sessions.get(remote)
        if queue is None or session is None:
            return
        queue.handshake = None
        stale = [call for call in queue.sent.values() if call.session is not session]
        waiting, queue.waiting = queue.waiting, deque()
        for call in (*stale, *waiting):
            call.tries = max(0, call.tries - 1)
            self._transmit(queue, call, now)

    # A request's way.

    def _transmit(self, queue: _Queue, call: _Call, now: Now) -> None:
        call.tries += 1
        call.session = self._sessions.get(call.remote)
        if call.session is None:
            queue.handshake = call
            sealed = self._handshakes.random_message(call.remote)
        else:
            plaintext = encode(call.request)
            sealed = self._sessions.encrypt(call.remote, call.session, plaintext)
        call.nonces.append(sealed.nonce)
        self._by_nonce[sealed.nonce] = call
        queue.sent[call.request.request_id] = call
        kind, to = str(call.request.kind), call.remote[1]
        self._traffic.send(kind, call.request, sealed.datagram, to, now)
        self._restart_timer(call, now)

    def _ping_in_place_of(self, call: _Call, queue: _Queue) -> _Call:
        ping = Ping(new_request_id(self._entropy), self._local.record.seq)
        leading = _Call(call.node, call.remote, ping, _ignore, tries=1)
        queue.sent[ping.request_id] = leading
        return leading

    def _restart_timer(self, call: _Call, now: Now) -> None:
        if call.timer is not None:
            call.timer.cancel()
        call.timer = self._timers.at(now.monotonic + REPLY_TIMEOUT_S, partial(self._expired, call))

    def _expired(self, call: _Call, now: Now) -> None:
        if call.responses:
            self._end(call, now)
            return
        self._traffic.timed_out()
        if isinstance(call.request, Ping):
            self._bootnodes.lose_ping(call.remote[0], call.remote[1].ip, now)
        queue = self._queues[call.remote]
        if call.tries < call.most_tries:
            self._transmit(queue, call, now)
            return
        waiting: Sequence[_Call] = ()
        if queue.handshake is call:
            queue.handshake, waiting, queue.waiting = None, tuple(queue.waiting), deque()
        self._end(call, now)
        for other in waiting:
            # A remote that answers no handshake answers the others neither, if it had the chance.
            if other.most_tries > call.most_tries:
                self._begin(other, now)
            else:
                other.done(None, now)

    def _end(self, call: _Call, now: Now) -> None:
        if call.timer is not None:
            call.timer.cancel()
        for nonce in call.nonces:
            self._by_nonce.pop(nonce, None)
        queue = self._queues[call.remote]
        del queue.sent[call.request.request_id]
        if not queue.sent and not queue.waiting:
            del self._queues[call.remote]
        call.done(call.responses or None, now)


def new_request_id(entropy: Entropy) -> bytes:
    """Return a random request ID. It does not begin with 0: some take it for a number."""
    request_id = entropy(MAX_REQUEST_ID_SIZE)
    return request_id if request_id[0] else b"\x01" + request_id[1:]


def _total_of(call: _Call) -> int:
    """Number of responses to wait for, as the first one names it."""
    first = call.responses[0]
    if not isinstance(first, (Nodes, RegConfirmation, TopicNodes)):
        return 1
    is_topic = isinstance(call.request, (RegTopic, TopicQuery))
    return min(max(1, first.total), MAX_TOPIC_RESPONSES if is_topic else MAX_RESPONSES)


def _ignore(responses: Sequence[Message] | None, now: Now) -> None:
    """No-op: the requests that wait follow the response."""
