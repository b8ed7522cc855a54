"""From a lab to a snapshot, and back. Any thread; nothing is started here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from p2p.arguments import wrong
from p2p.lab.edges import Edges
from p2p.lab.faults import Faults
from p2p.lab.nodes import Nodes
from p2p.lab.settings import Settings
from p2p.lab.snapshot import Snapshot


def snapshot_of(
    settings: Settings, nodes: Nodes, edges: Edges, faults: Faults, time_s: float
) -> Snapshot:
    """Return the state of a lab."""
    plain = {name: value for name, value in settings.options.items() if _is_json(value)}
    return Snapshot(
        seed=settings.seed,
        join=settings.join,
        discovery=settings.discovery,
        nodes=nodes.states(),
        edges=tuple(edges.wanted),
        connected=tuple(edges.connected),
        sides=faults.sides,
        links=faults.changes,
        options=plain,
        left_out=tuple(sorted(settings.options.keys() - plain.keys())),
        message_events=settings.message_events,
        time_s=time_s,
    )


def arguments_of(
    snapshot: Snapshot, given: Mapping[str, Any], of_lab: Collection[str]
) -> dict[str, Any]:
    """Return the arguments of a lab that goes on from a snapshot; ``given`` ones come first.

    Those ``of_lab`` itself are no options in a snapshot: a file shall not open a page to a network.
    """
    for name in ("nodes", "topology"):
        if name in given:
            raise wrong(name, given[name], "no argument: the snapshot has it")
    for name in snapshot.options:
        if name in of_lab:
            raise wrong("snapshot.options", name, "options of a server")
    return {
        "seed": snapshot.seed,
        "join": snapshot.join,
        "discovery": snapshot.discovery,
        "message_events": snapshot.message_events,
        **snapshot.options,
        **given,
    }


def restore(snapshot: Snapshot, nodes: Nodes, edges: Edges, faults: Faults) -> None:
    """Add the nodes, the edges and the faults of a snapshot to a lab that is empty."""
    nodes.restore(snapshot.nodes)
    edges.want(snapshot.edges)
    edges.extra = snapshot.connected
    for pair, changes in snapshot.links:
        if pair is None:
            faults.set_links(changes)
        else:
            faults.set_link(nodes.find(pair[0]), nodes.find(pair[1]), changes, one_way=True)
    if snapshot.sides:
        faults.partition([[nodes.find(index) for index in side] for side in snapshot.sides])


def _is_json(value: object) -> bool:
    """Whether JSON expresses a value so that it is the same again."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (bool, int, float, str))
