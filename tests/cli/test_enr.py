"""p2p enr, and p2p key to-enr."""

from __future__ import annotations

import subprocess
import sys

import pytest

import p2p
from p2p.cli.exitcode import ExitCode

KEY = p2p.generate_key()
DIGITS = KEY.to_bytes().hex()
ID = str(p2p.NodeID.from_public_key(KEY.public_key))


def forged() -> str:
    """A record whose signature is another record's."""
    record, other = (p2p.Record.sign(KEY, seq, ip="203.0.113.7", tcp=1) for seq in (1, 2))
    rlp = record.to_rlp().replace(record.signature, other.signature)
    return rlp.hex()


def test_to_enr_signs_the_endpoints(run):
    arguments = "key to-enr - --ip 203.0.113.7 --ip 2001:db8::7 --tcp 1 --udp 2 --seq 9".split()
    record = p2p.Record.from_text(run(*arguments, stdin=DIGITS).out)
    assert record == p2p.Record.sign(KEY, 9, ip="203.0.113.7", ip6="2001:db8::7", tcp=1, udp=2)


def test_to_enr_has_no_port_for_0(run):
    record = p2p.Record.from_text(run("key", "to-enr", "-", "--tcp", 0, stdin=DIGITS).out)
    assert record == p2p.Record.sign(KEY, 1)


def test_two_addresses_of_one_version_are_refused(run):
    result = run("key", "to-enr", "-", "--ip", "1.2.3.4", "--ip", "1.2.3.5", stdin=DIGITS)
    assert (result.exit_code, result.out) == (ExitCode.USAGE, "")
    assert "one address for each IP version" in result.err


def test_a_wrong_address_is_named(run):
    result = run("key", "to-enode", "-", "--ip", "1.2.3", stdin=DIGITS)
    assert result.exit_code == ExitCode.USAGE and "'1.2.3' is not an IP address" in result.err


def test_a_key_is_not_shown_in_an_error(run):
    result = run("key", "show", "-", stdin=DIGITS[:-1] + "g")
    assert result.exit_code == ExitCode.USAGE
    assert DIGITS[:8] not in result.err and "64 hex digits" in result.err


def test_show_has_each_entry_by_its_meaning(run):
    fork = p2p.eth.eth_entry(p2p.eth.ForkID(b"\xaa\xbb\xcc\xdd", 7))
    entries = {"eth": fork, "client": ["p2p", "1.0"], "x": [b"\x01", [b"\x02"]], "udp6": 30304}
    record = p2p.Record.sign(KEY, 3, entries, ip="203.0.113.7", ip6="2001:db8::7")
    (shown,) = run("enr", "show", record, "--json").records
    assert shown.pop("entries") == {
        "client": "p2p 1.0",
        "eth": "fork aabbccdd, next 7",
        "id": '"v4"',
        "ip": "203.0.113.7",
        "ip6": "2001:db8::7",
        "secp256k1": "0x" + KEY.public_key.to_compressed().hex(),
        "udp6": "30304",
        "x": "[1 (0x01), [2 (0x02)]]",
    }
    assert shown == {
        "valid": True,
        "id": ID,
        "enode": p2p.Node.from_record(record).url,
        "seq": 3,
        "signature": record.signature.hex(),
        "size": len(record.to_rlp()),
    }


def test_show_marks_a_value_that_its_key_cannot_have(run):
    record = p2p.Record.sign(KEY, 1, eth=b"\x01", client=[[b"x"]])
    (shown,) = run("enr", "show", record, "--json").records
    assert shown["entries"]["eth"] == "0x01 (not as defined for this key)"
    assert shown["entries"]["client"] == "[[0x78]] (not as defined for this key)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("color=blue", '"blue" (0x626c7565)'),
        ("color=yellow", '"yellow"'),
        ("color=größe", '"größe"'),
        ("n=1500", "1500 (0x05dc)"),
        ("n=66", '"B" (0x42)'),
        ("n=0", "0x"),
        ("raw=0x0001", "0x0001"),
        ("raw=0x0102030405", "0x0102030405"),
        ("raw=0x1b5b324a1b5b", "0x1b5b324a1b5b"),
        ("raw=0xe280ae616263", "0xe280ae616263"),  # right to left
        ("list=rlp:0xcb86796f6e6465728205dcc0", '["yonder", 1500 (0x05dc), []]'),
    ],
)
def test_own_entries_are_shown_as_what_they_may_be(run, value, text):
    made = run("enr", "new", "-", "--entry", value, stdin=DIGITS).out.strip()
    (shown,) = run("enr", "show", made, "--json").records
    assert shown["entries"][value.partition("=")[0]] == text


def test_remote_text_is_escaped(run):
    record = p2p.Record.sign(KEY, 1, {b"\x1b[2J": b"x", b"\xff": b"x"}, client=["\x1b[2J", "1"])
    result = run("enr", "show", record)
    assert "\x1b" not in result.out and "\\x1b[2J" in result.out and "\\xff" in result.out


def test_show_reads_what_devp2p_reads(run):
    record = p2p.Record.sign(KEY, 1, tcp=1)
    forms = [record, record.to_rlp().hex(), f"0x{record.to_rlp().hex()}", str(record)[4:]]
    shown = {run("enr", "show", "-", stdin=str(form)).out for form in forms}
    assert shown == {run("enr", "show", record).out}


def test_an_invalid_record_is_shown_as_invalid(run):
    result = run("enr", "show", forged())
    assert result.exit_code == ExitCode.NEGATIVE
    assert "invalid:   invalid node record: invalid signature" in result.out
    assert "203.0.113.7" in result.out


@pytest.mark.parametrize("text", ["", "enr:", "enr:abc=", "nothing at all", "0xc0", "c2c101c0"])
def test_no_record_at_all_is_an_error(run, text):
    result = run("enr", "show", "-", stdin=text)
    assert result.exit_code == ExitCode.USAGE and result.out == ""
    assert result.err.startswith("p2p: invalid node record")


def test_verify_tells_valid_from_invalid(run):
    record = p2p.Record.sign(KEY, 1, tcp=1)
    valid, invalid = run("enr", "verify", record), run("enr", "verify", forged())
    assert (valid.exit_code, valid.out) == (0, f"valid: {ID}\n")
    assert (invalid.exit_code, invalid.out.strip()) == (ExitCode.NEGATIVE, "")
    assert "invalid signature" in invalid.err
    (told,) = run("enr", "verify", forged(), "--json").records
    assert told == {"valid": False, "error": "invalid node record: invalid signature"}


def test_verify_refuses_stray_bits(run):
    text = str(p2p.Record.sign(KEY, 1))
    assert len(text[4:]) % 4, "the last character has bits to spare"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = text[:-1] + alphabet[alphabet.index(text[-1]) | 1]
    assert "stray bits" in run("enr", "verify", stray).err
    assert "stray bits" in run("enr", "show", stray).out


def test_new_takes_entries_of_each_kind(run):
    entries = ["color=blue", "n=300", "raw=0x0102", "list=rlp:0xc20102", "eq=a=b"]
    options = [word for entry in entries for word in ("--entry", entry)]
    record = p2p.Record.from_text(run("enr", "new", "-", *options, stdin=DIGITS).out)
    assert record.get("color", str) == "blue" and record.get("eq", str) == "a=b"
    assert record.get("n", int) == 300 and record.get("raw") == b"\x01\x02"
    assert record.get("list", list[int]) == [1, 2]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("color", "NAME=VALUE"),
        ("x=0xg", "--entry x: "),
        ("x=rlp:0xc2", "record entry 'x'"),
        ("tcp=70000", "from 0 to 65535"),
        ("x=0x" + "00" * 300, "at most 300"),
    ],
)
def test_a_wrong_entry_is_named(run, entry, words):
    result = run("enr", "new", "-", "--entry", entry, stdin=DIGITS)
    assert result.exit_code == ExitCode.USAGE and words in result.err


def test_an_entry_twice_is_refused(run):
    result = run("enr", "new", "-", "--entry", "a=1", "--entry", "a=2", stdin=DIGITS)
    assert result.exit_code == ExitCode.USAGE and "'a' is given twice" in result.err


def test_commands_pipe():
    p = f"{sys.executable} -m p2p"
    line = f"{p} key new - | {p} key to-enr - --ip 203.0.113.7 | {p} enr verify -"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("valid: ")
