"""The handshake over a pipe: both sides at once, and every way it fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import p2p
from p2p.eth import ETH69, BlockRangeUpdate, NetworkMismatch, NoStatus, handshake, make_status
from p2p.networks import HOODI, SEPOLIA
from p2p.testing import msg_pipe
from tests.eth.vectors import hash_of
from tests.kit.waiting import PATIENCE_S

STATUS = make_status(SEPOLIA, 69)
CHAIN = SEPOLIA.chain


def test_both_sides_get_the_status_of_the_other() -> None:
    one, other = msg_pipe(length=ETH69.length)
    ahead = replace(STATUS, latest=5, latest_hash=hash_of(1))
    with ThreadPoolExecutor(1) as thread:
        theirs = thread.submit(handshake, other, ahead, CHAIN, timeout=PATIENCE_S)
        assert handshake(one, STATUS, CHAIN, timeout=PATIENCE_S) == ahead
        assert theirs.result() == STATUS


def test_a_remote_of_another_network_is_refused_with_the_code_of_the_message() -> None:
    one, other = msg_pipe(length=ETH69.length)
    other.write_msg(p2p.Msg(*ETH69.encode(make_status(HOODI, 69))))
    with pytest.raises(NetworkMismatch) as refusal:
        handshake(one, STATUS, CHAIN)
    assert refusal.value.msg_code == 0


def test_the_first_message_must_be_a_status() -> None:
    one, other = msg_pipe(length=ETH69.length)
    other.write_msg(p2p.Msg(*ETH69.encode(BlockRangeUpdate(0, 1, hash_of(1)))))
    with pytest.raises(NoStatus, match="first message is BlockRangeUpdate, not Status"):
        handshake(one, STATUS, CHAIN)


def test_a_status_that_is_none_is_refused() -> None:
    one, other = msg_pipe(length=ETH69.length)
    other.send(0, [1, 2, 3])
    with pytest.raises(p2p.DecodeError, match="Status"):
        handshake(one, STATUS, CHAIN)


def test_a_silent_remote_is_a_timeout() -> None:
    one, _ = msg_pipe(length=ETH69.length)
    with pytest.raises(p2p.Timeout):
        handshake(one, STATUS, CHAIN, timeout=0)


def test_a_remote_that_leaves_tells_why() -> None:
    one, other = msg_pipe(length=ETH69.length)
    other.close(p2p.DiscReason.SUBPROTOCOL_ERROR)
    with pytest.raises(p2p.PeerDisconnected) as end:
        handshake(one, STATUS, CHAIN)
    assert end.value.disc_reason is p2p.DiscReason.SUBPROTOCOL_ERROR
