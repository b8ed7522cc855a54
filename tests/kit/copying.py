"""The ways to copy a value: by ``copy``, and by ``pickle`` with each protocol."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(  # type: ignore[misc]
            pickle.dumps(value, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
