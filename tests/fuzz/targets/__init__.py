"""All targets, by name, in the order in which they run."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    base,
    connection,
    declared,
    discovery,
    discoveryv5,
    dnslists,
    ethereum,
    frame,
    handshake,
    lan,
    packet,
    packetv5,
    portmap,
    records,
    snappy,
    topics,
    upnp,
    values,
)

MODULES = (
    *(handshake, frame, base, snappy, values, declared, records, packet, packetv5, dnslists),
    *(upnp, portmap, lan, ethereum, connection, discovery, discoveryv5, topics),
)
TARGETS: dict[str, Target] = {
    target.name: target for module in MODULES for target in module.TARGETS
}
