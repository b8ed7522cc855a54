"""A Tor network on loopback: authorities, relays, an onion service and a client with a SOCKS port.

It needs the programs ``tor`` and ``tor-gencert`` (Debian's package ``tor``), and takes half a
minute until the client can build circuits. All processes end with :meth:`TorNetwork.stop`. Nothing
leaves the machine: the only directory authorities are those made here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.kit.nodes import HOST, unused_port

PROGRAMS = ("tor", "tor-gencert")

AUTHORITIES, RELAYS = 3, 3
#: Time for the network to be of use; votes take place every 10 s.
PATIENCE_S = 180.0
_PAUSE_S = 0.1

#: For every process; short times, and all the checks off that need the Internet.
_COMMON = """\
TestingTorNetwork 1
AssumeReachable 1
PathsNeededToBuildCircuits 0.25
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
ShutdownWaitLength 0
Address {host}
Nickname {name}
DataDirectory {folder}
Log notice file {folder}/log
{authorities}
"""
_RELAY = """\
OrPort {host}:{or_port}
SocksPort 0
ExitRelay 1
ExitPolicy accept 127.0.0.0/8:*
ExitPolicyRejectPrivate 0
"""
_AUTHORITY = """\
DirPort {host}:{dir_port}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo none
TestingV3AuthInitialVotingInterval 10
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
"""
_SERVICE = """\
SocksPort 0
HiddenServiceDir {folder}/service
HiddenServicePort 30303 {host}:{target}
"""
_CLIENT = """\
SocksPort {host}:{socks_port}
ClientRejectInternalAddresses 0
"""


class TorNetwork:
    """A network in ``folder``, whose onion service passes connections on to ``target``, a port."""

    def __init__(self, folder: Path, target: int) -> None:
        self.socks_port = unused_port()
        self._folder = folder
        self._target = target
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all processes, and wait until the network is of use."""
        made = [self._make_authority(f"auth{number}") for number in range(AUTHORITIES)]
        self._authorities = "\n".join(line for line, _ in made)
        configs = {f"auth{number}": config for number, (_, config) in enumerate(made)}
        for number in range(RELAYS):
            configs[f"relay{number}"] = _RELAY.format(host=HOST, or_port=unused_port())
        service = self._folder / "service"
        configs["service"] = _SERVICE.format(host=HOST, target=self._target, folder=service)
        configs["client"] = _CLIENT.format(host=HOST, socks_port=self.socks_port)
        for name, config in configs.items():
            self._start(name, config)
        wait_until(self._is_ready, "the network does not come up")

    @property
    def onion_name(self) -> str:
        """The name of the onion service."""
        return (self._folder / "service" / "service" / "hostname").read_text().strip()

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def _is_ready(self) -> bool:
        """Whether the client and the onion service can build circuits."""
        ended = [process.args for process in self._processes if process.poll() is not None]
        assert not ended, f"ended by themselves: {ended}"
        logs = [self._folder / name / "log" for name in ("client", "service")]
        return all(log.exists() and "Bootstrapped 100%" in log.read_text() for log in logs)

    def _make_authority(self, name: str) -> tuple[str, str]:
        """Make the keys of an authority. Returns the line that names it, and its configuration."""
        folder = self._make_folder(name)
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        or_port, dir_port = unused_port(), unused_port()
        certificate = keys / "authority_certificate"
        files = ["-i", keys / "authority_identity_key", "-s", keys / "authority_signing_key"]
        command: list[object] = ["tor-gencert", "--create-identity-key", "--passphrase-fd", "0"]
        command += [*files, "-c", certificate, "-m", "12", "-a", f"{HOST}:{dir_port}"]
        _output(command, "any\n")
        found = re.search(r"^fingerprint (\w+)", certificate.read_text(), re.MULTILINE)
        assert found is not None
        command = ["tor", "--list-fingerprint", "--orport", str(or_port), "-f", folder / "torrc"]
        command += ["--ignore-missing-torrc", "--datadirectory", folder]
        shown = _output([*command, "--dirauthority", f"x {HOST}:1 {'f' * 40}"])
        fingerprint = shown.splitlines()[-1].split(" ", 1)[1]
        line = (
            f"DirAuthority {name} orport={or_port} no-v2 v3ident={found.group(1)} "
            f"{HOST}:{dir_port} {fingerprint}"
        )
        config = _RELAY.format(host=HOST, or_port=or_port)
        return line, config + _AUTHORITY.format(host=HOST, dir_port=dir_port)

    def _make_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        return folder

    def _start(self, name: str, config: str) -> None:
        folder = self._folder / name
        if not folder.exists():
            self._make_folder(name)
        common = _COMMON.format(
            host=HOST, name=name, folder=folder, authorities=self._authorities
        )
        path = folder / "torrc"
        path.write_text(common + config)
        with (folder / "out").open("wb") as out:
            command = ["tor", "-f", str(path)]
            self._processes.append(subprocess.Popen(command, stdout=out, stderr=out))


def wait_until(reached: Callable[[], object], what: str) -> None:
    """Wait for a state that no event tells of, for ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(_PAUSE_S)


def missing() -> list[str]:
    """The programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def _output(command: list[object], text: str = "") -> str:
    words = [str(word) for word in command]
    made = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    return made.stdout
