"""The live page: a server, or a laboratory, watched in a browser.

The option ``monitor_addr`` of a server serves its page; ``Server.monitor_url`` is the address. A
:class:`Monitor` serves the page of any :class:`MonitorSource`, which returns a ``State``, of
collections of ``Entry``, and what has :class:`Happened`; :class:`Watch` is what the open pages want
to see. ``docs/design/monitor.md`` has the contract with the page.

The files of the page are in ``page``: HTML, CSS and JavaScript modules without a build step, which
load nothing from elsewhere. Needs websockets (``pip install 'p2p-blocking[monitor]'``).
"""

from __future__ import annotations

from p2p.monitor.front import Monitor
from p2p.monitor.source import Entry, Happened, MonitorSource, State, Watch

__all__ = ["Entry", "Happened", "Monitor", "MonitorSource", "State", "Watch"]
