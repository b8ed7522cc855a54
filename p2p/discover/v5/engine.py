"""The engine of discovery v5: datagrams and time in, datagrams and events out.

Pure. It ties together the parts, each of which stands alone:

===============  ===================================================================
`packet`         the layout of a datagram
`message`        messages as bytes
`keys`           key agreement and signature of the handshake
`sessions`       keys shared with nodes, and what passes under them
`handshakes`     challenges, and the answers to them
`requests`       requests, and the responses that belong to them
`transport`      requests of the shared parts of `discover`
`operations`     the commands of the owner
`topics`         topics: registrar, ads and searches; off unless wanted
===============  ===================================================================

This module has the rules of incoming packets (discv5-wire). A message under a session is handled,
another one is answered with a challenge: both within the rate limit of its source. A handshake
packet is verified only if a challenge of ours is open, since it costs a signature and a key
agreement. Dropped packets are counted by reason.

Nothing but a challenge goes to an endpoint without a session. A challenge is smaller than the
message that it answers, and a session proves the endpoint, so this engine amplifies nothing.

The order of calls is that of every engine (:mod:`p2p.discover.engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from p2p.crypto import Entropy, PrivateKey
from p2p.discover.engine import Engine
from p2p.discover.event import Event, TalkReceived
from p2p.discover.local import LocalView
from p2p.discover.lookup import relay_problem
from p2p.discover.observer import DiscoveryObserver, DiscoverySetup, observed
from p2p.discover.ratelimit import Limits, SourceLimits
from p2p.discover.store import NodeStore
from p2p.discover.table.bucket import BUCKET_SIZE
from p2p.discover.v5 import packet as packets
from p2p.discover.v5.fields import MAX_DISTANCE, pack_records
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.message import (
    FindNode,
    Message,
    Nodes,
    Ping,
    Pong,
    RegTopic,
    TalkRequest,
    TalkResponse,
    TopicQuery,
    decode,
    encode,
)
from p2p.discover.v5.operations import OperationsV5, running_topics
from p2p.discover.v5.packet import HandshakePacket, MessagePacket, WhoAreYou
from p2p.discover.v5.requests import MAX_RESPONSES, Requests
from p2p.discover.v5.sessions import Remote, Sessions
from p2p.discover.v5.topics.topics import Topics
from p2p.discover.v5.transport import TransportV5
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import DecodeError, EncodeError, PacketError
from p2p.inputs import Now, RandomSource
from p2p.netutil import LAN, Endpoint, Netlist, OwnNetworks, unmap

#: Makes the response to a request; raises PacketError for one that gets none.
AnswerTopic: TypeAlias = Callable[[RegTopic | TopicQuery, Remote, Now], Sequence[Message]]


class EngineV5(Engine):
    """One node of the discovery network.

    ``local`` is our own node, ``store`` the node database. ``bootnodes`` are the first nodes to
    ask, ``watched`` those reported when silent, ``net_restrict`` the allowed addresses (None: all),
    ``own_networks`` the networks without limits, ``ip_version`` that of the socket (None: both).
    ``entropy`` returns random bytes, ``random`` chooses, ``limits`` bounds the cost of unverified
    sources, ``observer`` is called for each step. ``topics`` says whether requests about topics are
    answered and sent; the record of ``local`` must then have the entry for it.

    The first refresh is due at once: call :meth:`handle_timeout` to begin.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        store: NodeStore,
        *,
        bootnodes: Sequence[Node] = (),
        watched: Sequence[Node] = (),
        net_restrict: Netlist | None = None,
        own_networks: OwnNetworks = LAN,
        ip_version: int | None = None,
        entropy: Entropy,
        random: RandomSource,
        now: Now,
        limits: Limits | None = None,
        topics: bool = False,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        if observer is not None:
            arguments = {
                "private_key": private_key,
                "bootnodes": bootnodes,
                "watched": watched,
                "net_restrict": net_restrict,
                "own_networks": own_networks,
                "ip_version": ip_version,
                "limits": limits,
                "topics": topics,
            }
            setup = DiscoverySetup("v5", now, arguments)
            local, store, entropy, random = observed(
                observer, setup, local, store, entropy, random
            )
        super().__init__(
            NodeID.from_public_key(private_key.public_key),
            random,
            now,
            own_networks=own_networks,
            net_restrict=net_restrict,
            ip_version=ip_version,
            bootnodes=bootnodes,
            watched=watched,
            observer=observer,
        )
        self._local = local
        self._store = store
        self._limits = SourceLimits(limits or Limits(), own_networks)
        self._sessions = Sessions(self.id, entropy)
        self._handshakes = Handshakes(private_key, local, entropy)
        self._requests = Requests(
            self._handshakes,
            self._sessions,
            self._timers,
            self._traffic,
            self._bootnodes,
            entropy,
            local,
            observer,
        )
        transport = TransportV5(self._requests, local, own_networks)
        # One try: requests repeat a lost packet.
        self._use(transport, private_key.public_key, store, entropy, now, ping_tries=1)
        self._topics: Topics | None = None
        #: Makes the response to a request about topics. A simulation may replace it, by that of a
        #: registrar that lies.
        self.answer_topic: AnswerTopic = _no_topics
        if topics:
            self._topics = Topics(
                self._overlay, transport, self._timers, local, entropy, random
            )
            self.counters.topics = self._topics.registrar.counters
            self.answer_topic = self._topics.receive
        self.operations = OperationsV5(
            self._overlay, self._maintenance, entropy, transport, self._topics, observer
        )
        self._talks: list[TalkReceived] = []
        self._mask = packets.mask_of(self.id)

    def _poll_own_events(self) -> Sequence[Event]:
        talks, self._talks = self._talks, []
        return talks

    def kind_of(self, datagram: bytes, /) -> str | None:
        """Name of the packet kind of a received datagram; None if it is not for this node."""
        return packets.kind_of(datagram, self.id)

    # Input.

    def receive_datagram(self, data: bytes, addr: Endpoint, now: Now, /) -> bool:
        """Take a datagram that came from ``addr``. Never raises for what is in it.

        Returns whether it is a packet of v5 for this node, as its unmasked header shows.
        """
        if self._observer is not None:
            self._observer.data_in(data, addr, now)
        addr = Endpoint(unmap(addr[0]), addr[1])
        try:
            packet = packets.decode(data, self.id, self._mask)
            self._check_source(addr)
            self._receive(packet, len(data), addr, now)
        except PacketError as error:
            if error.reason in ("size", "header"):
                return False
            self._traffic.dropped(error.reason, data, addr)
        return True

    def respond(self, request: TalkReceived, response: bytes, now: Now) -> None:
        """Answer a request of an application. No effect once its session has ended.

        Raises EncodeError for a response that does not fit a packet.
        """
        if self._observer is not None:
            self._observer.command("respond", request, response, now)
        remote = request.node_id, request.address
        self._reply(remote, TalkResponse(request.request_id, response), now)

    @property
    def topics(self) -> Topics:
        """The topics of this node. Raises ServerStateError if they are off."""
        return running_topics(self._topics)

    def advertise(self, topic: bytes, now: Now) -> None:
        """Begin to advertise a topic, 32 bytes, or count one more reason to.

        Raises ServerStateError if topics are off, and for too many of them.
        """
        if self._observer is not None:
            self._observer.command("advertise", topic, now)
        self.topics.advertise(topic, now)

    def withdraw(self, topic: bytes, now: Now) -> None:
        """Count one reason less to advertise a topic. Its ads expire."""
        if self._observer is not None:
            self._observer.command("withdraw", topic, now)
        self.topics.withdraw(topic)

    # Received packets.

    def _check_source(self, addr: Endpoint) -> None:
        if addr[1] == 0 or not self._overlay.allows(addr[0]):
            raise PacketError("address", "not an address to talk to")

    def _receive(self, packet: packets.Packet, size: int, addr: Endpoint, now: Now) -> None:
        if isinstance(packet, WhoAreYou):
            sender = self._requests.sent_to(packet.nonce, addr)
            if sender is None:
                raise PacketError("unsolicited", "no request that the WHOAREYOU answers")
            self._traffic.received("whoareyou", packet, size, sender, addr)
            self._requests.receive_whoareyou(packet, now)
            return
        remote = NodeID(packet.source), addr
        if packet.source == self.id:
            raise PacketError("self", "a packet of our own")
        self._spend(remote, now)
        if isinstance(packet, HandshakePacket):
            self._on_handshake(packet, remote, size, now)
        else:
            self._on_message(packet, remote, size, now)

    def _spend(self, remote: Remote, now: Now) -> None:
        """Keep to the rate limit of a source, without a session to that of all such sources."""
        ip = remote[1].ip
        if self._overlay.own.contains(ip):
            return  # without limits
        known = self._sessions.get(remote) is not None or self._requests.awaits(remote)
        if not self._limits.allows(ip, known, now.monotonic):
            raise PacketError("rate", "too many packets of this source")
        self._limits.spent(ip, known, now.monotonic)

    def _on_handshake(
        self, packet: HandshakePacket, remote: Remote, size: int, now: Now
    ) -> None:
        accepted = self._handshakes.accept(remote, packet, now.monotonic)
        self._sessions.add(remote, accepted.session)
        if self._observer is not None:
            self._observer.secrets(*remote, False, *accepted.session.keys)
        message = self._decode(accepted.plaintext)
        self._traffic.received(str(message.kind), message, size, *remote)
        self._learn(accepted.node, remote[1], now)
        self._on_plain(message, remote, now)
        self._requests.use_session(remote, now)

    def _on_message(self, packet: MessagePacket, remote: Remote, size: int, now: Now) -> None:
        plaintext = self._sessions.decrypt(remote, packet)
        if plaintext is None:
            self._traffic.received("unreadable", packet, size, *remote)
            self.counters.unproven_bytes_in += size
            self._challenge(packet, remote, now)
            return
        message = self._decode(plaintext)
        self._traffic.received(str(message.kind), message, size, *remote)
        self._on_plain(message, remote, now)

    def _challenge(self, packet: MessagePacket, remote: Remote, now: Now) -> None:
        known = self.table.get(remote[0]) or self._store.node(remote[0])
        datagram = self._handshakes.challenge(remote, packet.nonce, known, now.monotonic)
        if datagram is None:
            raise PacketError("challenges", "too many challenges are open")
        self.counters.unproven_bytes_out += len(datagram)
        self._traffic.send("whoareyou", packet.nonce, datagram, remote[1], now)

    def _decode(self, plaintext: bytes) -> Message:
        try:
            return decode(plaintext)
        except DecodeError as error:
            raise PacketError("data", f"invalid message: {error}") from error

    def _on_plain(self, message: Message, remote: Remote, now: Now) -> None:
        """Handle a message that came under a session."""
        if isinstance(message, Ping):
            pong = Pong(message.request_id, self._local.record.seq, remote[1])
            self._reply(remote, pong, now)
        elif isinstance(message, FindNode):
            self._on_findnode(message, remote, now)
        elif isinstance(message, TalkRequest):
            self._talks.append(TalkReceived(remote[0], remote[1], *_talk_fields(message)))
        elif isinstance(message, (RegTopic, TopicQuery)):
            self._on_topic(message, remote, now)
        else:
            if isinstance(message, Pong) and self._requests.is_awaited(remote, message):
                self._on_pong(message, remote, now)
            if not self._requests.receive_response(remote, message, now):
                raise PacketError("unsolicited", "no request that the message answers")

    def _on_pong(self, pong: Pong, remote: Remote, now: Now) -> None:
        node_id, (ip, _port) = remote
        self._bootnodes.receive_pong(node_id, ip)
        self._store.set_last_pong_received(node_id, ip, self._clock.earliest(now))
        if self.table.mark_live(node_id, ip):
            self._maintenance.note_first_answer(node_id)
        if pong.recipient.port:
            self._local.endpoint_statement(ip, pong.recipient, now)

    def _on_topic(self, request: RegTopic | TopicQuery, remote: Remote, now: Now) -> None:
        for response in self.answer_topic(request, remote, now):
            self._reply(remote, response, now)

    def _on_findnode(self, request: FindNode, remote: Remote, now: Now) -> None:
        records = list(self._records_at(request.distances, remote))[:BUCKET_SIZE]
        parts = pack_records(records, MAX_RESPONSES)
        for part in parts:
            self._reply(remote, Nodes(request.request_id, len(parts), part), now)

    def _records_at(self, distances: Sequence[int], remote: Remote) -> Iterator[bytes]:
        """The records of nodes at some distances that ``remote`` may be sent.

        Those of one distance come in random order, so that all of them are found in time.
        """
        for distance in dict.fromkeys(distances):
            if distance == 0:
                yield self._local.record.to_rlp()
            elif distance <= MAX_DISTANCE:
                live = self.table.live_at(distance)
                for node in self._random.sample(live, len(live)):
                    problem = relay_problem(remote[1].ip, node.ip, self._overlay.own)
                    if node.record is not None and node.id != remote[0] and problem is None:
                        yield node.record.to_rlp()

    def _learn(self, node: Node, addr: Endpoint, now: Now) -> None:
        """A node has passed a handshake."""
        if not self._maintenance.is_initialized or not self._overlay.allows(addr.ip):
            return
        if node.udp_endpoint == addr:
            if self.table.add_proven(node, now.monotonic):
                self._maintenance.note_first_answer(node.id)
        elif node.udp_endpoint is not None and self._overlay.allows(node.udp_endpoint.ip):
            self.table.add_found(node, now.monotonic)

    # Sent packets.

    def _reply(self, remote: Remote, message: Message, now: Now) -> None:
        """Send a response, if there still is a session."""
        datagram = self._sessions.encrypt_reply(remote, encode(message))
        if datagram is None:
            return
        if len(datagram) > packets.MAX_PACKET_SIZE:
            raise EncodeError(f"a packet of {len(datagram)} bytes")
        self._traffic.send(str(message.kind), message, datagram, remote[1], now)


def _no_topics(request: RegTopic | TopicQuery, remote: Remote, now: Now) -> Sequence[Message]:
    raise PacketError("topics", "topics are off")


def _talk_fields(message: TalkRequest) -> tuple[bytes, bytes, bytes]:
    return message.request_id, message.protocol, message.request
