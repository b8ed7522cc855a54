"""A home behind a router, in network namespaces, with miniupnpd as the router's daemon.

::

    inside  192.168.77.2 ── lan 192.168.77.1  router  wan 20.0.0.1 ── 20.0.0.9  outside

The router masquerades what leaves by ``wan`` and forwards nothing from there, except what its
daemon has mapped. All names have the number of the process in them. It needs root, ``ip``, ``nft``
and ``miniupnpd`` (with nftables); every process is ended by its own handle, and the namespaces go
away with the home. The addresses of the Internet exist within the namespaces only: the daemon maps
nothing for a router with an address that is none of the Internet.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from .program import DEADLINE_S, QUIT_S

INSIDE, LAN = "192.168.77.2", "192.168.77.1"
#: A second host of the home, at the same interface.
NEIGHBOR = "192.168.77.3"
WAN, OUTSIDE = "20.0.0.1", "20.0.0.9"
DAEMON = "miniupnpd"
#: A line of the daemon's log that is the last one of its start.
READY = "HTTP listening on port"
READY_PMP = "Listening for NAT-PMP/PCP traffic"

RULES = """
table inet filter {
    chain miniupnpd {}
    chain prerouting_miniupnpd {}
    chain postrouting_miniupnpd {}
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan" accept
        jump miniupnpd
    }
    chain prerouting {
        type nat hook prerouting priority -100;
        jump prerouting_miniupnpd
    }
    chain postrouting {
        type nat hook postrouting priority 100;
        jump postrouting_miniupnpd
        oifname "wan" masquerade
    }
}
"""
CONFIG = """
ext_ifname=wan
http_port=5555
listening_ip=lan
enable_upnp={upnp}
enable_natpmp={pmp}
secure_mode={secure}
min_lifetime=10
uuid=8d8b0c5e-1111-2222-3333-444455556666
lease_file={folder}/leases
allow 1024-65535 192.168.77.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def missing() -> str | None:
    """What a home needs and this machine does not have, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    absent = [name for name in ("ip", "nft", DAEMON) if shutil.which(name) is None]
    if absent:
        return f"{' and '.join(absent)} not installed; run tests/interop/build.sh as root"
    made = subprocess.run(["ip", "netns", "add", _name("try")], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    _ip(f"netns del {_name('try')}")
    return None


class Process:
    """A process whose lines are read by a thread; ``log`` has all that was read."""

    def __init__(self, command: list[str], *, errors: bool = False) -> None:
        """``errors``: the lines are those of its standard error."""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if errors else subprocess.PIPE,
            stderr=subprocess.PIPE if errors else None,
            text=True,
            errors="replace",
        )
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self.log: list[str] = []
        self._output = self._process.stderr if errors else self._process.stdout
        self._reader = threading.Thread(target=self._read, name="home", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._output is not None
        for line in self._output:
            self._lines.put(line)
        self._lines.put(None)

    def line(self) -> str:
        """The next line. Fails if there is none in time."""
        try:
            line = self._lines.get(timeout=DEADLINE_S)
        except Empty:
            raise AssertionError(f"silence after {self.log[-20:]}") from None
        if line is None:
            raise AssertionError(f"ended after {self.log[-20:]}")
        self.log.append(line.rstrip())
        return line

    def wait_for(self, words: str) -> None:
        """Read lines up to one with these words."""
        while words not in self.line():
            pass

    def event(self, name: str) -> dict[str, Any]:
        """Read lines up to the event of this name, and return it."""
        while (found := json.loads(self.line()))["event"] != name:
            pass
        return dict(found)

    def say(self, line: str = "") -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        """End its input, which is what ends programs of ours."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self, *, terminate: bool = False) -> None:
        """End the process, by a signal if ``terminate``; safe to call twice."""
        assert self._process.stdin is not None and self._output is not None
        if terminate:
            self._process.terminate()
        self._process.stdin.close()
        try:
            self._process.wait(QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._output.close()


class Home:
    """The namespaces; ``folder`` is for the files of the daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._daemon: Process | None = None

    def __enter__(self) -> Home:
        with ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def _build(self, stack: ExitStack) -> None:
        names = inside, router, outside = _name("in"), _name("rt"), _name("out")
        for name in names:
            _ip(f"netns add {name}")
            stack.callback(_ip, f"netns del {name}")
            _ip(f"-n {name} link set lo up")
        for link, name in (("lan", inside), ("wan", outside)):
            _ip(f"-n {router} link add {link} type veth peer name eth0 netns {name}")
            _ip(f"-n {router} link set {link} up")
            _ip(f"-n {name} link set eth0 up")
        _ip(f"-n {router} addr add {LAN}/24 dev lan")
        _ip(f"-n {inside} addr add {INSIDE}/24 dev eth0")
        _ip(f"-n {inside} addr add {NEIGHBOR}/24 dev eth0")
        _ip(f"-n {inside} route add default via {LAN}")
        _ip(f"-n {outside} addr add {OUTSIDE}/24 dev eth0")
        self.set_wan(WAN)
        _in(router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        _in(router, "nft", "-f", "-", data=RULES)

    def set_wan(self, address: str) -> None:
        """Give the router another external address."""
        _ip(f"-n {_name('rt')} addr flush dev wan")
        _ip(f"-n {_name('rt')} addr add {address}/24 dev wan")

    def start_daemon(
        self, *options: str, upnp: bool = True, pmp: bool = False, secure: bool = True
    ) -> None:
        """Start miniupnpd, and wait until it is ready."""
        yes = {True: "yes", False: "no"}
        config = self._folder / "miniupnpd.conf"
        config.write_text(
            CONFIG.format(upnp=yes[upnp], pmp=yes[pmp], secure=yes[secure], folder=self._folder)
        )
        pid = self._folder / "miniupnpd.pid"
        command = [DAEMON, "-d", "-4", "-f", str(config), "-P", str(pid), *options]
        daemon = self._daemon = Process(command_in("rt", *command), errors=True)
        self._stack.callback(daemon.close, terminate=True)
        daemon.wait_for(READY_PMP if pmp else READY)

    def stop_daemon(self) -> None:
        """End the daemon, and lose its mappings, as a router that loses its power does."""
        assert self._daemon is not None
        self._daemon.close(terminate=True)
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            _in(_name("rt"), "nft", "flush", "chain", "inet", "filter", chain)
        (self._folder / "leases").unlink(missing_ok=True)

    def run(self, where: str, *words: str) -> Process:
        """Start a program of ours ("in", "out") with these arguments."""
        program = [sys.executable, "-m", "tests.interop.homeprogram", *words]
        return self.start(command_in(where, *program))

    def start(self, command: list[str], *, terminate: bool = False) -> Process:
        """Start any program; it ends with its input, or by a signal if ``terminate``."""
        process = Process(command)
        self._stack.callback(process.close, terminate=terminate)
        return process

    def mappings(self) -> list[str]:
        """The rules of the router that lead inside, as nft shows them."""
        shown = _in(_name("rt"), "nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd")
        return [line.strip() for line in shown.splitlines() if "dnat" in line]

    def await_mappings(self, count: int) -> None:
        """Wait until the router has so many mappings."""
        deadline = time.monotonic() + DEADLINE_S
        while len(self.mappings()) != count:
            assert time.monotonic() < deadline, self.mappings()
            time.sleep(0.05)


def _name(role: str) -> str:
    return f"p2p{os.getpid()}-{role}"


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, stdout=subprocess.DEVNULL)


def command_in(role: str, *words: str) -> list[str]:
    """The command that runs ``words`` in the namespace of a role: "in", "rt", "out"."""
    return ["ip", "netns", "exec", _name(role), *words]


def _in(name: str, *words: str, data: str = "") -> str:
    """Run a command in a namespace, and return its output."""
    command = ["ip", "netns", "exec", name, *words]
    return subprocess.run(command, check=True, input=data, capture_output=True, text=True).stdout
