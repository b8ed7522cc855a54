"""go-ethereum's file format for a node list of DNS: a folder, which its ``devp2p dns`` reads.

===================  ==============================================================
enrtree-info.json    JSON object: url, seq, signature, links, lastModified
nodes.json           the nodes (:mod:`p2p.cli.files.nodes`)
===================  ==============================================================

``url`` and ``signature`` are missing before the list is signed. Main thread; files.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.files.nodes import (
    NodeSet,
    format_time,
    read_json,
    read_nodes,
    replace_file,
    write_nodes,
)

INFO_NAME = "enrtree-info.json"
NODES_NAME = "nodes.json"


@dataclass(frozen=True, slots=True)
class TreeFiles:
    """The content of a folder. ``url`` and ``signature`` are empty for a list without them."""

    nodes: NodeSet
    seq: int = 0
    links: tuple[str, ...] = ()
    url: str = ""
    signature: str = field(default="", repr=False)

    def tree(self) -> p2p.dnsdisc.Tree:
        """Return the list to publish. Raises InvalidTree for a node without a record."""
        return p2p.dnsdisc.Tree(self.seq, [entry.node for entry in self.nodes.values()], self.links)


def read_tree_files(folder: Path) -> TreeFiles:
    """Read a folder; one without an enrtree-info.json is that of a list that is not signed yet.

    Raises Failure for files in another format, OSError if one cannot be read.
    """
    try:
        nodes = read_nodes(folder / NODES_NAME)
    except FileNotFoundError:
        text = f"{folder} has no {NODES_NAME}; collect nodes first: p2p crawl {folder / NODES_NAME}"
        raise Failure(text, ExitCode.SYSTEM) from None
    path = folder / INFO_NAME
    if not path.exists():
        return TreeFiles(nodes)
    info = read_json(str(path))
    try:
        return TreeFiles(nodes, *_members(info))
    except ValueError as error:
        raise Failure(f"{path}: {error}", ExitCode.USAGE) from None


def write_info(folder: Path, files: TreeFiles) -> None:
    """Write the enrtree-info.json of a folder, which is made if it does not exist."""
    folder.mkdir(exist_ok=True)
    info = {
        **({"url": files.url} if files.url else {}),
        "seq": files.seq,
        **({"signature": files.signature} if files.signature else {}),
        "links": list(files.links),
        "lastModified": format_time(time.time()),
    }
    replace_file(folder / INFO_NAME, json.dumps(info, indent=4))


def write_tree_files(folder: Path, files: TreeFiles) -> None:
    """Write both files of a folder."""
    write_info(folder, files)
    write_nodes(folder / NODES_NAME, files.nodes)


def _members(info: Any) -> tuple[int, tuple[str, ...], str, str]:
    if not isinstance(info, dict):
        raise ValueError("want a JSON object")
    seq, links = info.get("seq", 0), info.get("links") or []
    url, signature = info.get("url", ""), info.get("signature", "")
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 0:
        raise ValueError(f'"seq" is {seq!r:.30}, want a number')
    if not isinstance(links, list) or not all(isinstance(link, str) for link in links):
        raise ValueError('"links" is no list of texts')
    if not isinstance(url, str) or not isinstance(signature, str):
        raise ValueError('"url" and "signature" are texts')
    return seq, tuple(links), url, signature
