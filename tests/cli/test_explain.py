"""p2p explain."""

from __future__ import annotations

import p2p
from p2p import rlp
from p2p.cli.exitcode import ExitCode
from p2p.messages import Messages, message


@message(1)
class Greeting:
    text: str


GREETINGS = Messages("greet", 1, [Greeting])
PAYLOAD = rlp.encode(["hello"]).hex()


def test_handshake_of_eip8(run):
    result = run("explain", "handshake")
    assert result.exit_code == 0
    assert "80e8632c05fed6fc2a13b0f8d31a3cf645366239170ea067065aba8e28bac487" in result.out


def test_handshake_as_json_has_each_value(run):
    records = {record["name"]: record for record in run("explain", "handshake", "--json").records}
    aes = records["aes-secret"]
    assert aes["section"] == "Secrets" and aes["size"] == 32
    assert aes["formula"] == "keccak256(ephemeral-key || shared-secret)"


def test_handshake_with_a_node_as_a_page(run, tmp_path):
    file = tmp_path / "page.html"
    options = {"name": "a node", "max_peers": 3, "listen_addr": "127.0.0.1:0"}
    with p2p.Server(private_key=p2p.generate_key(), **options) as server:
        result = run("explain", "handshake", server.self.url, "--html", file)
    assert result.out.strip() == f"written: {file}"
    assert "a node" in file.read_text()


def test_message_from_a_pipe_with_a_protocol_of_a_program(run):
    protocol = f"{__name__}:GREETINGS"
    result = run("explain", "message", "-", "--protocol", protocol, "--code", "1", stdin=PAYLOAD)
    assert result.exit_code == 0
    assert result.out.startswith("Greeting, greet/1\n") and "text\n      hello" in result.out


def test_message_of_a_known_protocol(run):
    payload = rlp.encode([b"\1", [[b"", 0], 1, 0, 0]]).hex()
    result = run("explain", "message", payload, "--protocol", "eth/69", "--code", "0x03")
    assert "GetBlockHeaders, eth/69" in result.out


def test_input_that_cannot_be_explained_is_of_the_caller(run):
    """They had the exit code of a node that refuses."""
    for arguments in (
        ("message", "ff", "--compressed"),
        ("message", "c8"),
        ("message", "c0", "--protocol", "eth/69", "--code", "99"),
        ("packet", "abcd"),
    ):
        result = run("explain", *arguments)
        assert result.exit_code == ExitCode.USAGE and result.err


def test_unknown_protocol_names_the_known_ones(run):
    result = run("explain", "message", PAYLOAD, "--protocol", "eth/12")
    assert result.exit_code == ExitCode.USAGE and "eth/69" in result.err
    result = run("explain", "message", PAYLOAD, "--protocol", "nothing:X")
    assert result.exit_code == ExitCode.USAGE and "nothing" in result.err
    result = run("explain", "message", PAYLOAD, "--protocol", "os:path")
    assert result.exit_code == ExitCode.USAGE and "p2p.messages.Messages" in result.err


def test_what_is_no_packet_is_a_wrong_argument(run):
    result = run("explain", "packet", "00" * 100)
    assert result.exit_code == ExitCode.USAGE and "hash" in result.err
    assert "report it" not in result.err  # the remedy for packets of a node
    assert run("explain", "packet", "xyz").exit_code == ExitCode.USAGE


def test_timeout_is_a_duration_as_elsewhere(run):
    result = run("explain", "handshake", "--timeout", "5s", "enode://00")
    assert "NODE" in result.err and "timeout" not in result.err
