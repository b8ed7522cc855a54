"""The how-to about routers and containers: its snippets have the names of today."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import p2p
from p2p.nat.spec import parse_advertised, parse_nat

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "nat.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_options_of_the_snippets_are_options_of_the_server() -> None:
    source = "\n".join(blocks("python"))
    compile(source, PAGE.name, "exec")
    used = set(re.findall(r"(\w+)=(?!\")|(\w+)=\"", source))
    names = {name for pair in used for name in pair if name}
    assert {"listen_addr", "nat", "advertise"} <= names
    assert names <= set(inspect.signature(p2p.Server).parameters)


def test_values_of_the_options_are_taken() -> None:
    values = re.findall(r'^\| `"([^`]*)"`(?:, `"([^`]*)"`)? \|', TEXT, re.MULTILINE)
    assert len(values) >= 7
    for value in {text for pair in values for text in pair if text}:
        parse_nat(value.replace("host:port", "example.org:3478"))


def test_container_advertises_the_port_that_its_host_publishes() -> None:
    (compose,) = blocks("yaml")
    ((variable, endpoint),) = re.findall(r'(P2P_\w+): "([^"]*)"', compose)
    assert f'os.environ["{variable}"]' in TEXT
    ip, port = parse_advertised(endpoint)
    mapped = re.findall(r'- "(\d+):(\d+)/(tcp|udp)"', compose)
    assert {(int(outside), protocol) for outside, _, protocol in mapped} == {
        (port, "tcp"),
        (port, "udp"),
    }
    assert all(f'listen_addr=":{inside}"' in TEXT for _, inside, _ in mapped)


def test_log_lines_are_those_of_the_library() -> None:
    (shown,) = blocks("text")
    source = "".join(
        path.read_text(encoding="utf-8") for path in Path(p2p.__file__).parent.rglob("nat/*.py")
    )
    for words in ("is mapped to external port", "external address", "found "):
        assert words in shown and words in source
