"""p2p ping against real servers, and against what answers in other ways."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

import p2p
import p2p.testing
from p2p.cli.exitcode import ExitCode
from p2p.cli.reach import facts_of
from p2p.cli.remedy import remedy_of


@pytest.fixture
def server() -> Iterator[p2p.Server]:
    """A server with discovery v4 and v5, and a capability that nobody else has."""
    with serve() as running:
        yield running


def serve(**options: object) -> p2p.Server:
    defaults = {
        "private_key": p2p.generate_key(),
        "name": "remote/1.0",
        "max_peers": 5,
        "listen_addr": "127.0.0.1:0",
        "protocols": [p2p.Protocol("abc", 7, 3)],
    }
    return p2p.Server(**{**defaults, **options})


def steps(result) -> dict[str, dict]:
    return {record["step"]: record for record in result.records}


def test_ping_shows_each_step_of_a_node_without_a_common_capability(run, server):
    result = run("ping", server.self.url, "--json")
    assert result.exit_code == ExitCode.OK
    shown = steps(result)
    assert list(shown) == ["discv4", "discv5", "tcp", "handshake", "hello"]
    assert all(record["ok"] and record["ms"] >= 0 for record in shown.values())
    assert shown["discv5"]["record_seq"] == server.self.seq
    assert shown["hello"]["name"] == "remote/1.0"
    assert shown["hello"]["capabilities"] == ["abc/7"]


def test_ping_as_text_names_program_and_capabilities(run, server):
    result = run("ping", server.self.url)
    assert "remote/1.0 (p2p/5)" in result.out and "capabilities: abc/7" in result.out


def test_ping_takes_a_record_from_a_pipe(run, server):
    record = server.self.record
    assert record is not None
    result = run("ping", "-", "--only", "v5", stdin=record.to_text() + "\n")
    assert result.exit_code == ExitCode.OK


def test_ping_may_offer_a_capability(run, server):
    result = run("ping", server.self.url, "--only", "rlpx", "--cap", "abc/7", "--json")
    assert result.exit_code == ExitCode.OK
    assert steps(result)["hello"]["ok"]


def test_texts_of_a_hello_are_escaped():
    caps = [p2p.Cap("x\n", 1)]
    facts = facts_of(p2p.testing.Hello(5, "remote\x1b[31m", caps, 0, bytes(64)))
    assert facts["name"] == "remote\\x1b[31m"
    assert facts["capabilities"] == ["x\\n/1"]


def test_node_that_is_full_refuses_before_its_hello(run):
    with serve(max_peers=0) as server:
        result = run("ping", server.self.url, "--json", "--only", "rlpx")
    last = result.records[-1]
    assert result.exit_code == ExitCode.REFUSED
    assert (last["step"], last["error"]) == ("hello", "RefusedByPeer")
    assert "too many peers" in last["text"] and "trusted" in last["remedy"]


def test_closed_port_is_refused_with_a_remedy(run):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    node = p2p.Node.from_parts(p2p.generate_key().public_key, "127.0.0.1", port)
    result = run("ping", node.url, "--only", "rlpx")
    assert result.exit_code == ExitCode.NO_ANSWER
    assert "nothing listens there" in result.out


def test_silent_port_times_out_at_the_handshake(run):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        node = p2p.Node.from_parts(p2p.generate_key().public_key, *sock.getsockname()[:2])
        result = run("ping", node.url, "--only", "rlpx", "--timeout", "0.3", "--json")
    assert result.exit_code == ExitCode.NO_ANSWER
    assert steps(result)["tcp"]["ok"]
    assert steps(result)["handshake"]["error"] == "DialTimeout"
    assert "does not speak RLPx" in steps(result)["handshake"]["remedy"]


def test_other_key_at_the_address_is_told(run, server):
    endpoint = server.listen_addr
    assert endpoint is not None
    node = p2p.Node.from_parts(p2p.generate_key().public_key, endpoint.ip, endpoint.port)
    result = run("ping", node.url, "--only", "rlpx", "--json")
    assert result.exit_code != ExitCode.OK
    assert "key" in result.records[-1]["remedy"]


def test_silent_udp_port_has_no_response(run):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        node = p2p.Node.from_parts(p2p.generate_key().public_key, "127.0.0.1", 0, port)
        result = run("ping", node.url, "--json")
    assert result.exit_code == ExitCode.NO_ANSWER
    assert [record["error"] for record in result.records] == ["NoResponse", "NoResponse"]


def test_one_discovery_protocol_is_enough(run):
    with serve(discovery_v4=False) as server:
        result = run("ping", server.self.url, "--json")
    assert not steps(result)["discv4"]["ok"] and steps(result)["discv5"]["ok"]
    assert result.exit_code == ExitCode.OK


def test_node_without_an_address_is_a_wrong_argument(run):
    node = p2p.Node.from_parts(p2p.generate_key().public_key)
    assert run("ping", node.url).exit_code == ExitCode.USAGE


@pytest.mark.parametrize("key", ["00" * 32, "nowhere.key"])
def test_wrong_key_is_a_wrong_argument(run, server, key):
    assert run("ping", server.self.url, "--nodekey", key).exit_code == ExitCode.USAGE


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from leaves(each)


@pytest.mark.parametrize("reason", [r for r in p2p.DiscReason if r != 255])
def test_each_reason_of_a_node_has_a_remedy(reason):
    assert remedy_of(p2p.errors.RefusedByPeer(reason))


def test_each_failure_of_a_dial_from_the_network_has_a_remedy():
    made = {
        kind: kind.__new__(kind)
        for kind in leaves(p2p.ConnectError)
        if kind not in (p2p.ConnectError, p2p.errors.RefusedByPeer)
    }
    ours = {p2p.errors.AlreadyConnected, p2p.errors.AlreadyDialing, p2p.errors.CrowdedNetwork}
    assert {kind for kind, error in made.items() if not remedy_of(error)} == ours
