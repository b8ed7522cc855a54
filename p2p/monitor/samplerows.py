"""Samples as rows of the page: the peer's key, the name of the message, its fields.

``p2p-monitor`` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from p2p.monitor.decoding import Decoders
from p2p.monitor.sampling import Sample
from p2p.monitor.shown import fields_of


class SampleRows:
    """The rows of samples, numbered from 1."""

    def __init__(self, decoders: Decoders) -> None:
        self._decoders = decoders
        self._last = 0

    def rows(
        self, samples: Iterable[Sample], peers: Mapping[bytes, str]
    ) -> list[dict[str, Any]]:
        """Return the rows; ``peers`` are the keys of peers by their nodes."""
        return [self._row(sample, peers) for sample in samples]

    def _row(self, sample: Sample, peers: Mapping[bytes, str]) -> dict[str, Any]:
        self._last += 1
        node_id, code = sample.node_id, sample.code
        fields, error = self._fields(sample)
        row = {
            "m": self._last,
            "t": round(sample.t, 3),
            "peer": None if node_id is None or code is None else peers.get(node_id),
            "id": None if node_id is None else str(node_id),
            "short": None if node_id is None else node_id.short,
            "direction": sample.direction,
            "cap": sample.cap,
            "code": code,
            "name": sample.name if code is None else self._decoders.name_of(sample.cap, code),
            # That of a packet of ours is not known.
            "size": sample.size if code is not None else sample.size or None,
            "payload": sample.beginning.hex(),
            "fields": fields,
            "error": error,
        }
        return row if code is not None else {**row, "addr": str(sample.addr)}

    def _fields(self, sample: Sample) -> tuple[list[list[str]] | None, str]:
        if sample.value is not None:
            return fields_of(sample.value), ""
        if sample.code is None:
            return None, ""
        return self._decoders.fields_of(sample.cap, sample.code, sample.payload)
