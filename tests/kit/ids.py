"""Names of the cases of a test, the same in each process."""

from __future__ import annotations

import re

#: The address of an object, as in the ``repr`` of most objects and of mocks.
ADDRESS = re.compile(r" at 0x[0-9a-f]+| id='[0-9]+'")


def steady(value: object) -> str:
    """The ``repr`` of a value without the addresses of objects in it.

    For ``ids=``: a case with an address in its name cannot be run again by that name.
    """
    return ADDRESS.sub("", repr(value))
