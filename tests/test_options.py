"""The options of a server: one list of them, documented once, known to type checkers."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import pytest

import p2p
from p2p.config import Config

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = [option.name for option in fields(Config)]
KEY = p2p.PrivateKey.from_bytes(b"\x05" * 32)


def documented() -> dict[str, str]:
    """The paragraphs of the docstring of Server, by option."""
    text = inspect.getdoc(p2p.Server) or ""
    return dict(re.findall(r"^``(\w+)``\n((?:    .*\n?)+)", text, re.MULTILINE))


def test_the_server_documents_each_option_and_nothing_else() -> None:
    assert documented().keys() == set(OPTIONS)


def test_the_documentation_tells_each_default() -> None:
    required = {option.name for option in fields(Config) if option.default is MISSING}
    without = {name for name, text in documented().items() if not re.search(r"[Dd]efault", text)}
    assert without == required == {"private_key", "name", "max_peers"}


def test_signature_of_the_server_has_the_options_with_their_defaults() -> None:
    shown = inspect.signature(p2p.Server).parameters
    assert list(shown) == OPTIONS
    for option in fields(Config):
        assert option.default_factory is MISSING, "help shows no value"
        default = inspect.Parameter.empty if option.default is MISSING else option.default
        assert shown[option.name].default is default
        assert shown[option.name].kind is inspect.Parameter.KEYWORD_ONLY


def test_type_hints_of_the_server_are_those_of_the_options() -> None:
    assert get_type_hints(p2p.Server.__init__) == {**get_type_hints(Config), "return": type(None)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "x", "max_peers": 1, "nmae": "x"}, "unexpected keyword argument 'nmae'"),
        ({"max_peers": 1}, "missing a required .*argument: 'name'"),
    ],
)
def test_unknown_or_missing_option_is_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(TypeError, match=r"^Server.__init__\(\) .*" + words):
        p2p.Server(private_key=KEY, **options)  # type: ignore[arg-type]


PROGRAM = """\
import p2p

key = p2p.generate_key()
p2p.Server(private_key=key, name="x", max_peers=1, listen_addr=":0")
p2p.Server(private_key=key, nmae="x", max_peers=1)
p2p.Server(private_key=key, name="x", max_peers="1")
p2p.Server(key, name="x", max_peers=1)
reveal_type(p2p.Server(private_key=key, name="x", max_peers=1).config.max_peers)
"""


def test_type_checker_refuses_an_unknown_option_and_a_wrong_type(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "setup.cfg", str(program)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    found = re.findall(r"program\.py:(\d+): (?:error|note): (.*)", run.stdout)
    lines = [int(line) for line, _ in found]
    assert sorted(set(lines)) == [5, 6, 7, 8], run.stdout + run.stderr
    texts = " ".join(text for _, text in found)
    assert 'Unexpected keyword argument "nmae" for "Server"' in texts
    assert 'Argument "max_peers" to "Server" has incompatible type "str"; expected "int"' in texts
    assert 'Revealed type is "int"' in texts.replace("builtins.", "")
