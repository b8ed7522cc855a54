"""The values of the charts at one moment: traffic, processor and threads of the process.

``p2p-monitor`` only.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from p2p.monitor.rates import Rates
from p2p.monitor.rows import COUNTS

#: The counts in the charts.
CHARTED = (*COUNTS, "packets_in", "packets_out")


class Charts:
    """The share of a processor since the last call, and what belongs to the same moment."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._cpu_s = time.process_time()

    def point(self, rates: Rates, peers: int, nodes: int) -> dict[str, Any]:
        """Return the values; the rates of the totals have keys such as "total/bytes_in"."""
        now, cpu_s = time.monotonic(), time.process_time()
        elapsed_s, used_s = now - self._at, cpu_s - self._cpu_s
        self._at, self._cpu_s = now, cpu_s
        return {
            **{f"{name}_per_s": rates.of(f"total/{name}") for name in CHARTED},
            "cpu": round(used_s / elapsed_s, 3) if elapsed_s > 0 else 0.0,
            "threads": threading.active_count(),
            "peers": peers,
            "nodes": nodes,
        }
