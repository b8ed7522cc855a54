"""Names of the cases of a test, the same in each process."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def steady(value: object) -> str:
    """The ``repr`` of a value without the addresses of objects in it.

    For ``ids=``: a case with an address in its name cannot be run again by that name.
    """
    return _ADDRESS.sub("", repr(value))
