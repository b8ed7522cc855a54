"""Where a thread stands, as a user would look for it."""

from __future__ import annotations

import os
import threading

import p2p
from p2p.whereis import where_is
from tests.hostile.remote import PATIENCE_S
from tests.hostile.target import eventually


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
