"""The live page: a server, or a laboratory, watched in a browser.

The option ``monitor_addr`` of a server serves its page; ``Server.monitor_url`` is the address. A
:class:`Monitor` serves the page of any :class:`MonitorSource`, which returns a state, and what has
:class:`Happened`; it gets a :class:`Watch`, the wishes of the open pages. The contract with the
page is in ``docs/design/monitor.md``.

The files of the page are in ``page``: HTML, CSS and JavaScript modules without a build step, which
load nothing from elsewhere. Needs websockets (``pip install 'p2p-blocking[monitor]'``).
"""

from __future__ import annotations

from p2p.monitor.front import Monitor
from p2p.monitor.source import Happened, MonitorSource, Watch

__all__ = ["Happened", "Monitor", "MonitorSource", "Watch"]
