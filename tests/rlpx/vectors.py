"""The published vectors of RLPx, as they stand in ``tests/testdata``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2p.crypto import Entropy

_FOLDER = Path(__file__).parent.parent / "testdata"
HANDSHAKE: dict[str, Any] = json.loads((_FOLDER / "rlpx_handshake.json").read_text())
FRAMES: dict[str, Any] = json.loads((_FOLDER / "rlpx_frames.json").read_text())


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def name_of(case: dict[str, Any]) -> str:
    """Return the name of a case in the report of a test."""
    return str(case.get("name") or case.get("desc") or case.get("note") or case.get("payload"))


def scripted(*values: str | bytes) -> Entropy:
    """Gives these random bytes first, each when its size is asked for, and then any."""
    script = [unhex(value) if isinstance(value, str) else value for value in values]

    def entropy(size: int) -> bytes:
        if script and len(script[0]) == size:
            return script.pop(0)
        assert not script, f"{len(script)} scripted values are left"
        return b"\x2a" * size

    return entropy
