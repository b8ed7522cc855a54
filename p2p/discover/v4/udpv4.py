"""Discovery v4 for programs: the front with an engine of v4.

Its methods are those of :class:`p2p.discover.front.Discovery`; the protocol is in
:mod:`p2p.discover.v4.engine`. Any thread.
"""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import Sequence
from functools import partial

from p2p.arguments import check_type
from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.crypto import PrivateKey, PublicKey
from p2p.discover.clockcheck import NTP_SERVER
from p2p.discover.front import Discovery, check_networks, own_node, service_on, target_of
from p2p.discover.local import LocalView
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.store import NodeStore
from p2p.discover.v4.engine import EngineV4
from p2p.enode import Node
from p2p.enode.db.memory import NodeMemory
from p2p.netutil import Netlist, OwnNetworks


class UDPv4(Discovery):
    """Discovery v4 on one UDP socket, without a server::

        known = [p2p.parse_node("enode://...")]
        with UDPv4(p2p.generate_key(), ":0", bootnodes=known) as discovery:
            for node in discovery.random_nodes():
                print(node)

    ``sock`` is the address to bind, "host:port" with a numeric host or ":port", port 0 for any; or
    a bound UDP socket, which belongs to this object from now on; or another discovery that is not
    started, whose socket, clock and log it shares, and which starts and stops both. ``local`` is
    our own node, such as a :class:`~p2p.enode.LocalNode`, and ``store`` the node database, such as
    a :class:`~p2p.enode.NodeDB`; the caller closes them after :meth:`stop`. None: they are made in
    memory.

    ``bootnodes`` are the first nodes to ask, ``net_restrict`` the networks to talk to (None: all),
    ``own_networks`` those without limits besides LANs, ``ping_version`` the version in our pings.
    ``ntp_server`` is the host and port of the time server that is asked when no node answers any
    more (None: none). ``seed`` makes the engine's choices repeatable, for tests.
    ``observer`` gets all that the engine receives, sends and does.

    Raises OSError if the address cannot be bound, ArgumentTypeError for arguments of other types.
    Use it in a ``with`` block, or call :meth:`start` and :meth:`stop`, also after a start that
    failed; it cannot be started again. It belongs to the process that made it: in a forked child
    its calls raise WrongProcess.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        sock: socket.socket | str | Discovery,
        *,
        local: LocalView | None = None,
        store: NodeStore | None = None,
        bootnodes: Sequence[Node] = (),
        net_restrict: Netlist | None = None,
        own_networks: Netlist | None = None,
        ping_version: int = 4,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        ntp_server: tuple[str, int] | None = NTP_SERVER,
        seed: int | None = None,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        check_type("private_key", private_key, PrivateKey, "a PrivateKey")
        check_networks(net_restrict, own_networks)
        service = service_on(sock, clock=clock, logger=logger, ntp_server=ntp_server)
        own = OwnNetworks(own_networks or Netlist(), service.simulated)
        if local is None:
            local = own_node(private_key, service.address, clock or SYSTEM_CLOCK, logger)
        make = partial(
            EngineV4,
            private_key,
            local,
            NodeMemory(own) if store is None else store,
            bootnodes=tuple(bootnodes),
            net_restrict=net_restrict,
            own_networks=own,
            ip_version=service.ip_version,
            ping_version=ping_version,
            entropy=os.urandom,
            random=random.Random(seed),
        )
        super().__init__(service, lambda now, seen_by: make(now=now, observer=seen_by), local)
        self._runner.observer = observer

    def find_node(
        self, node: Node, target: PublicKey | bytes, timeout: float | None = None
    ) -> list[Node]:
        """Ask ``node`` for the nodes that it knows next to ``target``, at most 16.

        ``target`` is a public key or any 64 bytes. The nodes have no record, and it is not checked
        whether they are there. A node that has no proof of our address is pinged first. Raises as
        :meth:`ping`.
        """
        goal = target_of(target)
        nodes: list[Node] = self._ask_node(
            node, lambda operations, at, now: operations.find_near(at, goal, now), timeout
        )
        return nodes
