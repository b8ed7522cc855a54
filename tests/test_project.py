"""Rules for the project as a whole: sizes, docstrings, documents, the Makefile."""

from __future__ import annotations

import ast
import configparser
import inspect
import re
import subprocess
import tokenize
from functools import lru_cache
from pathlib import Path

import pytest

import p2p
import p2p.lab
import p2p.sim
from tests.kit.publicnames import MODULES as MODULES_BY_NAME
from tests.kit.publicnames import home, is_class

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "p2p").rglob("*.py"))
# Of the modules today the longest has 396, `p2p/peers/peerset.py`; a good one has 100 to 300.
MAX_CODE_LINES = 420

# Of this scope: all rules for one module, then all for the next, so that each is read once.
modules = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(ROOT)), scope="module"
)
PUBLIC_MODULES = {**MODULES_BY_NAME, "p2p.lab": p2p.lab, "p2p.sim": p2p.sim}
PUBLIC = {
    (module, name): getattr(there, name)
    for module, there in PUBLIC_MODULES.items()
    for name in there.__all__
}
public_names = pytest.mark.parametrize("module, name", PUBLIC, ids=".".join)


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


@modules
def test_module_has_a_docstring(path: Path) -> None:
    module = nodes_of(path.read_text(encoding="utf-8"))[0]
    assert ast.get_docstring(module), f"{path} does not say what it is for"


# Plain technical English. PEP 257: an imperative or a noun phrase, which search engines and readers
# know what to do with.
REFUSED_OPENING = re.compile(r"(What|How|Where|When|Who\w*)\b")
# An agent is a caller, a thread, a peer, a program; and the field has a word for each of these.
REFUSED_WORDS = re.compile(
    r"\b(whoever|somebody|nobody|anybody|everybody|strangers?|anew|befall\w*|heed\w*|misfit|fate"
    r"|tells? of|told|knows nothing|of no use|of no more use|remember\w*|forget\w*|forgot\w*"
    r"|last words?|without a word|at the door|com(e|es|ing) (to nothing|about))\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1)
def nodes_of(source: str) -> list[ast.AST]:
    """The syntax tree of a module: its node, and all below that."""
    return list(ast.walk(ast.parse(source)))


WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef)


def docstrings(source: str) -> list[ast.Constant]:
    """The docstrings of a module, its classes and its functions, with their lines."""
    nodes = [node for node in nodes_of(source) if isinstance(node, WITH_DOCSTRINGS)]
    openings = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    return [opening.value for opening in openings]  # type: ignore[attr-defined]


def code_lines(source: str) -> int:
    """The number of lines outside docstrings: blank lines and comments count."""
    inside = {
        line
        for docstring in docstrings(source)
        for line in range(docstring.lineno, (docstring.end_lineno or 0) + 1)
    }
    return len(source.splitlines()) - len(inside)


def texts(path: Path) -> list[str]:
    """The strings of a module: docstrings, error texts, log lines. An f-string is in parts."""
    nodes = nodes_of(path.read_text(encoding="utf-8"))
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]


def names(path: Path) -> set[str]:
    """The names in a module, as words: of classes, functions, arguments and attributes."""
    nodes = nodes_of(path.read_text(encoding="utf-8"))
    found = {getattr(node, kind, None) for node in nodes for kind in ("name", "id", "attr", "arg")}
    return {re.sub(r"_+|(?<=[a-z])(?=[A-Z])", " ", name) for name in found if isinstance(name, str)}


@lru_cache(maxsize=1)
def comments(path: Path) -> list[str]:
    """The comments of a module; one of several lines in a row is one."""
    lines: dict[int, str] = {}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                lines[token.start[0]] = token.string.lstrip("#: ")
    found: list[str] = []
    for number, text in lines.items():
        if number - 1 in lines:
            found[-1] += f"\n{text}"
        else:
            found.append(text)
    return found


@modules
def test_docstrings_begin_with_a_verb_or_a_noun(path: Path) -> None:
    found = [str(docstring.value) for docstring in docstrings(path.read_text(encoding="utf-8"))]
    assert [text for text in found if REFUSED_OPENING.match(text.lstrip())] == []


@modules
def test_comments_begin_with_a_verb_or_a_noun(path: Path) -> None:
    assert [text for text in comments(path) if REFUSED_OPENING.match(text)] == []


@modules
def test_texts_have_the_words_of_the_field(path: Path) -> None:
    found = [" ".join(text.split()) for text in texts(path) + comments(path)]
    assert [text for text in found if REFUSED_WORDS.search(text)] == []


@modules
def test_names_have_the_words_of_the_field(path: Path) -> None:
    assert [name for name in sorted(names(path)) if REFUSED_WORDS.search(name)] == []


@modules
def test_module_is_short_enough_to_be_read(path: Path) -> None:
    lines = code_lines(path.read_text(encoding="utf-8"))
    assert lines <= MAX_CODE_LINES, f"{lines} lines outside docstrings: split the module"


def test_lines_of_docstrings_are_no_lines_of_code() -> None:
    assert code_lines('"""One.\n\nTwo.\n"""\n\nx = """\nno docstring\n"""\n') == 4
    assert code_lines("def f():\n    '''Of f.'''\n    # why\n    return 1\n") == 3


@public_names
def test_public_name_has_a_docstring(module: str, name: str) -> None:
    value = PUBLIC[module, name]
    if is_class(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)


def referenced() -> list[str]:
    """The dotted names in the pages of the reference: those that their blocks list."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    blocks = [re.findall(r"```{names}\n(.*?)```", page.read_text("utf-8"), re.S) for page in pages]
    names: list[str] = []
    for name in "".join(block for found in blocks for block in found).split():
        module, _, last = name.rpartition(".")
        listed = PUBLIC_MODULES[module].__all__ if last == "*" else [last]
        names += [f"{module}.{one}" for one in listed if home(module, one) == f"{module}.{one}"]
    return names


@public_names
def test_public_name_is_in_the_reference(module: str, name: str) -> None:
    assert home(module, name) in referenced(), "needs a block {names} of docs/reference"


def test_each_name_of_the_reference_is_public_and_there_once() -> None:
    names = referenced()
    assert sorted(names) == sorted(set(names))
    assert {name for name in names if tuple(name.rsplit(".", 1)) not in PUBLIC} == set()


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


def test_python_names_of_from_go_are_public() -> None:
    known = {f"{module}.{name}" for module, name in PUBLIC} | PUBLIC_MODULES.keys()
    rows = re.findall(r"^\| [^|]* \| ([^|]*)", read("docs", "from-go.md"), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(p2p(?:\.[a-z]\w*)*\.\w+)", row)}
    assert {name for name in names if not names_something(name, known)} == set()


def names_something(name: str, known: set[str]) -> bool:
    """Whether a dotted name, or what it is an attribute of, is public."""
    return name in known or name.rpartition(".")[0] in known - PUBLIC_MODULES.keys()


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


def test_an_index_of_the_documents_lists_each_of_them() -> None:
    docs = ROOT / "docs"
    listed = {
        (index.parent / link).resolve()
        for index in docs.rglob("index.md")
        for link in re.findall(r"\]\(([^):]+\.md)\)", index.read_text("utf-8"))
    }
    # A page of docs/project has one line, which includes a file that the index links to.
    pages = {page for page in docs.rglob("*.md") if page.parent != docs / "project"}
    assert pages - listed == {docs / "index.md"}


def test_the_version_is_a_heading_of_the_changelog_or_not_released_yet() -> None:
    headings = re.findall(r"^## \[([^]]+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0] == p2p.__version__


def test_each_python_of_the_classifiers_is_run_by_ci() -> None:
    config = configparser.ConfigParser()
    config.read_string(read("setup.cfg"))
    versions = re.findall(r":: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    assert versions and all(version in read(".ci", "run") for version in versions)


def test_terms_of_the_glossary_are_in_order_and_explained() -> None:
    parts = re.split(r"^## (.*)$", read("docs", "glossary.md"), flags=re.MULTILINE)
    terms, texts = parts[1::2], parts[2::2]
    assert terms == sorted(terms, key=str.lower) and len(set(terms)) == len(terms)
    assert all(text.strip().endswith(".") for text in texts)
