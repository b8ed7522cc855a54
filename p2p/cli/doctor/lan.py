"""The check of ``p2p doctor --lan``: who is on the local network, and can be reached there.

It announces a node of its own for some seconds. Main thread; it closes what it opens.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import p2p
from p2p.cli import reach
from p2p.cli.doctor.checks import of_error
from p2p.cli.doctor.finding import Finding, Level
from p2p.cli.failure import text_of
from p2p.cli.shown import milliseconds

#: Time to wait for answers, in seconds: zeroconf asks within the first, and again in the second.
LISTEN_S = 3.0
#: Limit on the nodes that are connected to.
MAX_NODES = 64


class _Warnings(logging.Handler):
    """Handler that keeps the warnings of LAN discovery. Any thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def lan(addr: str, timeout_s: float) -> Iterator[Finding]:
    """Find the nodes of the local network, and connect to each."""
    kept = _Warnings()
    try:
        found = _nodes(addr, kept)
    except (OSError, p2p.ConfigError) as error:
        yield Finding("lan", Level.WARNING, text_of(error), "see the check of the ports")
        return
    for text in kept.texts:
        yield Finding("lan", Level.WARNING, text, "see docs/howto/lan.md")
    if not found:
        text = "no other node announces itself on the local network"
        remedy = (
            "run p2p node --lan on another machine there; open UDP port 5353; "
            "an access point may separate its clients"
        )
        yield Finding("lan", Level.WARNING, text, remedy)
    for node in found[:MAX_NODES]:
        yield _reached(node, timeout_s)


def _nodes(addr: str, kept: logging.Handler) -> Sequence[p2p.Node]:
    logger = logging.getLogger("p2p.doctor.lan")
    logger.propagate = False
    logger.addHandler(kept)
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="p2p",
        max_peers=0,
        listen_addr=addr,
        no_discovery=True,
        lan_discovery=True,
        logger=logger,
    )
    try:
        with server:
            threading.Event().wait(LISTEN_S)
            return server.lan_nodes
    finally:
        logger.removeHandler(kept)


def _reached(node: p2p.Node, timeout_s: float) -> Finding:
    """Return whether a node answers, with its name."""
    answer = [*reach.rlpx(p2p.generate_key(), node, timeout_s)][-1]
    facts = {"id": node.id, "enode": node.url}
    if answer.error is not None:
        found = of_error("lan", answer.error, Level.WARNING)
        text = f"{node.tcp_endpoint} is announced: {found.text}"
        remedy = found.remedy or "open the TCP port of that node in its firewall"
        return Finding("lan", Level.WARNING, text, remedy, facts)
    name = answer.facts.get("name", "")
    text = f"{answer.address} answers in {milliseconds(answer.seconds)}: {name}"
    return Finding("lan", Level.OK, text, facts={**facts, "name": name})
