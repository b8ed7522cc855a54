"""The vectors of tests/testdata/discv5_wire.json, with its two nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2p.crypto import PrivateKey

FILE = Path(__file__).parent.parent.parent / "testdata" / "discv5_wire.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text())
KEY_A = PrivateKey.from_bytes(bytes.fromhex(VECTORS["node_a_key"]))
KEY_B = PrivateKey.from_bytes(bytes.fromhex(VECTORS["node_b_key"]))
ID_A = bytes.fromhex(VECTORS["node_a_id"])
ID_B = bytes.fromhex(VECTORS["node_b_id"])


def unhex(case: dict[str, Any], *keys: str) -> bytes:
    """The bytes of a field, such as ``unhex(case, "spec_values", "nonce")``."""
    value: Any = case
    for key in keys:
        value = value[key]
    return bytes.fromhex(value)
