"""The messages of eth and snap: any payload is a message that encodes to it, or is refused.

The variant chooses the message, of all versions; the body is its payload. A header, a receipt and a
transaction that are decoded have their hash and their filter, whatever is in them.
"""

from __future__ import annotations

from typing import Any

from p2p.errors import DecodeError
from p2p.eth import (
    ETH69,
    ETH70,
    ETH71,
    ETH72,
    SNAP1,
    SNAP2,
    BlockBodies,
    BlockHeaders,
    Receipts69,
    Receipts70,
    transaction_hash,
)
from p2p.messages import Messages
from tests.eth.vectors import MESSAGES, PROTOCOLS
from tests.fuzz.target import Target

CHOICES: list[tuple[Messages[Any], int]] = [
    (messages, code)
    for messages in (ETH69, ETH70, ETH71, ETH72, SNAP1, SNAP2)
    for code in messages.classes
]

Built = tuple[Messages[Any], int, bytes]


def seeds() -> list[bytes]:
    found: list[bytes] = []
    for name, value in MESSAGES.items():
        messages = PROTOCOLS[name.split()[0]]
        code, payload = messages.encode(value)
        found.append(bytes([CHOICES.index((messages, code)) << 1]) + payload)
    return found


def build(variant: int, repaired: bool, body: bytes) -> Built:
    return *CHOICES[variant % len(CHOICES)], body


def read(built: Built) -> Any:
    messages, code, payload = built
    return messages.decode(code, payload)


def check(built: Built, message: Any) -> None:
    messages, code, payload = built
    assert messages.encode(message) == (code, payload)
    if isinstance(message, BlockHeaders):
        assert all(len(header.hash) == 32 for header in message.headers)
    elif isinstance(message, BlockBodies):
        assert all(len(transaction_hash(tx)) == 32 for b in message.bodies for tx in b.transactions)
    elif isinstance(message, (Receipts69, Receipts70)):
        assert all(len(receipt.bloom) == 256 for part in message.receipts for receipt in part)


TARGETS = (
    Target(
        "eth",
        seeds=seeds,
        build=build,
        decode=read,
        errors=(DecodeError,),
        check=check,
        repairs=False,
        max_size=4096,
    ),
)
