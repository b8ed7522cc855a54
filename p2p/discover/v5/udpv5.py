"""Discovery v5 for programs: the front whose engine speaks v5.

The requests of all protocols are in :class:`p2p.discover.front.Discovery`, those of v5 only are
here, the rules of discovery v5 in :mod:`p2p.discover.v5.engine`. Any thread.
"""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import TypeVar

from p2p.arguments import BYTES, check_function, check_int, check_type
from p2p.clock import SYSTEM_CLOCK, Clock, Deadline, finite_timeout
from p2p.crypto import PrivateKey, PublicKey
from p2p.discover.clockcheck import NTP_SERVER
from p2p.discover.engine import Engine
from p2p.discover.event import TalkReceived
from p2p.discover.front import Discovery, check_networks, own_node, service_on
from p2p.discover.iterator import TopicNodes
from p2p.discover.local import LocalView
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.operations import Operations
from p2p.discover.runner import Runner
from p2p.discover.service import STOP_TIMEOUT_S
from p2p.discover.store import NodeStore
from p2p.discover.transport import Target
from p2p.discover.v5.advertisement import Advertisement
from p2p.discover.v5.engine import EngineV5
from p2p.discover.v5.fields import MAX_DISTANCE
from p2p.discover.v5.operations import OperationsV5
from p2p.discover.v5.talk import MAX_TALK_SIZE, TalkHandler, TalkHandlers
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.enode import Node
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import check_node
from p2p.enode.nodeid import NodeID
from p2p.enode.topic import topic_id
from p2p.errors import EncodeError
from p2p.inputs import Now
from p2p.netutil import Netlist, OwnNetworks

_T = TypeVar("_T")


class UDPv5(Discovery):
    """Discovery v5 on one UDP socket, without a server::

        with UDPv5(p2p.generate_key(), ":0", bootnodes=[p2p.parse_node("enr:...")]) as discovery:
            for node in discovery.random_nodes():
                print(node)

    The arguments are those of :class:`~p2p.discover.UDPv4`, as far as they are here, and so are the
    errors. ``watched`` are the bootnodes about whose silence a warning is logged (None: all).
    Communication is encrypted, and a node tells others of nodes by their records.

    ``observer`` gets all that the engine receives, sends and does.

    ``topics`` turns topics on, as ``discovery_topics`` of a server does: :meth:`advertise` and
    :meth:`find`, and the ads of others are kept and given out. The record of ``local`` then needs
    the entry "topic-discovery" with the value 1; without ``local`` it has it.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        sock: socket.socket | str | Discovery,
        *,
        local: LocalView | None = None,
        store: NodeStore | None = None,
        bootnodes: Sequence[Node] = (),
        watched: Sequence[Node] | None = None,
        net_restrict: Netlist | None = None,
        own_networks: Netlist | None = None,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        ntp_server: tuple[str, int] | None = NTP_SERVER,
        seed: int | None = None,
        observer: DiscoveryObserver | None = None,
        topics: bool = False,
    ) -> None:
        check_type("topics", topics, bool, "True or False")
        check_type("private_key", private_key, PrivateKey, "a PrivateKey")
        check_networks(net_restrict, own_networks)
        service = service_on(sock, clock=clock, logger=logger, ntp_server=ntp_server)
        own = OwnNetworks(own_networks or Netlist(), service.simulated)
        if local is None:
            local = own_node(private_key, service.address, clock or SYSTEM_CLOCK, logger)
            if topics:
                local.set(TOPICS_ENTRY, TOPICS_VERSION)
        make = partial(
            EngineV5,
            private_key,
            local,
            NodeMemory(own) if store is None else store,
            bootnodes=tuple(bootnodes),
            watched=tuple(bootnodes if watched is None else watched),
            net_restrict=net_restrict,
            own_networks=own,
            ip_version=service.ip_version,
            entropy=os.urandom,
            random=random.Random(seed),
            topics=topics,
        )
        super().__init__(service, lambda now, seen_by: make(now=now, observer=seen_by), local)
        self._runner.observer = observer
        log = (logger or logging.getLogger("p2p")).getChild("discover")
        respond = partial(_respond, self._runner)
        self._talk = TalkHandlers(respond, clock or SYSTEM_CLOCK, log)
        self._runner.on_talk = self._talk.receive
        self._runner.on_end = self._talk.close
        self._searches = count(1)

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """Do :meth:`Discovery.stop`, and wait for handlers of talk requests, too."""
        deadline = Deadline(finite_timeout(timeout))
        left = super().stop(timeout)
        self._talk.close()  # without effect unless the loop never ran
        return left + self._talk.join(deadline)

    # questions to the network; any thread but p2p-disc

    def lookup(self, target: PublicKey | bytes, timeout: float | None = None) -> list[Node]:
        """Look up the nodes closest to ``target``: a NodeID, a public key or any 64 bytes.

        Returns the closest nodes that answered, at most 16, nearest first. Raises as :meth:`ping`.
        Discovery v4 has no lookup of a NodeID, since its packets have the public key.
        """
        if isinstance(target, NodeID):
            return self._lookup(Target(target), timeout)
        return super().lookup(target, timeout)

    def find_node(
        self, node: Node, distances: Iterable[int], timeout: float | None = None
    ) -> list[Node]:
        """Ask a node for the nodes that it knows at some logarithmic distances from itself.

        A distance is from 0 (the node itself) to 256. Returns at most 16 nodes, each with a valid
        record. Raises as :meth:`ping`.
        """
        check_node(node)
        text = f"numbers from 0 to {MAX_DISTANCE}"
        check_type("distances", distances, Iterable, text)
        wanted = tuple(distances)
        for distance in wanted:
            check_int("distances", distance, 0, MAX_DISTANCE, text)
        nodes: list[Node] = self._ask_node(
            node, lambda operations, at, now: operations.find_node(at, wanted, now), timeout
        )
        return nodes

    def talk(
        self, node: Node, protocol: str | bytes, request: bytes, timeout: float | None = None
    ) -> bytes:
        """Send a request of an application's protocol, and return the response.

        The response is empty if the node does not know the protocol. A request of more than 1,150
        bytes, with the name of the protocol, is an EncodeError. Raises as :meth:`ping`.
        """
        check_node(node)
        name = _protocol_name(protocol)
        check_type("request", request, BYTES, "bytes")
        data = bytes(request)
        if len(name) + len(data) > MAX_TALK_SIZE:
            raise EncodeError(f"a talk request of {len(name) + len(data)} bytes does not fit")
        response: bytes = self._ask_node(
            node, lambda operations, at, now: operations.talk(at, name, data, now), timeout
        )
        return response

    # topics; any thread

    def advertise(self, topic: str | bytes) -> Advertisement:
        """Advertise our node under a topic, so that :meth:`find` of other nodes finds it::

            with discovery.advertise("my service"):
                ...

        ``topic`` is a name, or an identifier of 32 bytes; that of a name is its SHA-256. The ads
        are placed in the background, at some nodes in each part of the network, and renewed
        (discv5-theory, "Advertiser Behaviour"). It takes seconds, or minutes where many nodes
        advertise. At most 64 topics at once. Raises ServerStateError before the start, for more
        topics and while topics are off; ServerStopped or LoopCrashed after the end.
        """
        identifier = topic_id(topic)
        self._give(lambda engine, now: engine.advertise(identifier, now))
        return Advertisement(
            identifier,
            partial(self._withdraw, identifier),
            partial(self._give, lambda engine, now: engine.topics.registrars(identifier, now)),
        )

    def find(self, topic: str | bytes) -> TopicNodes:
        """Return an endless iterator over nodes that advertise a topic; close it after use.

        ``topic`` as for :meth:`advertise`. No ad is verified: the nodes may be gone, or
        not speak the protocol. Raises as :meth:`advertise`.
        """
        identifier, number = topic_id(topic), next(self._searches)
        self._give(lambda engine, now: engine.topics)

        def step(operations: Operations, now: Now) -> int:
            assert isinstance(operations, OperationsV5)
            return operations.find_topic(identifier, number, now)

        return self._runner.topic_nodes(step)

    def _give(self, fn: Callable[[EngineV5, Now], _T]) -> _T:
        def give(engine: Engine, now: Now) -> _T:
            assert isinstance(engine, EngineV5)
            return fn(engine, now)

        return self._service.call(partial(self._runner.give, give))

    def _withdraw(self, topic: bytes) -> None:
        if self._service.is_here:
            self._runner.post(partial(_withdraw, topic))

    # answers to the network; any thread

    def on_talk(self, protocol: str | bytes, handler: TalkHandler | None) -> None:
        """Have talk requests of ``protocol`` answered by ``handler(node_id, endpoint, request)``.

        It returns the response, at most 1,150 bytes, within half a second or so. It runs on one of
        four threads ``p2p-talk``; when all are busy and 64 requests wait, more are dropped and
        counted (``counters().dropped["talk"]``). One that raises, or returns anything else, is
        logged and gets the empty response, as an unknown protocol does. None ends it. Raises
        RuntimeError if the system has no more threads.
        """
        name = _protocol_name(protocol)
        if handler is not None:
            check_function("handler", handler, "node_id", "endpoint", "request")
        self._service.check_process()
        self._talk.set(name, handler)


def _withdraw(topic: bytes, engine: Engine, now: Now) -> None:
    assert isinstance(engine, EngineV5)
    engine.withdraw(topic, now)


def _protocol_name(protocol: str | bytes) -> bytes:
    if isinstance(protocol, str):
        return protocol.encode()
    check_type("protocol", protocol, BYTES, "the name of a protocol")
    return bytes(protocol)


def _respond(runner: Runner, request: TalkReceived, response: bytes) -> None:
    """Send a response. Any thread."""
    runner.post(partial(_give_response, request, response))


def _give_response(
    request: TalkReceived, response: bytes, engine: Engine, now: Now
) -> None:
    assert isinstance(engine, EngineV5)
    engine.respond(request, response, now)
