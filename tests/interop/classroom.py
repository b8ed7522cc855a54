"""A class room in network namespaces: hosts at switches, which are bridges.

Each host is a namespace with an interface at one or more switches; a switch is a network of its
own, as a VLAN is. All names have the number of the process in them; it needs root and ``ip``, and
everything goes away with the room. avahi, the other implementation of DNS-SD, runs in a host with a
D-Bus of its own, and an empty ``/run``: it neither finds nor disturbs the one of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .home import Process

#: Events of one node that a test reads at most, before it gives up.
MAX_EVENTS = 500

AVAHI = ("avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon")

_BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
_DAEMON = """
[server]
use-ipv4=yes
use-ipv6=no
host-name=reader
[publish]
publish-workstation=no
[rlimits]
"""


def missing(*programs: str) -> str | None:
    """What a room needs and this machine does not have, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    absent = [name for name in ("ip", *programs) if shutil.which(name) is None]
    if absent:
        return f"{' and '.join(absent)} not installed; run tests/interop/build.sh as root"
    made = subprocess.run(["ip", "netns", "add", _name("try")], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    ip(f"netns del {_name('try')}")
    return None


class Node:
    """A program of :mod:`tests.interop.classnode` and the state that it last told."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.log: list[str] = []
        self.state: dict[str, Any] = {}

    @property
    def id(self) -> str:
        self.wait_for(lambda state: bool(state))
        return str(self.state["id"])

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Read events up to a state for which the condition holds."""
        for _ in range(MAX_EVENTS):
            if self.state and condition(self.state):
                return
            self._read()
        raise AssertionError(f"not in {MAX_EVENTS} events: {self.state}, {self.log[-20:]}")

    def wait_for_log(self, words: str) -> str:
        """Read events up to a line of the log with these words, and return it."""
        seen = 0
        for _ in range(MAX_EVENTS):
            for line in self.log[seen:]:
                if words in line:
                    return line
            seen = len(self.log)
            self._read()
        raise AssertionError(f"not in {MAX_EVENTS} events: {words!r}, {self.log[-20:]}")

    def knows(self, **addresses_of: str) -> None:
        """Wait until exactly these nodes are known, by their ids and addresses."""
        self.wait_for(lambda state: state["lan"] == dict(sorted(addresses_of.items())))

    def _read(self) -> None:
        event = json.loads(self.process.line())
        if event["event"] == "log":
            self.log.append(event["text"])
        elif event["event"] == "state":
            self.state = event


class Room:
    """The hosts and switches; ``folder`` is for the files of daemons."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._switches: set[str] = set()
        self._ports = 0

    def __enter__(self) -> Room:
        self._namespace("hub")
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def add_host(self, name: str, **addresses: str) -> None:
        """Add a host; ``switch="192.168.77.1/24"`` connects it, with one address or several."""
        self._namespace(name)
        for number, (switch, given) in enumerate(addresses.items()):
            self.plug_in(name, f"eth{number}", switch)
            for address in given.split():
                self.add_address(name, f"eth{number}", address)

    def plug_in(self, host: str, interface: str, switch: str) -> None:
        """Connect an interface of a host to a switch."""
        hub = _name("hub")
        if switch not in self._switches:
            self._switches.add(switch)
            ip(f"-n {hub} link add {switch} type bridge mcast_snooping 0")
            ip(f"-n {hub} link set {switch} up")
        self._ports += 1
        port = f"port{self._ports}"
        ip(f"-n {hub} link add {port} type veth peer name {interface} netns {_name(host)}")
        ip(f"-n {hub} link set {port} master {switch} up")
        ip(f"-n {_name(host)} link set {interface} up")

    def add_address(self, host: str, interface: str, address: str) -> None:
        """Give an interface an address, which can be used at once."""
        nodad = " nodad" if ":" in address else ""
        ip(f"-n {_name(host)} addr add {address} dev {interface}{nodad}")

    def unplug(self, host: str, interface: str) -> None:
        """Take an interface away."""
        ip(f"-n {_name(host)} link del {interface}")

    def start(self, host: str, **options: Any) -> Node:
        """Start a server with these options, and LAN discovery."""
        return Node(self._run(host, "node", json.dumps(options)))

    def announce(self, host: str, txt: bytes, address: str) -> None:
        """Announce a node by zeroconf alone, whatever its TXT record is, until the end."""
        self._run(host, "announce", host, txt.hex(), address).event("announced")

    def groups(self, host: str) -> str:
        """The kernel's lists of the multicast groups of a host, of IPv4, and its UDP sockets."""
        return run(*_command(host, "cat", "/proc/net/igmp", "/proc/net/udp", "/proc/net/udp6"))

    def start_avahi(self, host: str) -> None:
        """Start avahi in a host, and wait until it is ready."""
        bus, daemon = self._folder / "bus.conf", self._folder / "avahi.conf"
        bus.write_text(_BUS.format(folder=self._folder), encoding="utf-8")
        daemon.write_text(_DAEMON, encoding="utf-8")
        for command, ready in (
            (f"dbus-daemon --nofork --print-address=2 --config-file={bus}", "unix:"),
            (f"avahi-daemon -f {daemon} --no-drop-root --no-chroot --no-rlimits", "Server startup"),
        ):
            process = Process(self._avahi(host, command), errors=True)
            self._stack.callback(process.close, terminate=True)
            process.wait_for(ready)

    def avahi(self, host: str, command: str) -> Process:
        """Start a program of avahi: what its daemon knows, or what it is to publish."""
        process = Process(self._avahi(host, command))
        self._stack.callback(process.close, terminate=True)
        return process

    def _avahi(self, host: str, command: str) -> list[str]:
        environment = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={self._folder}/bus"
        script = f"mount -t tmpfs none /run && exec env {environment} {command}"
        return _command(host, "sh", "-c", script)

    def _run(self, host: str, *words: str) -> Process:
        program = [sys.executable, "-m", "tests.interop.classnode", *words]
        process = Process(_command(host, *program))
        self._stack.callback(process.close)
        return process

    def _namespace(self, name: str) -> None:
        ip(f"netns add {_name(name)}")
        self._stack.callback(ip, f"netns del {_name(name)}")
        ip(f"-n {_name(name)} link set lo up")


def _name(host: str) -> str:
    return f"p2p{os.getpid()}-{host}"


def _command(host: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", _name(host), *words]


def ip(words: str) -> None:
    run("ip", *words.split())


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
