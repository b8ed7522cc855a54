"""examples/socks.py connects through a proxy, and names each way in which that can fail."""

from __future__ import annotations

import re
from typing import Any

import pytest

import p2p
from tests.kit.names import Names
from tests.kit.nodes import HOST, Nodes, closed_port
from tests.kit.socks import CONNECTED, example, scripted
from tests.kit.waiting import PATIENCE_S

GREETING = (3, b"\x05\x00")
KEY = p2p.generate_key().public_key
NODE = p2p.Node.from_parts(KEY, "192.0.2.7", 30303)
ONION = NODE.with_hostname("abc.onion")


@pytest.fixture(scope="module")
def socks() -> Any:
    return example()


def dial(socks: Any, port: int, node: p2p.Node = NODE, **login: str) -> None:
    socks.SocksDialer(HOST, port, **login).dial(node, PATIENCE_S).close()


def test_words_come_back_through_the_proxy(run: Any, documented: Any) -> None:
    server = run("echo.py")
    url = server.line()
    port = int(re.search(r":(\d+)", url).group(1))  # type: ignore[union-attr]
    with scripted(GREETING, (10, CONNECTED), target=port) as proxy:
        program = run("socks.py", f"{HOST}:{proxy.port}", url, "hello", "world")
        assert program.end() == (0, documented("socks.py")[0], "")
    assert proxy.received[1] == bytes.fromhex("050100017f000001") + port.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("node", "request_hex"),
    [
        (NODE, "05010001" "c0000207" "765f"),
        (NODE.with_ip("2001:db8::7"), "05010004" "20010db8000000000000000000000007" "765f"),
        (ONION.with_ip(None), "05010003" "09" "6162632e6f6e696f6e" "765f"),
        (ONION, "05010003" "09" "6162632e6f6e696f6e" "765f"),
        (NODE.with_hostname("é.example"), "05010003" "0f" + b"xn--9ca.example".hex() + "765f"),
    ],
    ids=["IPv4", "IPv6", "name", "name and address", "international"],
)
def test_proxy_gets_the_address_or_the_name(
    socks: Any, names: Names, node: p2p.Node, request_hex: str
) -> None:
    names.records["abc.onion"] = names.records["é.example"] = []
    request = bytes.fromhex(request_hex)
    with scripted(GREETING, (len(request), CONNECTED)) as proxy:
        dial(socks, proxy.port, node)
    assert proxy.received == [b"\x05\x01\x00", request]
    assert names.asked == []


@pytest.mark.parametrize(
    "bound", ["01" "7f000001" "0000", "04" + "00" * 18, "03" "05" "6161616161" "0000"]
)
def test_bytes_after_the_answer_are_the_node_s(socks: Any, bound: str) -> None:
    answer = bytes.fromhex("050000" + bound) + b"hello of the node"
    with scripted(GREETING, (10, answer)) as proxy:
        with socks.SocksDialer(HOST, proxy.port).dial(NODE, PATIENCE_S) as sock:
            assert sock.recv(5) == b"hello"


def test_user_and_password_are_given_when_the_proxy_wants_them(socks: Any) -> None:
    steps = (4, b"\x05\x02"), (12, b"\x01\x00"), (10, CONNECTED)
    with scripted(*steps) as proxy:
        dial(socks, proxy.port, user="ann", password="secret")
    assert proxy.received[:2] == [b"\x05\x02\x00\x02", b"\x01\x03ann\x06secret"]


def test_user_and_password_are_kept_when_the_proxy_does_not_want_them(socks: Any) -> None:
    with scripted((4, b"\x05\x00"), (10, CONNECTED)) as proxy:
        dial(socks, proxy.port, user="ann", password="secret")


def test_reply_of_a_refused_connection_is_a_refused_connection(socks: Any) -> None:
    with scripted(GREETING, (10, bytes.fromhex("05050001000000000000"))) as proxy:
        with pytest.raises(ConnectionRefusedError, match="connection refused"):
            dial(socks, proxy.port)


@pytest.mark.parametrize("reply", [1, 2, 3, 4, 6, 7, 8, 9, 255])
def test_other_replies_are_named(socks: Any, reply: int) -> None:
    with scripted(GREETING, (10, bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))) as proxy:
        with pytest.raises(OSError, match="the proxy says: ") as raised:
            dial(socks, proxy.port)
    assert socks.REPLIES.get(reply, f"error {reply}") in str(raised.value)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([(3, b"HTTP/1.1 400")], "does not speak SOCKS5"),
        ([(3, b"\x04\x00")], "does not speak SOCKS5"),
        ([(3, b"\x05\xff")], "another way to log in"),
        ([(3, b"\x05\x02")], "another way to log in"),
        ([GREETING, (10, b"\x05\x00\x00\x07")], "an address of type 7"),
        ([], "closed the connection"),
        ([(3, b"\x05")], "closed the connection"),
        ([GREETING, (10, CONNECTED[:9])], "closed the connection"),
    ],
)
def test_broken_answers_are_errors(
    socks: Any, steps: list[tuple[int, bytes]], text: str
) -> None:
    with scripted(*steps, closes=True) as proxy:
        with pytest.raises(OSError, match=f"{text}|reset"):
            dial(socks, proxy.port)


def test_wrong_password_is_an_error(socks: Any) -> None:
    with scripted((4, b"\x05\x02"), (12, b"\x01\x01")) as proxy:
        with pytest.raises(OSError, match="refuses the user or the password"):
            dial(socks, proxy.port, user="ann", password="secret")


def test_silent_proxy_ends_the_dial_in_time(socks: Any) -> None:
    with scripted(GREETING) as proxy:
        with pytest.raises(TimeoutError):
            socks.SocksDialer(HOST, proxy.port).dial(NODE, 0.05)


def test_name_that_does_not_fit_is_an_error(socks: Any) -> None:
    for name in ("a" * 63 + "." + "b" * 200, "é" * 70 + ".example"):
        with scripted(GREETING) as proxy, pytest.raises(OSError, match=r"a name of|no name of"):
            dial(socks, proxy.port, NODE.with_hostname(name))


def test_login_that_does_not_fit_is_refused(socks: Any) -> None:
    with pytest.raises(ValueError, match="255 bytes"):
        socks.SocksDialer(HOST, 1, "é" * 128)


@pytest.mark.parametrize(
    ("text", "proxy", "user"),
    [
        ("127.0.0.1:9050", ("127.0.0.1", 9050), b""),
        ("[::1]:9050", ("::1", 9050), b""),
        ("ann:se:c@ret@proxy.example:1080", ("proxy.example", 1080), b"ann"),
    ],
)
def test_proxy_is_read_of_a_text(
    socks: Any, text: str, proxy: tuple[str, int], user: bytes
) -> None:
    dialer = socks.proxy_at(text)
    assert (dialer._proxy, dialer._user) == (proxy, user)


@pytest.mark.parametrize("text", ["127.0.0.1", "proxy", ":9050", "127.0.0.1:x", "127.0.0.1:65536"])
def test_text_that_names_no_proxy_is_refused(socks: Any, text: str) -> None:
    with pytest.raises(ValueError, match="^the proxy is PROXY:PORT, .* not "):
        socks.proxy_at(text)


def test_refusal_by_the_proxy_s_host_is_not_taken_for_the_node_s(socks: Any, nodes: Nodes) -> None:
    dialer = socks.SocksDialer(HOST, closed_port())
    here = nodes.start(dialer=dialer, listen_addr=None)
    with pytest.raises(p2p.ConnectError, match="no connection to the proxy") as refused:
        here.connect(NODE)
    assert not isinstance(refused.value, p2p.errors.DialRefused)


def test_server_reports_the_reply_of_the_proxy(socks: Any, nodes: Nodes) -> None:
    reply = bytes.fromhex("05050001000000000000")
    with scripted(GREETING, (16, reply)) as proxy:
        here = nodes.start(dialer=socks.SocksDialer(HOST, proxy.port), listen_addr=None)
        with pytest.raises(p2p.errors.DialRefused, match="the proxy says"):
            here.connect(ONION.with_ip(None))


def test_proxy_that_is_not_there(run: Any) -> None:
    proxy = f"{HOST}:{closed_port()}"
    code, lines, errors = run("socks.py", proxy, NODE.url, "hello").end()
    assert (code, lines) == (1, [])
    port = proxy.rpartition(":")[2]
    assert errors.startswith(f"cannot connect: no connection to the proxy at {HOST}, port {port}: ")
    assert run("socks.py").end()[2].startswith("usage: ")
