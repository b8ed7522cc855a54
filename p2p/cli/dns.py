"""Commands for node lists in DNS (EIP-1459): ``p2p dns sync | sign | build | check``.

Main thread; files, and look-ups by dnspython. The folders are those of go-ethereum's ``devp2p
dns`` (:mod:`p2p.cli.files.tree`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

import p2p
from p2p.cli.command import group
from p2p.cli.enroptions import with_seq
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.files.nodes import node_set
from p2p.cli.files.tree import INFO_NAME, TreeFiles, read_tree_files, write_info, write_tree_files
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import KEY
from p2p.cli.shown import number_of

#: Lifetimes in caches, in seconds: of a root, which changes, and of the other entries, whose names
#: change with them. As in go-ethereum.
ROOT_TTL_S, ENTRY_TTL_S = 30 * 60, 4 * 7 * 24 * 60 * 60
#: Bytes of a string of a TXT record (RFC 1035).
STRING_SIZE = 255

FOLDER = click.Path(path_type=Path, file_okay=False)
with_server = click.option(
    "--server", metavar="ADDRESS", help="Name server to ask, 192.0.2.53 or 127.0.0.1:5353."
)


@group("dns")
def dns() -> None:
    """Copy, sign, publish and check node lists in DNS (EIP-1459).

    The URL of a list is enrtree://KEY@DOMAIN. A FOLDER has the files nodes.json and
    enrtree-info.json, in go-ethereum's format.
    """


@dns.command("sync", examples="p2p dns sync enrtree://…@all.mainnet.ethdisco.net nodes")
@click.argument("url")
@click.argument("folder", type=FOLDER, required=False)
@with_server
@with_output
def sync(output: Output, url: str, folder: Path | None, server: str | None) -> int:
    """Copy the published list URL into FOLDER (default: its domain).

    The exit code is 1 if entries are missing or wrong; the others are copied.
    """
    link = _link_of(url)
    tree = _read(output, link, server)
    nodes = node_set(p2p.Node.from_record(record) for record in tree.nodes)
    links = tuple(str(each) for each in tree.links)
    place = folder or Path(link.domain)
    write_tree_files(place, TreeFiles(nodes, tree.seq, links, str(link), tree.signature))
    summary = _summary(tree)
    text = f"{place}: {number_of(len(tree.nodes), 'node')}, {number_of(len(links), 'link')}, "
    text += f"sequence number {tree.seq}"
    output.result({"folder": str(place), **summary}, text)
    return _tell_problems(output, tree)


@dns.command(
    "sign",
    examples="""
    p2p dns sign nodes.example.org signing.key
    p2p dns sign folder signing.key --domain nodes.example.org --seq 7
    """,
)
@click.argument("folder", type=FOLDER)
@click.argument("key_file", metavar="KEY", type=KEY)
@click.option("--domain", help="Domain of the list (default: of its URL, or the folder's name).")
@with_seq(None)
@with_output
def sign(
    output: Output, folder: Path, key_file: p2p.PrivateKey, domain: str | None, seq: int | None
) -> None:
    """Sign the list in FOLDER with the key of the file KEY, and print its URL."""
    files = read_tree_files(folder)
    if domain is None:
        domain = _link_of(files.url).domain if files.url else folder.resolve().name
    number = files.seq + 1 if seq is None else seq
    tree = TreeFiles(files.nodes, number, files.links).tree()
    signed = tree.sign(key_file, domain)
    links = tuple(map(str, tree.links))
    write_info(folder, TreeFiles(files.nodes, number, links, signed.url, signed.signature))
    output.result({"url": signed.url, "seq": number, "nodes": len(tree.records)}, signed.url)


@dns.command(
    "build",
    examples="""
    p2p dns build nodes.example.org > nodes.zone
    p2p dns build nodes.example.org --format json
    """,
)
@click.argument("folder", type=FOLDER)
@click.option(
    "--format",
    "form",
    type=click.Choice(["zone", "json"]),
    default="zone",
    show_default=True,
    help="Lines of a zone file, or go-ethereum's JSON object of names and texts.",
)
@with_output
def build(output: Output, folder: Path, form: str) -> None:
    """Print the TXT records of the signed list in FOLDER, to publish them.

    With --json, a line for each record.
    """
    signed = _signed(folder)
    if form == "json" and not output.as_json:
        output.text(json.dumps(signed.records, indent=4, sort_keys=True))
        return
    domain = _link_of(signed.url).domain
    for name, text in signed.records.items():
        ttl = ROOT_TTL_S if name == domain else ENTRY_TTL_S
        output.result({"name": name, "ttl": ttl, "text": text}, zone_line(name, ttl, text))


@dns.command(
    "check",
    examples="""
    p2p dns check enrtree://…@nodes.example.org
    p2p dns check enrtree://…@nodes.example.org --folder nodes.example.org --server 192.0.2.53
    """,
)
@click.argument("url")
@click.option("--folder", type=FOLDER, help="Compare it with the signed list in this folder, too.")
@with_server
@with_output
def check(output: Output, url: str, folder: Path | None, server: str | None) -> int:
    """Look up every entry of the published list URL, and check hashes and signatures.

    The exit code is 1 if an entry is missing or wrong, or is not as in --folder.
    """
    tree = _read(output, _link_of(url), server)
    problems = [*tree.problems, *(() if folder is None else _differences(tree, _signed(folder)))]
    shown = [f"{problem.name}: {problem.reason}" for problem in problems]
    summary = _summary(tree)
    values = {**summary, "links": ", ".join(summary["links"]) or "none"}
    lines = [f"{name}: {value}" for name, value in values.items() if name != "problems"]
    verdict = number_of(len(problems), "problem") if problems else "all entries are valid"
    output.result(
        {**summary, "problems": [problem._asdict() for problem in problems]},
        "\n".join([*lines, verdict, *(f"  {line}" for line in shown)]),
    )
    return ExitCode.NEGATIVE if problems else ExitCode.OK


def zone_line(name: str, ttl: int, text: str) -> str:
    """Return a TXT record as a line of a zone file (RFC 1035, section 5)."""
    parts = [text[at : at + STRING_SIZE] for at in range(0, len(text), STRING_SIZE)]
    strings = " ".join(f'"{part}"' for part in parts)
    return f"{name}. {ttl} IN TXT {strings}"


def _link_of(url: str) -> p2p.dnsdisc.Link:
    """Read the URL of a list. Raises InvalidTree."""
    (link,) = p2p.dnsdisc.Tree(0, [], [url]).links
    return link


def _read(output: Output, link: p2p.dnsdisc.Link, server: str | None) -> p2p.dnsdisc.PublishedTree:
    """Read a published list, and show how far it is."""
    resolver = None if server is None else p2p.dnsdisc.resolver_of(server)
    with output.progress(f"reading {link.domain}") as update:

        def show(read: int, known: int) -> None:
            update(text=f"reading {link.domain}: {read} of {known} entries")

        try:
            return p2p.dnsdisc.read_tree(link, resolver=resolver, on_progress=show)
        except OSError as error:
            raise Failure(str(error), ExitCode.NO_ANSWER) from error
        except p2p.errors.InvalidTree as error:
            raise Failure(f"{link.domain}: {error}", ExitCode.NEGATIVE) from error


def _summary(tree: p2p.dnsdisc.PublishedTree) -> dict[str, Any]:
    return {
        "url": str(tree.link),
        "seq": tree.seq,
        "nodes": len(tree.nodes),
        "links": [str(link) for link in tree.links],
        "entries": len(tree.records),
        "problems": len(tree.problems),
    }


def _tell_problems(output: Output, tree: p2p.dnsdisc.PublishedTree) -> int:
    for name, reason in tree.problems:
        output.note(f"{name}: {reason}")
    return ExitCode.NEGATIVE if tree.problems else ExitCode.OK


def _signed(folder: Path) -> p2p.dnsdisc.SignedTree:
    """Return the signed list of a folder. Raises Failure if it is not signed, or was changed."""
    files = read_tree_files(folder)
    remedy = f"sign it: p2p dns sign {folder} KEY"
    if not files.url or not files.signature:
        raise Failure(f"{folder / INFO_NAME}: the list is not signed; {remedy}", ExitCode.USAGE)
    try:
        return files.tree().with_signature(files.url, files.signature)
    except p2p.errors.InvalidTree as error:
        raise Failure(f"{folder}: {error}; {remedy}", ExitCode.USAGE) from error


def _differences(
    tree: p2p.dnsdisc.PublishedTree, wanted: p2p.dnsdisc.SignedTree
) -> list[p2p.dnsdisc.Problem]:
    missing = [name for name in wanted.records if name not in tree.records]
    more = [name for name in tree.records if name not in wanted.records]
    both = [name for name in wanted.records if name in tree.records]
    changed = [name for name in both if tree.records[name] != wanted.records[name]]
    reasons = {"not published": missing, "not in the folder": more, "not as in the folder": changed}
    return [p2p.dnsdisc.Problem(name, why) for why, names in reasons.items() for name in names]
