"""The JSON document: the figures of all rounds, the verdicts, and the versions."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import p2p
from benchmarks.peers.report import Samples, Verdict
from benchmarks.report import LIBRARIES, cpu_model, version_of
from p2p.crypto import BACKEND, SECP256K1_BACKEND

HERE = Path(__file__).parent
VERSION_TIMEOUT_S = 10.0


def document(samples: Samples, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the whole document."""
    figures: dict[str, dict[str, list[float]]] = {}
    for (key, pair), values in samples.items():
        figures.setdefault(key, {})[pair] = list(values)
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "cpu": cpu_model(),
        "versions": versions(),
        "verdicts": [
            {"row": one.row.strip(), "against": one.against, "value": one.value,
             "aim": str(one.aim), "ok": one.is_met}
            for one in verdicts
        ],
        "figures": figures,
    }  # fmt: skip


def versions() -> dict[str, str | None]:
    """Return the versions of the implementations, their languages, and our libraries."""
    return {
        "p2p": p2p.__version__,
        "crypto_backend": BACKEND,
        "secp256k1_backend": SECP256K1_BACKEND,
        platform.python_implementation(): platform.python_version(),
        **{name: version_of(name) for name in LIBRARIES},
        "go-ethereum": go_ethereum(),
        "go": output_of("go", "version"),
        "@ethereumjs/devp2p": devp2p(),
        "node": output_of("node", "--version"),
    }


def go_ethereum() -> str | None:
    """Return the version that the Go program is pinned to."""
    text = (HERE / "go" / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"go-ethereum v(\S+)", text)
    return found.group(1) if found else None


def devp2p() -> str:
    """Return the version that the Node program is pinned to."""
    package = json.loads((HERE / "node" / "package.json").read_text(encoding="utf-8"))
    return str(package["dependencies"]["@ethereumjs/devp2p"])


def output_of(*command: str) -> str | None:
    """Return the version that a program prints, or None if the program is missing."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
