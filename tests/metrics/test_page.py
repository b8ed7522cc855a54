"""The page on metrics and the dashboard name what there is, and the snippets of the page run."""

from __future__ import annotations

import json
import pathlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

import p2p
from p2p.metrics import FAMILIES
from tests.kit.nodes import Nodes

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "howto" / "metrics.md").read_text(encoding="utf-8")
DASHBOARD = json.loads(files("p2p.metrics").joinpath("grafana.json").read_text(encoding="utf-8"))

#: The names under which Prometheus has the families.
SHOWN = {
    *(family.prometheus for family in FAMILIES if family.kind != "histogram"),
    *(
        family.prometheus + suffix
        for family in FAMILIES
        if family.kind == "histogram"
        for suffix in ("_bucket", "_count", "_sum")
    ),
}
LABELS = {family.prometheus: {*family.labels} for family in FAMILIES}


def expressions() -> list[str]:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_table_of_the_page_is_the_list_of_families() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    expected = []
    for family in FAMILIES:
        labels = f"{{{', '.join(family.labels)}}}" if family.labels else ""
        expected.append((family.pattern, family.prometheus + labels, family.kind, family.help))
    assert rows == expected


def test_queries_of_the_page_and_of_the_dashboard_name_metrics_that_exist() -> None:
    texts = [PAGE.split("## What to watch")[1], *expressions()]
    named = {name for text in texts for name in re.findall(r"\bp2p_\w+", text)}
    assert named and named - SHOWN == set()


def test_dashboard_shows_every_family() -> None:
    named = set(re.findall(r"\bp2p_\w+", " ".join(expressions())))
    absent = {name for name in SHOWN if name not in named}
    histograms = ("p2p_handle_seconds", "p2p_requests_wait_seconds")
    assert absent <= {f"{name}_{part}" for name in histograms for part in ("count", "sum")}


def test_labels_of_the_dashboard_are_those_of_its_metrics() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            (name,) = set(re.findall(r"\bp2p_\w+", target["expr"]))
            known = LABELS[name.removesuffix("_bucket")] | {"le"}
            grouped = re.findall(r"sum by \(([^)]*)\)", target["expr"])
            used = {*re.findall(r"\w+", " ".join(grouped))}
            used |= {*re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])}
            assert used <= known, target


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])
        }
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_snippets_of_the_page_run(
    nodes: Nodes, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reading, serving, registering, writing = snippets()
    server = nodes.start()
    exec(reading, {"server": server, "json": json})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0" and "p2p/peers 0" in lines
    assert json.loads(lines[-1]).keys() == server.metrics.keys()

    source = serving.replace(":30303", "127.0.0.1:0").replace(":6060", ":0").replace("[...]", "[]")
    exec(source.replace("    server.wait()\n", ""), {"p2p": p2p})
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*/metrics", line)

    monkeypatch.setattr(prometheus_client, "REGISTRY", prometheus_client.CollectorRegistry())
    begun: list[Any] = []
    monkeypatch.setattr(
        prometheus_client, "start_http_server", lambda port, addr: begun.append((port, addr))
    )
    exec(registering, {"p2p": p2p, "server": server})
    assert begun == [(9100, "10.0.0.7")]
    assert prometheus_client.REGISTRY.get_sample_value("p2p_peers") == 0

    exec(writing, {"pathlib": pathlib})
    assert json.loads((tmp_path / "p2p-dashboard.json").read_text()) == DASHBOARD
