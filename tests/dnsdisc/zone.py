"""A client with the TXT records of a dict, in virtual time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from p2p.crypto import PrivateKey, keccak256
from p2p.dnsdisc.client import AnswerRefused, Client, NodeFound
from p2p.dnsdisc.entry import Branch, Entry, Link, Root, hash_of
from p2p.dnsdisc.tree import SignedTree, Tree
from p2p.enode.node import Node
from p2p.enr import Record

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "testdata" / "dnsdisc.json").read_text(encoding="utf-8")
)
EXAMPLE = VECTORS["example_tree"]
KEY = PrivateKey.from_bytes(bytes.fromhex(EXAMPLE["signing_key"]))
OTHER_KEY = PrivateKey.from_bytes(keccak256(b"other"))
EMPTY = str(Branch(()))


def records_of(count: int, first: int = 0) -> list[Record]:
    """Records of different nodes."""
    numbers = range(first, first + count)
    keys = (PrivateKey.from_bytes(keccak256(number.to_bytes(4, "big"))) for number in numbers)
    return [Record.sign(key, 1, tcp=30303) for key in keys]


def tree(
    domain: str, nodes: Iterable[Node | Record], links: Iterable[str] = (), seq: int = 1
) -> SignedTree:
    return Tree(seq, nodes, links).sign(KEY, domain)


def by_hand(
    domain: str, nodes: str, links: str = EMPTY, more: Iterable[str] = (), seq: int = 1
) -> SignedTree:
    """A tree of any texts, with those of its two roots; nothing is checked."""
    root = Root.sign(KEY, hash_of(nodes), hash_of(links), seq)
    below = {f"{hash_of(text)}.{domain}": text for text in (nodes, links, *more)}
    return SignedTree(str(Link(KEY.public_key, domain)), {domain: str(root), **below})


def chain(leaf: Entry, length: int) -> list[str]:
    """The texts of a leaf and of ``length`` branches, each with the last one below it."""
    texts = [str(leaf)]
    for _ in range(length):
        texts.append(str(Branch((hash_of(texts[-1]),))))
    return texts


class Walk:
    """A client, the records it finds, and its time, which goes from step to step."""

    def __init__(self, urls: Iterable[str], records: Mapping[str, str], seed: int = 1) -> None:
        self.records: dict[str, Any] = dict(records)
        self.now = 0.0
        self.asked: list[str] = []
        self.times: list[float] = []
        self.nodes: list[Node] = []
        self.refused: list[AnswerRefused] = []
        self.client = Client(urls, random.Random(seed), self.now)

    def step(self) -> None:
        """Go on to the next step, and take it."""
        self.now = max(self.now, self.client.deadline)
        name = self.client.poll_lookup(self.now)
        if name is not None:
            self._answer(name)
        for event in self.client.poll_events():
            if isinstance(event, NodeFound):
                self.nodes.append(event.node)
            else:
                self.refused.append(event)

    def until(self, condition: Callable[[], object], steps: int = 20_000) -> None:
        for _ in range(steps):
            if condition():
                return
            self.step()
        raise AssertionError(f"not so after {steps} steps")

    def until_time(self, time: float) -> None:
        """Take the steps before a time, and stand there."""
        while self.client.deadline < time:
            self.step()
        self.now = time

    @property
    def found(self) -> set[str]:
        return {str(node) for node in self.nodes}

    def _answer(self, name: str) -> None:
        self.asked.append(name)
        self.times.append(self.now)
        texts = self.records.get(name)
        if texts is None:
            self.client.receive_failure(name, self.now)
        else:
            texts = [texts] if isinstance(texts, str) else texts
            self.client.receive_texts(name, texts, self.now)
