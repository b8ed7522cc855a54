"""What a peer can send after its hello: frames, snappy and RLP that break the rules."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

import p2p
from p2p import Cap, DiscReason
from p2p.codec import encode
from p2p.peers.session import Session
from p2p.rlpx import MAX_MESSAGE_SIZE
from p2p.rlpx.frame import HEADER_SIZE
from p2p.rlpx.messages import HELLO, PING, encode_hello
from p2p.rlpx.snappy import compress
from tests.kit import inspect
from tests.kit.remote import FIRST_CODE, LENGTH, Remote
from tests.kit.target import Honest, Inbox, Target, sessions, talk, target
from tests.kit.waiting import PATIENCE_S, eventually

Attack = Callable[[Remote], None]


class Switch:
    """Gives each test an inbox of its own on a server that all share."""

    def __init__(self) -> None:
        self.inbox = Inbox()

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.inbox.run(peer, rw)


@pytest.fixture(scope="module")
def under_attack() -> Iterator[tuple[Target, Honest, Switch]]:
    """One server, with an honest peer, for all attacks that leave no trace."""
    switch = Switch()
    with target(switch.run) as made, talk(made) as honest:
        yield made, honest, switch


@pytest.fixture
def victim(under_attack: tuple[Target, Honest, Switch]) -> Iterator[Target]:
    """The server; after the attack nothing is left of it, and the honest peer goes on."""
    made, honest, _ = under_attack
    yield made
    made.await_quiet(peers=1)
    honest.exchange()


@pytest.fixture
def inbox(under_attack: tuple[Target, Honest, Switch]) -> Inbox:
    switch = under_attack[2]
    switch.inbox = Inbox()
    return switch.inbox


def snappy(data: bytes) -> bytes:
    return bytes(compress(data))


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def with_flipped_bit(position: int) -> Attack:
    def attack(remote: Remote) -> None:
        frame = bytearray(remote.frame(FIRST_CODE, snappy(b"x" * 40)))
        frame[position] ^= 1
        remote.send_raw(bytes(frame))

    return attack


def replay(remote: Remote) -> None:
    frame = remote.frame(PING, snappy(b"\xc0"))
    remote.send_raw(frame + frame)


def frame_of(code: int, data: bytes) -> Attack:
    return lambda remote: remote.send_frame(code, data)


BREACHES: dict[str, tuple[Attack, type[p2p.RemoteProtocolError]]] = {
    "bit flipped in the header": (with_flipped_bit(2), p2p.errors.FrameError),
    "bit flipped in the header's MAC": (with_flipped_bit(20), p2p.errors.FrameError),
    "bit flipped in the code": (with_flipped_bit(32), p2p.errors.FrameError),
    "bit flipped in the body": (with_flipped_bit(36), p2p.errors.FrameError),
    "bit flipped in the padding": (with_flipped_bit(-17), p2p.errors.FrameError),
    "bit flipped in the frame's MAC": (with_flipped_bit(-1), p2p.errors.FrameError),
    "replayed frame": (replay, p2p.errors.FrameError),
    "random bytes": (lambda remote: remote.send_raw(b"\xa5" * 500), p2p.errors.FrameError),
    "code after the last": (
        frame_of(FIRST_CODE + LENGTH, snappy(b"\xc0")),
        p2p.errors.InvalidMessageCode,
    ),
    "code of 64 bits": (frame_of(2**64 - 1, snappy(b"\xc0")), p2p.errors.InvalidMessageCode),
    "second hello": (
        lambda remote: remote.send_frame(HELLO, snappy(encode_hello(remote.hello))),
        p2p.errors.HelloError,
    ),
    "no snappy": (frame_of(FIRST_CODE, b""), p2p.errors.CompressionError),
    "snappy garbage": (frame_of(FIRST_CODE, b"\x10" + b"\xff" * 50), p2p.errors.CompressionError),
    "snappy cut short": (
        frame_of(FIRST_CODE, snappy(bytes(1000))[:-2]),
        p2p.errors.CompressionError,
    ),
    "snappy of endless length": (frame_of(FIRST_CODE, b"\xff" * 10), p2p.errors.CompressionError),
    "declared bomb": (
        frame_of(FIRST_CODE, varint(2**32 - 1) + bytes(99)),
        p2p.errors.CompressionError,
    ),
    "declared just too much": (
        frame_of(FIRST_CODE, varint(MAX_MESSAGE_SIZE + 1) + bytes(2**20)),
        p2p.errors.CompressionError,
    ),
    "declared more than it can hold": (
        frame_of(FIRST_CODE, varint(MAX_MESSAGE_SIZE) + bytes(99)),
        p2p.errors.CompressionError,
    ),
    "real bomb": (
        lambda remote: remote.send_frame(FIRST_CODE, snappy(bytes(MAX_MESSAGE_SIZE + 1))),
        p2p.errors.CompressionError,
    ),
}


@pytest.mark.parametrize("kind", BREACHES)
def test_breach_of_protocol_is_told_to_both_sides(victim: Target, inbox: Inbox, kind: str) -> None:
    attack, error = BREACHES[kind]
    with victim.server.subscribe_events() as events, victim.attack() as remote:
        remote.open()
        remote.send_payloads((7, b"before"))
        attack(remote)
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR
        remote.sock.close()
        ending = inbox.ending()
        assert (ending.reason, ending.by_remote) == (DiscReason.PROTOCOL_ERROR, False)
        assert type(ending.__cause__) is error
        assert inbox.message().payload == b"before"
        added, dropped = (events.get(PATIENCE_S) for _ in range(2))
    assert (added.type, added.peer) == ("add", remote.node.id)
    assert (dropped.type, dropped.peer) == ("drop", remote.node.id)
    assert dropped.error == f"breach of protocol: {ending.__cause__}"


def test_what_was_accepted_before_a_breach_is_delivered_in_order(
    victim: Target, inbox: Inbox
) -> None:
    with victim.attack() as remote:
        remote.open()
        remote.machine.send_messages([(FIRST_CODE + i % LENGTH, encode(i)) for i in range(300)])
        # One write, so the messages and the breach arrive together.
        remote.send_raw(remote.pending() + remote.frame(FIRST_CODE + LENGTH, snappy(b"\xc0")))
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR
        assert [inbox.message().decode(int) for _ in range(300)] == list(range(300))
    inbox.ending()


@pytest.mark.parametrize("code", range(4, 16))
def test_unknown_codes_of_the_base_protocol_are_passed_over(
    victim: Target, inbox: Inbox, code: int
) -> None:
    with victim.attack() as remote:
        remote.open()
        remote.send_frame(code, b"\xff garbage")
        remote.send_payloads((0, b"after"))
        assert inbox.message().payload == b"after"
    inbox.ending()


DISCONNECTS = {
    "a list": (b"\xc1\x04", DiscReason.TOO_MANY_PEERS),
    "a compressed list": (snappy(b"\xc1\x04"), DiscReason.TOO_MANY_PEERS),
    "a bare integer": (b"\x04", DiscReason.TOO_MANY_PEERS),
    "a compressed integer": (snappy(b"\x04"), DiscReason.TOO_MANY_PEERS),
    "nothing": (b"", DiscReason.REQUESTED),
    "compressed nothing": (snappy(b""), DiscReason.REQUESTED),
    "an empty list": (b"\xc0", DiscReason.REQUESTED),
    "an unknown number": (snappy(b"\xc2\x81\xfe"), DiscReason(0xFE)),
    "garbage": (b"\xff" * 50, DiscReason.INVALID),
    "nested lists": (snappy(b"\xc1" * 5000), DiscReason.INVALID),
}


@pytest.mark.parametrize("kind", DISCONNECTS)
def test_disconnect_ends_the_connection_with_its_reason(
    victim: Target, inbox: Inbox, kind: str
) -> None:
    payload, reason = DISCONNECTS[kind]
    with victim.attack() as remote:
        remote.open()
        remote.send_payloads((0, b"last words"))
        remote.say_disconnect(payload)
        assert remote.expect_closed() == b""
    ending = inbox.ending()
    assert (ending.reason, ending.by_remote) == (reason, True)
    assert inbox.message().payload == b"last words"


# the largest of everything


def test_message_of_the_largest_size_arrives(victim: Target, inbox: Inbox) -> None:
    with victim.attack(version=4) as remote:  # without snappy, the frame is as large
        remote.open()
        payload = bytes(MAX_MESSAGE_SIZE - 1)  # the code takes a byte
        remote.send_payloads((1, payload))
        assert inbox.message().payload == payload
    inbox.ending()


def test_message_that_decompresses_to_the_largest_size_arrives(
    victim: Target, inbox: Inbox
) -> None:
    with victim.attack() as remote:
        remote.open()
        remote.send_payloads((1, bytes(MAX_MESSAGE_SIZE)))
        assert inbox.message().size == MAX_MESSAGE_SIZE
    inbox.ending()


def test_no_memory_is_taken_for_what_is_only_announced(victim: Target, inbox: Inbox) -> None:
    with victim.attack(version=4) as remote:
        remote.open()
        frame = remote.frame(FIRST_CODE, bytes(MAX_MESSAGE_SIZE - 1))
        eventually(lambda: victim.server.peer_count == 2)
        (session,) = sessions(victim)
        tracemalloc.start()
        remote.send_raw(frame[:1000])
        eventually(lambda: session.loop.call(begun_bytes, session) == 1000 - HEADER_SIZE)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    inbox.ending()
    assert peak < 2**20


def begun_bytes(session: Session) -> int:
    """What has been read of a large frame that is not complete."""
    reader = session.machine._reader
    assert reader is not None
    return 0 if reader._body is None else len(reader._body)


# what handlers decode


HOSTILE_RLP = {
    "nested lists": b"\xc1" * 100_000 + b"\xc0",
    "nested long lists": b"".join(
        b"\xf9" + size.to_bytes(2, "big") for size in range(60_000, 57_000, -3)
    ),
    "a list of 16 MiB of empty lists": b"\xfa" + (2**24 - 100).to_bytes(3, "big")
    + b"\xc0" * (2**24 - 100),
    "a length of 2**64 - 1": b"\xff" + b"\xff" * 8,
    "a string of 2**63": b"\xbf\x80" + bytes(7),
    "nothing": b"",
}
KINDS = {"raw": None, "list of int": list[int], "text": str, "nested": list[list[bytes]]}


@pytest.mark.parametrize("payload", HOSTILE_RLP.values(), ids=HOSTILE_RLP.keys())
def test_hostile_rlp_in_a_handler_is_a_breach_of_protocol(payload: bytes) -> None:
    """Whatever a handler wants, it gets DecodeError, and what it lets out ends the connection."""
    errors: list[BaseException] = []

    def decode(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        msg = rw.read_msg()
        for kind in KINDS.values():
            try:
                msg.decode(kind)
            except p2p.DecodeError as error:
                errors.append(error)
        msg.decode(str)

    with target(decode) as victim, talk(victim) as honest:
        with victim.attack() as remote:
            remote.open()
            remote.send_payloads((0, payload))
            assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR
        victim.await_quiet(peers=1)
        honest.exchange()
        lines = [r for r in victim.log.records if r.levelno > logging.DEBUG]
        assert [r.levelname for r in lines if "handler" in r.getMessage()] == ["WARNING"]
    assert len(errors) == len(KINDS)


def test_hostile_rlp_takes_no_memory_beyond_a_few_messages() -> None:
    payload = HOSTILE_RLP["a list of 16 MiB of empty lists"]
    peaks: list[int] = []

    def decode(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        msg = rw.read_msg()
        tracemalloc.start()
        try:
            msg.decode()
        finally:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    with target(decode) as victim, victim.attack() as remote:
        remote.open()
        remote.send_payloads((0, payload))
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR
    assert max(peaks) < 2**20


# text


NASTY = "evil\x1b[2J\x1b]0;owned\x07\r\nINFO fake line\u202e\u2028\0\x9b31m"


def is_raw(text: str) -> bool:
    return any(not c.isprintable() and c != "\n" for c in text)


@pytest.mark.parametrize("raw", [NASTY.encode(), b"\xff\x1b\xfe\n", ("x" * 1000 + NASTY).encode()])
def test_name_of_a_peer_is_escaped_wherever_it_is_shown(
    raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "p2p")
    inbox = Inbox()
    with target(inbox.run) as victim, victim.attack() as remote:
        remote.shake_hands()
        caps = [["test", 1], ["bad\x1b[31m\n", 1]]
        remote.send_hello(encode([5, raw, caps, 0, remote.hello.node_key]))
        remote.expect_hello()
        peer = inbox.peer()
        shown = [str(peer), repr(peer), peer.name, peer.fullname]
        peer.log.info("one line")
        info = victim.server.peers_info()[0]
    assert len(peer.fullname) <= 300 and len(peer.name) <= 30
    assert not [text for text in [*shown, info["name"]] if is_raw(text) or "\n" in text]
    _check_log(caplog)


def test_capabilities_that_we_do_not_share_are_escaped_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "p2p")
    with target() as victim, victim.attack() as remote:
        remote.shake_hands()
        remote.send_hello(encode([5, "x", [[NASTY, 1]], 0, remote.hello.node_key]))
        remote.expect_hello()
        assert remote.disconnect_reason() is DiscReason.USELESS_PEER
    _check_log(caplog)


def test_error_of_a_handler_shows_no_bytes_of_the_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "p2p")

    def decode(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        p2p.expect_msg(rw, 0, "expected")

    with target(decode) as victim, victim.attack() as remote:
        remote.open()
        remote.send_payloads((0, encode(NASTY)))
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR
        remote.sock.close()
        victim.await_quiet()
    _check_log(caplog)


def _check_log(caplog: pytest.LogCaptureFixture) -> None:
    """No line of the log has anything raw; tracebacks are in ``exc_text`` and checked as well."""
    for record in caplog.records:
        message = record.getMessage()
        assert not is_raw(message) and "\n" not in message, repr(message)
        assert not is_raw(record.exc_text or ""), repr(record.exc_text)


# pings


def test_flood_of_pings_has_at_most_one_pong_pending(victim: Target, inbox: Inbox) -> None:
    with victim.attack() as remote:
        remote.open()
        for _ in range(100):
            remote.send_raw(b"".join(remote.frame(PING, snappy(b"\xc0")) for _ in range(100)))
        remote.send_payloads((0, b"after the flood"))
        assert inbox.message().payload == b"after the flood"
        (session,) = sessions(victim)
        assert inspect.on_io(victim.server, lambda: session.channel.unsent_bytes) == 0
        remote.sock.shutdown(1)
        pongs = len(remote.expect_closed())
    inbox.ending()
    # A pong has 64 bytes on the wire; each read of the server answers with one at most.
    assert 64 <= pongs < 64 * 1000


def test_pings_are_answered_while_the_handler_is_busy(victim: Target, inbox: Inbox) -> None:
    with victim.attack() as remote:
        remote.open()
        remote.send_frame(PING, snappy(b"\xc0"))
        before = remote.received_bytes
        remote.receive()
        assert remote.received_bytes - before == 64
    inbox.ending()


def test_two_protocols_of_one_connection_end_together() -> None:
    inbox = Inbox()
    caps = [Cap("test", 1), Cap("talk", 1)]
    with target(inbox.run) as victim, victim.attack(caps=caps) as remote:
        remote.open()
        remote.send_frame(999, snappy(b""))
        assert remote.disconnect_reason() is DiscReason.PROTOCOL_ERROR
        remote.sock.close()
        victim.await_quiet()
    inbox.ending()
