"""Services of a server that know nodes to dial, besides discovery: node lists in DNS, and the LAN.

Each opens and closes a part of another module, by the server's options, as the services beside it
in :mod:`p2p.services` do. The threads that start and stop the server start and stop them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2p.clock import Deadline
from p2p.config import Config
from p2p.discover.front import Discovery
from p2p.dnsdisc.front import NodeLists
from p2p.enode import LocalNode, Node
from p2p.errors import P2PError
from p2p.lan.adapters import LocalInterfaces
from p2p.lan.announcement import Checks
from p2p.lan.front import LanNodes
from p2p.net import ListeningSocket

#: Time for a service to end when the deadline has passed.
LAST_MOMENT_S = 0.1


@dataclass
class NodeListService:
    """Node lists in DNS, if there are any, and nodes are dialed."""

    config: Config
    logger: logging.Logger
    lists: NodeLists | None = None

    def start(self) -> None:
        config = self.config
        if config.dns_discovery and not config.no_dial:
            self.lists = NodeLists(config.dns_discovery, clock=config.clock, logger=self.logger)
            self.lists.start()

    def stop(self, deadline: Deadline) -> list[str]:
        lists = self.lists
        return [] if lists is None else lists.stop(deadline.left_at_least(LAST_MOMENT_S))


@dataclass
class LanService:
    """The nodes of the local network, if the option asks for them.

    ``tcp`` returns our listening socket, if there is one, ``local`` our node, and ``discoveries``
    the protocols of discovery that run; they are called at the start.
    """

    config: Config
    logger: logging.Logger
    tcp: Callable[[], ListeningSocket | None]
    local: Callable[[], LocalNode]
    discoveries: Callable[[], Sequence[Discovery]]
    nodes: LanNodes | None = None

    def start(self) -> None:
        config = self.config
        if config.lan_discovery:
            local = self.local()
            checks = Checks(local.id, config._own, config.netlist)
            where = LocalInterfaces(self.tcp(), checks)
            self.nodes = LanNodes(local, where, checks, self._found, config.clock, self.logger)
            self.nodes.start()

    def stop(self, deadline: Deadline) -> list[str]:
        nodes = self.nodes
        return [] if nodes is None else nodes.stop(deadline.left_at_least(LAST_MOMENT_S))

    def _found(self, node: Node) -> None:
        """Introduce a node to discovery. On ``p2p-lan``."""
        for discovery in self.discoveries():
            if node.udp:
                discovery._request_enr(node, _ignore)


def _ignore(node: Node | None, error: P2PError | None) -> None:
    """Take the result of a request, which was made to become known to the node."""
