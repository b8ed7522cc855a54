"""Shortages of this process, made for real: descriptors, threads.

For programs that a test runs in processes of their own, since everything in the process meets them.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from tests.test_threads import no_more_threads

__all__ = ["few_descriptors", "no_more_threads", "open_descriptors"]

#: Descriptors that are used up, at the least.
_FILLERS = 30


def open_descriptors() -> list[int]:
    """Those that are open, but for the one that lists them."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
            found.append(int(name))
        except OSError:
            continue
    return sorted(found)


@contextmanager
def few_descriptors(free: int = 0) -> Iterator[None]:
    """The process can open ``free`` more descriptors and no further one (EMFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_descriptors()) + _FILLERS, hard))
    fillers: list[int] = []
    try:
        while True:
            fillers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        for _ in range(free):
            os.close(fillers.pop())
    try:
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
