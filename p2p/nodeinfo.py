"""Information about our node, under the keys of go-ethereum's ``NodeInfo``.

It owns nothing. Any thread; ``node_info`` of a protocol runs on the thread that calls.
"""

from __future__ import annotations

from typing import Any

from p2p.config import Config
from p2p.enode import Node
from p2p.netutil import Endpoint


def node_info(config: Config, node: Node, listen_addr: Endpoint | None) -> dict[str, Any]:
    """Return the information; ``node`` is ours, ``listen_addr`` that of the listening socket."""
    return {
        "id": str(node.id),
        "name": config.name,
        "enode": node.url,
        "enr": str(node),
        "ip": str(node.ip),
        "ports": {"discovery": node.udp, "listener": node.tcp},
        "listenAddr": "" if listen_addr is None else str(listen_addr),
        "protocols": _protocols_info(config),
    }


def _protocols_info(config: Config) -> dict[str, Any]:
    infos: dict[str, Any] = {}
    for protocol in config.protocols:
        if protocol.name not in infos:
            info = protocol.node_info
            infos[protocol.name] = "unknown" if info is None else info()
    return infos
