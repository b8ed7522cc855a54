"""The benchmark of labs runs, with few nodes, and reports."""

from __future__ import annotations

import pytest

from benchmarks import labs
from benchmarks.memory import STATM

pytestmark = pytest.mark.skipif(not STATM.exists(), reason="the system does not tell of memory")


@pytest.mark.parametrize("join, discovers", [("memory", True), ("loopback", False)])
def test_a_lab_is_measured(join: str, discovers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labs, "MESSAGES", 50)
    monkeypatch.setattr(labs, "SEARCH_S", 0.0)
    monkeypatch.setattr(labs, "NODE_SEARCH_S", 0.01)
    found = labs.measure(join, 5, discovers)
    assert found["edges"] == 10 and found["threads"] > 10
    assert all(found[name] > 0 for name in ("s", "stop_s", "again_s", "mib", "events_a_second"))
    head, row = labs.table([((join, 5, discovers), found)]).splitlines()
    assert len(head) == len(row) and row.startswith(f"{join}, 5 nodes")
