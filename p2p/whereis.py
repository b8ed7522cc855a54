"""At which line of the program a thread stands, or an error came about, for reports about handlers.

The library's own frames are passed over. Any thread may ask.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from types import FrameType

#: The separator belongs to it: the program may lie in a folder whose name only begins like ours.
_PACKAGE = os.path.dirname(__file__) + os.sep
_UNKNOWN = "an unknown place"


def where_is(thread: threading.Thread | None) -> str:
    """File and line at which a thread stands, outside this package if it can be told.

    Reads the interpreter's own list of frames.
    """
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
    while frame is not None and frame.f_back is not None:
        if _is_of_the_program(frame):
            break
        frame = frame.f_back
    return _UNKNOWN if frame is None else _place(frame, frame.f_lineno)


def where_raised(error: BaseException) -> str:
    """File and line outside this package at which an error was raised, or called what raised it."""
    places = [
        _place(frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_of_the_program(frame)
    ]
    return places[-1] if places else _UNKNOWN


def _is_of_the_program(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    return not path.startswith(_PACKAGE) and path != threading.__file__


def _place(frame: FrameType, line: int) -> str:
    return f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
