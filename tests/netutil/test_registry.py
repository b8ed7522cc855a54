from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from p2p.netutil import Scope, is_lan, scope_of
from p2p.netutil.registry import BLOCKS, REGISTRY_DATE, Block

ROOT = Path(__file__).resolve().parent.parent.parent
NOTE = (ROOT / "docs/design/special-addresses.md").read_text()
#: The answers of the note, in its order.
LAN, NEVER = (
    set(re.findall(r"[0-9a-f:.]+/[0-9]+", part.partition("*Public*")[0]))
    for part in NOTE.partition("*LAN*")[2].split("*Never*")
)

PREDICATES = {
    "is_private", "is_global", "is_loopback", "is_link_local", "is_site_local", "is_multicast",
    "is_reserved", "is_unspecified",
}  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.network))
def test_block_is_decided_as_the_note_says(block: Block) -> None:
    assert str(block.network) in (LAN if block.scope else NEVER)
    assert block.source in NOTE


def test_note_and_table_have_one_date() -> None:
    assert REGISTRY_DATE in NOTE


# More specific blocks lie inside of others, and the ranges must not run into each other.
@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("0.0.0.0", Scope.NONE),
        ("1.0.0.0", Scope.GLOBAL),
        ("100.63.255.255", Scope.GLOBAL),
        ("100.64.0.0", Scope.SITE),
        ("100.127.255.255", Scope.SITE),
        ("100.128.0.0", Scope.GLOBAL),
        ("::ffff:100.64.0.1", Scope.SITE),
        ("192.0.0.255", Scope.NONE),
        ("192.0.1.0", Scope.GLOBAL),
        ("223.255.255.255", Scope.GLOBAL),
        ("240.0.0.1", Scope.NONE),
        ("255.255.255.255", Scope.NONE),
        ("::", Scope.NONE),
        ("::1", Scope.HOST),
        ("::2", Scope.NONE),
        ("2000::1", Scope.GLOBAL),
        ("2001:1ff:ffff::1", Scope.NONE),
        ("2001:200::1", Scope.GLOBAL),
        ("fe80::1", Scope.LINK),
        ("fec0::1", Scope.GLOBAL),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Scope.NONE),
    ],
)
def test_most_specific_block_decides(text: str, scope: Scope) -> None:
    assert scope_of(ip_address(text)) is scope


def test_both_ends_of_each_block_have_its_scope() -> None:
    for block in BLOCKS:
        inner = [other for other in BLOCKS if other.network != block.network]
        for address in (block.network[0], block.network[-1]):
            if not any(address in other.network for other in inner):
                assert scope_of(address) is block.scope


def test_mapped_addresses_are_judged_as_ipv4() -> None:
    assert is_lan(ip_address("::ffff:10.0.0.1"))
    assert ip_network("::ffff:0:0/96") not in {block.network for block in BLOCKS}


def uses_of_predicates() -> Iterator[str]:
    for folder in ("p2p", "examples", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in PREDICATES:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.attr}"


# Their lists differ between Python releases; p2p.netutil has functions for what is needed.
@pytest.mark.slow
def test_predicates_of_ipaddress_are_not_used() -> None:
    assert list(uses_of_predicates()) == []
