"""The service that answers Prometheus: an HTTP server on loopback, one request after the other.

It owns its socket and the thread ``p2p-metrics``, which waits for connections, and answers each
with all metrics (:mod:`p2p.metrics.prometheus`). It reads the metrics of other parts and changes
nothing. :meth:`Exporter.start` and :meth:`Exporter.stop` run in the threads that start and stop the
server.
"""

from __future__ import annotations

import logging
import selectors
import threading
from typing import TYPE_CHECKING

from p2p import forks
from p2p.clock import Deadline
from p2p.metrics import Metrics
from p2p.metrics.prometheus import wsgi_app
from p2p.net import bind, endpoint_of
from p2p.net.wakeup import WakeUp
from p2p.netutil import Endpoint
from p2p.threads import join_threads

if TYPE_CHECKING:
    from p2p.metricsserver import MetricsServer

#: Seconds without a connection after one could not be accepted, as without file descriptors left:
#: an immediate retry would fail again, in a loop.
BACK_OFF_S = 1.0


class Exporter:
    """Serves ``metrics`` at ``address``, a host and a port; None: nowhere."""

    def __init__(
        self, address: tuple[str, int] | None, metrics: Metrics, logger: logging.Logger
    ) -> None:
        # fixed after __init__
        self._wanted = address
        self._metrics = metrics
        self._log = logger.getChild("metrics")
        # fixed after start()
        self.address: Endpoint | None = None
        self._thread: threading.Thread | None = None
        self._wake_up: WakeUp | None = None
        self._server: MetricsServer | None = None
        # set by stop()
        self._stopping = False

    def start(self) -> None:
        """Bind the address and begin to answer. Raises OSError if it cannot be bound."""
        if self._wanted is None:
            return
        from p2p.metricsserver import MetricsServer  # http and email take as long as much of p2p

        app = wsgi_app(self._metrics)
        sock = bind(*self._wanted)
        self.address = endpoint_of(sock.getsockname())
        self._server = MetricsServer(sock, app, self._log)
        self._wake_up = WakeUp()
        self._thread = threading.Thread(target=self._run, name="p2p-metrics", daemon=True)
        self._thread.start()
        self._log.info("metrics for Prometheus at http://%s/metrics", self.address)

    def stop(self, deadline: Deadline) -> list[str]:
        """End the thread, with a request under way. Returns its name if it has not ended."""
        self._stopping = True
        server, thread, wake_up = self._server, self._thread, self._wake_up
        if server is None:
            return []
        if wake_up is not None:
            wake_up.send()
        server.hang_up()
        left = []
        if thread is not None and thread.ident is not None:
            left = join_threads([thread], deadline)
        else:
            self._close()  # the thread did not start
        return left

    def _run(self) -> None:
        server, wake_up = self._server, self._wake_up
        assert server is not None and wake_up is not None
        try:
            with selectors.DefaultSelector() as selector:
                forks.in_child(selector)
                for descriptor in (server, wake_up.fd):
                    selector.register(descriptor, selectors.EVENT_READ)
                while not self._stopping:
                    selector.select()
                    server.handle_request()
                    if server.take_accept_failure():
                        selector.unregister(server)
                        selector.select(BACK_OFF_S)  # the stop ends it
                        selector.register(server, selectors.EVENT_READ)
        finally:
            self._close()

    def _close(self) -> None:
        if self._server is not None:
            self._server.server_close()
        if self._wake_up is not None:
            self._wake_up.close()
