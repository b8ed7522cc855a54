"""``p2p.connect``: one call for a talk with one node, after which nothing is left."""

from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p import DiscReason, client
from tests.kit.nodes import HOST, Nodes, Talks, closed_port, listening, node_at
from tests.kit.processes import await_rest
from tests.kit.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[1]
NOISE = bytes(range(256)) * 256
CHOSEN: dict[str, Any] = {"name": "test", "version": 1, "length": 8}


def connect(node: p2p.Node | str, **options: Any) -> client.ClientReadWriter:
    return p2p.connect(node, **{**CHOSEN, "timeout": PATIENCE_S, **options})


@pytest.fixture
def talks(nodes: Nodes) -> Talks:
    return nodes.talks()


@pytest.fixture
def there(nodes: Nodes, talks: Talks) -> p2p.Server:
    return nodes.start(name="there", protocols=[talks.protocol()])


def io_threads() -> int:
    return sum(thread.name == "p2p-io" for thread in threading.enumerate())


def test_network_lets_the_connection_look_for_no_other_node(
    there: p2p.Server, talks: Talks
) -> None:
    with connect(there.self, network=p2p.networks.SEPOLIA) as rw:
        assert rw._server.config.dns_discovery == ()
        assert rw._server.config.bootstrap_nodes == ()
        assert "p2p-dns" not in {thread.name for thread in threading.enumerate()}


# the talk


@pytest.mark.parametrize("form", [lambda node: node.url, str, lambda node: node], ids=range(3))
def test_node_is_a_url_a_record_or_a_node(
    there: p2p.Server, talks: Talks, form: Callable[[p2p.Node], Any]
) -> None:
    with connect(form(there.self)) as rw:
        theirs = talks.next().rw
        rw.send_items(3, "foo")
        assert theirs.read_msg(PATIENCE_S).decode(tuple[str]) == ("foo",)
        theirs.send(4, "bar")
        msg = rw.read_msg(PATIENCE_S)
        assert (msg.code, msg.decode(str)) == (4, "bar")
        assert msg.connection_id == rw.connection_id == rw.peer.connection_id
        assert (rw.peer.name, rw.peer.id) == ("there", there.self.id)
    assert io_threads() == 1


def test_server_of_its_own_only_dials(there: p2p.Server, talks: Talks) -> None:
    with connect(there.self) as rw:
        assert rw._server.listen_addr is None
        assert rw._server.discovery_v4 is None
        assert talks.next().peer.name == f"p2p/{p2p.__version__}"


def test_options_are_those_of_a_server(there: p2p.Server, talks: Talks) -> None:
    key, log = p2p.generate_key(), logging.getLogger("mine")
    options: dict[str, Any] = {"node_name": "me", "private_key": key, "logger": log}
    with connect(there.self, **options, redial_pause_s=7.0) as rw:
        peer = talks.next().peer
        assert (peer.name, peer.node.public_key) == ("me", key.public_key)
        assert rw._server.config.redial_pause_s == 7.0
        assert rw._server.config.logger is log


def test_iteration_ends_when_the_peer_leaves(there: p2p.Server, talks: Talks) -> None:
    with connect(there.self) as rw:
        talk = talks.next()
        talk.rw.send(1, 0)
        talk.rw.send(2, 0)
        talk.end()
        assert [msg.code for msg in rw] == [1, 2]
        assert rw.is_closed


def test_repr_tells_protocol_peer_and_state(there: p2p.Server) -> None:
    with connect(there.self) as rw:
        assert repr(rw) == f"<read-writer of test/1 with {rw.peer}, open>"
    assert repr(rw) == f"<read-writer of test/1 with {rw.peer}, closed>"


# the end


def test_leaving_the_block_takes_all_down(there: p2p.Server, talks: Talks) -> None:
    with connect(there.self) as rw:
        theirs = talks.next().rw
        rw.send(0, "last words")
    assert io_threads() == 1
    assert theirs.read_msg(PATIENCE_S).decode(str) == "last words"
    with pytest.raises(p2p.PeerDisconnected) as left:
        theirs.read_msg(PATIENCE_S)
    assert (left.value.reason, left.value.by_remote) == (DiscReason.REQUESTED, True)
    with pytest.raises(p2p.PeerDisconnected):
        rw.read_msg()


def test_close_does_the_same_and_twice_no_harm(there: p2p.Server, talks: Talks) -> None:
    rw = connect(there.self)
    theirs = talks.next().rw
    rw.close(DiscReason.USELESS_PEER)
    rw.close()
    assert io_threads() == 1
    with pytest.raises(p2p.PeerDisconnected) as left:
        theirs.read_msg(PATIENCE_S)
    assert left.value.reason is DiscReason.USELESS_PEER


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("of the program"), DiscReason.REQUESTED),
        (p2p.Disconnect(DiscReason.USELESS_PEER), DiscReason.USELESS_PEER),
        (SystemExit(1), DiscReason.REQUESTED),
    ],
    ids=repr,
)
def test_error_takes_all_down(
    there: p2p.Server, talks: Talks, error: BaseException, reason: DiscReason
) -> None:
    with pytest.raises(type(error)), connect(there.self):
        theirs = talks.next().rw
        raise error
    assert io_threads() == 1
    with pytest.raises(p2p.PeerDisconnected) as left:
        theirs.read_msg(PATIENCE_S)
    assert left.value.reason is reason


def test_all_that_was_written_arrives(there: p2p.Server, talks: Talks) -> None:
    """More than a second of it may be on its way, or wait for the peer to read."""
    count = 60
    closing = threading.Event()

    def write() -> None:
        with connect(there.self) as rw:
            for number in range(count):
                rw.write_msg(p2p.Msg(0, number.to_bytes(4, "big") + NOISE))
            closing.set()

    writer = threading.Thread(target=write)
    writer.start()
    theirs = talks.next().rw
    numbers = []
    for msg in theirs:
        numbers.append(int.from_bytes(msg.payload[:4], "big"))
        if len(numbers) == count // 2:
            assert closing.wait(PATIENCE_S)
    assert numbers == list(range(count))
    writer.join(PATIENCE_S)


def test_peer_that_does_not_read_holds_nothing_up_for_long(
    there: p2p.Server, talks: Talks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FLUSH_TIMEOUT_S", 0.01)
    outcomes: list[object] = []
    with connect(there.self) as rw:
        talks.next()

        def write() -> None:
            try:
                while True:
                    rw.write_msg(p2p.Msg(0, NOISE))
            except p2p.PeerDisconnected as error:
                outcomes.append(error.reason)

        writer = threading.Thread(target=write)
        writer.start()
        eventually(lambda: rw._rw._outbox.is_full)
    writer.join(PATIENCE_S)
    assert outcomes == [DiscReason.REQUESTED]
    assert io_threads() == 1


def test_one_that_is_lost_is_stopped_with_a_warning(there: p2p.Server) -> None:
    rw: Any = connect(there.self, node_name="lost")
    assert rw.peer.is_connected
    with pytest.warns(ResourceWarning, match="server 'lost'"):
        del rw
        gc.collect()
        eventually(lambda: io_threads() == 1)


# failures leave nothing


def test_nobody_listens() -> None:
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, closed_port())
    with pytest.raises(p2p.errors.DialRefused):
        connect(node)
    assert io_threads() == 0


def test_nobody_answers_in_time() -> None:
    with listening() as sock, pytest.raises(p2p.errors.DialTimeout):
        connect(node_at(sock), timeout=0.01)
    assert io_threads() == 0


def test_node_that_does_not_have_the_protocol(there: p2p.Server) -> None:
    with pytest.raises(p2p.errors.NoSharedCapability, match=r"ours \[other/1\], theirs \[test/1\]"):
        connect(there.self, name="other")
    assert io_threads() == 1


def test_wrong_options_start_nothing(there: p2p.Server) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"length": 0}, p2p.ConfigError),
        ({"private_key": "secret"}, p2p.errors.ConfigTypeError),
        ({"timeout": "soon"}, p2p.errors.ArgumentTypeError),
        ({"max_peers": 5}, TypeError),
        ({"colour": "blue"}, TypeError),
        ({"net_restrict": "192.0.2.0/24"}, p2p.errors.NetRestricted),
    ]
    for options, error in wrong:
        with pytest.raises(error):
            connect(there.self, **options)
    for node in ("", "enode://nonsense", f"enode://{64 * '00'}"):
        with pytest.raises(p2p.InvalidNode):
            connect(node)
    assert io_threads() == 1


def test_ctrl_c_while_it_dials() -> None:
    main, interrupted = threading.main_thread().ident or 0, threading.Event()
    with listening() as sock:

        def press() -> None:
            with sock.accept()[0]:
                signal.pthread_kill(main, signal.SIGINT)
                interrupted.wait(PATIENCE_S)

        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            connect(node_at(sock))
        interrupted.set()
        presser.join(PATIENCE_S)
    assert io_threads() == 0


# in processes of their own

PROGRAM = """
import sys
import p2p

with p2p.connect(sys.argv[1], name="test", version=1, length=8, node_name="script") as rw:
    rw.send_items(0, "foo")
    print(*rw.read_msg(timeout=10).decode(tuple[str]), flush=True)
    rw.read_msg()
"""


def run(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", PROGRAM, url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("ending", ["remote leaves", "Ctrl-C"])
def test_script_and_a_loop_that_accepts(nodes: Nodes, ending: str) -> None:
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8)])
    with run(server.self.url) as script:
        peer = server.accept(PATIENCE_S)
        assert peer.name == "script"
        with peer.open("test") as rw:
            assert rw.read_msg(PATIENCE_S).decode(tuple[str]) == ("foo",)
            rw.send_items(0, "bar")
            assert script.stdout is not None
            assert script.stdout.readline() == "bar\n"
            if ending == "Ctrl-C":
                await_rest(script.pid)
                script.send_signal(signal.SIGINT)
                with pytest.raises(p2p.PeerDisconnected) as left:
                    rw.read_msg(PATIENCE_S)
                assert (left.value.reason, left.value.by_remote) == (DiscReason.REQUESTED, True)
        _, errors = script.communicate(timeout=PATIENCE_S)
    last = errors.strip().splitlines()[-1]
    assert last.startswith("KeyboardInterrupt" if ending == "Ctrl-C" else "p2p.errors.PeerDisc")
    assert "Warning" not in errors
