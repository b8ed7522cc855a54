"""The drawing of a node, of given states."""

from __future__ import annotations

import io
from dataclasses import replace
from ipaddress import ip_address

import pytest
from rich.console import Console

import p2p
from p2p.cli.node.state import Event, PeerRow, Snapshot, TableRow, outside_text
from p2p.cli.node.view import bytes_text, duration_text, sparkline, view
from p2p.nat import MappedPort, NatStatus

NODE = p2p.Node.from_parts(p2p.generate_key().public_key, "203.0.113.7", 30303, 30303)
OUTER = ip_address("20.0.0.1")


def shot(peers=3, events=3):
    return Snapshot(
        name="ann",
        node=NODE,
        listen="[::]:30303",
        uptime_s=3725.0,
        max_peers=50,
        peers=[
            PeerRow(
                f"{n:016x}", f"peer {n} [bold]", "203.0.113.9:1", n % 2 == 0, 60.0 + n, "chat/1",
                2048, 10, 512.0, 0.0,
            )
            for n in range(peers)
        ],
        tables=[TableRow("v4", 12, 9, 3, 100, 90, 1)],
        bytes_in=3_000_000,
        bytes_out=5,
        rates=[(float(n), 0.0) for n in range(10)],
        events=[Event(0.0, f"event {n} [red]") for n in range(events)],
    )  # fmt: skip


def drawn(snapshot, width, height, prompt=None):
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(view(snapshot, width, height, prompt))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("height", [24, 50])
@pytest.mark.parametrize("count", [0, 3, 100])
def test_it_fits_the_terminal(width, height, count):
    lines = drawn(shot(count, count), width, height, "typing")
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert lines[-1] == "say> typing▏"


def test_it_has_the_address_of_the_live_page():
    url = f"http://127.0.0.1:12345/{'x' * 32}/"
    lines = drawn(replace(shot(100, 100), page=url), 60, 24)
    assert url in lines and len(lines) < 24


def test_it_shows_what_it_is_about():
    text = "\n".join(drawn(shot(), 80, 24))
    assert NODE.url in text.replace("\n", "")
    for words in (
        "ann, up 1h02m", "listens on [::]:30303", "2.9 MiB", "12 nodes (9 live) in 3 buckets",
        "packets 100 in, 90 out, 1 dropped", "peers: 3 of at most 50", "peer 0 [bold]",
        "203.0.113.9:1", "2.0 KiB", "event 2 [red]", "Ctrl-C ends the node",
    ):  # fmt: skip
        assert words in text, words


def test_a_wide_terminal_has_rates_and_protocols():
    assert "512 B/s" in "\n".join(drawn(shot(), 140, 24)) and "chat/1" not in "\n".join(
        drawn(shot(), 80, 24)
    )


def test_what_does_not_fit_is_counted():
    lines = drawn(shot(100, 100), 80, 24)
    shown = [line for line in lines if "peer " in line and "203.0.113.9" in line]
    (more,) = [line for line in lines if line.endswith(" more")]
    assert int(more.split()[1]) == 100 - len(shown)
    assert any("event 99" in line for line in lines)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.5 KiB"), (500 * 1024, "500 KiB"),
     (1.5 * 2**30, "1.5 GiB"), (5e12, "4656.6 GiB")],
)  # fmt: skip
def test_bytes_as_text(count, text):
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.9, "5s"), (65, "1m05s"), (7500, "2h05m"), (90000, "1d01h")]
)
def test_durations_as_text(seconds, text):
    assert duration_text(seconds) == text


def test_a_sparkline_is_in_proportion():
    assert sparkline([0, 50, 100], 10) == "▁▅█"
    assert sparkline([9, 0, 0], 2) == "▁▁"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (None, ""),
        (NatStatus("", None, (MappedPort("tcp", 1),), ""), "asking the router"),
        (NatStatus("", None, (MappedPort("tcp", 1),), "no router"), "no port mapped by a router"),
        (NatStatus("STUN", OUTER, (), ""), "20.0.0.1 by STUN"),
        (
            NatStatus("PCP", OUTER, (MappedPort("tcp", 1, 7, 9.0), MappedPort("udp", 1)), ""),
            "20.0.0.1 has tcp 7",
        ),
    ],
)
def test_port_mappings_are_shown_beside_our_address(status, text):
    lines = drawn(replace(shot(), outside=outside_text(status)), 140, 24)
    (line,) = (line for line in lines if "listens on" in line)
    parts = ("listens on [::]:30303", text, f"record {NODE.seq}")
    assert line.strip() == ", ".join(filter(None, parts))


def test_number_of_nodes_on_the_lan_is_shown():
    (line,) = (
        line for line in drawn(replace(shot(), lan="3 on the LAN"), 80, 24) if "listens on" in line
    )
    assert line.strip() == f"listens on [::]:30303, 3 on the LAN, record {NODE.seq}"
