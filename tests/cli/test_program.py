"""Rules that hold for every command, found by a walk over all of them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import click
import pytest

from p2p.cli.command import Command
from p2p.cli.commands import COMMANDS
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import failure_of
from p2p.cli.program import program


def commands(group: click.Group, path: str = "p2p") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


CAPTURED: Any = {"capture_output": True, "text": True, "timeout": 60}
ALL = dict(commands(program))


@pytest.mark.parametrize("path", ALL)
def test_help_has_a_summary_and_examples_of_the_command(path, run):
    command = ALL[path]
    assert isinstance(command, Command)
    assert command.help and command.help.splitlines()[0].endswith(".")
    assert command.examples and all(path in example for example in command.examples)
    result = run(*path.split()[1:], "--help")
    assert result.exit_code == 0
    for example in command.examples:
        assert f"$ {example}" in result.out


@pytest.mark.parametrize("path", ALL)
def test_each_command_has_json_and_debug(path):
    options = {name for param in ALL[path].params for name in param.opts}
    assert {"--json", "--debug"} <= options


@pytest.mark.parametrize("path", ALL)
def test_options_have_a_help(path):
    for param in ALL[path].params:
        if isinstance(param, click.Option):
            assert param.help, param.name


OPTIONS = [
    (path, param)
    for path, command in ALL.items()
    for param in command.params
    if isinstance(param, click.Option)
]
#: Filters of a set of nodes, named as in go-ethereum's devp2p.
FILTERS = "p2p nodeset filter"
REPEATED = "; may be repeated"


def test_an_option_means_the_same_in_all_commands():
    meanings = defaultdict(set)
    for path, option in OPTIONS:
        if path == FILTERS and option.name not in ("as_json", "debug"):
            continue
        kind = type(option.type).__name__
        text = option.help.replace(REPEATED, "")
        for name in (*option.opts, *option.secondary_opts):
            meanings[name].add((kind, option.metavar, text, option.is_flag))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}
    assert {name for _, option in OPTIONS for name in option.opts} >= {"--nodekey", "--addr"}


def test_an_option_has_one_name_and_tells_if_it_may_be_repeated():
    for path, option in OPTIONS:
        assert len(option.opts) == 1 and option.opts[0].startswith("--"), (path, option.opts)
        assert option.multiple == ("may be repeated" in option.help), (path, option.opts)


@pytest.mark.parametrize("path", ALL)
def test_options_may_have_one_dash_as_in_go(path):
    command = ALL[path]
    for option in command.params:
        if isinstance(option, click.Option) and option.expose_value:
            one_dash = option.opts[0].removeprefix("-")
            words = [one_dash] if option.is_flag else [f"{one_dash}=1"]
            with click.Context(command, resilient_parsing=True) as context:
                command.parse_args(context, words)
            source = context.get_parameter_source(option.name)
            assert source is click.core.ParameterSource.COMMANDLINE, one_dash


DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]
_SHOWN = re.compile(r"(?:^[$#] .*?|`)\b(p2p(?: [a-z][\w-]*)+)((?: [^`|<>\n]*)?)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_of_the_documents_have_options_that_exist(page):
    for words, rest in _SHOWN.findall(page.read_text(encoding="utf-8")):
        path = next((path for path in ALL if f"{words} ".startswith(f"{path} ")), None)
        if path is None:
            continue  # prose, or a group
        params = ALL[path].params
        names = {name for param in params for name in (*param.opts, *param.secondary_opts)}
        given = set(re.findall(r"(?<!\S)(--[a-z][\w-]*)", rest.replace("…", "")))
        assert given <= names | {"--help"}, (path, given - names)


def test_help_lists_the_commands_and_imports_none():
    code = (
        "import sys\n"
        "from p2p.cli import main\n"
        "main(['--help'])\n"
        "print([name for name in sys.modules if name.startswith(('p2p.cli.', 'rich', 'dns.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], **CAPTURED)
    *help_text, loaded = done.stdout.splitlines()
    wanted = {"command", "exitcode", "failure", "commands", "program", "remedy", "shown", "streams"}
    assert set(ast.literal_eval(loaded)) == {f"p2p.cli.{name}" for name in wanted}
    for name, summary in COMMANDS.summaries.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", done.stdout, re.MULTILINE)


def test_commands_have_the_names_they_are_listed_by():
    for name, command in COMMANDS.items():
        assert command.name == name and command.help


def test_help_lists_the_exit_codes(run):
    result = run("--help")
    for code in ExitCode:
        assert code.meaning.split(":")[0] in " ".join(result.out.split())


def test_error_is_one_line(run):
    result = run("key", "show", "/nowhere/node.key")
    assert result.exit_code == ExitCode.USAGE
    assert len(result.err.splitlines()) == 1
    assert "p2p key new" in result.err


def test_debug_shows_the_traceback(run):
    assert "Traceback" in run("key", "show", "--debug", "/nowhere/node.key").err


def test_unknown_option_names_the_help(run):
    result = run("key", "new", "--nothing")
    assert result.exit_code == ExitCode.USAGE
    assert "p2p key new --help" in result.err


def test_module_runs_the_command_line():
    done = subprocess.run([sys.executable, "-m", "p2p", "--version"], **CAPTURED)
    assert done.returncode == 0 and done.stdout.startswith("p2p ")


def test_a_missing_extra_is_one_line():
    code = "import sys; sys.modules['click'] = None; import p2p.__main__ as m; sys.exit(m.main())"
    done = subprocess.run([sys.executable, "-c", code], **CAPTURED)
    assert done.returncode == ExitCode.USAGE
    assert "pip install 'p2p-blocking[cli]'" in done.stderr


def test_a_reader_that_has_enough_is_no_error():
    command = f"{sys.executable} -m p2p nodeset filter - <<< '{{}}' | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], **CAPTURED)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_one_line():
    command = f"{sys.executable} -m p2p nodeset filter - <<< '{{}}' > /dev/full"
    done = subprocess.run(["bash", "-c", command], **CAPTURED)
    assert (done.returncode, done.stderr) == (ExitCode.SYSTEM, "p2p: No space left on device\n")


#: Values that a user may type, or a script pass on.
WORDS = (
    *("", "-1", "nan", "inf", "1e999", "0", "9" * 5000, "9" * 30 + "h", "\udcff", "\x1b[31m"),
    *("/nowhere/x", "a:b", "json:", "os:path", "::", ":99999", "[::1]:99999", "x/" + "9" * 5000),
    *("x/\N{ARABIC-INDIC DIGIT THREE}", "0x", "0xzz", "enr:", "enr:A", "enode://", "enode://@:"),
    *("1,2,3", "=", "a=", "{}", "x" * 300 + ".example", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
)


@pytest.mark.parametrize("path", ALL)
def test_no_value_of_an_argument_is_a_defect(path, run):
    command = ALL[path]
    with click.Context(command) as context:
        for param, word in product(command.params, WORDS):
            value = (word,) if param.multiple or param.nargs == -1 else word
            try:
                param.process_value(context, value)
            except Exception as error:
                assert failure_of(error).exit_code is not ExitCode.DEFECT, (param.name, error)


def test_record_of_any_characters_is_read_or_refused(run):
    for word in WORDS:
        for name in ("show", "verify"):
            result = run("enr", name, "--", word)
            assert result.exit_code in (ExitCode.NEGATIVE, ExitCode.USAGE), (word, result.err)



def test_list_of_commands_has_whole_sentences(run):
    for name in ("key", "enr", "discv4", "explain"):
        _, _, commands = run(name, "--help").out.partition("Commands:")
        assert commands and "..." not in commands


def test_misspelled_command_gets_one_end_mark(run):
    assert "Did you mean 'ping'? See: p2p --help" in run("pign").err
