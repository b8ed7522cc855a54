"""Lines of program code, of a thread and of an error, for reports about handlers.

Frames of this package and of the standard library are skipped. Any thread.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from types import FrameType

#: With the separator: the program may be in a folder whose name only begins like ours.
_PACKAGE = os.path.dirname(__file__) + os.sep
_UNKNOWN = "an unknown place"


def where_is(thread: threading.Thread | None) -> str:
    """Return the current file and line of a thread, outside of this package if possible.

    Reads the interpreter's own list of frames.
    """
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
    while frame is not None and frame.f_back is not None:
        if _is_of_the_program(frame):
            break
        frame = frame.f_back
    return _UNKNOWN if frame is None else _place(frame, frame.f_lineno)


def where_raised(error: BaseException) -> str:
    """Return the innermost file and line of program code in the traceback of an error."""
    places = [
        _place(frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_of_the_program(frame)
    ]
    return places[-1] if places else _UNKNOWN


def is_raised_by_library(error: BaseException) -> bool:
    """Whether an error was raised in this package, not by the program.

    The frame that caught it does not count, nor do frames of the program that it has passed.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
    origins = [frame for frame in frames if not _is_of_python(frame)]
    return bool(origins) and _is_of_the_package(origins[-1])


def _is_of_the_program(frame: FrameType) -> bool:
    return not _is_of_the_package(frame) and not _is_of_python(frame)


def _is_of_the_package(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_PACKAGE)


def _is_of_python(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__"))
    return name.partition(".")[0] in sys.stdlib_module_names


def _place(frame: FrameType, line: int) -> str:
    return f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
