"""Files and texts of the command line and of go-ethereum's ``devp2p``: each reads the other's."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

import p2p
from p2p.cli import main
from p2p.cli.files.nodes import NodeEntry, read_nodes, write_nodes
from p2p.cli.files.tree import TreeFiles, write_tree_files
from p2p.cli.parameters import NETWORKS
from p2p.crypto import keccak256

from .program import DEADLINE_S
from .suite import PROGRAM

DOMAIN = "nodes.example.org"
PASSWORD = "password"
LINK = "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@morenodes.example.org"
KEYS = [p2p.PrivateKey.from_bytes(bytes([number]) * 32) for number in range(1, 40)]
KEY = KEYS[0]


def devp2p(*arguments: object, stdin: str = "") -> str:
    """The output of go-ethereum's tool."""
    if not PROGRAM.exists():
        pytest.fail("devp2p is not built; run tests/interop/build.sh")
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=stdin, capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def ours(capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs our command line, and returns its output."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        exit_code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert exit_code == 0, captured.err
        return captured.out

    return run


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "node.key"
    p2p.save_key(path, KEY)
    return path


def entries() -> list[NodeEntry]:
    """Nodes of each kind: of several networks, with and without a record, checked and not."""
    found = []
    for number, key in enumerate(KEYS):
        eth = [NETWORKS[name].chain.fork_id(0, 0) for name in ("mainnet", "sepolia")]
        pairs: dict[str, object] = {"ip": f"192.0.2.{number}", "udp": 30303}
        if number % 2:
            pairs |= {"tcp": 30303, "eth": p2p.eth.eth_entry(eth[number % 4 // 2])}
        if number % 3 == 0:
            pairs |= {"snap": [], "les": [1]}
        node = p2p.Node.from_record(p2p.Record.sign(key, number, pairs))
        found.append(NodeEntry(node, number + 1, 3600.0, 3600.0 + 60 * number, 1.5e9 + number))
    for number, key in enumerate(KEYS[-3:]):
        node = p2p.Node.from_parts(key.public_key, f"198.51.100.{number}", 30303, 30304)
        found[-1 - number] = NodeEntry(node)
    return found


@pytest.fixture
def nodes_file(tmp_path: Path) -> Path:
    path = tmp_path / "nodes.json"
    write_nodes(path, {entry.node.id: entry for entry in entries()})
    return path


# keys and records


def test_a_key_of_either_makes_the_same_texts_in_both(ours: Any, tmp_path: Path) -> None:
    devp2p("key", "generate", tmp_path / "go.key")
    ours("key", "new", tmp_path / "our.key")
    endpoint = ("--ip", "203.0.113.7", "--tcp", 1, "--udp", 2)
    for file in (tmp_path / "go.key", tmp_path / "our.key"):
        assert ours("key", "to-enode", *endpoint, file) == devp2p(
            "key", "to-enode", *endpoint, file
        )
        assert ours("key", "to-enr", "--seq", 0, *endpoint, file) == devp2p(
            "key", "to-enr", *endpoint, file
        )
        assert ours("key", "show", file).split()[1] == devp2p("key", "to-id", file).strip()


def test_our_record_is_shown_by_devp2p(ours: Any, key_file: Path) -> None:
    record = ours("enr", "new", key_file, "--ip", "203.0.113.7", "--entry", "color=blue").strip()
    shown = devp2p("enrdump", record)
    assert "sequence number 1 and 6 key/value pairs" in shown
    assert '"ip"        203.0.113.7' in shown and '"color"     626c7565' in shown


# nodes.json


def test_devp2p_writes_our_file_as_we_do(ours: Any, nodes_file: Path) -> None:
    assert devp2p("nodeset", "filter", nodes_file) == nodes_file.read_text()


def test_devp2p_counts_the_entries_of_our_file(ours: Any, nodes_file: Path) -> None:
    (found,) = map(json.loads, ours("nodeset", "info", nodes_file, "--json").splitlines())
    lines = devp2p("nodeset", "info", nodes_file).splitlines()
    assert lines[0] == f"Set contains {found['nodes']} nodes."
    theirs = {key: int(count) for key, count in (line.split(": ") for line in lines[2:])}
    # devp2p counts what it has made of an enode URL, too.
    by_url = sum(entry.node.record is None for entry in entries())
    made = dict.fromkeys(("ip", "secp256k1", "tcp", "udp"), by_url)
    assert {key.strip(): count - made.get(key.strip(), 0) for key, count in theirs.items()} == {
        **found["entries"]
    }


@pytest.mark.parametrize(
    "filters",
    [
        ["-snap"],
        ["-les-server", "-min-age", "10m"],
        ["-min-age", "15m30s"],
        ["-ip", "192.0.2.16/28"],
        ["-eth-network", "mainnet"],
        ["-eth-network", "sepolia", "-dialable"],
        ["-dialable"],
        ["-limit", "7"],
        ["-snap", "-limit", "3"],
    ],
    ids=" ".join,
)
def test_filters_select_the_same_nodes(ours: Any, nodes_file: Path, filters: list[str]) -> None:
    ours_kept = json.loads(ours("nodeset", "filter", nodes_file, *filters))
    assert ours_kept == json.loads(devp2p("nodeset", "filter", nodes_file, *filters))
    assert 0 < len(ours_kept) < len(entries())


# node lists


def keystore(path: Path, key: p2p.PrivateKey) -> None:
    """Write a key as ``devp2p dns sign`` wants it: encrypted, version 3."""
    salt, iv = bytes(32), bytes(16)
    derived = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2, r=8, p=1, dklen=32)
    encryptor = Cipher(AES(derived[:16]), CTR(iv)).encryptor()
    text = encryptor.update(key.to_bytes()) + encryptor.finalize()
    address = keccak256(key.public_key.to_bytes())[-20:]
    crypto = {
        "cipher": "aes-128-ctr",
        "ciphertext": text.hex(),
        "cipherparams": {"iv": iv.hex()},
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": 2, "r": 8, "p": 1, "salt": salt.hex()},
        "mac": keccak256(derived[16:] + text).hex(),
    }
    name = "00000000-0000-0000-0000-000000000000"
    members = {"address": address.hex(), "crypto": crypto, "id": name, "version": 3}
    path.write_text(json.dumps(members))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / DOMAIN
    nodes = {entry.node.id: entry for entry in entries() if entry.node.record is not None}
    write_tree_files(path, TreeFiles(nodes, 4, (LINK,)))
    return path


def test_a_list_that_we_signed_is_published_by_devp2p(
    ours: Any, folder: Path, key_file: Path
) -> None:
    ours("dns", "sign", folder, key_file)
    theirs = json.loads(devp2p("dns", "to-txt", folder))
    assert json.loads(ours("dns", "build", folder, "--format", "json")) == theirs


def test_a_list_that_devp2p_signed_is_published_by_us(
    ours: Any, folder: Path, tmp_path: Path
) -> None:
    keystore(tmp_path / "keystore", KEY)
    devp2p("dns", "sign", folder, tmp_path / "keystore", stdin=PASSWORD + "\n")
    theirs = json.loads(devp2p("dns", "to-txt", folder))
    assert json.loads(ours("dns", "build", folder, "--format", "json")) == theirs
    assert DOMAIN in theirs
    assert read_nodes(folder / "nodes.json").keys() == {
        entry.node.id for entry in entries() if entry.node.record is not None
    }
