"""The page on security names only what there is, and every threat has its code and its tests."""

from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path

import pytest

import p2p

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "security.md"
TEXT = PAGE.read_text(encoding="utf-8")
REPORT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

#: What must not be left out.
THREATS = [
    "eclipse", "amplification", "ping flood", "handshake flood", "ecies oracle", "invalid curve",
    "frame bomb", "snappy bomb", "rlp bomb", "replay", "identity spoofing", "log injection",
    "key file", "slow-loris", "resource exhaustion", "handlers that fail",
]  # fmt: skip
#: No protection by RLPx.
WEAKNESSES = [
    "key stream", "mac", "forward secrecy", "malleability", "access control", "traffic analysis",
    "not encrypted", "public and permanent", "linked", "not authenticated",
]  # fmt: skip

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| **")
]
QUOTED = sorted(set(re.findall(r"`([^`\s]+)`", TEXT)))
NAMES = [name for name in QUOTED if re.fullmatch(r"p2p(\.\w+)+", name)]
TESTS = [name for name in QUOTED if name.startswith("tests/")]


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].lower()


def resolve(name: str) -> object:
    """The module, or what is in it, that a dotted name means."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[count:], found)
    raise AssertionError(name)


@functools.cache
def defined_in(path: Path) -> set[str]:
    """The names of the functions in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMES)
def test_code_that_the_page_names_exists(name: str) -> None:
    assert resolve(name) is not None


@pytest.mark.parametrize("name", TESTS)
def test_test_that_the_page_names_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).exists()
    assert not test or (test.startswith("test_") and test in defined_in(ROOT / path))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\*\*(.*?)\*\*.*", r"\1", row[0]))
def test_each_threat_has_an_answer_code_and_a_test(row: list[str]) -> None:
    threat, answer, code, shown = row
    assert threat and answer
    assert re.search(r"`p2p\.", code)
    assert re.search(r"`tests/[^`]*::test_", shown)


def test_no_threat_is_left_out() -> None:
    threats = " ".join(row[0].lower() for row in ROWS)
    assert [threat for threat in THREATS if threat not in threats] == []


def test_what_rlpx_cannot_protect_is_said() -> None:
    text = section("No protection by RLPx")
    assert [weakness for weakness in WEAKNESSES if weakness not in text] == []


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("README.md", "SECURITY.md"),
        ("README.md", "docs/explanation/security.md"),
        ("docs/index.md", "explanation/security.md"),
        ("docs/design/index.md", "rlp.md"),
        ("docs/index.md", "../SECURITY.md"),
        ("SECURITY.md", "docs/explanation/security.md"),
    ],
)
def test_page_is_linked(page: str, link: str) -> None:
    path = ROOT / page
    assert f"]({link})" in path.read_text(encoding="utf-8")
    assert (path.parent / link).exists()


@pytest.mark.parametrize("page", [PAGE, ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists()


def test_version_that_gets_fixes_is_the_present_one() -> None:
    series = ".".join(p2p.__version__.split(".")[:2])
    assert f"| {series}, the latest | yes |" in REPORT
