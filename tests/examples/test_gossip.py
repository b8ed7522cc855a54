"""examples/gossip.py prints what its docstring says, and draws the way of the rumour."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def test_rumour_reaches_every_node_once_and_is_drawn(
    run: Any, documented: Any, assert_like: Any, tmp_path: Path
) -> None:
    (shown,) = documented("gossip.py")
    picture = tmp_path / "gossip.svg"
    code, lines, errors = run("gossip.py", "--svg", str(picture)).end()
    assert (code, errors) == (0, "")
    hops = [line for line in lines if line.startswith("hop ")]
    lines = [line.replace(str(picture), "gossip.svg") for line in lines]
    assert_like(lines[: 2 + 3], shown[: 2 + 3])
    assert_like(lines[1 + len(hops) :], shown[shown.index("...") + 1 :])
    named = [int(node) for line in hops for node in re.findall("[0-9]+", line)[1:]]
    assert sorted(named) == list(range(50))
    check_picture(picture, hops)


def check_picture(picture: Path, hops: list[str]) -> None:
    """Each node is there, one hop behind the one that has told it, by a connection."""
    tree = ElementTree.parse(picture)
    titles = [title.text or "" for title in tree.iter(f"{SVG}title")]
    found = [tuple(map(int, re.findall("[0-9]+", title))) for title in titles]
    hops_of = {node: hop for node, hop, _ in found}
    assert len(found) == len(hops_of) == 50
    for node, hop, told_by in found:
        assert node in map(int, re.findall("[0-9]+", hops[hop])[1:])
        assert hops_of[told_by] == max(0, hop - 1)
    lines = list(tree.iter(f"{SVG}line"))
    ways = [line for line in lines if line.get("stroke-width")]
    assert (len(lines), len(ways)) == (150, 50)
    ends = {frozenset(end_points(line)) for line in lines if not line.get("stroke-width")}
    tree_ends = {frozenset(end_points(line)) for line in ways}
    assert {way for way in tree_ends if len(way) == 2} <= ends


def end_points(line: ElementTree.Element) -> list[tuple[str | None, str | None]]:
    return [(line.get("x1"), line.get("y1")), (line.get("x2"), line.get("y2"))]


def test_a_rumour_among_few_nodes(run: Any, tmp_path: Path) -> None:
    options = "--nodes", "3", "--chords", "0", "--svg", str(tmp_path / "three.svg")
    code, lines, errors = run("gossip.py", *options).end()
    assert (code, errors) == (0, "")
    assert lines[0] == "3 nodes, 3 connections"
    assert lines[-2] == "4 messages, 2 of them duplicates, not passed on"
