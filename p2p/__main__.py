"""Entry point of the command line: ``p2p``, and ``python -m p2p``.

It needs the extra ``cli``; without it, one line tells how to install it. Main thread.
"""

from __future__ import annotations

import sys

from p2p.interrupt import let_raise


def main() -> int:
    """Run the command line with the arguments of the process; return its exit code."""
    try:
        from p2p.cli import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        print(
            "p2p: the command line needs an extra: pip install 'p2p-blocking[cli]'",
            file=sys.stderr,
        )
        return 2
    try:
        let_raise()
        return run()
    except KeyboardInterrupt:  # before or after the run, which handles it
        return 130


if __name__ == "__main__":
    sys.exit(main())
