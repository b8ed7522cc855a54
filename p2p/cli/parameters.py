"""Types of arguments, and input from files or the standard input.

A node is given by its enode URL or its record ("enr:…"), a key by its file. ``-`` is the standard
input, so that commands can be joined by pipes. A duration is Go's ("1h30m"), so that command lines
of go-ethereum's tools work. Main thread.
"""

from __future__ import annotations

import re
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

import p2p
from p2p.netutil import split_host_port

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:  # not generic before click 8.5
    ParamType = click.ParamType

#: Maximum number of characters to read from the standard input for one value.
MAX_INPUT = 64 * 1024
#: The networks by their names, which NETWORK takes.
NETWORKS: dict[str, p2p.networks.Network] = {
    network.name: network
    for network in (p2p.networks.MAINNET, p2p.networks.SEPOLIA, p2p.networks.HOODI)
}
#: Longest duration, in seconds: ten years; the system cannot wait much longer.
MAX_DURATION_S = 10 * 365 * 86_400
#: Longest text of a duration, in characters: the time to read it grows with the square of that.
MAX_DURATION_CHARS = 100
#: Most digits of the version of a capability.
MAX_VERSION_DIGITS = 9
_KEY_DIGITS = re.compile(r"[0-9a-fA-F]{64}")
#: Seconds of each unit of a duration.
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))", re.ASCII)


class NodeType(ParamType):
    """A node, by its enode URL or its record; ``-`` reads it from the standard input."""

    name = "node"

    def convert(self, value: Any, param: Any, context: Any) -> p2p.Node:
        if isinstance(value, p2p.Node):
            return value
        try:
            return p2p.parse_node(read_text(value))
        except p2p.InvalidNode as error:
            self.fail(f"{error}; give an enode URL or a record (enr:…)", param, context)


class KeyType(ParamType):
    """A private key, by the path of its file; ``-`` reads the digits from the standard input."""

    name = "keyfile"

    def convert(self, value: Any, param: Any, context: Any) -> p2p.PrivateKey:
        if isinstance(value, p2p.PrivateKey):
            return value
        if value == "-":
            return self._read_digits(param, context)
        try:
            return p2p.load_key(value)
        except FileNotFoundError:
            self.fail(f"no such file: {value}; to make a key: p2p key new {value}", param, context)
        except p2p.errors.InvalidKey as error:
            self.fail(f"{error}", param, context)

    def shell_complete(self, context: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]

    def _read_digits(self, param: Any, context: Any) -> p2p.PrivateKey:
        try:
            return p2p.PrivateKey.from_bytes(bytes.fromhex(read_text("-")))
        except (p2p.errors.InvalidKey, ValueError):
            # The text of an error must not show the key.
            self.fail("the standard input is no key: want 64 hex digits", param, context)


class HexType(ParamType):
    """Bytes, as hex digits with or without 0x; ``-`` reads them from the standard input."""

    name = "hex"

    def convert(self, value: Any, param: Any, context: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        digits = "".join(read_text(value).removeprefix("0x").split())
        try:
            return bytes.fromhex(digits)
        except ValueError:
            self.fail("no hex digits, two for each byte", param, context)


class TargetType(ParamType):
    """The target of a lookup: a node, its public key or, for discovery "v5", its ID."""

    name = "target"

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol

    def convert(self, value: Any, param: Any, context: Any) -> p2p.PublicKey | p2p.NodeID:
        if isinstance(value, (p2p.PublicKey, p2p.NodeID)):
            return value
        text = read_text(value)
        try:
            if re.fullmatch("[0-9a-fA-F]{128}", text):
                return p2p.PublicKey.from_bytes(bytes.fromhex(text))
            if self.protocol == "v5" and _KEY_DIGITS.fullmatch(text):
                return p2p.NodeID(bytes.fromhex(text))
            return p2p.parse_node(text).public_key
        except (p2p.errors.InvalidKey, p2p.InvalidNode) as error:
            wanted = "a node, or 128 hex digits of a public key"
            wanted += ", or 64 of a node ID" if self.protocol == "v5" else ""
            self.fail(f"{error}; give {wanted}", param, context)


class IPType(ParamType):
    """An IP address."""

    name = "ip"

    def convert(self, value: Any, param: Any, context: Any) -> IPv4Address | IPv6Address:
        if isinstance(value, (IPv4Address, IPv6Address)):
            return value
        try:
            return ip_address(value)
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, context)


class HostPortType(ParamType):
    """A host or an address, and a port; without a host, this machine."""

    name = "address"

    def convert(self, value: Any, param: Any, context: Any) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        try:
            host, port = split_host_port(value)
        except ValueError as error:
            self.fail(f"{error}; want HOST:PORT", param, context)
        return host or "127.0.0.1", port


class DurationType(ParamType):
    """A duration in seconds: a number, or Go's form, "1h30m" or "500ms"."""

    name = "duration"

    def convert(self, value: Any, param: Any, context: Any) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        seconds = self._seconds(value)
        if seconds is None:
            self.fail(f'{value!r} is not a duration; want "90s", "24h" or "1h30m"', param, context)
        if seconds > MAX_DURATION_S:
            self.fail(f"a duration is at most {MAX_DURATION_S} s", param, context)
        return seconds

    def _seconds(self, value: str) -> float | None:
        if len(value) > MAX_DURATION_CHARS:
            return None
        parts = _DURATION.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value:
            return sum(float(number) * _UNITS[unit] for number, unit in parts)
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII) else None


class NodeKeyType(KeyType):
    """A private key, by the path of its file or, as go-ethereum's tool has it, by its digits."""

    name = "key"

    def convert(self, value: Any, param: Any, context: Any) -> p2p.PrivateKey:
        if not (isinstance(value, str) and _KEY_DIGITS.fullmatch(value)):
            return super().convert(value, param, context)
        try:
            return p2p.PrivateKey.from_bytes(bytes.fromhex(value))
        except p2p.errors.InvalidKey as error:
            self.fail(f"{error}", param, context)


class CapType(ParamType):
    """A capability, NAME/VERSION."""

    name = "cap"

    def convert(self, value: Any, param: Any, context: Any) -> p2p.Cap:
        if isinstance(value, p2p.Cap):
            return value
        name, _, version = str(value).rpartition("/")
        is_number = version.isascii() and version.isdecimal() and len(version) <= MAX_VERSION_DIGITS
        if not (name and name.isprintable() and is_number):
            self.fail(f"wanted a name and a version such as eth/69; got {value}", param, context)
        return p2p.Cap(name, int(version))


NODE = NodeType()
KEY = KeyType()
NODE_KEY = NodeKeyType()
CAP = CapType()
IP = IPType()
HOST_PORT = HostPortType()
DURATION = DurationType()
NETWORK = click.Choice(list(NETWORKS))
#: A file to read; "-" is the standard input.
FILE = click.Path(allow_dash=True)
PORT = click.IntRange(0, 0xFFFF)


def read_text(value: str) -> str:
    """Return ``value`` without white space around it, for ``-`` that of the standard input."""
    if value != "-":
        return value.strip()
    text = sys.stdin.read(MAX_INPUT + 1)
    if len(text) > MAX_INPUT:
        raise click.BadParameter(f"the standard input has more than {MAX_INPUT} characters")
    return text.strip()


def read_file(path: str) -> str:
    """Return the text of a file, for ``-`` the standard input."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path}: not a text file: {error}") from None
