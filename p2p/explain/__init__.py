"""Handshakes, packets and messages, taken apart: each value with its length and its formula.

:func:`explain_handshake` connects to a node and returns the handshake of RLPx, from the keys to the
hellos; without a node, that of the examples of EIP-8, whose keys are known. :func:`explain_packet`
takes a packet of discovery apart, :func:`explain_message` the RLP of a message. Each returns an
:class:`Explanation`, of which each :class:`Section` has each :class:`Value`; it is shown as text or
as a page of HTML::

    explanation = p2p.explain.explain_handshake()
    print(explanation.text())
    Path("handshake.html").write_text(explanation.html())

For lessons, and to find the step in which two implementations differ.
"""

from __future__ import annotations

from p2p.explain.explanation import Explanation, Section, Value
from p2p.explain.front import explain_handshake
from p2p.explain.message import explain_message
from p2p.explain.packet import explain_packet

__all__ = [
    "Explanation",
    "Section",
    "Value",
    "explain_handshake",
    "explain_message",
    "explain_packet",
]
