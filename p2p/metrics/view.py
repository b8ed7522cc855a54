"""The metrics of a server as a read-only mapping of names to readings.

Any thread may read, at any time, also after the end of the server. Each call makes one reading of
all metrics, from counts that other threads keep; nothing waits for these threads.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any

from p2p.metrics.metric import Metric


class Metrics(Mapping[str, Metric]):
    """The metrics of a server by name, from ``Server.metrics``; each call reads all of them::

        server.metrics["p2p/peers"].value
        for metric in server.metrics.values():
            print(metric.name, metric.value)
        json.dumps(server.metrics.snapshot())

    A metric of a message, a packet or an error exists once it has been counted. Raises KeyError for
    any other name. Any thread may use it.
    """

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def snapshot(self) -> dict[str, Any]:
        """Return all values by name, as they are now, in a dict for JSON.

        A counter or a gauge is an int; a histogram is a dict with "count", "sum" and "buckets".
        """
        return {metric.name: metric.value for metric in self._read()}

    def items(self) -> ItemsView[str, Metric]:
        return self._by_name().items()

    def values(self) -> ValuesView[Metric]:
        return self._by_name().values()

    def __getitem__(self, name: str) -> Metric:
        return self._by_name()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def _by_name(self) -> dict[str, Metric]:
        return {metric.name: metric for metric in self._read()}

    def __repr__(self) -> str:
        return f"<Metrics, {len(self)} of them>"
