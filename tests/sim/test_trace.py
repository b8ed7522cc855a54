"""The trace: what happens, in the same words in every run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from p2p.crypto import keccak256
from p2p.sim import Network, RouterKind

ROOT = Path(__file__).resolve().parents[2]


def story(seed: int) -> list[str]:
    """A little of everything, with its trace."""
    lines: list[str] = []
    network = Network(seed, loss=0.05, duplication=0.02, reordering=0.1)
    network.start_trace(lines.append)
    boot = network.add("boot")
    ann, bob = (network.add(name, bootnodes=[boot]) for name in ("ann", "bob"))
    network.add("dan", bootnodes=[boot], router=network.add_router("60.0.0.1"))
    network.run_for(20)
    network.partition([ann])
    network.run_for(5)
    network.heal()
    bob.restart(keep_store=False)
    ann.jump_clock(-3600)
    ann.lookup(b"target".ljust(64))
    network.run_for(5)
    return lines


def test_the_same_seed_gives_the_same_trace() -> None:
    assert story(1) == story(1)


def test_another_seed_gives_another_trace() -> None:
    assert story(1) != story(2)


def test_the_trace_does_not_depend_on_the_process() -> None:
    program = (
        "from p2p.crypto import keccak256\n"
        "from tests.sim.test_trace import story\n"
        r"print(keccak256('\n'.join(story(1)).encode()).hex())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {keccak256("\n".join(story(1)).encode()).hex()}


def test_each_kind_of_event_has_its_words() -> None:
    text = "\n".join(story(1))
    for words in (
        "boot            starts",
        "ann -> boot     ping (seq 1), 128 bytes, ",
        "boot -> ann     pong (seq 1), 150 bytes, ",
        "ann -> boot     findnode ",
        "neighbors (",
        "enrrequest, 104 bytes, ",
        "enrresponse (",
        "boot            + ann in the table",
        ", lost",
        " ms and ",
        "stopped by the partition",
        "bob             stops",
        "ann             sets its clock by -3600 s",
        "dan -> ",
        "ann             operation 1: ",
    ):
        assert words in text, words


def test_only_lines_of_the_nodes_that_are_asked_for_are_written() -> None:
    lines: list[str] = []
    network = Network()
    boot = network.add("boot")
    ann = network.add("ann", bootnodes=[boot])
    network.add("bob", bootnodes=[boot])
    network.start_trace(lines.append, nodes=[ann])
    network.run_for(10)
    assert lines
    assert all("ann" in line for line in lines)


def test_nothing_is_written_after_the_end() -> None:
    lines: list[str] = []
    network = Network()
    network.start_trace(lines.append)
    network.stop_trace()
    network.add()
    network.run_for(10)
    assert lines == []


def test_closed_doors_noise_and_drops_are_told() -> None:
    lines: list[Any] = []
    network = Network(latency=0.1)
    boot = network.add("boot")
    ann = network.add("ann", bootnodes=[boot])
    hidden = network.add(
        "dan", bootnodes=[boot], router=network.add_router("60.0.0.1", RouterKind.RESTRICTED)
    )
    network.run_for(5)
    network.start_trace(lines.append)
    late = network.add("late")
    late.begin_ping(hidden)
    network.send((ann.address[0], 7), boot.address, b"x" * 120)
    ann.stop()
    network.run_for(400)
    text = "\n".join(lines)
    assert "late -> dan     refused by the router" in text
    assert "late            operation 1: NoResponse, no answer to the ping" in text
    assert f"{ann.address[0]}:7 -> boot  noise (hash), 120 bytes, " in text
    assert "boot -> ann     no host there" in text
    assert "boot            - ann from the table" in text
