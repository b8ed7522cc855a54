"""The metrics of a node that runs elsewhere on this machine, as Prometheus gets them.

Main thread; one request by HTTP. The answer is read up to :data:`MAX_BYTES`.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import closing

from p2p.cli.doctor import limits
from p2p.cli.doctor.finding import Finding, Level
from p2p.cli.failure import text_of
from p2p.metrics import FAMILIES

#: Limit on an answer: a node with all metrics of many protocols has some hundred KiB.
MAX_BYTES = 8 * 2**20
#: A line of Prometheus's text format, and its labels.
_LINE = re.compile(r'(\w+)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)(?: \d+)?')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_FAMILIES = {family.prometheus: family for family in FAMILIES if family.kind != "histogram"}
_REMEDY = "give the address of the option --metrics of a node that runs: p2p node --metrics {}"


def met_limits(address: tuple[str, int], timeout_s: float) -> Iterator[Finding]:
    """Yield the limits that the running node has met."""
    place = f"{address[0]}:{address[1]}"
    try:
        metrics = dict(_parsed(_fetch(address, timeout_s)))
    except (OSError, http.client.HTTPException, ValueError) as error:
        text = f"no metrics at {place}: {text_of(error)}"
        yield Finding(limits.CHECK, Level.WARNING, text, _REMEDY.format(place))
        return
    yield from limits.met(metrics, f"the node at {place}")


def _fetch(address: tuple[str, int], timeout_s: float) -> str:
    with closing(http.client.HTTPConnection(*address, timeout=timeout_s)) as connection:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        data = response.read(MAX_BYTES + 1)
    if response.status != http.client.OK or len(data) > MAX_BYTES:
        raise ValueError(f"status {response.status}, {len(data)} bytes")
    return data.decode()


def _parsed(text: str) -> Iterator[tuple[str, float]]:
    """Yield the counters and gauges by the names of :attr:`p2p.Server.metrics`."""
    found = False
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        family = _FAMILIES.get(match[1])
        labels = dict(_LABEL.findall(match[2] or ""))
        if family is not None and labels.keys() == set(family.labels):
            found = True
            yield family.pattern.format(**labels), float(match[3])
    if not found:
        raise ValueError("the answer has none of a node's")
