"""Node lists in DNS: entries, the texts that a client is given, and the entry ``eth``.

Bits of the variant choose the reader of an entry. To a client, the body is a row of texts, one a
line. Repaired, each is an entry below the signed root, with its right hash, in the tree of the
nodes and in that of the links; otherwise they are the TXT records of every name. Whatever the texts
are, the client goes on, and finds only nodes that are among them.

The body of a repaired ``eth`` is the value of that entry in a signed record, otherwise the record.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from p2p.codec import encode
from p2p.dnsdisc.client import CACHE_SIZE, MAX_TREES, AnswerRefused, Client, NodeFound
from p2p.dnsdisc.entry import (
    Branch,
    Entry,
    Link,
    Root,
    hash_of,
    parse_entry,
    parse_link,
    parse_root,
)
from p2p.enode import Node
from p2p.enr import Record
from p2p.errors import InvalidNode, InvalidTree
from p2p.eth import ForkID, eth_entry, fork_id_of, node_filter
from p2p.networks import MAINNET
from tests.dnsdisc.zone import EXAMPLE, KEY, OTHER_KEY, by_hand, records_of
from tests.fuzz.target import REPAIRED, Target, describe
from tests.fuzz.targets import records
from tests.fuzz.targets.records import to_text

# Entries.

READERS = (parse_entry, parse_root, parse_link)


@dataclass(frozen=True)
class Text:
    """A text, and which reader is to read it."""

    reader: int
    text: str


def build_entry(variant: int, repaired: bool, body: bytes) -> Text:
    return Text(variant % len(READERS), to_text(body))


def read_entry(given: Text) -> Entry | Root:
    return READERS[given.reader](given.text)


def check_entry(given: Text, entry: Entry | Root) -> None:
    text = str(entry)
    assert READERS[given.reader](text) == entry
    if isinstance(entry, Link):
        assert text.lower() == given.text.strip().lower()
    else:
        assert text == given.text.strip()
    if isinstance(entry, Root):
        entry.is_signed_by(KEY.public_key)


def entry_label(entry: Entry | Root) -> str:
    return f"accepted: {type(entry).__name__.lower()}"


def entry_seeds() -> list[bytes]:
    texts = [each["text"] for each in EXAMPLE["records"]] + [EXAMPLE["url"], *EXAMPLE["links"]]
    return [bytes([n << 1]) + text.encode() for text in texts for n in range(len(READERS))]


# A client.

DOMAIN = "n"
#: For the root, both branches, and some of the entries below them.
MAX_STEPS = 5
#: Texts of a case, which are the entries below one branch.
MAX_CHILDREN = 5


@dataclass
class Scene:
    """A client, the TXT records of the names it may ask for, and what it found."""

    client: Client
    texts: list[str]
    records: dict[str, str] | None
    now: float = 0.0
    events: list[NodeFound | AnswerRefused] = field(default_factory=list)


def build_client(variant: int, repaired: bool, body: bytes) -> Scene:
    texts = body.decode("latin-1").split("\n")[:MAX_CHILDREN]
    branch = str(Branch(tuple(hash_of(text) for text in texts)))
    signed = by_hand(DOMAIN, branch, branch, texts)
    client = Client([signed.url], random.Random(variant), 0.0)
    return Scene(client, texts, dict(signed.records) if repaired else None)


def ask(scene: Scene) -> Scene:
    for _ in range(MAX_STEPS):
        scene.now = max(scene.now, scene.client.deadline)
        name = scene.client.poll_lookup(scene.now)
        if name is not None:
            answer(scene, name)
        scene.events += scene.client.poll_events()
    return scene


def answer(scene: Scene, name: str) -> None:
    if scene.records is None:
        scene.client.receive_texts(name, scene.texts, scene.now)
    elif name in scene.records:
        scene.client.receive_texts(name, [scene.records[name]], scene.now)
    else:
        scene.client.receive_failure(name, scene.now)


def check_client(scene: Scene, again: Scene) -> None:
    texts = {text.strip() for text in scene.texts}
    assert len(scene.client.trees) <= MAX_TREES
    assert len(scene.client._cache) <= CACHE_SIZE
    for event in scene.events:
        if isinstance(event, NodeFound):
            assert event.node.record is not None and event.node.record.to_text() in texts
        else:
            assert isinstance(event.error, InvalidTree) and describe(event.error)
    assert scene.client.deadline < scene.now + 86_400


def client_label(scene: Scene) -> str:
    if any(isinstance(event, NodeFound) for event in scene.events):
        return "accepted: node found"
    if len(scene.client.trees) > 1:
        return "accepted: link followed"
    refused = [event.error for event in scene.events if isinstance(event, AnswerRefused)]
    return describe(refused[-1]) if refused else "nothing"


def client_seeds() -> list[bytes]:
    found = [str(record) for record in records_of(3)]
    links = [str(Link(OTHER_KEY.public_key, "other.example")), *EXAMPLE["links"]]
    rows = [
        found,
        links,
        [*found, *links],
        [str(Branch(())), str(Branch((hash_of(found[0]), hash_of(links[0])))), found[0], links[0]],
        [each["text"] for each in EXAMPLE["records"]],
        [str(Root.sign(KEY, hash_of("a"), hash_of("b"), seq)) for seq in (1, 7, 2**64 - 1)],
    ]
    bodies = ["\n".join(row).encode() for row in rows]
    return [bytes([flag]) + body for flag in (REPAIRED, 0) for body in bodies]


# The entry `eth`.

_IS_MAINNET = node_filter(MAINNET.chain)


def build_eth(variant: int, repaired: bool, body: bytes) -> bytes:
    if not repaired:
        return body
    key = records.KEY.public_key.to_compressed()
    pairs = encode(b"id") + encode(b"v4") + encode(b"secp256k1") + encode(key)
    return records.sign(encode(1) + encode(b"eth") + body + pairs)


def read_eth(data: bytes) -> tuple[Record, ForkID | None]:
    record = Record.from_rlp(data)
    return record, fork_id_of(record)


def check_eth(data: bytes, read: tuple[Record, ForkID | None]) -> None:
    record, fork_id = read
    node = Node.from_record(record)
    assert fork_id_of(node) == fork_id
    if fork_id is None:
        assert not _IS_MAINNET(node)
        return
    assert _IS_MAINNET(node) == MAINNET.chain.check(fork_id, 0, 0).is_compatible
    again = Record.sign(records.KEY, 1, eth=eth_entry(fork_id))
    assert fork_id_of(again) == fork_id


def eth_label(read: tuple[Record, ForkID | None]) -> str:
    return "no fork identifier" if read[1] is None else "accepted"


def eth_seeds() -> list[bytes]:
    chain = MAINNET.chain
    known = [chain.fork_id(0, 0), chain.fork_id(2**64 - 1, 2**64 - 1), ForkID(bytes(4), 2**64 - 1)]
    bodies = [*(bytes(eth_entry(fork_id)) for fork_id in known), encode([]), encode(b"")]
    bodies += [encode([[b"\1\2\3\4", 7, 8]]), encode([[b"\1\2\3\4", 7], b"more", [1]])]
    return [bytes([REPAIRED]) + body for body in bodies] + [b"\0" + build_eth(0, True, bodies[0])]


_WORDS = (
    *(b"enrtree://", b"enrtree-branch:", b"enrtree-root:v1", b"enr:", b"@", b",", b"\n", b" "),
    *(b" e=", b" l=", b" seq=", b" sig=", b"18446744073709551616", b"=", b"A" * 26, b"AAAAAAA2"),
    *(b"example.org", b".", b"-", b"_", b"xn--", b"\xff", b"\0", b"a" * 64, "\u0663".encode()),
)

TARGETS = (
    Target(
        "dns-entry",
        seeds=entry_seeds,
        build=build_entry,
        decode=read_entry,
        errors=(InvalidTree,),
        check=check_entry,
        label=entry_label,
        words=_WORDS,
        reads_rlp=False,
        repairs=False,
        max_size=700,
    ),
    Target(
        "dns-client",
        seeds=client_seeds,
        build=build_client,
        decode=ask,
        errors=(),
        check=check_client,
        label=client_label,
        shallow=("InvalidTree: no root", "InvalidTree: invalid root"),
        words=_WORDS,
        reads_rlp=False,
        max_size=900,
    ),
    Target(
        "eth-entry",
        seeds=eth_seeds,
        build=build_eth,
        decode=read_eth,
        errors=(InvalidNode,),
        check=check_eth,
        label=eth_label,
        shallow=("InvalidNode: invalid node record: invalid signature",),
        words=(b"\xc7\xc6\x84\xfc\x64\xec\x04\x80", b"\x84\0\0\0\0", b"\x88" + b"\xff" * 8),
        max_size=250,
    ),
)
