"""p2p demo."""

from __future__ import annotations

import re

from tests.cli.terminal import Terminal

STORY = r"""
listener  has a new key: it is node [0-9a-f]{16}…
listener  waits on 127\.0\.0\.1:\d+; its URL: enode://[0-9a-f]{128}@127\.0\.0\.1:\d+\S*
dialer    opens a TCP connection to 127\.0\.0\.1:\d+
dialer    sends auth, \d+ bytes that only the listener can read
dialer    receives ack, \d+ bytes: both have the same keys now
dialer    receives the hello of "listener"; in common: MyProtocol/1
dialer    sends "foo"
listener  reads "foo" from dialer, and sends "bar"
dialer    reads "bar" from listener
dialer    disconnects, after \d+ bytes sent and \d+ received
          Both nodes have stopped\. Next: p2p node --help
"""


def test_demo_tells_foo_and_bar_in_order(run):
    result = run("demo")
    assert (result.exit_code, result.err) == (0, "")
    assert re.fullmatch(STORY.strip(), result.out.strip()), result.out


def test_demo_as_json(run):
    records = run("demo", "--json").records
    assert [record["answer"] for record in records if "answer" in record] == ["bar"]
    assert {record["node"] for record in records} == {"listener", "dialer", ""}


def test_demo_on_a_terminal():
    terminal = Terminal("demo", columns=80, lines=30)
    try:
        assert terminal.wait() == 0
        assert 'dialer    reads "bar" from listener' in terminal.text
    finally:
        terminal.close()
