"""NLnet Labs' nsd as the name server of a test, on a free port of 127.0.0.1.

It serves the TXT records of one domain, and knows of a second one, ``BROKEN``, whose zone file does
not exist: SERVFAIL. All other domains are REFUSED. It runs in the foreground in a folder of the
test, with no rights but the caller's, and is ended by its process group.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import dns.exception
import dns.resolver

from p2p.net import bind_pair
from tests.kit.waiting import PATIENCE_S, eventually

HOST = "127.0.0.1"
DOMAIN = "nodes.example.org"
BROKEN = "broken.example.org"
#: Bytes of a string of a TXT record at most.
STRING_SIZE = 255
#: Where Debian has it; the PATH of a user often has no sbin.
PROGRAM = shutil.which("nsd") or shutil.which("nsd", path="/usr/sbin:/usr/local/sbin")

_CONFIG = """\
server:
  ip-address: {host}@{port}
  username: ""
  database: ""
  pidfile: ""
  zonesdir: "{folder}"
  logfile: "{folder}/log"
  xfrdfile: ""
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zones"
  server-count: 1
  do-ip6: no
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {domain}
  zonefile: zone
zone:
  name: {broken}
  zonefile: none
"""

_HEAD = """\
$TTL 60
@ SOA ns.example.org. admin.example.org. {serial} 3600 600 86400 60
@ NS ns.example.org.
"""


class Nsd:
    """A running nsd. ``records`` are TXT texts by absolute name, as in a SignedTree."""

    def __init__(self, folder: Path, records: Mapping[str, str | Iterable[str]]) -> None:
        assert PROGRAM is not None
        tcp, udp = bind_pair(HOST, 0)
        self.port: int = tcp.getsockname()[1]
        self._folder = folder
        self._serial = 0
        self._write(records)
        config = folder / "nsd.conf"
        names = {"folder": folder, "host": HOST, "port": self.port}
        config.write_text(_CONFIG.format(**names, domain=DOMAIN, broken=BROKEN), encoding="utf-8")
        tcp.close()
        udp.close()
        self._process = subprocess.Popen([PROGRAM, "-d", "-c", str(config)], start_new_session=True)
        self.await_serial()

    @property
    def resolver(self) -> dns.resolver.Resolver:
        """A resolver that asks this server only, without EDNS: 512 bytes by UDP."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [HOST]
        resolver.port = self.port
        return resolver

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def publish(self, records: Mapping[str, str | Iterable[str]]) -> None:
        """Serve other records from now on."""
        self._write(records)
        os.kill(self._process.pid, signal.SIGHUP)
        self.await_serial()

    def silence(self, is_on: bool) -> None:
        """Stop its processes, or let them go on."""
        os.killpg(self._process.pid, signal.SIGSTOP if is_on else signal.SIGCONT)

    def stop(self) -> None:
        self.silence(False)
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE_S)

    def await_serial(self) -> None:
        """Wait until the zone that was written last is served."""
        eventually(lambda: self._served() == self._serial, "nsd does not serve its zone")

    def _served(self) -> int | None:
        assert self._process.poll() is None, (self._folder / "log").read_text(encoding="utf-8")
        try:
            (soa,) = self.resolver.resolve(f"{DOMAIN}.", "SOA", lifetime=0.5, search=False)
        except dns.exception.DNSException:
            return None
        serial: int = soa.serial
        return serial

    def _write(self, records: Mapping[str, str | Iterable[str]]) -> None:
        self._serial += 1
        lines = [_HEAD.format(serial=self._serial)]
        for name, texts in records.items():
            for text in [texts] if isinstance(texts, str) else texts:
                lines.append(f"{name}. TXT {_in_strings(text)}\n")
        path = self._folder / "zone"
        path.with_suffix(".new").write_text("".join(lines), encoding="utf-8")
        # nsd reads a zone again if its time has changed, which it knows to the second.
        os.utime(path.with_suffix(".new"), (self._serial, self._serial))
        path.with_suffix(".new").rename(path)


def _in_strings(text: str) -> str:
    """A text as strings of a TXT record."""
    parts = [text[at : at + STRING_SIZE] for at in range(0, len(text), STRING_SIZE)]
    return " ".join(f'"{part}"' for part in parts)
