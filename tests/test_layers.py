"""The layers of the design: allowed imports, and the limits of pure modules.

The imports of every module are read from its source with ``ast``, wherever they stand: at the top,
in a function, under ``TYPE_CHECKING``. A *unit* is a module or a folder directly in ``p2p/``; it
may import units of earlier layers, and of its own layer only those that WITHIN names. The package
itself, ``p2p``, is the unit FACE.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FACE = "__init__"

#: From the ground up; a unit may import from every line above its own.
LAYERS: list[set[str]] = [
    {
        *("_version", "arguments", "clock", "codec", "discreason", "errorcopy", "errors", "feed"),
        *("forks", "inputs", "interrupt", "latch", "leaks", "loglimit", "metrics", "netutil"),
        *("observerguard", "threads", "usercode"),
    },
    {"crypto"},
    {"enr", "enode"},
    {"forkid", "networks"},
    {"net"},
    {"rlpx"},
    {"message", "mailbox", "messages", "pipe", "protocol", "requests"},
    {"eth"},
    {"discover", "dnsdisc", "lan", "nat"},
    {
        *("observe", "keylog", "networkoptions", "optionchecks", "config", "options"),
        *("lifecycle", "peers", "dial", "nodeinfo", "nodesources", "metricsserver", "exporter"),
        *("services", "parts", "collector", "server", "client", "capture", "explain"),
        *("monitor", "monitorservice"),
    },
    {FACE, "rlp"},
    {"cli", "lab", "sim", "testing"},
    {"__main__"},
]
BASE, USERS = LAYERS[0], LAYERS[-2]
#: Users that put parts together in place of a server, or of the network between servers.
KITS = {"lab", "testing"}

#: What a unit may import from its own layer.
WITHIN: dict[str, set[str]] = {
    "errors": {"discreason", "errorcopy"},
    "arguments": {"errors"},
    "clock": {"arguments", "errors"},
    "codec": {"arguments", "errors"},
    "feed": {"arguments", "clock", "errors", "forks", "latch"},
    "forks": {"errors", "latch"},
    "leaks": {"forks"},
    "loglimit": {"clock"},
    "metrics": {"errors"},
    "netutil": {"arguments", "errors"},
    "observerguard": {"clock", "loglimit"},
    "threads": {"clock", "forks", "usercode"},
    "enode": {"enr"},
    "networks": {"forkid"},
    "mailbox": {"message"},
    "messages": {"message", "protocol"},
    "pipe": {"message", "mailbox", "protocol"},
    "protocol": {"message"},
    "keylog": {"observe"},
    "capture": {"keylog"},
    "explain": {"client", "observe"},
    "requests": {"message", "messages"},
    "optionchecks": {"keylog", "observe"},
    "config": {"networkoptions", "observe", "optionchecks"},
    "nodeinfo": {"config"},
    "options": {"config"},
    "peers": {"config", "observe"},
    "monitor": {"config", "observe", "optionchecks", "peers"},
    "nodesources": {"config"},
    "monitorservice": {"config", "monitor"},
    "exporter": {"metricsserver"},
    "services": {
        *("config", "exporter", "keylog", "monitor", "monitorservice", "nodesources", "observe"),
    },
    "collector": {"parts", "peers"},
    "dial": {"config", "observe", "peers"},
    "parts": {"config", "dial", "keylog", "monitorservice", "observe", "peers", "services"},
    "server": {
        *("config", "dial", "lifecycle", "nodeinfo", "optionchecks", "options", "parts", "peers"),
        *("collector", "services"),
    },
    "client": {"config", "dial", "peers", "server"},
    FACE: {"rlp"},
    "cli": {"lab", "sim", "testing"},
    "lab": {"sim"},
}

#: The public modules: whoever may use the public names may use these, but nothing inside of them.
PUBLIC = {
    *("p2p.capture", "p2p.discover", "p2p.dnsdisc", "p2p.enode", "p2p.errors", "p2p.eth"),
    *("p2p.explain", "p2p.lab", "p2p.messages"),
    *("p2p.metrics", "p2p.monitor", "p2p.nat", "p2p.networks", "p2p.observe"),
    *("p2p.requests", "p2p.rlp", "p2p.sim"),
    *("p2p.testing", "p2p.testing.conformance"),
}

#: Packages whose ``__init__`` only shows what its modules have, of any room, pure or not.
SHOWCASES = {"p2p.discover", "p2p.dnsdisc", "p2p.eth", "p2p.messages"}

#: Rooms upstairs: they use what lies beside them in their unit, and nothing of that knows them.
#: Only the face and the users of the unit do.
UPSTAIRS = {"discover": {"v4", "v5"}}

#: What a unit may name under TYPE_CHECKING besides: a protocol's handler is a function of a peer,
#: and a peer runs a protocol; the options that a network sets are options of a configuration; an
#: observer gets the outcome of a dial, and events of peers; the page of a server has a weak
#: reference to it.
FOR_TYPES = {
    "messages": {"peers"},
    "protocol": {"peers"},
    "networkoptions": {"config"},
    "observe": {"dial", "peers"},
    "monitor": {"dial", "server"},
    "parts": {"server"},
}
TYPE_CHECKS = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}

#: Bytes and ``now`` go in, events and bytes come out. A folder or a single module.
PURE = (
    *("_version", "arguments", "discreason", "errorcopy", "errors", "inputs", "codec", "crypto"),
    *("enr", "dnsdisc"),
    *("netutil", "rlpx", "discover", "enode.db.memory", "enode.db.rows", "enode.distance"),
    *("enode.localrecord", "enode.ownaddress", "enode.node", "enode.nodeid", "enode.topic"),
    *("enode.url",),
    *("forkid", "networks", "eth", "messages.declaration"),
    *("dial.attempts", "dial.endpoints", "dial.history", "dial.limits", "dial.scheduler"),
    *("dial.verdicts",),
    *("peers.admission", "peers.collision"),
    *("metrics.catalog", "metrics.metric", "net.shares"),
    *("lab.event", "lab.numbers", "lab.topology"),
    *("peers.event", "peers.outcomes", "peers.phase", "peers.traffic"),
    "keylog.lines",
    *("lan.announcement", "lan.interfaces", "lan.known", "lan.txt"),
    *("explain.eip8", "explain.explanation", "explain.handshake", "explain.message"),
    *("explain.packet", "explain.page"),
    *("capture.connection", "capture.decoder", "capture.discovery", "capture.event"),
    *("capture.frames", "capture.keys", "capture.keystream", "capture.messages"),
    *("capture.packets", "capture.stream"),
    *("nat.epoch", "nat.errors", "nat.leases", "nat.mapping", "nat.natpmp", "nat.pcp"),
    *("nat.request", "nat.spec", "nat.stun"),
    *("requests.ids", "requests.pending"),
    *("nat.upnp.description", "nat.upnp.httpanswer", "nat.upnp.soap"),
    *("nat.upnp.ssdp", "nat.upnp.url", "nat.upnp.xmltree"),
)
#: The thin services around discovery's pure engine, around the client of node lists, and of eth.
NOT_PURE = tuple(
    f"discover.{name}"
    for name in (
        *("clockcheck", "driver", "front", "iterator", "runner", "service"),
        *("v4.udpv4", "v5.advertisement", "v5.talk", "v5.udpv5"),
    )
) + ("dnsdisc.download", "dnsdisc.front", "dnsdisc.resolver", "eth.client", "eth.handshake")

#: The sockets, threads, clocks, random sources, logs and files that pure modules do without.
IMPURE_LIBRARIES = {
    "_thread", "asyncio", "concurrent", "ctypes", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal",
    "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time",
    "urllib", "uuid",
}  # fmt: skip

#: Where each library of others may be named: a folder or a module.
LIBRARIES = {
    "rlp": "codec",
    "coincurve": "crypto",
    "btclib_secp256k1": "crypto",
    "Crypto": "crypto",
    "cryptography": "crypto",
    "sha3": "crypto",
    "cramjam": "rlpx",
    "dns": "dnsdisc.resolver",
    "ifaddr": "lan.adapters",
    "zeroconf": "lan.link",
    "pcapy": "capture.file",
    "prometheus_client": "metrics.prometheus",
    "websockets": "monitor.websocket",
    "click": "cli",
    "tomli": "cli.lab.settings",
    "tomllib": "cli.lab.settings",  # of the standard library from Python 3.11
    "rich": "cli",
}

#: Ways to import that this check could not follow, and what to call them.
HIDDEN_WAYS = {
    "__import__": "__import__",
    "import_module": "import_module",
    "spec_from_file_location": "spec_from_file_location",
    "exec": "exec",
    "eval": "eval",
    "modules": "sys.modules",
}

HIDING_MODULES = {"builtins", "importlib", "importlib.util", "sys"}

#: (module, library): what is allowed against the rules above, each with its reason.
EXCEPTIONS = {
    ("p2p.enode.url", "urllib"),  # urllib.parse, which only takes text apart
    ("p2p.nat.upnp.url", "urllib"),  # the same
    ("p2p.messages.declaration", "typing_extensions"),  # for type checkers, which all know it
    ("p2p.lab.topology", "random"),  # a generator of its own, from the seed
    ("p2p.crypto.backend", "os"),  # reads the P2P_*_BACKEND variables when it is imported
}


def imports(module: str, source: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Each import of a module as (line, dotted name), relative ones resolved.

    ``from p2p.crypto import keys`` gives ``p2p.crypto.keys``: the name may be a module.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(module, is_package, node.level, node.module or "")
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            # ``import p2p.errors`` binds p2p, and p2p.server is then there without an import.
            if node.value.id == "p2p":
                yield node.lineno, f"p2p.{node.attr}"


def absolute(module: str, is_package: bool, level: int, name: str) -> str:
    """The dotted name that ``from <level dots><name> import`` means in a module."""
    if not level:
        return name
    parts = module.split(".")
    package = parts[: len(parts) - level + (1 if is_package else 0)]
    return ".".join([*package, name] if name else package)


def unit_of(dotted: str) -> str:
    """The unit of a dotted name in ``p2p``; a public name such as ``p2p.Server`` is the face's."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and layer_of(parts[1]) is not None else FACE


def layer_of(unit: str) -> int | None:
    """The number of a unit's layer, or None."""
    return next((number for number, layer in enumerate(LAYERS) if unit in layer), None)


def is_pure(dotted: str) -> bool:
    """Whether a module is, or lies in, one of PURE."""
    if dotted in SHOWCASES:
        return False
    if any((dotted + ".").startswith(f"p2p.{impure}.") for impure in NOT_PURE):
        return False
    return any((dotted + ".").startswith(f"p2p.{pure}.") for pure in PURE)


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """Every rule that a module breaks, in words, with the line."""
    own = module.split(".")[1] if "." in module else FACE
    if layer_of(own) is None:
        return [f"{module}: is in no layer"]
    found = [f"{module}:{line}: hides an import by {way}" for line, way in hidden(source)]
    for_types = lines_for_types(source)
    for line, target in imports(module, source, is_package):
        why = refusal(module, own, target)
        excepted = (module, target.split(".")[0]) in EXCEPTIONS
        excepted |= line in for_types and unit_of(target) in FOR_TYPES.get(own, set())
        if why and not excepted:
            found.append(f"{module}:{line}: {why}")
    return found


def lines_for_types(source: str) -> set[int]:
    """The lines of the source that stand under ``if TYPE_CHECKING:``."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.If) and ast.unparse(node.test) in TYPE_CHECKS
        for statement in node.body
        for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    }


def refusal(module: str, own: str, target: str) -> str | None:
    """Reason why a module of the unit ``own`` may not import ``target``, or None."""
    top = target.split(".")[0]
    if top == "p2p":
        return (
            refusal_of_unit(own, target)
            or refusal_of_room(module, own, target)
            or refusal_of_impure(module, target)
        )
    if top in LIBRARIES:
        owner = LIBRARIES[top]
        if (module + ".").startswith(f"p2p.{owner}."):
            return None
        return f"only p2p/{owner.replace('.', '/')} may import {top}"
    if top == "asyncio":
        return "asyncio has no place here"
    if top not in sys.stdlib_module_names:
        return f"{top} is no library of this project"
    if is_pure(module) and top in IMPURE_LIBRARIES:
        return f"is pure and imports {top}"
    return None


def refusal_of_unit(own: str, target: str) -> str | None:
    unit = unit_of(target)
    if unit == own:
        return None
    own_layer, layer = layer_of(own), layer_of(unit)
    assert own_layer is not None and layer is not None
    is_public = unit == FACE or target in PUBLIC or target.rpartition(".")[0] in PUBLIC
    may_see_more = own in KITS or (own == "sim" and is_pure(target))
    may_see_more |= own == "cli" and unit == "netutil"  # the rules for addresses are in one place
    if own in USERS and not is_public and not may_see_more:
        return f"{own} uses public names only, not {target}"
    if own == "net" and unit not in BASE:
        return f"net knows nothing of {target}"
    if layer > own_layer or (layer == own_layer and unit not in WITHIN.get(own, set())):
        return f"{own} may not import {target}"
    return None


def refusal_of_room(module: str, own: str, target: str) -> str | None:
    room = room_of(target)
    if unit_of(target) != own or room in (None, room_of(module)) or module in SHOWCASES:
        return None
    return f"{own}.{room_of(module) or 'shared'} may not import {target}"


def room_of(dotted: str) -> str | None:
    """The room upstairs in which a module lies, or None."""
    parts = [*dotted.split("."), "", ""]
    return parts[2] if parts[2] in UPSTAIRS.get(parts[1], set()) else None


def refusal_of_impure(module: str, target: str) -> str | None:
    if is_pure(module) and not is_pure(target):
        return f"is pure and imports {target}"
    return None


def hidden(source: str) -> Iterator[tuple[int, str]]:
    """Uses of HIDDEN_WAYS, by a plain name, as an attribute, or imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in ("__import__", "exec", "eval"):
            yield node.lineno, HIDDEN_WAYS[node.id]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if owner in ("importlib", "builtins", "sys", "util") and node.attr in HIDDEN_WAYS:
                yield node.lineno, HIDDEN_WAYS[node.attr]
        elif isinstance(node, ast.ImportFrom) and node.module in HIDING_MODULES:
            for alias in node.names:
                if alias.name in HIDDEN_WAYS:
                    yield node.lineno, HIDDEN_WAYS[alias.name]
        elif isinstance(node, ast.Import):
            for alias in node.names:  # under another name it could not be followed
                if alias.name in HIDING_MODULES and alias.asname:
                    yield node.lineno, f"renaming {alias.name}"


def module_files() -> list[Path]:
    return sorted((ROOT / "p2p").rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def broken(module: str, source: str) -> list[str]:
    """The words of :func:`violations` without the place."""
    return [text.split(": ", 1)[1] for text in violations(module, source)]


@pytest.mark.parametrize("path", module_files(), ids=module_name)
def test_module_imports_only_what_its_layer_allows(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert violations(module_name(path), source, path.name == "__init__.py") == []


def test_each_unit_stands_in_one_layer() -> None:
    units = [unit for layer in LAYERS for unit in layer]
    assert len(units) == len(set(units))


def test_the_design_page_has_the_units_of_each_layer() -> None:
    page = (ROOT / "docs" / "design" / "layers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [a-z]+ \| (.*`.*) \|$", page, re.MULTILINE)
    shown = [set(re.findall(r"`(\w+)`", row)) for row in rows]
    assert shown == [{"p2p" if unit == FACE else unit for unit in layer} for layer in LAYERS]


def test_within_a_layer_nothing_goes_round_in_a_circle() -> None:
    def reach(unit: str) -> set[str]:
        return WITHIN.get(unit, set()).union(*map(reach, WITHIN.get(unit, set())))

    for unit, allowed in WITHIN.items():
        assert {layer_of(other) for other in allowed} == {layer_of(unit)}
        assert unit not in reach(unit)


def test_no_module_needs_itself() -> None:
    # Packages re-export; their own modules import from modules, hence no way leads through them.
    modules = {module_name(path): path for path in module_files() if path.name != "__init__.py"}
    needs = {
        module: imported(module, path) & modules.keys() for module, path in modules.items()
    }
    while ready := {module for module, others in needs.items() if not others}:
        needs = {module: others - ready for module, others in needs.items() if module not in ready}
    assert needs == {}


def imported(module: str, path: Path) -> set[str]:
    """The modules that a module imports when it runs, whether it takes a name of theirs or them."""
    source = path.read_text(encoding="utf-8")
    for_types = lines_for_types(source)
    targets = {target for line, target in imports(module, source) if line not in for_types}
    return targets | {target.rpartition(".")[0] for target in targets}


# That the check itself sees what it must see.

REFUSED = [
    ("p2p.rlpx.frame", "from p2p.pipe import Pipe", "rlpx may not import p2p.pipe.Pipe"),
    ("p2p.rlpx.frame", "def f():\n    import p2p.server", "rlpx may not import p2p.server"),
    ("p2p.rlpx.frame", "from ..pipe import Pipe", "rlpx may not import p2p.pipe.Pipe"),
    ("p2p.rlpx.frame", "from .. import pipe", "rlpx may not import p2p.pipe"),
    ("p2p.rlpx.frame", "import p2p", "rlpx may not import p2p"),
    ("p2p.rlpx.frame", "from p2p import Server", "rlpx may not import p2p.Server"),
    ("p2p.enr.record", "from p2p.enode import Node", "enr may not import p2p.enode.Node"),
    ("p2p.net.loop", "import p2p.crypto", "net knows nothing of p2p.crypto"),
    ("p2p.rlpx.frame", "import socket", "is pure and imports socket"),
    ("p2p.rlpx.frame", "from os import urandom", "is pure and imports os"),
    ("p2p.rlpx.frame", "from concurrent.futures import Future", "is pure and imports concurrent"),
    ("p2p.rlpx.frame", "import p2p.clock", "is pure and imports p2p.clock"),
    ("p2p.dial.scheduler", "from p2p.enode import Node", "is pure and imports p2p.enode.Node"),
    (
        "p2p.discover.lookup",
        "from p2p.discover.v4.requests import Requests",
        "discover.shared may not import p2p.discover.v4.requests.Requests",
    ),
    (
        "p2p.discover.table.table",
        "from ..v4 import wire",
        "discover.shared may not import p2p.discover.v4.wire",
    ),
    (
        "p2p.discover.service",
        "def f():\n    import p2p.discover.v5",
        "discover.shared may not import p2p.discover.v5",
    ),
    (
        "p2p.discover.v5.engine",
        "from p2p.discover.v4.bonds import Bonds",
        "discover.v5 may not import p2p.discover.v4.bonds.Bonds",
    ),
    ("p2p.pipe", "import rlp", "only p2p/codec may import rlp"),
    ("p2p.enode.node", "from Crypto.Hash import keccak", "only p2p/crypto may import Crypto"),
    ("p2p.dnsdisc.front", "import dns", "only p2p/dnsdisc/resolver may import dns"),
    ("p2p.pipe", "import cramjam", "only p2p/rlpx may import cramjam"),
    ("p2p.server", "import asyncio", "asyncio has no place here"),
    ("p2p.server", "import requests", "requests is no library of this project"),
    ("p2p.cli.main", "from p2p.pipe import Pipe", "cli uses public names only, not p2p.pipe.Pipe"),
    ("p2p.sim.net", "import p2p.net", "sim uses public names only, not p2p.net"),
    (
        "p2p.cli.main",
        "from p2p.enode.node import Node",
        "cli uses public names only, not p2p.enode.node.Node",
    ),
    ("p2p.rlpx.frame", "from p2p.testing import Clock", "rlpx may not import p2p.testing.Clock"),
    ("p2p.testing.remote", "import p2p.sim", "testing may not import p2p.sim"),
    ("p2p.server", "import p2p.testing", "server may not import p2p.testing"),
    ("p2p.pipe", "__import__('p2p.server')", "hides an import by __import__"),
    ("p2p.pipe", "import importlib\nimportlib.import_module", "hides an import by import_module"),
    ("p2p.pipe", "from importlib import import_module as i", "hides an import by import_module"),
    ("p2p.pipe", "import importlib as i", "hides an import by renaming importlib"),
    ("p2p.pipe", "import sys\nsys.modules['p2p.server']", "hides an import by sys.modules"),
    ("p2p.pipe", "from sys import modules", "hides an import by sys.modules"),
    ("p2p.helpers", "", "is in no layer"),
]  # fmt: skip


@pytest.mark.parametrize("module, source, words", REFUSED)
def test_the_check_refuses(module: str, source: str, words: str) -> None:
    assert broken(module, source) == [words]


def test_the_check_sees_imports_for_types_only() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p2p.pipe import Pipe"
    assert broken("p2p.rlpx.frame", source) == ["rlpx may not import p2p.pipe.Pipe"]


def test_the_check_allows_only_for_types_what_is_noted_so() -> None:
    line = "from p2p.peers.peer import Peer"
    source = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {line}\nelse:\n    {line}\n"
    (found,) = violations("p2p.protocol", source)
    assert found == "p2p.protocol:5: protocol may not import p2p.peers.peer.Peer"


def test_the_check_sees_a_module_reached_through_the_package() -> None:
    source = "import p2p.errors\np2p.server.Server"
    assert broken("p2p.rlpx.frame", source) == ["rlpx may not import p2p.server"]


def test_the_check_resolves_the_dots_of_a_package_from_the_package() -> None:
    source = "from . import keys\nfrom ..enr import Record"
    (line,) = violations("p2p.crypto", source, is_package=True)
    assert line == "p2p.crypto:2: crypto may not import p2p.enr.Record"


ALLOWED = [
    ("p2p.rlpx.frame", "from p2p.codec import decode\nfrom . import hello\nimport cramjam"),
    ("p2p.enode.db.nodedb", "from p2p.enr import Record\nimport sqlite3, os"),
    ("p2p.server", "from p2p.services import Services\nimport threading"),
    ("p2p", "from p2p.server import Server"),
    ("p2p.cli.main", "import p2p\np2p.Server\nfrom p2p import Peer"),
    ("p2p.cli.main", "from p2p.errors import Throttled\np2p.rlp"),
    ("p2p.discover", "from p2p.discover.v4.udpv4 import UDPv4"),
    ("p2p.sim.net", "from p2p.rlpx import frame"),
    ("p2p.testing.remote", "from p2p.rlpx import Connection\nimport p2p.server, socket"),
    ("p2p.discover.v4.engine", "from p2p.discover.v4 import wire\nfrom p2p.discover import lookup"),
    ("p2p.server", "from p2p.discover.v4.udpv4 import UDPv4"),
]


@pytest.mark.parametrize("module, source", ALLOWED)
def test_the_check_allows(module: str, source: str) -> None:
    assert broken(module, source) == []
