"""Events of a lab: nodes, connections, messages, faults of the network, notes. Values; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

LabEventType = Literal[
    "started",
    "stopped",
    "connected",
    "dropped",
    "message",
    "partition",
    "healed",
    "link",
    "note",
    "failed",
]


@dataclass(frozen=True, slots=True)
class LabEvent:
    """An event of a lab, ``time_s`` seconds after its start by its clock.

    =============  ================================================================================
    ``type``
    =============  ================================================================================
    "started"      ``node`` was started
    "stopped"      ``node`` was stopped
    "connected"    ``node`` has dialed ``peer``, and both have the connection
    "dropped"      the first of both, ``node``, has lost the connection; ``text`` is the reason
    "message"      ``node`` has received a message of ``peer``: ``protocol`` such as "eth/68", its
                   ``msg_code`` and ``msg_size``, the bytes of the payload
    "partition"    the network was partitioned; ``data["sides"]`` has the names of the nodes
    "healed"       the partition has ended
    "link"         the link between ``node`` and ``peer`` was changed; ``data`` has its values; the
                   link of all nodes without names
    "note"         a note of the program: ``text`` and ``data``, of ``node`` if it is of one
    "failed"       the script ``text`` has raised an error, ``data["error"]``
    =============  ================================================================================

    ``node`` and ``peer`` are names of nodes. A peer from outside the lab has its ID in hex digits.
    """

    time_s: float
    type: LabEventType
    node: str = ""
    peer: str = ""
    text: str = ""
    protocol: str = ""
    msg_code: int | None = None
    msg_size: int | None = None
    data: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the event as an object for JSON, without its empty values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, "")}
