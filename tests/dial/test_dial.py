"""One dial, from the name or the search for an address up to the connection.

The loop, its connections and the helper threads are real. What else a dial is given comes from a
:class:`Owner`, which lets the handshake be anything the test wants; dials with a real one are in
test_dials.py and test_dynamic.py.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_address
from typing import Any, cast

import pytest

import p2p
import p2p.testing
from p2p.config import Config
from p2p.dial.dial import Dial, address_text, fail
from p2p.dial.limits import DIAL_TIMEOUT_S
from p2p.net import Loop, NameLookups
from p2p.netutil import IPAddress
from p2p.peers.session import Ending, Session
from p2p.rlpx import State
from p2p.threads import Launcher
from tests.kit.names import Names
from tests.kit.nodes import HOST, closed_port, listening, node_at
from tests.kit.waiting import PATIENCE_S, eventually

PEER = cast(p2p.Peer, object())
KEY = p2p.generate_key()
NAME = "node.example"


def stranger(ip: str | None = HOST, tcp: int = 1) -> p2p.Node:
    return p2p.Node.from_parts(p2p.generate_key().public_key, ip, tcp)


@contextmanager
def full_at(ip: str, port: int = 0) -> Iterator[socket.socket]:
    """A socket that takes no connection: its backlog is full."""
    with socket.create_server((ip, port), backlog=0) as sock, ExitStack() as clients:
        for _ in range(2):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(sock.getsockname())
        yield sock


class Handshake:
    """A session that the test settles."""

    def __init__(self, sock: socket.socket, node: p2p.Node, settled: Callable[[Any], None]) -> None:
        self.sock = sock
        self.node = node
        self.peer: p2p.Peer | None = None
        self.ending: Ending | None = None
        self.machine = self
        self.state = self.last_state = State.AWAIT_ACK
        self.reason: p2p.DiscReason | None = None
        self._settled = settled

    def settle(self, peer: p2p.Peer | None) -> None:
        """Become a peer, or be closed by the remote."""
        self.peer = peer
        self.ending = Ending(p2p.DiscReason.NETWORK_ERROR, True, self.last_state)
        self.sock.close()
        self._settled(self)

    def end_locally(self, reason: p2p.DiscReason) -> None:
        self.reason = reason
        self.sock.close()


class Threads:
    """Starts the helpers of a dial, unless there are no threads, and remembers them."""

    def __init__(self) -> None:
        self.started: list[threading.Thread] = []
        self.are_none = False

    def run(
        self, name: str, job: Callable[[], None], on_failed: Callable[[RuntimeError], None]
    ) -> None:
        fail = partial(on_failed, RuntimeError("can't start new thread"))
        self.started.append(threading.Thread(target=fail if self.are_none else job, name=name))
        self.started[-1].start()


class Owner:
    """Gives a dial what it needs, as the test has set it, and keeps what the dial tells."""

    def __init__(self) -> None:
        self.clock = p2p.testing.SimulatedClock()
        self.loop = Loop("p2p-io", self.clock, lambda cause: None)
        self.log = logging.getLogger("p2p.server")
        self.dialer: Any = None
        self.may_search = True
        self.forbidden = ""
        self.helpers = Threads()
        self.lookups = NameLookups()
        #: What the network says when it is asked.
        self.answer: Callable[[p2p.Node], p2p.Node | None] = lambda node: None
        self.asked: list[p2p.Node] = []
        self.told: list[p2p.Node | None] = []
        self.sessions: list[Handshake] = []
        self.opened = threading.Semaphore(0)
        self.outcome: Future[p2p.Peer | p2p.ConnectError] = Future()

    def new(
        self, node: p2p.Node, static: bool = False, wanted_s: float = DIAL_TIMEOUT_S
    ) -> Dial:
        """A dial that has not begun."""
        return Dial(
            node,
            static,
            self._resolve if self.may_search else None,
            wanted_s,
            config=Config(private_key=KEY, name="us", max_peers=1, dialer=self.dialer),
            loop=self.loop,
            launcher=cast(Launcher, self.helpers),
            lookups=self.lookups,
            log=self.log,
            admit_found=self._check_found,
            open_session=self._open_session,
            on_searched=lambda node, found: self.told.append(found),
            on_done=lambda dial, outcome: self.outcome.set_result(outcome),
        )

    def dial(
        self, node: p2p.Node, static: bool = False, wanted_s: float = DIAL_TIMEOUT_S
    ) -> Dial:
        """Begin a dial."""

        def begin() -> Dial:
            dial = self.new(node, static, wanted_s)
            dial.start()
            assert not self.outcome.done(), "it is told from within start()"
            return dial

        return self.loop.call(begin)

    def session(self) -> Handshake:
        """The handshake that the dial has come to."""
        assert self.opened.acquire(timeout=PATIENCE_S), "no connection was made"
        return self.sessions[-1]

    def error(self) -> p2p.ConnectError:
        """What the dial has ended with."""
        outcome = self.outcome.result(PATIENCE_S)
        assert isinstance(outcome, p2p.ConnectError), outcome
        return outcome

    def close(self) -> None:
        for session in self.sessions:
            session.sock.close()
        self.loop.stop()
        assert self.loop.join(PATIENCE_S)
        for thread in self.helpers.started:
            thread.join(PATIENCE_S)

    def _check_found(self, node_id: p2p.NodeID, ip: IPAddress, now: float) -> Any:
        return p2p.errors.NetRestricted("not there") if str(ip) == self.forbidden else None

    def _resolve(self, node: p2p.Node) -> p2p.Node | None:
        self.asked.append(node)
        return self.answer(node)

    def _open_session(
        self, sock: socket.socket, node: p2p.Node, static: bool, settled: Callable[[Session], None]
    ) -> Session:
        self.sessions.append(Handshake(sock, node, settled))
        self.opened.release()
        return cast(Session, self.sessions[-1])


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    owner.loop.start()
    yield owner
    owner.close()


@pytest.fixture
def there() -> Iterator[p2p.Node]:
    """A node where somebody listens."""
    with listening() as sock:
        yield node_at(sock)


# the way to a peer


def test_dial_ends_with_the_peer_that_the_handshake_made(owner: Owner, there: p2p.Node) -> None:
    owner.dial(there)
    session = owner.session()
    assert session.node == there
    owner.loop.call(session.settle, PEER)
    assert owner.outcome.result(PATIENCE_S) is PEER


def test_dial_ends_with_the_error_of_the_handshake(owner: Owner, there: p2p.Node) -> None:
    owner.dial(there)
    owner.loop.call(owner.session().settle, None)
    assert type(owner.error()) is p2p.errors.ConnectionLost


def test_static_node_whose_handshake_fails_is_not_searched_for(
    owner: Owner, there: p2p.Node
) -> None:
    owner.dial(there, static=True)
    owner.loop.call(owner.session().settle, None)
    assert type(owner.error()) is p2p.errors.ConnectionLost
    assert owner.asked == []


def test_step_tells_what_is_waited_for(owner: Owner, there: p2p.Node) -> None:
    release = threading.Event()
    owner.answer = lambda node: (release.wait(PATIENCE_S), there)[1]
    dial = owner.dial(there.with_ip(None))
    assert dial.step is p2p.errors.DialStep.RESOLVE
    release.set()
    owner.session()
    assert owner.loop.call(lambda: dial.step) is p2p.errors.DialStep.ACK


def test_address_outside_net_restrict_is_not_dialed(owner: Owner, there: p2p.Node) -> None:
    owner.forbidden = HOST
    owner.dial(there, static=True)
    assert type(owner.error()) is p2p.errors.NetRestricted
    assert owner.sessions == [] and owner.asked == []


# nodes without an address


def test_node_without_an_address_is_searched_for_and_dialed(owner: Owner, there: p2p.Node) -> None:
    owner.answer = lambda node: there
    lost = there.with_ip(None)
    dial = owner.dial(lost)
    assert owner.session().node == there == dial.node
    assert (owner.asked, owner.told) == ([lost], [there])
    assert [thread.name for thread in owner.helpers.started] == [f"p2p-resolve-{lost.id.short}"]


@pytest.mark.parametrize(
    "answer", [None, p2p.Timeout("late"), p2p.LoopCrashed("dead"), TimeoutError()], ids=repr
)
def test_node_that_is_not_found_has_no_endpoint(
    owner: Owner, answer: Exception | None
) -> None:
    def search(node: p2p.Node) -> None:
        if answer is not None:
            raise answer

    owner.answer = search
    owner.dial(stranger(None))
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.NoEndpoint, p2p.errors.DialStep.RESOLVE)
    assert str(error) == "the node has no known address, and discovery did not find it"
    assert owner.told == [None]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_search_that_fails_ends_the_dial_even_if_the_program_s_logging_fails(owner: Owner) -> None:
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    def fail(node: p2p.Node) -> None:
        raise TimeoutError("it took too long")

    owner.log = logging.Logger("failing", logging.DEBUG)
    owner.log.addHandler(Failing())
    owner.answer = fail
    owner.dial(stranger(None))
    assert type(owner.error()) is p2p.errors.NoEndpoint


def test_node_that_is_found_but_takes_no_connections_has_no_endpoint(owner: Owner) -> None:
    lost = stranger(None)
    owner.answer = lambda node: lost.with_endpoint(HOST, 0, 30303)
    owner.dial(lost)
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.NoEndpoint, p2p.errors.DialStep.RESOLVE)
    assert "takes no connections" in str(error)


def test_node_without_an_address_is_not_searched_for_too_often(owner: Owner) -> None:
    owner.may_search = False
    owner.dial(stranger(None), static=True)
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.NoEndpoint, p2p.errors.DialStep.CHECK)
    assert owner.asked == owner.told == []


def test_found_address_outside_net_restrict_is_not_dialed(owner: Owner, there: p2p.Node) -> None:
    owner.answer, owner.forbidden = (lambda node: there), HOST
    owner.dial(there.with_ip(None))
    assert type(owner.error()) is p2p.errors.NetRestricted


# static nodes that are not where they were


def test_static_node_at_a_stale_address_is_searched_for_and_dialed(
    owner: Owner, there: p2p.Node
) -> None:
    owner.answer = lambda node: there
    stale = there.with_endpoint(HOST, closed_port(), 0)
    owner.dial(stale, static=True)
    assert owner.session().node == there
    assert owner.asked == [stale]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_static_node_that_is_found_is_dialed_at_its_new_endpoint_only(owner: Owner) -> None:
    key = p2p.generate_key()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        ports = {"tcp": closed_port(), "tcp6": server.getsockname()[1]}
        found = p2p.Node.from_record(p2p.Record.sign(key, 1, ports, ip=HOST, ip6="::1"))
        owner.answer = lambda node: found
        owner.dial(p2p.Node.from_parts(key.public_key, HOST, ports["tcp"]), static=True)
        assert owner.session().node.tcp_endpoint == found.tcp_endpoints[1]
    assert len(owner.asked) == 1


def test_static_node_is_searched_for_once_in_a_dial(owner: Owner) -> None:
    stale = stranger(HOST, closed_port())
    owner.answer = lambda node: stale.with_endpoint(HOST, closed_port(), 0)
    owner.dial(stale, static=True)
    assert type(owner.error()) is p2p.errors.DialRefused
    assert len(owner.asked) == 1


def test_static_node_without_an_address_is_searched_for_once_in_a_dial(owner: Owner) -> None:
    lost = stranger(None)
    owner.answer = lambda node: lost.with_endpoint(HOST, closed_port(), 0)
    owner.dial(lost, static=True)
    assert type(owner.error()) is p2p.errors.DialRefused
    assert len(owner.asked) == 1


@pytest.mark.parametrize("kind", ["same", "no port", "nothing"])
def test_static_node_that_is_nowhere_else_fails_as_it_did(owner: Owner, kind: str) -> None:
    stale = stranger(HOST, closed_port())
    found = {"same": stale, "no port": stale.with_endpoint(HOST, 0, 1), "nothing": None}[kind]
    owner.answer = lambda node: found
    owner.dial(stale, static=True)
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.DialRefused, p2p.errors.DialStep.TCP)
    assert len(owner.asked) == 1


def test_static_node_that_was_just_searched_for_fails_as_it_did(owner: Owner) -> None:
    owner.may_search = False
    owner.dial(stranger(HOST, closed_port()), static=True)
    assert type(owner.error()) is p2p.errors.DialRefused
    assert owner.asked == []


def test_candidate_at_a_stale_address_is_not_searched_for(owner: Owner) -> None:
    owner.dial(stranger(HOST, closed_port()))
    assert type(owner.error()) is p2p.errors.DialRefused
    assert owner.asked == []


def test_node_with_a_name_is_not_searched_for(owner: Owner) -> None:
    owner.dial(stranger(None, closed_port()).with_hostname("localhost"), static=True)
    assert type(owner.error()) is p2p.errors.DialRefused
    assert owner.asked == []


# names


def named(node: p2p.Node) -> p2p.Node:
    return node.with_ip(None).with_hostname(NAME)


def test_name_is_looked_up_and_dialed(owner: Owner, there: p2p.Node, names: Names) -> None:
    names.records[NAME] = [HOST]
    owner.dial(named(there))
    assert owner.session().node == there.with_hostname(NAME)
    assert owner.helpers.started == [], "a thread that a stop waits for"


def test_addresses_of_a_name_are_tried_until_one_connects(
    owner: Owner, there: p2p.Node, names: Names
) -> None:
    names.records[NAME] = ["127.0.0.2", "127.0.0.3", HOST, "127.0.0.4"]
    owner.dial(named(there))
    assert owner.session().node.ip == there.ip


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1"])
def test_address_of_a_name_that_no_node_can_have_is_not_dialed(
    owner: Owner, there: p2p.Node, names: Names, ip: str
) -> None:
    names.records[NAME] = [ip]
    owner.dial(named(there))  # whose port is one of this machine
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.NameNotResolved, p2p.errors.DialStep.RESOLVE)
    assert f"{NAME} has the address" in str(error)


def test_address_of_a_name_that_no_node_can_have_is_passed_over(
    owner: Owner, there: p2p.Node, names: Names
) -> None:
    names.records[NAME] = ["0.0.0.0", HOST]
    owner.dial(named(there))
    assert owner.session().node.ip == there.ip


def test_address_of_a_name_outside_net_restrict_is_passed_over(
    owner: Owner, there: p2p.Node, names: Names
) -> None:
    names.records[NAME] = ["127.0.0.2", HOST]
    owner.forbidden = "127.0.0.2"
    with socket.create_server(("127.0.0.2", there.tcp)):
        owner.dial(named(there))
        assert owner.session().node.ip == there.ip


def test_error_names_all_attempts_and_has_the_class_of_the_last(
    owner: Owner, names: Names
) -> None:
    names.records[NAME] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    owner.forbidden = "127.0.0.4"
    owner.dial(named(stranger()))
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.DialRefused, p2p.errors.DialStep.TCP)
    assert str(error) == (
        "[Errno 111] Connection refused (127.0.0.2:1); "
        "[Errno 111] Connection refused (127.0.0.3:1); not there"
    )


def test_name_whose_addresses_are_all_forbidden_is_restricted(owner: Owner, names: Names) -> None:
    names.records[NAME] = [HOST, HOST]
    owner.forbidden = HOST
    owner.dial(named(stranger()))
    error = owner.error()
    assert (type(error), str(error)) == (p2p.errors.NetRestricted, "not there")


def test_addresses_of_a_name_share_the_time_of_a_dial(owner: Owner, names: Names) -> None:
    names.records[NAME] = ["127.0.0.2", "127.0.0.3"]
    with full_at("127.0.0.2") as one, full_at("127.0.0.3", one.getsockname()[1]):
        dial = owner.dial(named(stranger(tcp=one.getsockname()[1])))
        eventually(lambda: owner.loop.call(lambda: dial.node.ip) == ip_address("127.0.0.2"))
        owner.clock.advance(DIAL_TIMEOUT_S / 2)
        eventually(lambda: owner.loop.call(lambda: dial.node.ip) == ip_address("127.0.0.3"))
        assert not owner.outcome.done()
        owner.clock.advance(DIAL_TIMEOUT_S / 2)
        error = owner.error()
    assert type(error) is p2p.errors.DialTimeout
    assert "127.0.0.2" in str(error) and "127.0.0.3" in str(error)


def test_addresses_but_the_last_share_the_time_of_the_caller(owner: Owner, names: Names) -> None:
    names.records[NAME] = ["127.0.0.2", HOST]
    with full_at("127.0.0.2") as one, socket.create_server((HOST, one.getsockname()[1])):
        dial = owner.dial(named(stranger(tcp=one.getsockname()[1])), wanted_s=4.0)
        eventually(lambda: owner.loop.call(lambda: dial.node.ip) == ip_address("127.0.0.2"))
        owner.clock.advance(2.0)
        assert owner.session().sock.getpeername()[0] == HOST


def test_name_without_an_answer_ends_the_dial_in_time(owner: Owner, names: Names) -> None:
    names.records[NAME] = None
    dial = owner.dial(named(stranger()))
    assert dial.step is p2p.errors.DialStep.RESOLVE
    owner.clock.advance(DIAL_TIMEOUT_S)
    error = owner.error()
    assert type(error) is p2p.errors.NameNotResolved
    assert str(error) == f"cannot look up {NAME}: no answer within 15 s"
    names.release()
    owner.loop.call(int)
    assert owner.sessions == []


def test_cancel_during_the_look_up_leaves_nothing(
    owner: Owner, there: p2p.Node, names: Names
) -> None:
    names.records[NAME] = None
    dial = owner.dial(named(there))
    owner.loop.call(dial.cancel, p2p.ServerStopped("over"), p2p.DiscReason.QUITTING)
    found = owner.lookups.begin(NAME)
    names.release()
    assert found.exception(PATIENCE_S) is not None
    owner.loop.call(int)
    assert owner.sessions == [] and not owner.outcome.done()


@pytest.mark.parametrize(
    "name", ["a..b", "x" * 70 + ".example", "a\0b"], ids=["empty label", "long label", "null"]
)
def test_name_that_is_none_is_not_resolved(owner: Owner, name: str) -> None:
    owner.dial(stranger(None).with_hostname(name))
    error = owner.error()
    assert (type(error), error.step) == (p2p.errors.NameNotResolved, p2p.errors.DialStep.RESOLVE)
    assert name in str(error)


def test_address_of_a_name_outside_net_restrict_is_not_dialed(owner: Owner) -> None:
    owner.forbidden = HOST
    owner.dial(stranger(None).with_hostname("localhost"))
    assert type(owner.error()) is p2p.errors.NetRestricted


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_zone_of_an_address_is_kept_to_the_socket(owner: Owner) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        owner.dial(stranger("::1%1", port))
        assert owner.session().sock.getpeername()[:2] == ("::1", port)
    owner.dial(stranger("fe80::1%4294967295", port))
    assert f"[fe80::1%4294967295]:{port}" in str(owner.error())


# what nobody has thought of


def test_search_that_fails_of_anything_is_a_search_that_found_nothing(
    owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(node: p2p.Node) -> p2p.Node:
        raise LookupError("a fault of discovery")

    owner.answer = answer
    owner.dial(stranger(None))
    assert type(owner.error()) is p2p.errors.NoEndpoint
    assert owner.told == [None]
    (record,) = (r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.exc_info is not None and "a fault of discovery" in record.getMessage()


# the user's dialer


class Scripted:
    """A dialer that answers as the test has it, and keeps what it has returned."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer
        self.asked: list[p2p.Node] = []
        self.returned: list[Any] = []

    def dial(self, node: p2p.Node, timeout_s: float) -> Any:
        self.asked.append(node)
        self.returned.append(self._answer())
        return self.returned[-1]


def test_socket_of_a_dialer_is_taken_over_so_that_closing_it_does_no_harm(owner: Owner) -> None:
    ours, theirs = socket.socketpair()
    owner.dialer = Scripted(lambda: ours)
    owner.dial(stranger())
    session = owner.session()
    ours.close()
    session.sock.sendall(b"still open")
    with theirs:
        assert theirs.recv(100) == b"still open"


def test_socket_that_a_dialer_returns_twice_is_refused_the_second_time(owner: Owner) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        owner.dialer = Scripted(lambda: ours)
        owner.dial(stranger())
        first = owner.session()
        owner.dial(stranger())
        error = owner.error()
        assert type(error) is p2p.errors.Unreachable and "want an open socket" in str(error)
        first.sock.sendall(b"still open")
        assert theirs.recv(100) == b"still open"


def test_dialer_gets_the_name_and_nothing_is_looked_up(owner: Owner, names: Names) -> None:
    names.records["abc.onion"] = [HOST]
    ours, theirs = socket.socketpair()
    owner.dialer = Scripted(lambda: ours)
    node = stranger(None).with_hostname("abc.onion")
    with theirs:
        owner.dial(node)
        assert owner.session().node == node
    assert owner.dialer.asked == [node] and names.asked == []


def test_dialer_is_asked_for_the_second_endpoint_too(owner: Owner) -> None:
    key = p2p.generate_key()
    entries = {"ip": HOST, "tcp": 1, "ip6": "::1", "tcp6": 2, "udp6": 3}
    node = p2p.Node.from_record(p2p.Record.sign(key, 1, entries))
    ours, theirs = socket.socketpair()

    def answer() -> socket.socket:
        if len(owner.dialer.asked) == 1:
            raise ConnectionRefusedError("not at the first")
        return ours

    owner.dialer = Scripted(answer)
    with theirs:
        owner.dial(node)
        other = owner.session().node
    assert [each.tcp_endpoint for each in owner.dialer.asked] == list(node.tcp_endpoints)
    assert (str(other.ip), other.tcp, other.udp) == ("::1", 2, 3)


def test_socket_with_tls_is_refused_and_stays_the_dialers(owner: Owner) -> None:
    ours, theirs = socket.socketpair()
    tls = ssl.create_default_context().wrap_socket(
        ours, server_hostname="node.example", do_handshake_on_connect=False
    )
    with tls, theirs:
        owner.dialer = Scripted(lambda: tls)
        owner.dial(stranger())
        error = owner.error()
        assert type(error) is p2p.errors.Unreachable and "want a plain TCP socket" in str(error)
        assert tls.fileno() >= 0


class Mute(OSError):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class MuteFault(ValueError):
    __str__ = __repr__ = Mute.__str__


@pytest.mark.parametrize("kind", [Mute, MuteFault])
def test_error_of_a_dialer_whose_text_fails_is_named_by_its_class(
    owner: Owner, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def answer() -> None:
        raise kind("x")

    owner.dialer = Scripted(answer)
    owner.dial(stranger())
    error = owner.error()
    assert type(error) is p2p.errors.Unreachable
    assert str(error) == f"the dialer failed with a {kind.__name__} without a text"


# no more threads


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    "node", [stranger(None), stranger(None).with_hostname("localhost")], ids=["search", "name"]
)
def test_dial_that_gets_no_thread_fails(
    owner: Owner, node: p2p.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.helpers.are_none = True
    with monkeypatch.context() as patch:
        if node.hostname:
            patch.setattr(threading.Thread, "start", no_thread)
        owner.dial(node)
    error = owner.error()
    assert type(error) is p2p.errors.Unreachable and "cannot start a thread" in str(error)


# giving up


def test_cancel_during_the_search_tells_waiters_alone(
    owner: Owner, there: p2p.Node
) -> None:
    release = threading.Event()
    owner.answer = lambda node: (release.wait(PATIENCE_S), there)[1]
    dial = owner.dial(there.with_ip(None))
    waiter: Future[p2p.Peer] = Future()
    dial.waiters.append(waiter)
    owner.loop.call(dial.cancel, p2p.ServerStopped("over"), p2p.DiscReason.QUITTING)
    assert isinstance(waiter.exception(0), p2p.ServerStopped)
    release.set()
    owner.helpers.started[0].join(PATIENCE_S)
    owner.loop.call(int)
    assert owner.sessions == [] and owner.told == [] and not owner.outcome.done()


def test_cancel_during_the_handshake_ends_it_with_the_reason(
    owner: Owner, there: p2p.Node
) -> None:
    dial = owner.dial(there)
    session = owner.session()
    owner.loop.call(dial.cancel, p2p.ServerStopped("over"), p2p.DiscReason.QUITTING)
    assert session.reason is p2p.DiscReason.QUITTING
    owner.loop.call(session.settle, None)
    assert not owner.outcome.done()


def test_cancel_before_the_connection_leaves_no_socket(owner: Owner, there: p2p.Node) -> None:
    def begin_and_cancel() -> None:
        dial = owner.new(there)
        dial.start()
        dial.cancel(p2p.ServerStopped("over"), p2p.DiscReason.QUITTING)

    owner.loop.call(begin_and_cancel)
    owner.loop.call(int)
    assert owner.sessions == [] and not owner.outcome.done()


def test_socket_of_a_dialer_that_comes_after_the_cancel_is_closed(owner: Owner) -> None:
    ours, theirs = socket.socketpair()
    release = threading.Event()

    class Late:
        def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
            release.wait(PATIENCE_S)
            return ours

    owner.dialer = Late()
    dial = owner.dial(stranger())
    owner.loop.call(dial.cancel, p2p.ServerStopped("over"), p2p.DiscReason.QUITTING)
    release.set()
    owner.helpers.started[0].join(PATIENCE_S)
    with theirs:
        theirs.settimeout(PATIENCE_S)
        assert theirs.recv(1) == b""
    assert owner.sessions == []


def test_waiter_keeps_its_first_answer() -> None:
    waiter: Future[p2p.Peer] = Future()
    fail(waiter, p2p.ServerStopped("first"))
    fail(waiter, p2p.ServerStopped("second"))
    assert str(waiter.exception(0)) == "first"


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (stranger("127.0.0.1", 30303), "127.0.0.1:30303"),
        (stranger("::1", 30303), "[::1]:30303"),
        (stranger(None, 30303).with_hostname("node.example"), "node.example:30303"),
        (stranger(None), "unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_place_of_a_node_is_shown_as_it_is_dialed(node: p2p.Node, text: str) -> None:
    assert address_text(node) == text
