"""Needs of a step beside the wheel: each gives the reason to skip it, or "" if all is there."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable


def _tcpdump() -> str:
    if shutil.which("tcpdump") is None:
        return "tcpdump is not installed"
    if not hasattr(socket, "AF_PACKET"):
        return "the name of the loopback interface is known for Linux only"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError as error:
        return f"no right to capture: {error.strerror}"
    return ""


NEEDS: dict[str, Callable[[], str]] = {"tcpdump": _tcpdump}
