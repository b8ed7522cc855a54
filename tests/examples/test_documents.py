"""The programs of the how-tos and of the chapter on finding peers do what is said beside them."""

from __future__ import annotations

import logging
import pydoc
import re
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.discover.v4 import requests as exchange
from p2p.lan import link
from tests.cli.swarm import far_keys, swarm
from tests.kit import inspect
from tests.kit.names import Names
from tests.kit.nodes import Nodes, unused_port
from tests.kit.socks import CONNECTED, scripted
from tests.kit.swarm import Swarm, knows
from tests.kit.waiting import PATIENCE_S, eventually

DOCS = Path(__file__).resolve().parents[2] / "docs"
TUTORIAL = "tutorial/finding-peers.md"
ROOM = "tutorial/messages.md"  # its first program, which others import
URL = re.compile(r"enode://[0-9a-f]{128}@127\.0\.0\.1:[0-9]+")


def sources(document: str) -> list[str]:
    """The Python of a document, with addresses that any machine has."""
    text = (DOCS / document).read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [re.sub(r'_addr="[0-9.]*:303[0-9]{2}"', '_addr="127.0.0.1:0"', one) for one in found]


def given(source: str) -> str:
    """A fragment with what the reader is to fill in, and on networks that the test can reach."""
    source = re.sub(r"protocols=\[\.\.\.\]", "protocols=PROTOCOLS", source)
    source = re.sub(r'"enode://\.\.\.@[0-9.]+:[0-9]+"', "BOOTNODE", source)
    return re.sub(r'net_restrict="[0-9./]+"', 'net_restrict="127.0.0.0/8"', source)


@pytest.fixture
def program(tmp_path: Path, run: Any) -> Callable[..., Any]:
    """Starts a program that is given as text, in a folder of its own."""

    def start(source: str, *args: str, **options: bool) -> Any:
        path = tmp_path / f"program_{len(list(tmp_path.iterdir()))}.py"
        folder = f"import os\nos.chdir({str(tmp_path)!r})\n"
        path.write_text(folder + source, encoding="utf-8")
        return run(str(path), *args, **options)

    return start


@pytest.fixture
def bootnode() -> Iterator[p2p.Server]:
    server = p2p.Server(
        private_key=p2p.generate_key(), name="bootnode", max_peers=0, listen_addr="127.0.0.1:0"
    )
    with server:
        yield server


def hello(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for _ in rw:
        pass


def make_server(source: str, bootnode: p2p.Server, folder: Path) -> p2p.Server:
    """The ``server`` of a fragment. Its files are in ``folder``."""
    names: dict[str, Any] = {
        "p2p": p2p,
        "PROTOCOLS": [p2p.Protocol("hello", 1, 1, hello)],
        "BOOTNODE": bootnode.self.url,
    }
    exec(re.sub(r'"(\w+\.(?:key|db))"', rf'"{folder}/\1"', given(source)), names)
    server = names["server"]
    assert isinstance(server, p2p.Server)
    return server


# the chapter on finding peers


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module that the chat imports."""
    (tmp_path / "room.py").write_text(sources(ROOM)[0], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("room", None)


END = re.compile(r"with server:\n    for line in sys.stdin:\n.*\n$")


def test_the_nodes_find_each_other(program: Any, room: None) -> None:
    boot, node, *_ = sources(TUTORIAL)
    bootnode = program(boot)
    url = bootnode.line()
    assert URL.fullmatch(url)
    # Each prints from the threads of two peers.
    start = partial(program, node, unbuffered=False)
    programs = {name: start(name, url) for name in ("ann", "bob", "carl")}
    for name, started in programs.items():
        others = {f"* {other} is here" for other in programs if other != name}
        assert {started.line(), started.line()} == others
    bootnode.interrupt()
    assert bootnode.end() == (0, [], "")
    programs["ann"].type("hello")
    assert programs["bob"].line() == "ann: hello"
    assert programs["ann"].end()[0] == 0


def test_the_walk_shows_nodes(program: Any, room: None) -> None:
    boot, node, looking, *_ = sources(TUTORIAL)
    source = END.sub("", node) + looking
    assert "sys.stdin" not in source
    bootnode = program(boot)
    url = bootnode.line()
    walker = program(source, "ann", url)
    assert re.fullmatch(r"127\.0\.0\.1 [0-9]+ [0-9a-f]{16}", walker.line())


def test_talk_requests_are_answered(program: Any, room: None, tmp_path: Path) -> None:
    boot, node, _, talking, _ = sources(TUTORIAL)
    names = ("bootnode", "ann", "bob")
    # A lookup of v5 asks the bootnode for eight distances: it hardly ever names a node next to it.
    for name, key in zip(names, far_keys(3), strict=True):
        p2p.save_key(tmp_path / f"{name}.key", key)
    kept = 'p2p.load_or_generate_key(f"{sys.argv[1]}.key")'
    source = END.sub("", node).replace("p2p.generate_key()", kept) + talking
    assert kept in source and '"bootnode.key"' in boot
    bootnode = program(boot)
    url = bootnode.line()
    ann, _bob = program(source, "ann", url), program(source, "bob", url)
    answers: set[str] = set()
    while answers != {"b''", "b'HELLO'"}:
        text = ann.line()
        line = re.fullmatch(r"[0-9a-f]{16} (b'.*'|no answer)|\* bob .*", text)
        assert line is not None, text
        answers |= {line[1]} - {None, "no answer"}


def test_a_node_that_answers_no_talk_request_does_not_end_the_program(
    program: Any, room: None
) -> None:
    _, node, _, talking, _ = sources(TUTORIAL)
    asked, over = threading.Event(), threading.Event()

    def late(node_id: p2p.NodeID, endpoint: object, request: bytes) -> bytes:
        asked.set()
        over.wait(PATIENCE_S)
        return b""

    with swarm("v5", 2) as (bootnode, bob):
        bob.on_talk("shout", late)
        ann = program(END.sub("", node) + talking, "ann", str(bootnode.self))
        try:
            while ann.line() != f"{bob.self.id.short} no answer":
                pass
            assert asked.is_set()
        finally:
            over.set()


def test_programs_of_the_chapter_write_each_line_at_once() -> None:
    """As the threads of peers do: the parts of a line of two threads would mix."""
    with_peers = [source for source in sources(TUTORIAL)[1:] if "room" in source]
    assert len(with_peers) == 3
    assert [source for source in with_peers if "print(" in source] == []


def test_a_node_that_remembers_needs_no_bootnode(
    nodes: Nodes, tmp_path: Path, room: None
) -> None:
    """The servers of the programs, on a clock that makes the minute short."""
    _, node, *_, memory = sources(TUTORIAL)
    assert node.count("    private_key=p2p.generate_key(),\n") == 1
    source = node.replace("    private_key=p2p.generate_key(),\n", memory + "    clock=CLOCK,\n")
    source = END.sub("", source)
    swarm = Swarm(nodes)

    def make(name: str) -> p2p.Server:
        names: dict[str, Any] = {"CLOCK": swarm.clock, "URL": boot.self.url}
        text = source.replace("sys.argv[1]", repr(name)).replace("sys.argv[2]", "URL")
        exec(re.sub(r'f"{(.*?)}(\.\w+)"', rf"'{tmp_path}/' + \1 + '\2'", text), names)
        return swarm.add(names["server"])

    boot = swarm.start(max_peers=0)
    ann, bob, carl = (make(name) for name in ("ann", "bob", "carl"))
    swarm.until(lambda: knows(ann, bob, carl))
    swarm.pass_time(60.0, step_s=1.0)
    swarm.stop(ann)
    swarm.stop(boot)
    again = make("ann")
    swarm.until(lambda: {peer.name for peer in again.peers} == {"bob", "carl"})
    assert again.self.id == ann.self.id


def test_calls_of_the_tutorial_are_there() -> None:
    text = (DOCS / TUTORIAL).read_text(encoding="utf-8")
    calls = re.findall(r"^\| `(\w+)\(", text, re.MULTILINE)
    assert len(calls) == 4
    assert all(callable(getattr(p2p.discover.UDPv4, call)) for call in calls)


def test_calls_of_the_table_for_go_programmers_are_there() -> None:
    text = (DOCS / "from-go.md").read_text(encoding="utf-8")
    calls = set(re.findall(r"`server\.discovery_v4\.(\w+)\(", text))
    assert len(calls) >= 8
    assert {call for call in calls if not hasattr(p2p.discover.UDPv4, call)} == set()


# the how-tos


def test_bootnode_of_a_private_network_prints_its_url(program: Any) -> None:
    bootnode = program(sources("howto/private-network.md")[0])
    assert URL.fullmatch(bootnode.line())


@pytest.mark.parametrize(
    ("document", "number"), [("private-network.md", 1), ("lan.md", 1)], ids=lambda v: str(v)
)
def test_server_of_a_how_to_finds_the_bootnode(
    bootnode: p2p.Server, tmp_path: Path, document: str, number: int
) -> None:
    server = make_server(sources(f"howto/{document}")[number], bootnode, tmp_path)
    with server:
        discovery = server.discovery_v4
        assert discovery is not None
        eventually(lambda: [n.id for n in discovery.nodes()] == [bootnode.self.id])
    assert (tmp_path / "node.key").exists()


def test_node_behind_a_proxy_and_the_onion_service_that_it_dials(
    bootnode: p2p.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    monkeypatch.syspath_prepend(str(DOCS.parent / "examples"))
    names.records["abc.onion"] = []
    source, listens, shows_url = sources("howto/tor.md")
    onion, user = tmp_path / "onion", tmp_path / "user"
    for folder in (onion, user):
        folder.mkdir()
    (onion / "hostname").write_text("abc.onion\n")
    options = source.replace("    no_discovery=True,\n", listens)
    with make_server("URLS = []\n" + options, bootnode, onion) as there, ExitStack() as stack:
        made = re.sub(r"print\((.*)\)", r"url = \1", shows_url)
        found: dict[str, Any] = {"server": there, "Path": Path}
        exec(made.replace("/var/lib/tor/node", str(onion)), found)
        assert f"@abc.onion:{there.self.tcp}" in found["url"]
        steps = (3, b"\x05\x00"), (16, CONNECTED)
        proxy = stack.enter_context(scripted(*steps, target=there.self.tcp))
        known = f"URLS = [{found['url']!r}]\n" + source.replace("9050", str(proxy.port))
        here = stack.enter_context(make_server(known, bootnode, user))
        eventually(lambda: [peer.id for peer in here.peers] == [there.self.id])
        assert here.discovery_v4 is None and there.discovery_v4 is None
    assert names.asked == []


TELLS_WHERE_IT_SENDS = """
import sys

def tell(event, args):
    sends = ("connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname")
    if event.removeprefix("socket.") in sends:
        host = args[0] if event.startswith("socket.get") else args[1]
        print(event, host, flush=True)

sys.addaudithook(tell)
"""


def test_node_behind_a_proxy_talks_to_nothing_but_the_proxy(
    program: Any, nodes: Nodes
) -> None:
    source, listens, _ = sources("howto/tor.md")
    there = nodes.start()
    url = there.self.with_ip(None).with_hostname("abc.onion").url
    with scripted((3, b"\x05\x00"), (16, CONNECTED), target=there.self.tcp) as proxy:
        names = (
            "import p2p, time\n"
            f"sys.path.append({str(DOCS.parent / 'examples')!r})\n"
            f"URLS = [{url!r}]\nPROTOCOLS = [p2p.Protocol('test', 1, 8)]\n"
        )
        options = source.replace("    no_discovery=True,\n", listens.replace("30303", "0"))
        waits = "with server:\n    server.accept()\n    print('a peer', flush=True)\n"
        options = given(options).replace("9050", str(proxy.port))
        node = program(TELLS_WHERE_IT_SENDS + names + options + waits)
        code, lines, errors = node.end()
    assert (code, errors, lines[-1]) == (0, "", "a peer")
    assert set(lines[:-1]) == {
        "socket.getaddrinfo 127.0.0.1", f"socket.connect ('127.0.0.1', {proxy.port})"
    }


def test_class_room_needs_no_address(
    bootnode: p2p.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "SERVICE_TYPE", f"_t{secrets.token_hex(5)}._tcp.local.")
    source = sources("howto/lan.md")[0]
    with ExitStack() as stack:
        pupils = []
        for number in range(3):
            (folder := tmp_path / str(number)).mkdir()
            pupils.append(stack.enter_context(make_server(source, bootnode, folder)))
        eventually(lambda: [pupil.peer_count for pupil in pupils] == [2, 2, 2])


def test_nodes_that_never_change_need_no_discovery(bootnode: p2p.Server, tmp_path: Path) -> None:
    _, server, fixed = sources("howto/lan.md")
    options = server.replace("bootstrap_nodes=[p2p.parse_node(BOOTNODE)],", "")
    options = re.sub(r"    bootstrap_nodes=.*\n", fixed, options)
    there = p2p.Server(
        private_key=p2p.generate_key(),
        name="there",
        max_peers=5,
        listen_addr="127.0.0.1:0",
        protocols=[p2p.Protocol("hello", 1, 1, hello)],
        no_discovery=True,
    )
    with there:
        source = f"URLS = [{there.self.url!r}]\n" + options
        with make_server(source, bootnode, tmp_path) as here:
            eventually(lambda: [peer.name for peer in here.peers] == ["there"])
            assert here.discovery_v4 is None


def test_option_for_a_fleet_is_one_of_the_server(bootnode: p2p.Server, tmp_path: Path) -> None:
    _, source, option, _ = sources("howto/private-network.md")
    source = re.sub(r"    net_restrict=.*\n", option, source)
    server = make_server(source, bootnode, tmp_path)
    assert str(server.config._own.named) == "198.51.100.0/24,2001:db8:7::/48"


def test_listed_nodes_are_a_full_mesh(bootnode: p2p.Server, tmp_path: Path) -> None:
    source = sources("howto/private-network.md")[3]
    source = re.sub(r'listen_addr="[^"]*"', "listen_addr=ADDRESS", source)
    ports = [unused_port() for _ in range(10)]
    keys = [tmp_path / str(number) for number in range(10)]
    urls = []
    for folder, port in zip(keys, ports, strict=True):
        folder.mkdir()
        key = p2p.load_or_generate_key(folder / "node.key")
        urls.append(p2p.Node.from_parts(key.public_key, "127.0.0.1", port, port).url)
    with ExitStack() as stack:
        servers = []
        for folder, port in zip(keys, ports, strict=True):
            names = f'URLS = {urls}\nADDRESS = "127.0.0.1:{port}"\n'
            server = make_server(names + source, bootnode, folder)
            servers.append(stack.enter_context(server))
        eventually(lambda: [server.peer_count for server in servers] == [9] * 10)


def test_questions_of_a_node_without_peers_have_answers(
    bootnode: p2p.Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one ping is to be answered even if this machine has something else to do for a while.
    monkeypatch.setattr(exchange, "REPLY_TIMEOUT_S", PATIENCE_S)
    logs, questions = sources("howto/no-peers.md")
    compile(logs, "no-peers.md", "exec")
    here = p2p.Server(
        private_key=p2p.generate_key(),
        name="here",
        max_peers=5,
        listen_addr="127.0.0.1:0",
        bootstrap_nodes=[bootnode.self],
        protocols=[p2p.Protocol("hello", 1, 1, hello)],
    )
    with here:
        names = {"server": here, "bootnode": bootnode.self, "node": bootnode.self}
        exec(questions, names)
    shown = capsys.readouterr().out.splitlines()
    assert "UDPv4" in shown[0]
    assert shown[1] == str(bootnode.self.seq)
    assert shown[2].startswith(f"table of {here.self.id.short}: ")
    assert shown[-1].startswith("[")


def test_log_line_of_the_how_to_is_what_the_server_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = (DOCS / "howto" / "no-peers.md").read_text(encoding="utf-8")
    assert '"looking for peers"' in text
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.testing.SimulatedClock()
    with p2p.Server(
        private_key=p2p.generate_key(),
        name="here",
        max_peers=5,
        listen_addr="127.0.0.1:0",
        clock=clock,
    ) as server:
        inspect.settle(server)
        clock.advance(10.0)
        eventually(lambda: "looking for peers" in caplog.text)


@pytest.mark.parametrize(
    ("payload", "reason", "line"),
    [
        (b"\xc3\x01\x02\x03", None, "another answer than expected: "),
        (b"\xc4\x83bar", None, "bar"),
        (None, p2p.DiscReason.USELESS_PEER, "the remote has ended the connection: useless peer"),
    ],
    ids=["other-form", "answer", "leaves"],
)
def test_program_of_the_errors_names_the_answer(
    nodes: Nodes, program: Any, payload: bytes | None, reason: p2p.DiscReason | None, line: str
) -> None:
    def answer(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for _ in rw:
            if payload is None:
                assert reason is not None
                raise p2p.Disconnect(reason)
            rw.write_msg(p2p.Msg(0, payload))

    (source,) = sources("howto/errors.md")
    there = nodes.start(protocols=[p2p.Protocol("MyProtocol", 1, 1, answer)])
    assert program(source, there.self.url).line().startswith(line)


@pytest.mark.parametrize(
    ("url", "line"),
    [("enode://no", "not the URL of a node: "), ("CLOSED", "not connected: ")],
    ids=["no-url", "no-node"],
)
def test_program_of_the_errors_names_the_failure(program: Any, url: str, line: str) -> None:
    (source,) = sources("howto/errors.md")
    if url == "CLOSED":
        key = p2p.generate_key().public_key
        url = p2p.Node.from_parts(key, "127.0.0.1", unused_port()).url
    assert program(source, url).line().startswith(line)


def test_service_ends_by_the_signal_of_its_supervisor_and_is_the_same_node_again(
    bootnode: p2p.Server, program: Any, tmp_path: Path
) -> None:
    (source,) = sources("howto/service.md")
    names = f"""\
import p2p
import p2p.testing
PROTOCOLS = [p2p.Protocol("hello", 1, 1, lambda peer, rw: list(rw))]
BOOTNODE = {bootnode.self.url!r}
"""
    ids = set()
    for _ in range(2):
        service = program(names + given(source))
        ids.add(p2p.parse_node(service.line()).id)
        service.interrupt(signal.SIGTERM)
        code, lines, log = service.end()
        assert (code, lines) == (0, [])
        assert log.endswith("INFO p2p.server: stopped\n")
    assert len(ids) == 1
    assert (tmp_path / "nodes.db").exists()


def test_lines_of_the_service_s_log_are_what_the_library_says() -> None:
    text = (DOCS / "howto" / "service.md").read_text(encoding="utf-8")
    parts = re.findall(r"^\| `([^`]*)` \|", text, re.MULTILINE)
    modules = (DOCS.parent / "p2p").rglob("*.py")
    library = "".join(path.read_text(encoding="utf-8") for path in modules)
    assert len(parts) > 10
    assert [part for part in parts if part not in library] == []
    lines = re.findall(r'log(?:ger)?\b.*\.(?:warning|error|critical)\(\s*"([^"]*)"', library)
    assert len(lines) > 15
    assert [line for line in lines if not any(part in line for part in parts)] == []


def test_topics_of_the_how_to(bootnode: p2p.Server, tmp_path: Path) -> None:
    first, by_hand, around = sources("howto/topics.md")
    server = make_server(first, bootnode, tmp_path)
    assert len(server.config.topics) == 1
    names: dict[str, Any] = {}
    exec(around, names)
    with server:
        assert names["registrars_around"](server.discovery_v5) == []
        assert server.discovery_v5 is not None
        calls = re.findall(r"discovery\.(\w+)\(", by_hand)
        assert calls == ["advertise", "find"]
        assert all(callable(getattr(server.discovery_v5, call)) for call in calls)
    compile(by_hand, "by hand", "exec")


def test_protocol_for_users_of_asyncio_answers() -> None:
    (source,) = sources("from-asyncio.md")
    names: dict[str, Any] = {}
    exec(compile(source, "from-asyncio.md", "exec", dont_inherit=True), names)
    with p2p.testing.run_handler(names["protocol"]) as remote:
        remote.send_items(0, b"data")
        remote.send_items(2, 20, 22)
        remote.expect(3, [42])


def test_python_names_for_users_of_asyncio_are_public() -> None:
    rows = re.findall(
        r"^\| [^|]* \| ([^|]*)", (DOCS / "from-asyncio.md").read_text("utf-8"), re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`(p2p(?:\.\w+)+)", row)}
    assert len(named) > 15
    assert {name for name in named if pydoc.locate(name) is None} == set()
