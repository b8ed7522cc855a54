"""Stop of objects with threads that the program has lost, with a ResourceWarning.

Threads keep alive the objects that they use. So the object that a program has (a server, a
discovery) is only a front, to which no running part refers. When the last reference of the program
is gone, :func:`stop_if_leaked` stops the rest.
"""

from __future__ import annotations

import _thread
import threading
import warnings
import weakref
from collections.abc import Callable

from p2p import forks


def stop_if_leaked(
    front: object, what: str, stop: Callable[[], object]
) -> weakref.finalize[..., object]:
    """Call ``stop``, in a thread of its own, when ``front`` is collected as garbage.

    ``what`` is the name of ``front`` in the ResourceWarning. ``stop`` must not refer to ``front``.
    Returns a finalizer; call its ``detach`` when the front has been stopped. The end of the
    interpreter stops nothing, and neither does a forked child, which has copies only.
    """
    finalizer = weakref.finalize(front, _stop_leaked, forks.here, what, stop)
    finalizer.atexit = False
    return finalizer


def _stop_leaked(process: forks.Process, what: str, stop: Callable[[], object]) -> None:
    """Warn and stop. Runs in any thread at any point, so it takes no lock and starts no Thread."""
    if not process.is_here:
        return
    _thread.start_new_thread(_start_thread, (stop,))
    warnings.warn(
        f"{what} was running, and nothing refers to it any more: it stops. "
        "Keep a reference, and call stop() or use a with block",
        ResourceWarning,
        stacklevel=2,
    )


def _start_thread(stop: Callable[[], object]) -> None:
    threading.Thread(target=stop, name="p2p-leaked", daemon=True).start()
