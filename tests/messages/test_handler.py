"""Handlers of declared messages: functions, classes with methods, and those that are refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import wraps
from typing import Any

import pytest

import p2p
from p2p import DiscReason, messages, testing
from p2p.messages import Messages, TypedReadWriter, message


@message(0)
class Hello:
    name: str


@message(1)
class NewBlockHashes:
    hashes: list[bytes]


@message(3)
class Bye:
    pass


Chatter = TypedReadWriter[Any]
CHAT: Messages[Any] = Messages("chat", 1, [Hello, NewBlockHashes, Bye])


class Chat:
    def __init__(self, peer: p2p.Peer, rw: Chatter) -> None:
        self.peer, self.rw = peer, rw
        self.ended = False
        rw.write(Hello("we"))

    def on_hello(self, msg: Hello) -> None:
        self.rw.write(Hello(f"{msg.name} of {self.peer.name}"))

    def on_new_block_hashes(self, msg: NewBlockHashes) -> None:
        self.rw.write(NewBlockHashes(msg.hashes[::-1]))

    def on_bye(self, msg: Bye) -> None:
        raise p2p.Disconnect(DiscReason.QUITTING)


def test_protocol_has_name_version_and_length_of_its_messages() -> None:
    made = messages.protocol(CHAT, Chat, attributes={"chat": 1}, topic="chat")
    assert (made.name, made.version, made.length) == ("chat", 1, 4)
    assert made.messages is CHAT
    assert made.attributes == {"chat": 1}
    assert made.topic == "chat"
    assert messages.protocol(CHAT).run is None


def test_class_has_an_instance_for_each_peer_and_a_method_for_each_message() -> None:
    protocol = messages.protocol(CHAT, Chat)
    with testing.run_handler(protocol, name="node") as remote:
        remote.expect(0, ["we"])
        remote.send_items(0, "alice")
        remote.expect(0, ["alice of node"])
        remote.send_items(1, [b"a", b"b"])
        remote.expect(1, [[b"b", b"a"]])
        remote.send_items(3)
        remote.expect_end(DiscReason.QUITTING)


def test_handler_class_returns_when_the_peer_leaves() -> None:
    with testing.run_handler(messages.protocol(CHAT, Chat)) as remote:
        remote.expect(0)
        remote.close()
        assert remote.result() is None


@pytest.mark.parametrize(("code", "wire"), [(2, []), (0, []), (0, [[]]), (1, [[[]]])])
def test_message_that_does_not_fit_ends_the_connection_as_a_breach(code: int, wire: object) -> None:
    with testing.run_handler(messages.protocol(CHAT, Chat)) as remote:
        remote.expect(0)
        remote.send(code, wire)
        remote.expect_end(DiscReason.PROTOCOL_ERROR)


@pytest.fixture
def server() -> Iterator[p2p.Server]:
    with p2p.Server(
        private_key=p2p.generate_key(),
        name="node",
        max_peers=5,
        listen_addr="127.0.0.1:0",
        protocols=[messages.protocol(CHAT, Chat)],
    ) as server:
        yield server


@pytest.mark.parametrize(
    ("code", "wire", "words"),
    [(2, [], "InvalidMessageCode in message 2: chat/1 has no message 2"),
     (0, [[]], "DecodeError in message 0: Hello: name (byte 1): a list stands where")],
    ids=["code", "payload"],
)  # fmt: skip
def test_breach_on_a_connection_is_the_peers_not_a_failure_of_ours(
    server: p2p.Server, code: int, wire: object, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with p2p.connect(server.self, name="chat", version=1, length=CHAT.length) as rw:
        chat = TypedReadWriter(rw, CHAT)
        assert chat.expect(Hello, testing.PATIENCE_S) == Hello("we")
        rw.send(code, wire)
        with pytest.raises(p2p.PeerDisconnected) as raised:
            chat.read(testing.PATIENCE_S)
    assert raised.value.reason == DiscReason.PROTOCOL_ERROR and raised.value.by_remote
    (line,) = [record for record in caplog.records if "was ended by" in record.getMessage()]
    assert line.levelname == "WARNING" and line.exc_info is None
    assert words in line.getMessage()


def test_function_gets_a_typed_read_writer() -> None:
    def run(peer: p2p.Peer, rw: Chatter) -> str:
        rw.write(Bye())
        return rw.expect(Hello).name

    with testing.run_handler(messages.protocol(CHAT, run)) as remote:
        remote.expect(3, [])
        remote.send_items(0, "alice")
        assert remote.result() == "alice"


class Sink:
    """A handler with one method for everything, which notes the end."""

    def __init__(self, peer: p2p.Peer, rw: Chatter) -> None:
        self.rw = rw

    def on_hello(self, msg: Hello) -> None:
        raise ValueError("not welcome")

    def on_other(self, msg: object) -> None:
        self.rw.write(Hello(type(msg).__name__))

    def close(self) -> None:
        CLOSED.set()


CLOSED = threading.Event()


def test_messages_without_a_method_go_to_on_other() -> None:
    with testing.run_handler(messages.protocol(CHAT, Sink)) as remote:
        remote.send_items(3)
        remote.expect(0, ["Bye"])
        remote.send_items(1, [])
        remote.expect(0, ["NewBlockHashes"])


def test_close_is_called_after_an_error_as_well() -> None:
    CLOSED.clear()
    with testing.run_handler(messages.protocol(CHAT, Sink)) as remote:
        remote.send_items(0, "alice")
        remote.expect_end(DiscReason.SUBPROTOCOL_ERROR)
        with pytest.raises(ValueError, match="not welcome"):
            remote.result()
    assert CLOSED.is_set()


def hidden(function: Any) -> Any:
    @wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    del call.__wrapped__  # type: ignore[attr-defined]
    return call


def test_coroutine_function_behind_a_decorator_is_found_at_its_first_call() -> None:
    class Late(Chat):
        @hidden
        async def on_hello(self, msg: Hello) -> None:
            """Never called."""

    with testing.run_handler(messages.protocol(CHAT, Late)) as remote:
        remote.expect(0)
        remote.send_items(0, "alice")
        remote.expect_end(DiscReason.SUBPROTOCOL_ERROR)
        with pytest.raises(p2p.ConfigError, match="^Late.on_hello has run nothing"):
            remote.result()


# Refused when the protocol is declared.


class NoBye:
    def __init__(self, peer: object, rw: object) -> None: ...
    def on_hello(self, msg: object) -> None: ...
    def on_new_block_hashes(self, msg: object) -> None: ...


class Unknown(Chat):
    def on_helo(self, msg: object) -> None: ...


class Later(Chat):
    async def on_hello(self, msg: object) -> None: ...  # type: ignore[override]


class Lazily(Chat):
    def on_hello(self, msg: object) -> Iterator[None]:  # type: ignore[override]
        yield


class TooFew(Chat):
    def on_bye(self) -> None: ...  # type: ignore[override]


class Alone(Chat):
    def __init__(self) -> None: ...


class CloseOfWhat(Chat):
    def close(self, reason: int) -> None: ...


async def run_later(peer: object, rw: object) -> None: ...


def run_lazily(peer: object, rw: object) -> Iterator[None]:
    yield


REFUSED: list[tuple[Any, str]] = [
    (NoBye, r"^handler: wanted a class with on_bye\(self, msg\) for Bye, or on_other\(self, msg\)"),
    (Unknown, r"^handler: wanted methods for messages of chat/1 only: on_bye, .*\['on_helo'\]"),
    (Later, "^Later.on_hello must be a plain function, .* not a coroutine function"),
    (Lazily, "^Lazily.on_hello must be a plain function, .* not a generator function"),
    (TooFew, r"^TooFew.on_bye must be callable as on_bye\(self, msg\)"),
    (Alone, r"^handler must be callable as handler\(peer, rw\)"),
    (CloseOfWhat, r"^CloseOfWhat.close must be callable as close\(self\)"),
    (run_later, "^handler must be a plain function, .* not a coroutine function"),
    (run_lazily, "^handler must be a plain function, .* not a generator function"),
    (lambda rw: None, "^handler must be callable"),
    (5, "^handler must be callable"),
]


@pytest.mark.parametrize(("handler", "words"), REFUSED)
def test_handler_that_cannot_work_is_refused(handler: Any, words: str) -> None:
    with pytest.raises(p2p.ConfigError, match=words):
        messages.protocol(CHAT, handler)


def test_only_declared_messages_make_a_protocol() -> None:
    wrong: Any = [Hello]
    with pytest.raises(p2p.ConfigError, match="^messages: wanted the Messages of a protocol"):
        messages.protocol(wrong)
    with pytest.raises(p2p.ConfigError, match="^Protocol.topic: wanted"):
        messages.protocol(CHAT, topic="")
