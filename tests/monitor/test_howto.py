"""The programs of the how-to are served as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.monitor
from tests.kit.monitorpage import Page
from tests.kit.nodes import HOST, Nodes

DOCUMENT = Path(__file__).parents[2] / "docs" / "howto" / "live-page.md"
FIRST, OWN = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(source: str, **names: Any) -> list[dict[str, Any]]:
    """Run a program whose page is opened where it prints the address; returns its states."""
    states: list[dict[str, Any]] = []

    def look(url: str) -> None:
        with Page(url) as page:
            states.append(page.state)

    exec(source, {"p2p": p2p, "print": look, **names})
    return states


def test_page_of_a_server(nodes: Nodes) -> None:
    source = FIRST.replace("[...]", "[]").replace(":30303", f"{HOST}:0")
    (state,) = run(source.replace("server.wait()", ""))
    assert state["node"]["self"]["name"] == "node"


def test_page_of_your_own() -> None:
    (state,) = run(OWN)
    assert state["lab_nodes"].keys() == {"0", "1"}
    assert state["edges"]["0-1"]["state"] == "up"
