"""Files of p2p lab run with wrong contents: one line with the key, exit code 2."""

from __future__ import annotations

import pytest

from p2p.cli.lab.settings import MAX_CHARS

RUMOUR = '[experiment]\nkind = "rumour"\n'
ECLIPSE = '[experiment]\nkind = "eclipse"\n'


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "experiment.kind: missing; want one of rumour, tables, eclipse"),
        ("nodes = 5\n", "nodes: unknown; known: network, experiment"),
        ("[netwrok]\nnodes = 5\n", "netwrok: unknown; did you mean network?"),
        ("network = 5\n" + RUMOUR, "network: want a table, [network]"),
        ("[network]\nnods = 5\n" + RUMOUR, "network.nods: unknown; did you mean nodes?"),
        (
            "[network]\nnodes = 1\n" + RUMOUR,
            "network.nodes: want an integer from 2 to 1000, got 1",
        ),
        (
            "[network]\nnodes = true\n" + RUMOUR,
            "network.nodes: want an integer from 2 to 1000, got True",
        ),
        (
            '[network]\ntopology = "rng"\n' + RUMOUR,
            "network.topology: want one of ring, star, random, small-world, full, got 'rng'; "
            "did you mean ring?",
        ),
        (
            "[network]\nbandwidth = 5\n" + RUMOUR,
            "network.bandwidth: want 0 or at least 1024, got 5",
        ),
        (
            RUMOUR + "limit_s = nan\n",
            "experiment.limit_s: want a number from 0.1 to 3600, got nan",
        ),
        (
            RUMOUR + "fan_out = []\n",
            "experiment.fan_out: want an integer from 0 to 1000, got []",
        ),
        (RUMOUR + "fanout = 2\n", "experiment.fanout: unknown; did you mean fan_out?"),
        (
            '[experiment]\nkind = ["rumour"]\n',
            "experiment.kind: want one of rumour, tables, eclipse, got ['rumour']",
        ),
        (
            ECLIPSE + "identities = 3\naddresses = 4\n",
            "experiment.addresses: want an integer from 1 to 3, got 4",
        ),
        (
            ECLIPSE + "networks = 5\n",
            "experiment.networks: want an integer from 1 to 4, got 5",
        ),
        (
            ECLIPSE + "identities = 300\naddresses = 300\nnetworks = 1\n",
            "experiment.networks: want an integer from 2 to 256, got 1",
        ),
        (
            ECLIPSE + "restart_s = 181\n",
            "experiment.restart_s: want a number from 0 to 180, got 181",
        ),
        (
            ECLIPSE + 'limits = "of"\n',
            "experiment.limits: want one of both, on, off, got 'of'; did you mean off?",
        ),
        ("[network\n", "not TOML: "),
        ("a = " + "[" * 20_000 + "]" * 20_000, "not TOML: "),
        ("a = " + "9" * 10_000, "not TOML: "),
        ("#" * (MAX_CHARS + 1), f"longer than {MAX_CHARS} characters"),
    ],
)
def test_wrong_file_is_one_line_with_the_key(run, text, error):
    result = run("lab", "run", "-", stdin=text)
    assert result.exit_code == 2 and result.out == ""
    assert result.err.startswith(f"p2p: {error}")
    assert result.err.count("\n") == 1


def test_text_of_a_file_is_escaped_and_cut(run):
    err = run("lab", "run", "-", stdin='[network]\n"\\u001b[2J' + "x" * 9000 + '" = 1').err
    assert "\x1b" not in err and len(err) < 300
    err = run("lab", "run", "-", stdin='[network]\ntopology = "\\u001b]' + "x" * 9000 + '"').err
    assert "\x1b" not in err and len(err) < 300


def test_missing_file_is_named(run, tmp_path):
    result = run("lab", "run", tmp_path / "none.toml")
    assert result.exit_code != 0 and "none.toml" in result.err
