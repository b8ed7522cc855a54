"""A connection to one node: :func:`connect`, with its own server until the connection ends.

No running part refers to the :class:`ClientReadWriter` that a program gets, so a lost one is
stopped with a ResourceWarning, like a lost server (:mod:`p2p.leaks`). Any thread.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from p2p._version import __version__
from p2p.arguments import check_type
from p2p.crypto import PrivateKey
from p2p.dial.limits import DIAL_TIMEOUT_S
from p2p.enode import Node, generate_key, parse_node
from p2p.errors import DiscReason, PeerDisconnected, Timeout, WrongProcess
from p2p.message import Msg, MsgReadWriter
from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.peers.session import FRAME_WRITE_TIMEOUT_S
from p2p.protocol import Protocol
from p2p.server import Server

#: Limit on the wait of ``close`` for written messages to be sent: the time a peer has to read a
#: batch.
FLUSH_TIMEOUT_S = FRAME_WRITE_TIMEOUT_S


class ClientReadWriter(MsgReadWriter):
    """The read-writer that :func:`connect` returns; ``peer`` is the node at the other end.

    Closing it, or leaving its ``with`` block, ends the connection and stops its server.
    """

    __slots__ = ("connection_id", "peer")  # for mocks, as in Peer

    def __init__(self, server: Server, peer: Peer, rw: ProtocolReadWriter) -> None:
        # fixed after __init__
        self.peer = peer
        self.connection_id = rw.connection_id
        self._request_totals = rw._request_totals
        self._server = server
        self._rw = rw

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more; messages received before may still be read."""
        return self._rw.is_closed

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the end; None while open."""
        return self._rw.disconnect_reason

    def read_msg(self, timeout: float | None = None) -> Msg:
        return self._rw.read_msg(timeout)

    def write_msg(self, msg: Msg) -> None:
        self._rw.write_msg(msg)

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the connection with ``reason``, and stop its server.

        Waits until written messages have been sent, at most 20 s if the peer does not read. Ctrl-C
        ends the wait early. In a forked child it does nothing.
        """
        self._end(reason, FLUSH_TIMEOUT_S)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_hurried = isinstance(error, KeyboardInterrupt)
        self._end(self._closing_reason(error), 0.0 if is_hurried else FLUSH_TIMEOUT_S)

    def _end(self, reason: int, flush_timeout_s: float) -> None:
        try:
            self._rw.close(reason)
            self.peer.wait_closed(flush_timeout_s)
        except (Timeout, WrongProcess):
            pass
        finally:
            self._server.stop()

    def __repr__(self) -> str:
        return repr(self._rw)


def connect(
    node: Node | str,
    *,
    name: str,
    version: int,
    length: int,
    timeout: float = DIAL_TIMEOUT_S,
    private_key: PrivateKey | None = None,
    node_name: str = f"p2p/{__version__}",
    **options: Any,
) -> ClientReadWriter:
    """Connect to ``node`` and return the read-writer of one protocol, for a ``with`` block::

        with p2p.connect("enode://...", name="MyProtocol", version=1, length=1) as rw:
            rw.send_items(0, "foo")
            print(rw.read_msg(timeout=10).decode(tuple[str]))

    ``node`` is a Node, or the text of an enode URL or of a record. ``name``, ``version`` and
    ``length`` are those of the :class:`Protocol`. The connection has its own server, which dials
    the node within ``timeout`` seconds, neither listens nor runs discovery by default, and stops at
    the end of the block. Its key is ``private_key``, by default a new one, its name is
    ``node_name``, and ``options`` are further options of :class:`Server`, such as ``logger``.

    Raises InvalidNode for text that is no node, ArgumentTypeError for any other type, ConfigError
    for a wrong option, and the errors of ``Server.connect``. Then, and after Ctrl-C, nothing is
    left running.
    """
    check_type("node", node, (Node, str), "a Node, or the text of an enode URL or of a record")
    if isinstance(node, str):
        node = parse_node(node)
    options.setdefault("dns_discovery", ())  # network must not find others for the one slot
    server = Server(
        private_key=generate_key() if private_key is None else private_key,
        name=node_name,
        max_peers=1,
        protocols=[Protocol(name, version, length)],
        **options,
    )
    try:
        server.start()
        peer = server.connect(node, timeout)
        return ClientReadWriter(server, peer, peer.open(name))
    except BaseException:
        server.stop()
        raise
