"""What holds for the project as a whole: sizes, docstrings, documents, the Makefile."""

from __future__ import annotations

import ast
import configparser
import inspect
import re
import subprocess
from pathlib import Path

import pytest

import p2p

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "p2p").rglob("*.py"))
MAX_LINES = 500

modules = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
public_names = pytest.mark.parametrize("name", sorted(getattr(p2p, "__all__", [])))


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


@modules
def test_module_has_a_docstring(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path} does not say what it is for"


@modules
def test_module_is_short_enough_to_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_the_package_names_what_is_public() -> None:
    assert p2p.__all__
    assert all(hasattr(p2p, name) for name in p2p.__all__)


@public_names
def test_public_name_has_a_docstring(name: str) -> None:
    value = getattr(p2p, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)


@public_names
def test_public_name_is_documented(name: str) -> None:
    documents = read("docs", "from-go.md") + read("docs", "reference.md")
    assert re.search(rf"`(p2p\.)?{re.escape(name)}\b", documents)


@pytest.mark.parametrize(
    "variable, owner", [("server", "Server"), ("peer", "Peer"), ("node", "Node")]
)
def test_what_from_go_says_of_an_object_is_there(variable: str, owner: str) -> None:
    kind = getattr(p2p, owner)
    names = set(re.findall(rf"`{variable}\.([a-z]\w*)", read("docs", "from-go.md")))
    source = inspect.getsource(kind)
    assert names
    assert {name for name in names if not hasattr(kind, name) and f"self.{name}" not in source
            and not re.search(rf"^    {name}: ", source, re.MULTILINE)} == set()  # fmt: skip


def test_make_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    assert {line.split()[0] for line in shown.splitlines()} == targets
    assert all(len(line.split()) > 1 for line in shown.splitlines())


def test_the_readme_names_every_target_it_needs() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", read("README.md"))) <= targets


def test_relative_links_in_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document}: {link}"


def test_the_version_is_a_heading_of_the_changelog_or_not_released_yet() -> None:
    headings = re.findall(r"^## \[([^]]+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0] == p2p.__version__


def test_each_python_of_the_classifiers_is_run_by_ci() -> None:
    config = configparser.ConfigParser()
    config.read_string(read("setup.cfg"))
    versions = re.findall(r":: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    assert versions and all(version in read(".ci", "run") for version in versions)
