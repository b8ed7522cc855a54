"""The line of user code of a thread or an error."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

import p2p
from p2p.usercode import is_raised_by_library, where_is, where_raised
from tests.kit.waiting import PATIENCE_S, eventually


def test_place_of_a_thread_is_where_the_program_stands_not_the_library() -> None:
    ready, over = threading.Event(), threading.Event()

    def wait() -> None:
        ready.set()
        over.wait()  # in threading.py, which is nobody's place

    thread = threading.Thread(target=wait)
    thread.start()
    ready.wait(PATIENCE_S)
    line = wait.__code__.co_firstlineno + 2
    eventually(lambda: where_is(thread) == f"{__file__}:{line} in wait")
    over.set()
    thread.join()


def test_place_of_a_thread_that_is_not_there_is_unknown() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert where_is(None) == where_is(thread) == "an unknown place"


def test_program_in_a_folder_that_begins_like_the_package_is_not_the_library() -> None:
    path = os.path.dirname(p2p.__file__) + "_app" + os.sep + "main.py"
    ready, over = threading.Event(), threading.Event()
    program: dict[str, object] = {"ready": ready, "over": over}
    source = "def run():\n    ready.set()\n    over.wait()\n"
    exec(compile(source, path, "exec"), program)
    run = program["run"]
    assert callable(run)
    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(PATIENCE_S)
    eventually(lambda: where_is(thread) == f"{path}:3 in run")
    over.set()
    thread.join()


def test_standard_library_is_nobody_s_place() -> None:
    waiting: Future[None] = Future()
    waiting.set_exception(ValueError("of the program"))
    with pytest.raises(ValueError) as raised:
        waiting.result()
    line = raised.traceback[0].lineno + 1
    assert where_raised(raised.value) == (
        f"{__file__}:{line} in test_standard_library_is_nobody_s_place"
    )


def caught(run: Callable[[], object]) -> BaseException:
    try:
        run()
    except p2p.P2PError as error:
        return error
    raise AssertionError("nothing was raised")


def refuse() -> None:
    raise p2p.DecodeError("of the program")


def test_origin_of_an_error_is_where_it_was_raised_first() -> None:
    assert not is_raised_by_library(caught(refuse))
    assert is_raised_by_library(caught(lambda: p2p.Msg(0, b"").decode(str)))
    future: Future[object] = Future()
    future.set_exception(caught(lambda: p2p.Msg(0, b"").decode(str)))
    assert is_raised_by_library(caught(future.result))


def test_error_that_was_not_raised_is_nobody_s() -> None:
    assert not is_raised_by_library(p2p.DecodeError("made, not raised"))
