"""Run both ends of foo_bar.py, as two processes, and show their output.

::

    $ python examples/demo.py
    listener: enode://...@127.0.0.1:...
    dialer:   listener says bar
    listener: dialer says foo

``make demo`` runs this. It ends by itself, with the exit code of the dialer.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

FOO_BAR = Path(__file__).with_name("foo_bar.py")
TIMEOUT_S = 30.0


def main() -> int:
    # A shell makes its background jobs ignore Ctrl-C, and their children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, str(FOO_BAR)]
    with subprocess.Popen([*command, "listen"], stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        try:
            url = listener.stdout.readline().strip()
            print("listener:", url)
            dialer = subprocess.run([*command, "dial", url], capture_output=True, text=True,
                                    timeout=TIMEOUT_S)  # fmt: skip
            print("dialer:  ", dialer.stdout.strip() or dialer.stderr.strip())
        finally:
            listener.send_signal(signal.SIGINT)  # Ctrl-C
        for line in listener.communicate(timeout=TIMEOUT_S)[0].splitlines():
            print("listener:", line)
    return dialer.returncode or listener.returncode


if __name__ == "__main__":
    sys.exit(main())
