"""Entries of a node list in DNS: their text, their hash and their signature (EIP-1459).

Pure. Each entry is the text of one TXT record. The root stands at the domain of the list, each
other entry at ``<hash>.<domain>``; its hash is the first 16 bytes of keccak256 of the text, in
base32 without padding::

    enrtree-root:v1 e=<hash> l=<hash> seq=<number> sig=<base64>    roots of nodes and of links
    enrtree-branch:<hash>,<hash>,...                               entries below
    enrtree://<key>@<domain>                                       link to another list
    enr:<base64>                                                   a node record

``sig`` is r || s || v, 65 bytes, over keccak256 of the text in front of `` sig=``. The key of a
link is a compressed public key, 33 bytes in base32. A hash that refers to an entry may be shorter
or longer than the one of its name, from 12 to 32 bytes.

Readers raise InvalidTree. They are stricter than go-ethereum: the bits after the last byte of a
key or a signature are zero, there is one space between the parts of a root and nothing after them,
and the domain of a link is a name that DNS can have.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TypeAlias

from p2p.arguments import check_type, text_of
from p2p.crypto import PrivateKey, PublicKey, keccak256
from p2p.enr import Record
from p2p.errors import InvalidKey, InvalidNode, InvalidTree
from p2p.netutil import printable

#: Largest text of an entry: a DNS message by UDP has at most 512 bytes. So a branch has 23 entries
#: at most, if their hashes are of the shortest kind.
MAX_TEXT_SIZE = 512
#: Largest sequence number.
MAX_SEQ = 2**64 - 1
#: Characters of a domain at most: with the longest hash in front, it is a name of 253 characters.
MAX_DOMAIN_SIZE = 200
ROOT_PREFIX = "enrtree-root:v1"

_BRANCH_PREFIX = "enrtree-branch:"
_LINK_PREFIX = "enrtree://"
_RECORD_PREFIX = "enr:"
_HASH_SIZE = 16
_MIN_HASH_SIZE, _MAX_HASH_SIZE = 12, 32
_SIGNATURE_SIZE = 65
#: Characters of a remote's text in an error.
_SHOWN = 60
_ROOT = re.compile(
    ROOT_PREFIX + r" e=([A-Z2-7]+) l=([A-Z2-7]+) seq=(0|[1-9][0-9]{0,19}) sig=([A-Za-z0-9_-]+)",
    re.ASCII,
)
_BASE32 = re.compile(r"[A-Z2-7]+", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Root:
    """The root of a tree: the hashes of its subtrees, and the signature over them."""

    nodes: str
    links: str
    seq: int
    signature: bytes

    @classmethod
    def sign(cls, private_key: PrivateKey, nodes: str, links: str, seq: int) -> Root:
        """Make the root with the signature of ``private_key``."""
        signed = cls(nodes, links, seq, b"")._signed_text
        return cls(nodes, links, seq, private_key.sign(keccak256(signed.encode())))

    def is_signed_by(self, public_key: PublicKey) -> bool:
        """Whether the signature is of this key. Its last byte, which is redundant, is ignored."""
        return public_key.verify(keccak256(self._signed_text.encode()), self.signature[:64])

    @property
    def _signed_text(self) -> str:
        return f"{ROOT_PREFIX} e={self.nodes} l={self.links} seq={self.seq}"

    @property
    def signature_text(self) -> str:
        """The signature in base64."""
        return base64.urlsafe_b64encode(self.signature).rstrip(b"=").decode("ascii")

    def __str__(self) -> str:
        return f"{self._signed_text} sig={self.signature_text}"


@dataclass(frozen=True, slots=True)
class Branch:
    """An entry with the hashes of the entries below it; of an empty tree, it has none."""

    children: tuple[str, ...]

    def __str__(self) -> str:
        return _BRANCH_PREFIX + ",".join(self.children)


@dataclass(frozen=True, slots=True)
class Link:
    """A list of nodes: its domain, in lower case, and the key that signs it.

    Raises InvalidTree for a domain that DNS cannot have.
    """

    public_key: PublicKey
    domain: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "domain", checked_domain(self.domain))

    def __str__(self) -> str:
        """Return the URL, ``enrtree://...``."""
        return f"{_LINK_PREFIX}{_format_base32(self.public_key.to_compressed())}@{self.domain}"


#: Each entry but the root; ``str`` returns its text.
Entry: TypeAlias = Branch | Link | Record


def hash_of(text: str) -> str:
    """Return the hash of an entry's text: its name below the domain of the tree."""
    return _format_base32(keccak256(text.encode())[:_HASH_SIZE])


def parse_hash(text: str) -> bytes:
    """Return the bytes of a hash that refers to an entry: the beginning of its keccak256.

    Bits after the last byte are ignored.
    """
    digest = _parse_base32(text)
    if digest is None or not _MIN_HASH_SIZE <= len(digest) <= _MAX_HASH_SIZE:
        raise InvalidTree(f"invalid hash of an entry: {_shown(text)}")
    return digest


def parse_root(text: str) -> Root:
    """Read a root. Its signature is not verified."""
    _check_size(text)
    match = _ROOT.fullmatch(text)
    if match is None:
        raise InvalidTree("invalid root: wrong syntax")
    nodes, links, seq, signature = match.groups()
    parse_hash(nodes)
    parse_hash(links)
    if int(seq) > MAX_SEQ:
        raise InvalidTree("invalid root: sequence number does not fit 64 bits")
    return Root(nodes, links, int(seq), parse_signature(signature))


def parse_entry(text: str) -> Entry:
    """Read a branch, a link or a node record."""
    _check_size(text)
    if text.startswith(_LINK_PREFIX):
        return _parse_link(text)
    if text.startswith(_BRANCH_PREFIX):
        return _parse_branch(text)
    if text.startswith(_RECORD_PREFIX):
        return _parse_record(text)
    raise InvalidTree(f"not an entry of a tree: {_shown(text)}")


def parse_link(url: str) -> Link:
    """Read the URL of a list, ``enrtree://...``. Surrounding white space is ignored."""
    text = text_of(url, "URL of a node list")
    _check_size(text)
    try:
        if not text.startswith(_LINK_PREFIX):
            raise InvalidTree(f"invalid link: missing {_LINK_PREFIX!r} prefix")
        return _parse_link(text)
    except InvalidTree as error:
        raise InvalidTree(f"{error}; got {_shown(text)}") from error


def link_of(link: Link | str) -> Link:
    """Return a link, made of its URL if it is text."""
    return link if isinstance(link, Link) else parse_link(link)


def checked_domain(domain: str) -> str:
    """Return the domain of a tree in lower case."""
    check_type("domain", domain, str, "a str")
    if not _DOMAIN.fullmatch(domain) or len(domain) > MAX_DOMAIN_SIZE:
        raise InvalidTree(f"invalid domain of a tree: {_shown(domain)}")
    return domain.lower()


def _parse_link(text: str) -> Link:
    key, at, domain = text[len(_LINK_PREFIX) :].partition("@")
    if not at:
        raise InvalidTree("invalid link: no public key")
    raw = _parse_base32(key)
    if raw is None or _format_base32(raw) != key:
        raise InvalidTree("invalid link: the public key is not base32")
    try:
        public_key = PublicKey.from_compressed(raw)
    except InvalidKey as error:
        raise InvalidTree(f"invalid link: {error}") from error
    return Link(public_key, domain)


def _parse_branch(text: str) -> Branch:
    below = text[len(_BRANCH_PREFIX) :]
    children = tuple(below.split(",")) if below else ()
    for child in children:
        parse_hash(child)
    return Branch(children)


def _parse_record(text: str) -> Record:
    try:
        return Record.from_text(text)
    except InvalidNode as error:
        raise InvalidTree(str(error)) from error


def parse_signature(text: str) -> bytes:
    """Read the signature of a root, 65 bytes in base64."""
    try:
        signature = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise InvalidTree("invalid root: the signature is not base64") from None
    is_exact = base64.urlsafe_b64encode(signature).rstrip(b"=") == text.encode()
    if len(signature) != _SIGNATURE_SIZE or not is_exact:
        raise InvalidTree(f"invalid root: the signature is not {_SIGNATURE_SIZE} bytes")
    return signature


def _shown(text: str) -> str:
    """Return the beginning of a text for an error, escaped and quoted."""
    return repr(printable(text, _SHOWN))


def _check_size(text: str) -> None:
    if len(text) > MAX_TEXT_SIZE:
        raise InvalidTree(f"entry of {len(text)} characters, at most {MAX_TEXT_SIZE} allowed")


def _parse_base32(text: str) -> bytes | None:
    if not _BASE32.fullmatch(text):
        return None
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:  # of a length that no number of bytes has
        return None


def _format_base32(data: bytes) -> str:
    return base64.b32encode(data).rstrip(b"=").decode("ascii")
