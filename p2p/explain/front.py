"""The handshake with a node, or of EIP-8. Blocks; the thread of the caller."""

from __future__ import annotations

from p2p.arguments import check_type
from p2p.client import connect
from p2p.enode import Node, parse_node
from p2p.errors import ConnectError, PeerDisconnected, Timeout
from p2p.explain.eip8 import eip8_record
from p2p.explain.explanation import Explanation
from p2p.explain.handshake import handshake_sections
from p2p.explain.recorder import HandshakeRecorder

#: Capability that is offered; no node has it, so the connection ends after the hellos.
_CAP = "explain"


def explain_handshake(node: Node | str | None = None, timeout: float = 15.0) -> Explanation:
    """Explain the handshake with ``node``, which is dialed with a new key, or that of EIP-8.

    ``node`` is a Node, an enode URL or a record; None is the example. The explanation has the new
    private key, which is used for nothing else. ``timeout`` is in seconds, for the connection.

    Raises InvalidNode, ArgumentError, and the errors of ``Server.connect`` if the handshake did
    not come to its secrets. That the node then disconnects is no error. Any thread::

        print(p2p.explain.explain_handshake("enode://...").text())
    """
    if node is None:
        return Explanation("The RLPx handshake of EIP-8", handshake_sections(eip8_record()))
    check_type("node", node, (Node, str), "a Node, an enode URL, a record, or None")
    if isinstance(node, str):
        node = parse_node(node)
    recorder = HandshakeRecorder()
    error: Exception | None = None
    try:
        with connect(
            node, name=_CAP, version=1, length=1, timeout=timeout, observer=recorder
        ):
            pass
    except (ConnectError, PeerDisconnected, Timeout) as failure:
        error = failure
    record = recorder.record()
    if record is None:
        raise error or AssertionError("a connection without secrets")
    title = f"The RLPx handshake with {node.id.short} at {node.tcp_endpoint or node.hostname}"
    return Explanation(title, handshake_sections(record))
