"""The checks of ``p2p doctor``: what a node needs, step by step, each with a remedy.

A check yields a :class:`Finding` for each thing that it has seen. It waits at most some seconds,
also without a network. Main thread; each closes what it opens.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import p2p
from p2p import discover, dnsdisc, enode, errors, observe
from p2p.cli.doctor import limits
from p2p.cli.doctor.finding import Finding, Level
from p2p.cli.failure import text_of
from p2p.cli.remedy import remedy_of
from p2p.cli.shown import number_of

#: Largest error of the clock without a finding, in seconds: packets are valid for 20 s.
MAX_DRIFT_S = 10.0
#: Pause between two looks at the state of the port mappings.
LOOK_S = 0.1
_FORWARD = "forward the port, TCP and UDP, in the router, if there is one, and set advertise"
#: Addresses that belong to no host: the system only chooses a route to them (RFC 5737, RFC 3849).
_NOWHERE = {4: (socket.AF_INET, "198.51.100.1"), 6: (socket.AF_INET6, "2001:db8::1")}


def families() -> Iterator[Finding]:
    """Find the routes of IPv4 and IPv6, without sending a packet."""
    found = {version: address for version in (4, 6) if (address := _source(version))}
    for version, address in found.items():
        yield Finding("families", Level.OK, f"IPv{version} has a route, from {address}")
    if not found:
        yield Finding(
            "families",
            Level.PROBLEM,
            "offline: neither IPv4 nor IPv6 has a route",
            "connect this machine to a network; checks of the Internet are left out",
        )
    elif 4 not in found:
        yield Finding(
            "families",
            Level.WARNING,
            "no route for IPv4, which most nodes have only",
            "get IPv4, or expect few peers",
        )


def _source(version: int) -> str:
    family, nowhere = _NOWHERE[version]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((nowhere, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def ports(addr: str) -> Iterator[Finding]:
    """Try whether the TCP and the UDP port can be used."""
    key = p2p.generate_key()
    try:
        with p2p.Server(
            private_key=key, name="p2p", max_peers=1, no_dial=True, listen_addr=addr
        ) as server:
            text = f"TCP and UDP can be used at {server.listen_addr}"
            yield Finding("ports", Level.OK, text)
    except (OSError, p2p.ConfigError) as error:
        remedy = "stop the program that has the port, or give another one with --addr"
        yield Finding("ports", Level.PROBLEM, text_of(error), remedy)


def clock(timeout_s: float, server: tuple[str, int] | None = None) -> Iterator[Finding]:
    """Compare the clock with a time server."""
    try:
        drift_s = (
            discover.measure_drift(timeout_s=timeout_s)
            if server is None
            else discover.measure_drift(server, timeout_s=timeout_s)
        )
    except OSError as error:
        remedy = "check name server and firewall (UDP port 123); run NTP in any case"
        yield Finding("clock", Level.WARNING, f"no time server answers: {text_of(error)}", remedy)
        return
    text = f"the clock is {abs(drift_s):.1f} s {'ahead' if drift_s > 0 else 'behind'}"
    if abs(drift_s) > MAX_DRIFT_S:
        remedy = "set the clock, and run NTP: packets of discovery are valid for 20 s"
        yield Finding("clock", Level.PROBLEM, text, remedy, {"drift_s": drift_s})
    else:
        yield Finding("clock", Level.OK, text, facts={"drift_s": drift_s})


def node_lists(trees: Sequence[str], timeout_s: float) -> Iterator[Finding]:
    """Look a node up in the lists in DNS."""
    if not trees:
        return
    try:
        with dnsdisc.NodeLists(trees, logger=_quiet()) as lists:
            nodes = lists.random_nodes()
            timer = threading.Timer(timeout_s, nodes.close)
            timer.start()
            try:
                found = next(nodes, None)
            finally:
                timer.cancel()
                timer.join()
    except p2p.ConfigError as error:
        yield Finding("dns", Level.WARNING, str(error), "pip install 'p2p-blocking[dns]'")
        return
    if found is None:
        text = f"no node of the lists within {timeout_s:g} s"
        remedy = "check the name server: dig TXT " + trees[0].rpartition("@")[2]
        yield Finding("dns", Level.WARNING, text, remedy)
    else:
        yield Finding("dns", Level.OK, f"the node lists in DNS answer: {found.id.short}")


def database(path: str | None) -> Iterator[Finding]:
    """Open the node database."""
    if path is None:
        return
    try:
        with enode.NodeDB(path) as opened:
            text = f"{path} has {number_of(opened.nodes_count, 'node')}"
            yield Finding("database", Level.OK, text, facts={"nodes": opened.nodes_count})
    except errors.NodeDBError as error:
        remedy = "stop the program that has it open, or move the file away"
        yield Finding("database", Level.PROBLEM, str(error), remedy)


class Statements(observe.Observer, observe.DiscoveryObserver):
    """Observer of our address as other nodes state it in their pongs. Called on ``p2p-disc``."""

    def __init__(self) -> None:
        self.by_address: dict[str, set[p2p.NodeID]] = {}

    def discovery(self, protocol: str) -> observe.DiscoveryObserver:
        return self

    def packet_in(self, kind: str, packet: Any, sender: p2p.NodeID, addr: p2p.Endpoint) -> None:
        if kind == "pong":
            ip, port = packet.recipient[:2]
            self.by_address.setdefault(str(p2p.Endpoint(ip, port)), set()).add(sender)


def reachability(
    addr: str, nat: str, bootnodes: Mapping[str, Sequence[p2p.Node]], timeout_s: float
) -> Iterator[Finding]:
    """Run a node for a moment, to see which bootnodes answer, our address, and the router."""
    statements = Statements()
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="p2p",
        max_peers=1,
        no_dial=True,
        listen_addr=addr,
        nat=nat,
        observer=statements,
        logger=_quiet(),
    )
    try:
        with server:
            yield from _discovery(server, bootnodes, timeout_s)
            yield from _address(server, statements, bool(bootnodes))
            if nat != "none":
                yield from _router(server, timeout_s)
            yield from limits.met(server.metrics.snapshot(), "the node of these checks")
    except OSError as error:
        yield Finding("discovery", Level.SKIPPED, f"no port for it: {text_of(error)}")


def _discovery(
    server: p2p.Server, bootnodes: Mapping[str, Sequence[p2p.Node]], timeout_s: float
) -> Iterator[Finding]:
    for protocol, front in (("v4", server.discovery_v4), ("v5", server.discovery_v5)):
        nodes = bootnodes.get(protocol, ())
        if front is None or not nodes:
            continue
        answered, failure = 0, ""
        deadline = time.monotonic() + timeout_s
        for node in nodes:
            if time.monotonic() > deadline:
                break
            try:
                front.ping(node, max(0.1, deadline - time.monotonic()))
                answered += 1
            except p2p.P2PError as error:
                failure = failure or text_of(error)
        text = f"{protocol}: {answered} of {len(nodes)} bootnodes answer"
        check = f"disc{protocol}"
        if answered:
            yield Finding(check, Level.OK, text, facts={"answered": answered})
        else:
            remedy = "let UDP out, and its answers in; or give other nodes with --bootnodes"
            yield Finding(check, Level.PROBLEM, f"{text} ({failure})", remedy)


def _address(server: p2p.Server, statements: Statements, asked: bool) -> Iterator[Finding]:
    stated = {address: len(by) for address, by in statements.by_address.copy().items()}
    if not stated:
        if asked:
            yield Finding("address", Level.SKIPPED, "no node has stated our address")
        return
    bound = server.listen_addr
    assert bound is not None
    for address, count in sorted(stated.items(), key=lambda item: -item[1]):
        text = f"{address}, as {number_of(count, 'node')} said"
        yield Finding("address", Level.OK, text, facts={"address": address, "said_by": count})
    seen = {(each.rpartition(":")[0], each.rpartition(":")[2]) for each in stated}
    if len({port for _, port in seen}) > 1:
        yield Finding(
            "address",
            Level.WARNING,
            "each of them sees another port: the router makes one for each (symmetric NAT)",
            "forward the port in the router, and state it with the option advertise",
        )
    elif {port for _, port in seen} != {str(bound.port)}:
        remedy = f"forward port {bound.port}, TCP and UDP, in the router; or use nat=any"
        yield Finding("address", Level.WARNING, "the router changes our port", remedy)


def _router(server: p2p.Server, timeout_s: float) -> Iterator[Finding]:
    """Wait until the router has mapped the ports, or has failed to, and tell the address too."""
    status, deadline = server.nat, time.monotonic() + timeout_s
    while status is not None and not _is_settled(status) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        status = server.nat
    if status is None:
        return
    for port in status.ports:
        if port.external_port is not None:
            text = f"{port.protocol} port {port.internal_port} is {port.external_port} outside"
            yield Finding("nat", Level.OK, f"{text}, by {status.router}")
        elif port.error:
            yield Finding("nat", Level.WARNING, port.error, _FORWARD)
    if status.error:
        said, _, remedy = status.error.partition(": ")
        yield Finding("nat", Level.WARNING, said, remedy or _FORWARD)
    elif status.external_ip is not None:
        text = f"our address outside is {status.external_ip}, by {status.router}"
        yield Finding("nat", Level.OK, text, facts={"external_ip": str(status.external_ip)})
    elif not any(port.error for port in status.ports):
        text = f"no router has answered within {timeout_s:g} s"
        yield Finding("nat", Level.WARNING, text, _FORWARD)


def _is_settled(status: p2p.nat.NatStatus) -> bool:
    if status.error:
        return True
    is_done = all(port.error or port.external_port is not None for port in status.ports)
    return is_done and status.external_ip is not None


def _quiet() -> logging.Logger:
    """Return a logger whose lines are not printed."""
    logger = logging.getLogger("p2p.doctor")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def of_error(check: str, error: p2p.P2PError, level: Level = Level.PROBLEM) -> Finding:
    """Return the finding for an error of the library."""
    return Finding(check, level, text_of(error), remedy_of(error))
