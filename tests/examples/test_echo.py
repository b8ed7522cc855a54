"""examples/echo.py prints what its docstring says, and ends as a program should."""

from __future__ import annotations

from typing import Any


def test_both_sides_print_what_the_docstring_shows(run: Any, documented: Any, cut: Any) -> None:
    server = run("echo.py")
    url = server.line()
    assert run("echo.py", url, "hello", "world").end() == (0, documented("echo.py")[1], "")
    said = server.line()
    server.interrupt()
    assert server.end() == (0, [], "")
    assert cut([url, said]) == documented("echo.py")[0]


def test_server_goes_on_after_a_client_that_says_nothing(run: Any) -> None:
    server = run("echo.py")
    url = server.line()
    assert run("echo.py", url).end() == (0, [], "")
    assert server.line() == "client said 0 words"
    assert run("echo.py", url, "again").end() == (0, ["again"], "")
    assert server.line() == "client said 1 words"


def test_server_that_is_not_there(run: Any) -> None:
    server = run("echo.py")
    url = server.line()
    server.interrupt()
    server.end()
    code, lines, errors = run("echo.py", url, "hello").end()
    assert (code, lines) == (1, [])
    assert errors.startswith("cannot connect: ")
    code, lines, errors = run("echo.py", "nonsense", "hello").end()
    assert (code, lines) == (1, [])
    assert errors.startswith("cannot connect: ")
