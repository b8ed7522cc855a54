"""p2p test."""

from __future__ import annotations

import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.testing import conformance


@pytest.fixture
def node():
    options = {"name": "under test", "max_peers": 5, "listen_addr": "127.0.0.1:0"}
    with p2p.Server(private_key=p2p.generate_key(), **options) as server:
        yield server.self


def test_each_case_has_a_line_with_its_rule(run, node):
    result = run("test", "discv4", node.url, "--case", "ping", "--case", "pong-fields")
    assert result.exit_code == ExitCode.OK
    lines = result.out.splitlines()
    assert lines[0].startswith("passed  ping ")
    assert "A Ping is answered by a Pong with its hash. (discv4.md, Ping Packet)" in lines[0]
    assert lines[-1] == "2 passed, 0 failed, 0 skipped"


def test_json_has_a_line_for_each_case(run, node):
    (record,) = run("test", "discv5", str(node), "--json", "--case", "whoareyou").records
    assert (record["suite"], record["case"], record["verdict"]) == ("discv5", "whoareyou", "passed")
    assert record["rule"] and record["section"].startswith("discv5-wire.md")


def test_a_failed_case_is_in_the_exit_code(run):
    key = p2p.generate_key().public_key
    nobody = p2p.Node.from_parts(key, "127.0.0.1", 1, 1)
    result = run("test", "rlpx", nobody.url, "--case", "handshake", "--timeout", "1")
    assert result.exit_code == ExitCode.NEGATIVE
    assert "refused" in result.out and "1 failed" in result.out


def test_a_node_without_a_port_is_a_wrong_argument(run):
    key = p2p.generate_key().public_key
    node = p2p.Node.from_parts(key, "127.0.0.1", 30303, 0)
    result = run("test", "discv4", node.url)
    assert result.exit_code == ExitCode.USAGE
    assert "UDP port" in result.err


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [("handshke", "handshake", "whoareyou"), ("whoareyo", "whoareyou", "handshake-resend")],
)
def test_a_wrong_case_is_told_with_the_near_names(run, node, word, near, far):
    result = run("test", "discv5", str(node), "--case", word)
    assert result.exit_code == 2 and f"no case {word}; near it: " in result.err
    assert near in result.err and far not in result.err


def test_a_case_with_nothing_near_is_told_with_all_names(run, node):
    result = run("test", "discv4", node.url, "--case", "\x1b[31mxyz" * 1000)
    assert result.exit_code == 2 and len(result.err) < 5000 and "\x1b" not in result.err
    for case in conformance.SUITES["discv4"]:
        assert case.name in result.err
