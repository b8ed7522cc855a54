"""examples/crawler.py finds the nodes of a network that knows them one through the other."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import p2p
from tests.cli.swarm import swarm
from tests.kit.waiting import eventually

COUNT = 8


def live_in(discovery: p2p.discover.Discovery) -> int:
    """Number of nodes of its table that have answered it; it names no others."""
    return sum(entry.live for bucket in discovery.table().buckets for entry in bucket.nodes)


@pytest.mark.parametrize("protocol", ["v4", "v5"])
def test_nodes_of_a_network_are_found(
    run: Any, documented: Any, assert_like: Any, protocol: str
) -> None:
    (shown,) = documented("crawler.py")
    with swarm(protocol, COUNT) as nodes:
        eventually(lambda: live_in(nodes[0]) == COUNT - 1)
        code, lines, errors = run("crawler.py", protocol, str(nodes[0].self)).end()
    assert (code, errors) == (0, "")
    assert len(lines) == COUNT + 1
    assert_like([lines[0], lines[-1]], [shown[0], shown[-1]])
    assert lines[-1] == f"{COUNT} nodes, {COUNT} have answered"
    found = {line.split()[0] for line in lines[:-1]}
    assert found == {f"{node.address.ip}:{node.address.port}" for node in nodes}


@pytest.mark.parametrize("protocol", ["v4", "v5"])
def test_node_that_does_not_answer_is_counted(run: Any, protocol: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        key = p2p.generate_key()
        port = silent.getsockname()[1]
        record = p2p.Record.sign(key, 1, ip="127.0.0.1", udp=port)
        code, lines, errors = run("crawler.py", protocol, str(p2p.Node.from_record(record))).end()
    assert (code, errors) == (0, "")
    assert lines == [f"127.0.0.1:{port}  does not answer", "1 nodes, 0 have answered"]


@pytest.mark.parametrize("args", [(), ("v4",), ("v6", "enode://"), ("v4", "nonsense")])
def test_what_it_cannot_begin_with_is_refused(run: Any, args: tuple[str, ...]) -> None:
    code, lines, errors = run("crawler.py", *args).end()
    assert (code, lines) == (1, [])
    assert "Traceback" not in errors and errors
