"""SOCKS: connections through a SOCKS5 proxy, such as Tor's.

Start the server of ``examples/echo.py``, and send it words through the proxy at 127.0.0.1:9050::

    $ python examples/socks.py 127.0.0.1:9050 "enode://...@127.0.0.1:..." hello world
    hello
    world

The host in the URL may also be a name. The proxy gets it as it is, and no name is looked up on this
machine: for Tor it may end in ".onion". A user name and a password for the proxy come before its
address, as in "ann:secret@127.0.0.1:1080".

:class:`SocksDialer` is for programs of your own: ``p2p.Server(dialer=SocksDialer(...), ...)``.
``docs/howto/tor.md`` says what else a node reveals, and how to turn that off.
"""

from __future__ import annotations

import socket
import sys
import time

import p2p

TIMEOUT_S = 60.0

VERSION, CONNECT = 5, 1
NO_AUTH, PASSWORD, NO_METHOD = 0, 2, 0xFF
IPV4, NAME, IPV6 = 1, 3, 4
REFUSED = 5
#: Meanings of the replies (RFC 1928, section 6).
REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    REFUSED: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "type of address not supported",
}


class SocksDialer:
    """A dialer that connects through the SOCKS5 proxy at ``host`` and ``port`` (RFC 1928).

    ``user`` and ``password`` are offered to the proxy if given (RFC 1929), each at most 255 bytes.
    Tor uses separate circuits for different ones.
    """

    def __init__(self, host: str, port: int, user: str = "", password: str = "") -> None:
        self._proxy = host, port
        self._user, self._password = user.encode(), password.encode()
        if max(len(self._user), len(self._password)) > 255:
            raise ValueError("user or password of more than 255 bytes")

    def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
        """Return a socket that is connected to ``node``, or raise OSError."""
        until = time.monotonic() + timeout_s
        sock = self._reach_proxy(timeout_s)
        try:
            self._greet(sock, until)
            self._connect(sock, node, until)
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return sock

    def _reach_proxy(self, timeout_s: float) -> socket.socket:
        try:
            return socket.create_connection(self._proxy, timeout_s)
        except OSError as error:  # "connection refused" alone would be taken for the node's
            kind = TimeoutError if isinstance(error, TimeoutError) else OSError
            host, port = self._proxy
            raise kind(f"no connection to the proxy at {host}, port {port}: {error}") from error

    def _greet(self, sock: socket.socket, until: float) -> None:
        """Agree on a method, and log in if the proxy wants it (RFC 1928, section 3)."""
        methods = bytes([NO_AUTH, PASSWORD] if self._user else [NO_AUTH])
        sock.sendall(bytes([VERSION, len(methods)]) + methods)
        version, method = _read(sock, 2, until)
        if version != VERSION:
            raise OSError(f"the proxy does not speak SOCKS5: its answer begins with {version}")
        if method == PASSWORD and self._user:
            self._log_in(sock, until)
        elif method != NO_AUTH:
            raise OSError("the proxy wants another way to log in")

    def _log_in(self, sock: socket.socket, until: float) -> None:
        user = bytes([len(self._user)]) + self._user
        sock.sendall(b"\x01" + user + bytes([len(self._password)]) + self._password)
        _, status = _read(sock, 2, until)
        if status:
            raise OSError("the proxy refuses the user or the password")

    def _connect(self, sock: socket.socket, node: p2p.Node, until: float) -> None:
        """Have the proxy connect to the node (RFC 1928, sections 4 to 6)."""
        port = node.tcp.to_bytes(2, "big")
        sock.sendall(bytes([VERSION, CONNECT, 0]) + _address(node) + port)
        _, reply, _, kind = _read(sock, 4, until)
        if reply:
            text = f"the proxy says: {REPLIES.get(reply, f'error {reply}')}"
            raise ConnectionRefusedError(text) if reply == REFUSED else OSError(text)
        # Its own address at the outside, of which nothing is used.
        sizes = {IPV4: 4, IPV6: 16}
        size = _read(sock, 1, until)[0] if kind == NAME else sizes.get(kind)
        if size is None:
            raise OSError(f"the proxy answers with an address of type {kind}")
        _read(sock, size + 2, until)


def _address(node: p2p.Node) -> bytes:
    """Return the host of a node with its type; a name as it is, for the proxy to look up."""
    if node.hostname:
        try:
            name = node.hostname.encode("ascii" if node.hostname.isascii() else "idna")
        except UnicodeError as error:
            raise OSError(f"{node.hostname} is no name of a host: {error}") from error
        if len(name) > 255:
            raise OSError("a name of more than 255 bytes")
        return bytes([NAME, len(name)]) + name
    assert node.ip is not None
    return bytes([IPV4 if node.ip.version == 4 else IPV6]) + node.ip.packed


def _read(sock: socket.socket, size: int, until: float) -> bytes:
    """Read ``size`` bytes, and no more: what follows belongs to the node."""
    data = b""
    while len(data) < size:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no answer of the proxy in time")
        sock.settimeout(left_s)
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("the proxy closed the connection")
        data += part
    return data


def proxy_at(text: str) -> SocksDialer:
    """Make a dialer of "host:port" or "user:password@host:port"."""
    login, _, address = text.rpartition("@")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"the proxy is PROXY:PORT, such as 127.0.0.1:9050, not {address!r}")
    user, _, password = login.partition(":")
    return SocksDialer(host.strip("[]"), int(port), user, password)


def ask(dialer: SocksDialer, url: str, words: list[str]) -> None:
    """Send each word to an echo server, and print the answer."""
    with p2p.connect(
        url, name="echo", version=1, length=1, dialer=dialer, timeout=TIMEOUT_S
    ) as rw:
        for word in words:
            rw.send(0, word)
            print(rw.read_msg(TIMEOUT_S).decode(str))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: socks.py [USER:PASSWORD@]PROXY:PORT ENODE-URL [WORD ...]")
    try:
        ask(proxy_at(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except KeyboardInterrupt:
        pass  # the usual end; everything has stopped by now
    except (p2p.ConnectError, p2p.InvalidNode, ValueError) as error:
        sys.exit(f"cannot connect: {error}")
