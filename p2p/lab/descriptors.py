"""Limit on file descriptors: whether a lab fits, before it starts.

A process that has no descriptors left fails in places that do not name the reason. So the need of a
lab is estimated, and compared with the limit of the process (``ulimit -n``), which is raised only
if the program wants it. Systems without such a limit, such as Windows, are not checked.
"""

from __future__ import annotations

import os

from p2p.errors import LabError

try:
    import resource
except ImportError:  # Windows
    _has_limit = False
else:
    _has_limit = True

#: Descriptors of a server: those of its loop; of discovery, which has a loop of its own.
LOOP = 2
#: Sockets of a node over loopback, and of each connection, one for each end.
LISTENER, DATAGRAMS, CONNECTION = 1, 1, 2
#: Descriptors for the rest of the program, files and connections from outside.
SPARE = 64

_FD_FOLDER = "/proc/self/fd"


def needed(nodes: int, edges: int, *, discovers: bool, in_memory: bool) -> int:
    """Return the number of descriptors that a lab needs, about."""
    loops = 2 if discovers else 1
    if in_memory:
        return nodes * loops * LOOP
    return nodes * (loops * LOOP + LISTENER + (DATAGRAMS if discovers else 0)) + edges * CONNECTION


def ensure(count: int, what: str, may_raise: bool) -> None:
    """Raise LabError, with the remedy, unless ``count`` more descriptors can be opened.

    ``what`` describes the lab. With ``may_raise`` the limit is raised first, if that is enough.
    """
    if not _has_limit:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    total = count + _used() + SPARE
    if soft == resource.RLIM_INFINITY or total <= soft:
        return
    if may_raise and (hard == resource.RLIM_INFINITY or total <= hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (total, hard))
        return
    allowed = f"this process may have {soft}, and raise that to {hard}"
    raise LabError(f"{what} needs about {total} file descriptors; {allowed}: {_REMEDY}", ())


_REMEDY = (
    'join the nodes by join="memory", which needs the fewest; let the lab raise the limit by '
    "raise_limit=True; or raise it by ulimit -n"
)


def _used() -> int:
    """Return the number of open descriptors, 0 where the system does not list them."""
    return len(os.listdir(_FD_FOLDER)) if os.path.isdir(_FD_FOLDER) else 0
