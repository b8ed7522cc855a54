"""Networks of real servers in one process, for experiments and for lessons.

The networks beneath the servers:

==============  ====================================================================
`Underlay`      a network, as the option ``underlay`` of a server takes it
`LinkQuality`   the quality of a link: latency, jitter, loss, bandwidth
==============  ====================================================================

``docs/design/lab-network.md`` has the reasons.
"""

from __future__ import annotations

from p2p.net import Underlay
from p2p.sim import LinkQuality

__all__ = ["LinkQuality", "Underlay"]
