"""p2p dns, against a name server of the test."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack

import dns.rdatatype
import dns.zone
import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.cli.files.nodes import node_set, read_nodes
from p2p.cli.files.tree import TreeFiles, write_tree_files
from tests.cli.terminal import Terminal
from tests.dnsdisc.zone import KEY, OTHER_KEY, records_of
from tests.kit.nameserver import name_server

DOMAIN = "nodes.example.org"
LINK = str(p2p.dnsdisc.Link(OTHER_KEY.public_key, "more.example.org"))
URL = str(p2p.dnsdisc.Link(KEY.public_key, DOMAIN))


def nodes(count, first=0):
    return node_set(p2p.Node.from_record(record) for record in records_of(count, first))


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "signing.key"
    p2p.save_key(path, KEY)
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder with a list of 15 nodes and a link, not signed."""
    path = tmp_path / DOMAIN
    write_tree_files(path, TreeFiles(nodes(15), 4, (LINK,)))
    return path


@pytest.fixture
def signed(run, folder, key_file):
    """The same, signed."""
    assert run("dns", "sign", folder, key_file).exit_code == 0
    return folder


@pytest.fixture
def server(run, signed):
    """A name server that publishes it."""
    records = json.loads(run("dns", "build", signed, "--format", "json").out)
    with name_server(records) as running:
        yield running


def test_sign_takes_the_domain_of_the_folder_and_counts_up(run, folder, key_file):
    result = run("dns", "sign", folder, key_file)
    assert (result.exit_code, result.out) == (0, f"{URL}\n")
    info = json.loads((folder / "enrtree-info.json").read_text())
    assert (info["url"], info["seq"], info["links"]) == (URL, 5, [LINK])
    assert run("dns", "sign", folder, key_file, "--json").records == [
        {"url": URL, "seq": 6, "nodes": 15}
    ]


def test_sign_keeps_the_domain_of_the_url(run, signed, key_file):
    moved = signed.rename(signed.with_name("elsewhere"))
    assert run("dns", "sign", moved, key_file).out == f"{URL}\n"
    other = run("dns", "sign", moved, key_file, "--domain", "x.example.org", "--seq", 2).out
    assert other.strip().endswith("@x.example.org")
    assert json.loads((moved / "enrtree-info.json").read_text())["seq"] == 2


def test_sign_makes_the_file_that_is_missing(run, folder, key_file):
    (folder / "enrtree-info.json").unlink()
    assert run("dns", "sign", folder, key_file).exit_code == 0
    assert json.loads((folder / "enrtree-info.json").read_text())["seq"] == 1


def test_build_makes_a_zone_that_dnspython_reads(run, signed):
    lines = run("dns", "build", signed).out
    head = "@ 60 IN SOA ns admin 1 3600 600 86400 60\n@ 60 IN NS ns\n"
    zone = dns.zone.from_text(f"$ORIGIN {DOMAIN}.\n{head}{lines}", relativize=False)
    texts = {
        str(name).rstrip(".").upper(): (ttl, b"".join(data.strings).decode())
        for name, ttl, data in zone.iterate_rdatas(dns.rdatatype.TXT)
    }
    records = json.loads(run("dns", "build", signed, "--format", "json").out)
    assert {name: text for name, (_, text) in texts.items()} == {
        name.upper(): text for name, text in records.items()
    }
    assert texts[DOMAIN.upper()][0] == 1800
    assert {ttl for name, (ttl, _) in texts.items() if name != DOMAIN.upper()} == {2419200}
    by_line = run("dns", "build", signed, "--json").records
    assert {each["name"]: each["text"] for each in by_line} == records


def test_build_refuses_a_list_that_is_not_signed_or_was_changed(run, folder, key_file):
    result = run("dns", "build", folder)
    assert result.exit_code == ExitCode.USAGE
    assert f"not signed; sign it: p2p dns sign {folder} KEY" in result.err
    run("dns", "sign", folder, key_file)
    write = (folder / "nodes.json").write_text
    write("{}")
    result = run("dns", "build", folder)
    assert result.exit_code == ExitCode.USAGE and "not of this tree" in result.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "want a JSON object"),
        ('{"seq": "x"}', "\"seq\" is 'x'"),
        ('{"links": [5]}', '"links" is no list of texts'),
        ('{"url": 5}', '"url" and "signature" are texts'),
        ('{"links": ["https://n"]}', "missing 'enrtree://' prefix"),
    ],
)
def test_a_wrong_info_is_named(run, folder, key_file, content, words):
    (folder / "enrtree-info.json").write_text(content)
    result = run("dns", "sign", folder, key_file)
    assert result.exit_code == ExitCode.USAGE and words in result.err


def test_a_node_without_a_record_cannot_be_published(run, folder, key_file):
    node = p2p.Node.from_parts(KEY.public_key, "192.0.2.1", 1, 1)
    write_tree_files(folder, TreeFiles(node_set([node])))
    result = run("dns", "sign", folder, key_file)
    assert result.exit_code == ExitCode.USAGE and "has no record" in result.err


def test_sync_copies_the_list(run, signed, server, tmp_path):
    copy = tmp_path / "copy"
    result = run("dns", "sync", URL, copy, "--server", f"127.0.0.1:{server.port}")
    assert (result.exit_code, result.err) == (0, "")
    assert result.out == f"{copy}: 15 nodes, 1 link, sequence number 5\n"
    assert read_nodes(copy / "nodes.json") == nodes(15)
    assert run("dns", "build", copy).out == run("dns", "build", signed).out


def test_sync_goes_to_a_folder_named_after_the_domain(run, server, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("dns", "sync", URL, "--server", f"127.0.0.1:{server.port}").exit_code == 0
    assert len(read_nodes(f"{DOMAIN}/nodes.json")) == 15


def test_sync_copies_what_is_there(run, server, tmp_path):
    gone = next(name for name, text in server.records.items() if text.startswith("enr:"))
    del server.records[gone]
    result = run("dns", "sync", URL, tmp_path / "copy", "--server", f"127.0.0.1:{server.port}")
    assert result.exit_code == ExitCode.NEGATIVE
    assert gone in result.err.lower() and "the name does not exist" in result.err
    assert len(read_nodes(tmp_path / "copy" / "nodes.json")) == 14


def test_check_finds_a_valid_list_valid(run, signed, server):
    arguments = ("dns", "check", URL, "--server", f"127.0.0.1:{server.port}")
    result = run(*arguments, "--folder", signed)
    assert (result.exit_code, result.err) == (0, "")
    assert result.out.endswith("all entries are valid\n")
    (found,) = run(*arguments, "--json").records
    assert found == {
        "url": URL, "seq": 5, "nodes": 15, "links": [LINK],
        "entries": len(server.records), "problems": [],
    }  # fmt: skip


def test_check_names_each_difference_from_the_folder(run, signed, server, key_file):
    write_tree_files(signed, TreeFiles(nodes(15, 1), 5, (LINK,)))
    run("dns", "sign", signed, key_file)
    arguments = ("dns", "check", URL, "--server", f"127.0.0.1:{server.port}", "--json")
    result = run(*arguments, "--folder", signed)
    assert result.exit_code == ExitCode.NEGATIVE
    reasons = {problem["reason"] for problem in result.records[0]["problems"]}
    assert reasons == {"not published", "not in the folder", "not as in the folder"}


def test_check_tells_a_forged_list(run, signed, server, tmp_path):
    url = str(p2p.dnsdisc.Link(OTHER_KEY.public_key, DOMAIN))
    result = run("dns", "check", url, "--server", f"127.0.0.1:{server.port}")
    assert result.exit_code == ExitCode.NEGATIVE and "not of the key of the link" in result.err


def test_no_answer_has_its_exit_code(run):
    with name_server({}) as empty:
        result = run("dns", "check", URL, "--server", f"127.0.0.1:{empty.port}")
    assert result.exit_code == ExitCode.NO_ANSWER and "the name does not exist" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "server", "words"),
    [
        (DOMAIN, "127.0.0.1", "missing 'enrtree://' prefix"),
        (URL, "ns.example.org", "wanted an IP address"),
    ],
)
def test_wrong_arguments_are_named(run, url, server, words):
    result = run("dns", "check", url, "--server", server)
    assert result.exit_code == ExitCode.USAGE and words in result.err


# on a terminal


@pytest.fixture
def terminal():
    """A function that starts a command in a terminal."""
    with ExitStack() as stack:

        def start(*arguments):
            started = Terminal(*arguments)
            stack.callback(started.close)
            return started

        yield start


def test_ctrl_c_ends_a_look_up_without_an_answer(terminal):
    with name_server({DOMAIN: None}) as silent:
        check = terminal("dns", "check", URL, "--server", f"127.0.0.1:{silent.port}")
        check.wait_for(lambda text: f"reading {DOMAIN}" in text)
        check.type("\x03")
        assert check.wait() == ExitCode.INTERRUPTED
    assert "p2p:" not in check.text and "Traceback" not in check.text


def test_progress_counts_the_entries(terminal, server):
    gone = next(name for name, text in server.records.items() if text.startswith("enr:"))
    server.records[gone] = None  # so that it waits
    check = terminal("dns", "check", URL, "--server", f"127.0.0.1:{server.port}")
    check.wait_for(lambda text: re.search(rf"reading {DOMAIN}: \d+ of \d+ entries", text))
    check.type("\x03")
    assert check.wait() == ExitCode.INTERRUPTED


def test_a_folder_without_nodes_has_its_remedy(run, tmp_path, key_file):
    result = run("dns", "sign", tmp_path, key_file)
    assert result.exit_code == ExitCode.SYSTEM
    assert f"collect nodes first: p2p crawl {tmp_path / 'nodes.json'}" in result.err
