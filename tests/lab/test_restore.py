"""A lab that begins where another one ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.discover.maintenance import SMALL_TABLE
from p2p.errors import ArgumentError, ServerStateError
from p2p.lab import Lab, LabClock, Snapshot, SnapshotNode
from p2p.observe import DiscoveryObserver, Observer
from tests.kit.waiting import PATIENCE_S
from tests.lab.test_lab import STAY, names


def test_a_lab_goes_on_where_it_was(tmp_path: Path) -> None:
    with Lab(nodes=5, protocols=[STAY], max_peers=9, observer=[]) as lab:
        lab.stop_node(4)
        lab.connect(0, 2)
        ann = lab.add("ann", neighbors=[1])
        lab.remove(3)
        lab.wait_until(lambda: lab.edges == lab.wanted_edges[:2] + lab.wanted_edges[3:])
        edges, wanted, nodes = names(lab.edges), names(lab.wanted_edges), [n.name for n in lab]
        urls = [node.node.url for node in lab]
        lab.snapshot().save(tmp_path / "lab.json")
    with Lab.from_snapshot(tmp_path / "lab.json", protocols=[STAY]) as again:
        assert [node.name for node in again] == nodes == ["n0", "n1", "n2", "n4", "ann"]
        assert [node.name for node in again.running] == ["n0", "n1", "n2", "ann"]
        assert (names(again.edges), names(again.wanted_edges)) == (edges, wanted)
        again.start_node(4)
        assert [node.node.url for node in again] == urls
        assert names(again.edges) == wanted
        assert again["ann"].private_key == ann.private_key and again["ann"].index == 5
        assert again[0].server.config.max_peers == 9
        assert again.add().name == "n6"


def test_connections_that_are_not_kept_are_made_again() -> None:
    """Such as those that nodes have made by discovery."""
    with Lab(nodes=2, protocols=[STAY], topology="none") as lab:
        lab[0].server.connect(lab[1].node, PATIENCE_S)
        lab.wait_until(lambda: lab.edges, PATIENCE_S)
        snapshot = lab.snapshot()
    assert (snapshot.edges, snapshot.connected) == ((), ((0, 1),))
    with Lab.from_snapshot(snapshot, protocols=[STAY]) as again:
        assert (names(again.edges), again.wanted_edges) == (["n0-n1"], [])


def known_to(lab: Lab, index: int) -> set[bytes]:
    discovery = lab[index].server.discovery_v4
    assert discovery is not None
    return {node.id for node in discovery.nodes()}


def test_nodes_know_those_of_their_tables() -> None:
    """In the new lab n2 and n3 are started without the bootnode that both got to know by."""
    options = {"protocols": [STAY], "discovery": True, "no_dial": True}
    with Lab(nodes=4, topology="none", **options) as lab:
        lab.wait_until(lambda: lab[2].id in known_to(lab, 3), PATIENCE_S)
        for index in (0, 1):
            lab.stop_node(index)
        snapshot = lab.snapshot()
    assert lab[2].id in {node.id for node in snapshot.nodes[3].known}
    with Lab.from_snapshot(snapshot, **options) as again:
        again.wait_until(lambda: again[2].id in known_to(again, 3), PATIENCE_S)
        again.stop_node(3)
        again.start_node(3)  # it still knows it
        again.wait_until(lambda: again[2].id in known_to(again, 3), PATIENCE_S)


def test_options_that_json_cannot_express_are_named() -> None:
    options = {"node_options": lambda node: {}, "net_restrict": p2p.Netlist.parse("127.0.0.0/8")}
    snapshot = Lab(nodes=1, max_peers=3, static_nodes=(), **options).snapshot()
    assert snapshot.options == {"max_peers": 3, "static_nodes": ()}
    assert snapshot.left_out == ("net_restrict",)
    assert Snapshot.from_json(snapshot.to_json()).left_out == ("net_restrict",)


def test_arguments_replace_those_of_the_snapshot() -> None:
    snapshot = Lab(nodes=1, max_peers=3, seed=4).snapshot()
    lab = Lab.from_snapshot(snapshot, max_peers=5)
    assert lab.snapshot().options == {"max_peers": 5} and lab.seed == 4
    with pytest.raises(ArgumentError, match="topology: wanted no argument: the snapshot has it"):
        Lab.from_snapshot(snapshot, topology="ring")
    with pytest.raises(ArgumentError, match="path: wanted the path of a snapshot"):
        Lab.from_snapshot(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["monitor_addr", "monitor_public", "nodes", "clock", "self"])
def test_a_snapshot_has_no_arguments_of_the_lab_as_options(name: str) -> None:
    """Or else a file would open a page to the network."""
    snapshot = replace(Lab(nodes=1).snapshot(), options={name: "0.0.0.0:0"})
    with pytest.raises(ArgumentError, match=f"options: wanted options of a server; got '{name}'"):
        Lab.from_snapshot(snapshot)


def test_a_range_of_latencies_is_the_same_after_a_file(tmp_path: Path) -> None:
    lab = Lab(nodes=2)
    lab.set_link(0, 1, latency_s=(0.01, 0.02))
    lab.snapshot().save(tmp_path / "lab.json")
    again = Lab.from_snapshot(tmp_path / "lab.json")
    assert again.link_of(0, 1) == lab.link_of(0, 1)


def test_nodes_that_did_not_run_are_not_started() -> None:
    snapshot = Lab(nodes=2).snapshot()
    with Lab.from_snapshot(snapshot, protocols=[STAY]) as lab:
        assert lab.running == []
        with pytest.raises(ServerStateError, match="n0 was not started yet"):
            lab[0].node  # noqa: B018
        lab.start_node(0)
        lab.start_node(1)
        assert names(lab.edges) == ["n0-n1"]


class Searches(Observer):
    """The times at which discovery v4 of a node begins to ask others."""

    def __init__(self, clock: LabClock) -> None:
        self.clock = clock
        self.times: list[float] = []

    def discovery(self, protocol: str) -> DiscoveryObserver | None:
        return _Asked(self) if protocol == "v4" else None


class _Asked(DiscoveryObserver):
    def __init__(self, searches: Searches) -> None:
        self.searches = searches

    def lookup_asked(self, lookup: int, target: p2p.NodeID, node: p2p.Node) -> None:
        self.searches.times.append(self.searches.clock.monotonic())


def test_a_table_of_many_nodes_is_restored_without_a_search() -> None:
    others = [p2p.generate_key() for _ in range(3 * SMALL_TABLE)]
    known = [p2p.Node.from_parts(key.public_key, "240.9.9.9", 1, 1025) for key in others]
    state = SnapshotNode(0, "n0", p2p.generate_key(), None, True, tuple(known))
    snapshot = replace(Lab(0).snapshot(), discovery=True, nodes=(state,))
    clock = LabClock()
    searches = Searches(clock)
    options: dict[str, Any] = {"clock": clock, "observer": searches, "no_dial": True}
    with Lab.from_snapshot(snapshot, **options) as lab:
        found = known_to(lab, 0)
        assert found <= {node.id for node in known}
        assert len(found) > SMALL_TABLE  # the others do not fit their buckets
        lab.run_for(3)
        assert not searches.times
