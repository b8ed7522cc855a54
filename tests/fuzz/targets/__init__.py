"""All targets, by name, in the order in which they run."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    base,
    connection,
    discovery,
    frame,
    handshake,
    packet,
    records,
    snappy,
    values,
)

MODULES = (handshake, frame, base, snappy, values, records, packet, connection, discovery)
TARGETS: dict[str, Target] = {
    target.name: target for module in MODULES for target in module.TARGETS
}
