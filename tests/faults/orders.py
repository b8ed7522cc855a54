"""What a handler may be told to do that it had better not; none of it concerns any other peer."""

from __future__ import annotations

import os
import subprocess
import sys


def fail() -> None:
    raise ZeroDivisionError("planned")


def leave() -> None:
    sys.exit(1)


def recurse() -> None:
    recurse()


def take_all_memory() -> None:
    bytearray(2**62)


def fork() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def spawn() -> None:
    subprocess.run(["true"], check=True, close_fds=False)


ORDERS = (fail, leave, recurse, take_all_memory, fork, spawn)
