"""The service of the live page, and the source that observes the server for it.

The page (:mod:`p2p.monitor`) is imported only for a server that has one. The threads that start and
stop the server start and stop it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p.clock import Deadline
from p2p.config import Config

if TYPE_CHECKING:
    from p2p.monitor import Monitor
    from p2p.monitor.serversource import ServerSource

#: Time for the page to end when the deadline has passed.
LAST_MOMENT_S = 0.1


@dataclass
class MonitorService:
    """The live page of ``source``, if there is one."""

    config: Config
    logger: logging.Logger
    source: ServerSource | None
    monitor: Monitor | None = None

    def start(self) -> None:
        config = self.config
        if self.source is None or config.monitor_addr is None:
            return
        from p2p.monitor import Monitor

        public = config.monitor_public
        self.monitor = Monitor(
            self.source, config.monitor_addr, public=public, logger=self.logger
        )
        self.monitor.start()

    def stop(self, deadline: Deadline) -> list[str]:
        monitor = self.monitor
        return [] if monitor is None else monitor.stop(deadline.left_at_least(LAST_MOMENT_S))

    @property
    def url(self) -> str | None:
        """Address of the page, while or after it is served."""
        return None if self.monitor is None else self.monitor.url


def monitor_source(config: Config) -> ServerSource | None:
    """Return what the live page shows of a server; None without ``monitor_addr``.

    Raises ConfigError if websockets is not installed.
    """
    if config.monitor_addr is None:
        return None
    from p2p.monitor.serversource import ServerSource
    from p2p.monitor.websocket import check_installed

    check_installed()
    return ServerSource(config)
