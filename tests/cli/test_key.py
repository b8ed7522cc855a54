"""p2p key."""

from __future__ import annotations

import p2p


def test_new_writes_a_key_that_nobody_else_may_read(run, tmp_path):
    file = tmp_path / "node.key"
    result = run("key", "new", file)
    key = p2p.load_key(file)
    assert result.out.strip() == str(p2p.NodeID.from_public_key(key.public_key))
    assert file.stat().st_mode & 0o777 == 0o600


def test_new_keeps_a_file_that_exists(run, tmp_path):
    file = tmp_path / "node.key"
    run("key", "new", file)
    before = file.read_text()
    assert "--force" in run("key", "new", file).err
    assert file.read_text() == before
    assert run("key", "new", "--force", file).exit_code == 0
    assert file.read_text() != before


def test_to_enode_reads_the_key_from_a_pipe(run):
    key = p2p.generate_key()
    stdin = key.to_bytes().hex() + "\n"
    result = run("key", "to-enode", "-", "--ip", "203.0.113.7", "--json", stdin=stdin)
    node = p2p.parse_node(result.records[0]["enode"])
    assert node == p2p.Node.from_parts(key.public_key, "203.0.113.7", 30303, 30303)
