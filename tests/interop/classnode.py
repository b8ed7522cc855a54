"""Programs in a class room: ``python -m tests.interop.classnode``.

``node OPTIONS``
    A server with ``lan_discovery`` and these options, as JSON, until its input ends; "key" is its
    private key in hex. It tells its log, and which nodes it knows and has as peers whenever that
    changes.
``announce NAME TXT ADDRESS``
    zeroconf alone, with any TXT record (in hex) and address.

Each line of the output is an event, as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from ipaddress import ip_address
from typing import Any

import zeroconf

import p2p
from p2p.lan import front
from p2p.lan.link import SERVICE_TYPE

from .homeprogram import PORT, tell
from .homeserver import Told, run

#: Between two looks at the own state, and pauses of the server between two at the interfaces.
PAUSE_S = 0.02
CHECK_S = 0.2


def be_node(options: dict[str, Any]) -> None:
    key = options.pop("key", None)
    front.CHECK_S = front.TELL_S = CHECK_S
    log = logging.getLogger("p2p.lan")
    log.addHandler(Told())
    log.setLevel(logging.DEBUG)
    ended = threading.Event()
    chosen: dict[str, Any] = {
        "private_key": p2p.generate_key() if key is None else key_of(key),
        "name": "class",
        "max_peers": 25,
        "listen_addr": f":{PORT}",
        "no_discovery": True,
        "protocols": [p2p.Protocol("class", 1, 1, run)],
        "lan_discovery": True,
    }
    with p2p.Server(**{**chosen, **options}) as server:
        watch = threading.Thread(target=tell_changes, args=(server, ended))
        watch.start()
        sys.stdin.read()
        ended.set()
        watch.join()


def key_of(digits: str) -> p2p.PrivateKey:
    return p2p.PrivateKey.from_bytes(bytes.fromhex(digits))


def tell_changes(server: p2p.Server, ended: threading.Event) -> None:
    told: object = None
    while not ended.wait(PAUSE_S):
        known = {str(node.id): str(node.ip) for node in server.lan_nodes}
        now = {
            "id": str(server.self.id),
            "ip": str(server.self.ip),
            "lan": dict(sorted(known.items())),
            "peers": sorted(str(peer.id) for peer in server.peers),
        }
        if now != told:
            tell("state", **now)
            told = now


def announce(name: str, txt: bytes, address: str) -> None:
    info = zeroconf.ServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        port=PORT,
        properties=txt,
        server=f"{name}.local.",
        addresses=[ip_address(address).packed],
    )
    library = zeroconf.Zeroconf()
    library.register_service(info)
    tell("announced")
    sys.stdin.read()
    library.close()


if __name__ == "__main__":
    if sys.argv[1] == "node":
        be_node(json.loads(sys.argv[2]))
    else:
        announce(sys.argv[2], bytes.fromhex(sys.argv[3]), sys.argv[4])
