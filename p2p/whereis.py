"""At which line of the program a thread stands, for reports about handlers that do not go on.

Reads the interpreter's own list of frames; any thread may ask about any other.
"""

from __future__ import annotations

import os
import sys
import threading

#: The separator belongs to it: the program may lie in a folder whose name only begins like ours.
_PACKAGE = os.path.dirname(__file__) + os.sep


def where_is(thread: threading.Thread | None) -> str:
    """File and line at which a thread stands, outside this package if it can be told."""
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
    while frame is not None and frame.f_back is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_PACKAGE) and path != threading.__file__:
            break
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
