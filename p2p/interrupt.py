"""Ctrl-C while the program ``p2p`` imports its modules, which takes longer than a short command.

The modules of the package are imported before the first line of :mod:`p2p.__main__`, so `p2p`
imports this one first. Until the command line handles Ctrl-C itself, it ends the process by the
signal, as of a program without Python, instead of a traceback. In any other program nothing is
changed. The import of this module does that. Main thread.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

#: The file of the entry point, as the installers of packages make it.
_NAMES = ("p2p", "p2p.exe", "p2p-script.py")


def let_end() -> None:
    """Let Ctrl-C end the process, if this is the program ``p2p`` and Ctrl-C is as usual."""
    if _is_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def let_raise() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as usual."""
    if _is_main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_program() -> bool:
    if not (_is_main_thread() and sys.argv):
        return False
    if sys.argv[0] == "-m":  # so it is while the package of "python -m p2p" is imported
        return "p2p" in sys.orig_argv[1:] or "-mp2p" in sys.orig_argv[1:]
    return os.path.basename(sys.argv[0]) in _NAMES


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


let_end()
