"""The page of a real lab: what it shows is what the lab says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import p2p
from p2p.lab import Lab, LabNode
from tests.kit.nodes import HOST

from .seen import rows

if TYPE_CHECKING:
    from .conftest import OpenPage

pytest.importorskip("websockets", reason="pip install '.[monitor]'")


def protocols_of(node: LabNode) -> list[p2p.Protocol]:
    """A protocol whose handlers greet, and note what they receive."""

    def handle(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.send(0, f"I am {node.name}")
        for msg in rw:
            node.note(msg.decode(str))

    return [p2p.Protocol("greet", 1, 1, handle)]


def test_nodes_edges_and_notes_are_those_of_the_lab(open_page: OpenPage) -> None:
    with Lab(nodes=8, topology="ring", protocols=protocols_of, monitor_addr=f"{HOST}:0") as lab:
        assert lab.monitor_url is not None
        page = open_page(lab.monitor_url, viewport={"width": 1600, "height": 1000})
        count = page.locator("#topology .count")
        page.wait_for_function(
            "() => document.querySelector('#topology .count').innerText"
            ".startsWith('8 nodes, 8 running, 8 edges')"
        )
        page.wait_for_function(
            "() => [...document.querySelectorAll('#topology tbody tr')]"
            ".every(row => row.innerText.includes('I am n'))"
        )
        shown = {row["Node"]: row for row in rows(page, "Nodes of the network")}
        assert shown.keys() == {node.name for node in lab}
        for node in lab:
            row = shown[node.name]
            assert row["Peers"] == "2"
            assert row["Note"] in {f"I am {other.name}" for other in node.neighbors}
        lab.stop_node(3)
        page.wait_for_function(
            "() => document.querySelector('#topology .count').innerText.includes('7 running')"
        )
        assert "8 edges" in count.inner_text()
