"""p2p nodeset, and the file format of go-ethereum's devp2p."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.cli.files.nodes import NodeEntry, format_nodes, format_time, parse_time, read_nodes
from p2p.cli.parameters import NETWORKS

KEYS = [p2p.PrivateKey.from_bytes(bytes([number]) * 32) for number in range(1, 7)]
#: As Go writes it: one node with a record, and one by its URL.
GO_FILE = """{
    "%s": {
        "seq": 7,
        "record": "%s",
        "score": 3,
        "firstResponse": "2026-01-31T12:00:00Z",
        "lastResponse": "2026-02-01T12:00:00Z",
        "lastCheck": "2026-02-01T12:00:01Z"
    },
    "%s": {
        "seq": 0,
        "record": "%s",
        "firstResponse": "0001-01-01T00:00:00Z",
        "lastResponse": "0001-01-01T00:00:00Z",
        "lastCheck": "0001-01-01T00:00:00Z"
    }
}"""


def by_record(number, seq=1, **entries):
    return p2p.Node.from_record(p2p.Record.sign(KEYS[number], seq, entries))


def by_url(number, ip="192.0.2.1", tcp=30303):
    return p2p.Node.from_parts(KEYS[number].public_key, ip, tcp, tcp)


@pytest.fixture
def nodes_file(tmp_path):
    """A function that writes entries, and returns the path."""

    def write(*entries):
        path = tmp_path / "nodes.json"
        path.write_text(format_nodes({entry.node.id: entry for entry in entries}))
        return path

    return write


def passed(result):
    """The nodes of a file that a command printed."""
    assert result.exit_code == 0, result.err
    return set(json.loads(result.out))


def ids(*nodes):
    return {str(node.id) for node in nodes}


def test_a_file_of_go_is_read_and_written_alike(tmp_path):
    nodes = sorted([by_record(0, 7, ip="192.0.2.1"), by_url(1)], key=lambda node: -node.seq)
    text = GO_FILE % tuple(part for node in nodes for part in (node.id, node))
    path = tmp_path / "nodes.json"
    path.write_text(text)
    found = read_nodes(path)
    assert found[nodes[0].id] == NodeEntry(nodes[0], 3, 1769860800.0, 1769947200.0, 1769947201.0)
    assert found[nodes[1].id] == NodeEntry(nodes[1])
    assert json.loads(format_nodes(found)) == json.loads(text)
    if sorted(found) == list(found):
        assert format_nodes(found) == text


@given(st.integers(0, 2**33).map(float) | st.none())
def test_times_survive(time):
    assert parse_time(format_time(time)) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:01.500Z", 1.5),
        ("1970-01-01T02:00:00.123456789+02:00", 0.123456789),
        ("1969-12-31T22:30:00-01:30", 0.0),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_times_of_rfc_3339(text, time):
    assert parse_time(text) == pytest.approx(time)


@pytest.mark.parametrize(
    "text",
    ["", "1970-01-01", "1970-13-01T00:00:00Z", "9999-12-31T23:59:59-00:01", 5, None],
)
def test_wrong_times_are_refused(text):
    with pytest.raises(ValueError):
        parse_time(text)


def spoiled(change):
    node = by_record(0, 7)
    members = {"seq": 7, "record": str(node)}
    change(members)
    return {str(node.id): members}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "want a JSON object"),
        ({"x": 5}, "node 'x': want an object with a \"record\""),
        ({"x": {"record": str(by_url(0))}}, "the record is of node"),
        ({str(by_url(1).id): {"record": str(by_url(0))}}, "the record is of node"),
        (spoiled(lambda value: value.update(seq=8)), '"seq" is 8, that of the record 7'),
        (spoiled(lambda value: value.update(score="x")), "\"score\" is 'x'"),
        (spoiled(lambda value: value.update(lastCheck="x")), "want a time"),
        (spoiled(lambda value: value.update(record="enr:x")), "invalid node record"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(run, content, words):
    text = content if isinstance(content, str) else json.dumps(content)
    result = run("nodeset", "info", "-", stdin=text)
    assert result.exit_code == ExitCode.USAGE and words in result.err
    assert result.err.startswith("p2p: the standard input: ")


def test_a_missing_file_is_named(run, tmp_path):
    result = run("nodeset", "info", tmp_path / "none.json")
    assert result.exit_code == ExitCode.SYSTEM
    assert result.err == f"p2p: {tmp_path}/none.json: No such file or directory\n"


def test_info_counts(run, nodes_file):
    sepolia = NETWORKS["sepolia"].chain.fork_id(0, 0)
    other = p2p.eth.ForkID(b"\0\0\0\1", 0)
    path = nodes_file(
        NodeEntry(by_record(0, eth=p2p.eth.eth_entry(sepolia), ip="192.0.2.1", tcp=1)),
        NodeEntry(by_record(1, eth=p2p.eth.eth_entry(other), ip6="2001:db8::1", tcp=1)),
        NodeEntry(by_url(2), last_check_unix=60.0),
    )
    assert run("nodeset", "info", path, "--json").records == [
        {
            "nodes": 3,
            "last_check": "1970-01-01T00:01:00Z",
            "entries": {"eth": 2, "id": 2, "ip": 1, "ip6": 1, "secp256k1": 2, "tcp": 2},
            "networks": {"other": 1, "sepolia": 1},
            "families": {"IPv4": 2, "IPv6": 1},
        }
    ]
    shown = run("nodeset", "info", path).out
    assert shown.startswith("3 nodes, last check 1970-01-01T00:01:00Z\nentries:\n  eth        2\n")


def test_an_empty_set_is_no_error(run):
    assert run("nodeset", "info", "-", stdin="{}").out == "0 nodes\n"
    assert run("nodeset", "filter", "-", stdin="{}").out == "{}\n"


@pytest.mark.parametrize("dash", ["-", "--"])
def test_each_filter(run, nodes_file, dash):
    fork = p2p.eth.eth_entry(NETWORKS["hoodi"].chain.fork_id(0, 0))
    hoodi = by_record(0, eth=fork, ip="192.0.2.1", tcp=1)
    snap = by_record(1, snap=[], les=[b"x"], ip="198.51.100.1")
    plain = by_url(2, "192.0.2.7", 0)
    path = nodes_file(
        NodeEntry(hoodi, 1, 0.0, 3600.0),
        NodeEntry(snap, 5, 100.0, 86500.0),
        NodeEntry(plain, 3),
    )

    def select(*options):
        return passed(run("nodeset", "filter", path, *options))

    assert select() == ids(hoodi, snap, plain)
    assert select(f"{dash}eth-network", "hoodi") == ids(hoodi)
    assert select(f"{dash}eth-network", "mainnet") == set()
    assert select(f"{dash}snap") == select(f"{dash}les-server") == ids(snap)
    assert select(f"{dash}ip", "192.0.2.0/24") == ids(hoodi, plain)
    assert select(f"{dash}ip", "192.0.2.0/24", f"{dash}dialable") == ids(hoodi)
    assert select(f"{dash}min-age", "1h") == ids(hoodi, snap)
    assert select(f"{dash}min-age", "24h") == ids(snap)
    assert select(f"{dash}limit", 2) == ids(snap, plain)
    assert select(f"{dash}limit", 0) == set()


def test_filters_pipe(run, nodes_file):
    path = nodes_file(NodeEntry(by_url(0), 2), NodeEntry(by_url(1), 1))
    first = run("nodeset", "filter", path, "--limit", 1)
    assert run("nodeset", "info", "-", stdin=first.out).out.startswith("1 node\n")
    (node,) = run("nodeset", "filter", "-", "--json", stdin=first.out).records
    assert node["id"] == str(by_url(0).id) and node["score"] == 2


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--ip", "192.0.2.0/33", "want a network such as"),
        ("--min-age", "1 day", "'1 day' is not a duration"),
        ("--eth-network", "holesky", "'mainnet', 'sepolia', 'hoodi'"),
        ("--limit", "-1", "x>=0"),
    ],
)
def test_a_wrong_filter_is_named(run, option, value, words):
    result = run("nodeset", "filter", "-", option, value, stdin="{}")
    assert result.exit_code == ExitCode.USAGE and words in result.err
