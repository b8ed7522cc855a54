"""The decorator that gives a class the options of :class:`p2p.config.Config` as its arguments.

It owns no list of options: the fields of the Config are the only one (docs/design/options.md). Runs
once, at the import; any thread may call the decorated function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, get_type_hints

from p2p.config import Config

_P = ParamSpec("_P")
_S = TypeVar("_S")


def takes_options(
    config: Callable[_P, Config],
) -> Callable[[Callable[[_S, Config], None]], Callable[Concatenate[_S, _P], None]]:
    """Make an ``__init__`` with a Config parameter take the arguments of ``config`` instead.

    Editors, type checkers, ``help`` and ``inspect.signature`` see these arguments with their types,
    without a second list of them.
    """
    options = inspect.signature(config)

    def decorate(init: Callable[[_S, Config], None]) -> Callable[Concatenate[_S, _P], None]:
        own = next(iter(inspect.signature(init).parameters.values()))
        signature = inspect.Signature(
            [own, *options.parameters.values()], return_annotation=options.return_annotation
        )

        @wraps(init)
        def init_with_options(self: _S, /, *args: _P.args, **given: _P.kwargs) -> None:
            try:
                signature.bind(self, *args, **given)
            except TypeError as error:  # an error of config would name another function
                raise TypeError(f"{init.__qualname__}() {error}") from None
            init(self, config(*args, **given))

        # values, not text: this module does not have the names in the annotations of config
        hints = get_type_hints(config)
        init_with_options.__annotations__ = {**hints, "return": None}
        init_with_options.__signature__ = signature  # type: ignore[attr-defined]
        del init_with_options.__wrapped__  # its module does not have the names in the annotations
        return init_with_options

    return decorate
