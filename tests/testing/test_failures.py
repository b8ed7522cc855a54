"""Failures of the kit: calls with deadlines, errors that are not lost, and wrong arguments."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import p2p
from p2p import testing
from p2p.testing import FaultyReadWriter, Remote, RemoteListener
from p2p.testing import remote as remote_module

R = p2p.DiscReason
TALK = p2p.Protocol("talk", 1, 1)
LARGE = bytes(1_100_000)
#: A wait below this is at once, even on a busy machine.
SOON_S = 10.0


def protocol(run: Any) -> p2p.Protocol:
    return p2p.Protocol("test", 1, 4, run)


def echo(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for msg in rw:
        rw.write_msg(msg)


class Hanging:
    """A handler that neither reads nor returns until the test ends."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def __call__(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.goes_on.wait()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    handler = Hanging()
    yield handler
    handler.goes_on.set()


def chain(error: BaseException) -> list[BaseException]:
    """The errors that Python shows for ``error``."""
    shown = [error]
    while (cause := error.__cause__) is not None:
        shown.append(error := cause)
    return shown


# deadlines of writes


def test_write_to_a_handler_that_does_not_read_fails(hanging: Hanging) -> None:
    with testing.run_handler(protocol(hanging), timeout=0.1) as remote:
        remote.send(0, LARGE)
        text = r"message 1 was not taken within 0\.1 s; .* does not read; it is at .*test_failures"
        with pytest.raises(AssertionError, match=text):
            remote.send(1, b"next")
        hanging.goes_on.set()


def test_write_goes_on_when_the_handler_reads() -> None:
    reads = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> int:
        reads.wait()
        return len(list(rw))

    with testing.run_handler(protocol(run)) as remote:
        remote.send(0, LARGE)
        threading.Timer(0.05, reads.set).start()
        remote.send(1, b"next")
        remote.close()
        assert remote.result() == 2


def test_write_to_a_socket_that_is_not_read_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "PATIENCE_S", 0.1)
    ours, theirs = socket.socketpair()
    with theirs, Remote(ours, None) as remote:
        with pytest.raises(AssertionError, match=r"not sent within 0\.1 s: .* does not read"):
            remote.send_raw(bytes(10_000_000))


# a block that fails


def test_handler_that_hangs_is_named_in_the_error_of_the_block(hanging: Hanging) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        with testing.run_handler(protocol(hanging), timeout=0.1):
            raise ZeroDivisionError
    assert "has not returned within 0.1 s; it is at" in str(chain(caught.value)[-1])
    assert "test_failures" in str(chain(caught.value)[-1])


def test_interrupted_block_does_not_wait_for_the_handler(hanging: Hanging) -> None:
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught:
        with testing.run_handler(protocol(hanging)):
            raise KeyboardInterrupt
    assert time.monotonic() - begin < SOON_S
    assert "has not returned" in str(chain(caught.value)[-1])


def fail_once_read(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    rw.read_msg()
    raise KeyError("mine")


def test_error_of_the_handler_is_a_cause_of_the_block_that_fails() -> None:
    with pytest.raises(AssertionError, match="the test's own") as caught:
        with testing.run_handler(protocol(fail_once_read)) as remote:
            remote.send(0, "foo")
            assert remote.wait_returned()
            raise AssertionError("the test's own") from OSError("other cause")
    assert [type(error) for error in chain(caught.value)] == [AssertionError, OSError, KeyError]


def test_error_of_the_handler_is_shown_once() -> None:
    with pytest.raises(AssertionError) as caught:
        with testing.run_handler(protocol(fail_once_read)) as remote:
            remote.send(0, "foo")
            remote.expect(1)
    assert [type(error) for error in chain(caught.value)][1:] == [p2p.PipeClosed, KeyError]
    with pytest.raises(KeyError) as raised:
        with testing.run_handler(protocol(fail_once_read)) as remote:
            remote.send(0, "foo")
            remote.result()
    assert chain(raised.value) == [raised.value]


# connected servers


def test_servers_whose_handlers_return_at_once_have_been_connected() -> None:
    begin = time.monotonic()
    with testing.connected_servers(protocol(lambda peer, rw: None)) as servers:
        assert len(servers) == 2
    assert time.monotonic() - begin < SOON_S


@pytest.mark.slow
@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_servers_that_hang_do_not_replace_the_error(hanging: Hanging, error: Any) -> None:
    begin = time.monotonic()
    with pytest.raises(type(error)) as caught:
        with testing.connected_servers(
            protocol(hanging), timeout=60 if isinstance(error, KeyboardInterrupt) else 1
        ):
            raise error
    assert caught.value is error and time.monotonic() - begin < SOON_S
    assert "threads that did not end" in str(chain(error)[-1])
    hanging.goes_on.set()


@pytest.mark.slow
def test_servers_stop_in_time_or_are_named(hanging: Hanging) -> None:
    with pytest.raises(AssertionError, match="threads that did not end: .*test"):
        with testing.connected_servers(protocol(hanging), timeout=1.0):
            pass


@pytest.mark.parametrize(
    "options", [{"timeout": "x"}, {"timeout": math.inf}, {"timeout": -1}, {"count": "2"}]
)
def test_wrong_arguments_of_connected_servers_start_nothing(options: dict[str, Any]) -> None:
    before = threading.enumerate()
    with pytest.raises(p2p.ArgumentError, match=next(iter(options))):
        with testing.connected_servers(TALK, **options):
            pass
    assert threading.enumerate() == before


# wrong arguments


def run(**options: Any) -> None:
    with testing.run_handler(protocol(echo), **options):
        pass


def played(action: Callable[[testing.HandlerRun], object]) -> Callable[[], None]:
    def call() -> None:
        with testing.run_handler(protocol(echo)) as remote:
            remote.send(0, "foo")
            action(remote)

    return call


def scripted(action: Callable[[Remote], object]) -> Callable[[], None]:
    def call() -> None:
        ours, theirs = socket.socketpair()
        with theirs, Remote(ours, None) as remote:
            action(remote)

    return call


def accepted(**options: Any) -> Callable[[], None]:
    def call() -> None:
        with RemoteListener() as listener:
            listener.accept(**options)

    return call


def discovered(action: Callable[[testing.DiscoveryRemote], object]) -> Callable[[], None]:
    def call() -> None:
        node = p2p.Node.from_parts(p2p.generate_key().public_key, "127.0.0.1", 9, 9)
        with testing.DiscoveryRemote(node) as remote:
            action(remote)

    return call


def faulty(**options: Any) -> FaultyReadWriter:
    return FaultyReadWriter(testing.msg_pipe()[0], **options)


BAD: Any = object()
WRONG: list[tuple[str, Callable[[], object]]] = [
    ("wrap", lambda: run(wrap=lambda rw: None)),
    ("wrap", lambda: run(wrap=5)),
    *[("timeout", lambda value=value: run(timeout=value)) for value in ("x", math.nan, None, -1)],
    ("timeout", lambda: run(timeout=math.inf)),
    ("logger", lambda: run(logger="x")),
    ("timeout", played(lambda remote: remote.expect(0, timeout="x"))),  # type: ignore[arg-type]
    ("timeout", played(lambda remote: remote.expect(0, timeout=math.nan))),
    ("timeout", played(lambda remote: remote.expect(0, timeout=-1))),
    ("timeout", played(lambda remote: remote.result(math.inf))),
    ("timeout", played(lambda remote: remote.wait_returned("x"))),  # type: ignore[arg-type]
    ("code", played(lambda remote: remote.expect("0"))),  # type: ignore[arg-type]
    ("reason", played(lambda remote: remote.expect_end("x"))),  # type: ignore[arg-type]
    ("reason", played(lambda remote: remote.expect_end(-1))),
    ("name", lambda: testing.make_peer(name=5)),  # type: ignore[arg-type]
    ("caps", lambda: testing.make_peer(caps=["eth/68"])),  # type: ignore[list-item]
    ("caps", lambda: testing.make_peer(caps="eth")),  # type: ignore[arg-type]
    ("caps", lambda: testing.make_peer(caps=[("eth", "68")])),  # type: ignore[list-item]
    ("caps", lambda: testing.make_peer(caps=5)),  # type: ignore[arg-type]
    ("private_key", lambda: testing.make_peer(private_key=bytes(32))),  # type: ignore[arg-type]
    ("remote_addr", lambda: testing.make_peer(remote_addr="1.2.3.4:5")),  # type: ignore[arg-type]
    ("remote_addr", lambda: testing.make_peer(remote_addr=("nohost", 5))),
    ("local_addr", lambda: testing.make_peer(local_addr=("1.2.3.4", 70_000))),
    ("local_addr", lambda: testing.make_peer(local_addr=5)),  # type: ignore[arg-type]
    ("logger", lambda: testing.make_peer(logger="x")),  # type: ignore[arg-type]
    ("rw", lambda: FaultyReadWriter(5)),  # type: ignore[arg-type]
    ("reads", lambda: faulty(reads=[1])),
    ("reads", lambda: faulty(reads={0: testing.swap()})),
    (r"reads\[1\]", lambda: faulty(reads={1: 5})),
    (r"writes\[1\]", lambda: faulty(writes={1: testing.swap})),
    ("msg", lambda: faulty(writes={1: testing.corrupt()}).write_msg(BAD)),
    ("error", lambda: testing.fail("x")),  # type: ignore[arg-type]
    ("size_bytes", lambda: testing.truncate(-1)),
    ("position", lambda: testing.corrupt("x")),  # type: ignore[arg-type]
    ("reason", lambda: testing.disconnect("x")),  # type: ignore[arg-type]
    *[("seconds", lambda value=value: testing.delay(value)) for value in ("x", None, math.nan, -1)],
    ("event", lambda: testing.wait_for(5)),  # type: ignore[arg-type]
    ("servers", lambda: testing.connect_servers(BAD, BAD)),
    ("server", lambda: testing.peer_of(BAD, BAD)),
    ("node", lambda: Remote.dial(BAD)),
    ("sock", lambda: Remote(BAD, None)),
    ("timeout", scripted(lambda remote: remote.expect_closed("x"))),  # type: ignore[arg-type]
    ("timeout", scripted(lambda remote: remote.shake_hands(math.nan))),
    ("data", scripted(lambda remote: remote.send_raw("x"))),  # type: ignore[arg-type]
    ("code", scripted(lambda remote: remote.send_frame("x", b""))),  # type: ignore[arg-type]
    ("msg", scripted(lambda remote: remote.write_msg(BAD))),
    *[("timeout", accepted(timeout=value)) for value in ("x", math.nan, math.inf)],
    ("node", lambda: testing.DiscoveryRemote(BAD)),
    ("timeout", discovered(lambda remote: remote.read_packet("x"))),  # type: ignore[arg-type]
    ("timeout", discovered(lambda remote: remote.expect(testing.Pong, math.inf))),
    ("kind", discovered(lambda remote: remote.expect("Pong"))),  # type: ignore[arg-type]
    ("packet", discovered(lambda remote: remote.send(BAD))),
    ("target", discovered(lambda remote: remote.find_node("x"))),  # type: ignore[arg-type]
    ("data", discovered(lambda remote: remote.send_raw("x"))),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("name, call", WRONG, ids=range(len(WRONG)))
def test_wrong_argument_is_named(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(p2p.ArgumentError, match=f"^{name}"):
        call()


def test_huge_timeouts_are_no_error() -> None:
    run(timeout=1e300)
    ours, theirs = socket.socketpair()
    with theirs, Remote(ours, None) as remote:
        theirs.close()
        assert remote.expect_closed(1e300) == b""


# closed ends


def test_calls_on_a_closed_remote_say_so() -> None:
    ours, theirs = socket.socketpair()
    remote = Remote(ours, None)
    theirs.close()
    remote.close()
    calls: list[Callable[[], object]] = [
        remote.read_msg,
        remote.expect_closed,
        lambda: remote.send_raw(b"x"),
        remote.flush,
    ]
    for call in calls:
        with pytest.raises(p2p.PeerDisconnected, match="this remote is closed"):
            call()
    with pytest.raises(AssertionError, match="did not come: this remote is closed"):
        remote.expect(0)
    remote.reset()
    assert "closed" in repr(remote)


def test_calls_on_a_closed_listener_say_so() -> None:
    listener = RemoteListener()
    node = listener.node
    listener.close()
    with pytest.raises(p2p.errors.ServerStateError, match="the listener is closed"):
        listener.accept()
    assert listener.node == node and str(node) in repr(listener)


def test_calls_on_a_closed_discovery_remote_say_so() -> None:
    def use(remote: testing.DiscoveryRemote) -> None:
        remote.close()
        for call in (remote.ping, remote.read_packet):
            with pytest.raises(p2p.errors.ServerStateError, match="this remote is closed"):
                call()
        assert "DiscoveryRemote" in repr(remote)

    discovered(use)()


@pytest.mark.parametrize("kind", [Remote, RemoteListener, testing.DiscoveryRemote])
def test_object_that_is_not_whole_has_a_repr(kind: type) -> None:
    assert repr(object.__new__(kind)) == f"<{kind.__name__}, incomplete>"


def test_discovery_remote_has_the_family_of_the_node() -> None:
    options: dict[str, Any] = {"listen_addr": "[::1]:0", "no_discovery": False}
    with testing.connected_servers(count=1, **options) as (server,):
        with testing.DiscoveryRemote(server) as remote:
            remote.bond()
            assert str(remote.node.ip) == "::1"
