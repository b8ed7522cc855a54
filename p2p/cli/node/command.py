"""The command ``p2p node``: a node with a built-in protocol.

Main thread. The run is in :mod:`p2p.cli.node.run`, the live view in :mod:`p2p.cli.node.view`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

import p2p
from p2p.cli.command import command
from p2p.cli.node.builtin import Chat, Echo
from p2p.cli.node.lineinput import standard_input
from p2p.cli.node.run import NodeRun, Waker, show_live
from p2p.cli.node.state import Event, EventLog
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NETWORK, NETWORKS, NODE

F = TypeVar("F", bound=Callable[..., object])
_PROTOCOLS: dict[str, type[Echo] | type[Chat]] = {"echo": Echo, "chat": Chat}

#: Options whose names are those of the server's.
_SERVER_OPTIONS = (
    click.option("--name", default=f"p2p/{p2p.__version__}", show_default=True,
                 help="Name in the hello."),
    click.option("--max-peers", type=click.IntRange(0), default=50, show_default=True,
                 help="Maximum number of peers."),
    click.option("--listen", "listen_addr", default=":30303", show_default=True, metavar="ADDRESS",
                 help="TCP and UDP address, host:port or :port; port 0 takes a free one."),
    click.option("--disc-listen", "disc_addr", metavar="ADDRESS",
                 help="UDP address of discovery (default: --listen)."),
    click.option("--connect", "static_nodes", type=NODE, multiple=True,
                 help="Keep connected to this node; may be repeated."),
    click.option("--bootnodes", "bootstrap_nodes", type=NODE, multiple=True,
                 help="Entry point of discovery; may be repeated."),
    click.option("--network", type=NETWORK, help="Join this network: bootnodes, lists, chain."),
    click.option("--dns", "dns_discovery", metavar="URL", multiple=True,
                 help="Dial nodes of a list in DNS; may be repeated."),
    click.option("--lan", "lan_discovery", is_flag=True,
                 help="Find the nodes of the local network, and be found."),
    click.option("--nat", default="none", show_default=True, metavar="WAY",
                 help="any, upnp, pmp, stun, stun:HOST:PORT or extip:ADDRESS."),
    click.option("--advertise", metavar="ADDRESS", multiple=True,
                 help="Address to publish, with or without port."),
    click.option("--restrict", "net_restrict", metavar="NETWORKS",
                 help='Talk to these networks only, "10.0.0.0/8,fd00::/8".'),
    click.option("--v4/--no-v4", "discovery_v4", default=None, help="Discovery v4 (default: on)."),
    click.option("--v5/--no-v5", "discovery_v5", default=None, help="Discovery v5 (default: on)."),
    click.option("--topics", "discovery_topics", is_flag=True, help="Topics of discovery v5."),
    click.option("--no-discovery", is_flag=True, help="No discovery at all."),
    click.option("--no-dial", is_flag=True, help="Wait for other nodes only."),
    click.option("--nodedb", "node_database", type=click.Path(dir_okay=False),
                 help="File that keeps known nodes (default: memory)."),
    click.option("--keylog", "--key-log", "key_log", type=click.Path(dir_okay=False),
                 help="Write the secrets of connections to this file, to decrypt captures."),
    click.option("--metrics", "metrics_addr", metavar="ADDRESS",
                 help="Serve metrics to Prometheus, 127.0.0.1:6060."),
)  # fmt: skip


def _with_server_options(function: F) -> F:
    for option in reversed(_SERVER_OPTIONS):
        function = option(function)
    return function


@command(
    "node",
    examples="""
    p2p node
    p2p node --protocol chat --name ann --connect enode://…@192.0.2.1:30303
    p2p node --protocol none --network sepolia --nat any --nodedb nodes.db --log
    """,
)
@click.option(
    "--protocol",
    type=click.Choice([*_PROTOCOLS, "none"]),
    default="echo",
    show_default=True,
    help="echo: send each message back; chat: pass lines on; none: discovery only.",
)
@click.option("--key", "key_path", type=click.Path(path_type=Path, dir_okay=False),
              help="Key file, made if it does not exist (default: a new key).")  # fmt: skip
@_with_server_options
@click.option("--log", "as_log", is_flag=True, help="Print lines instead of the live view.")
@click.option("--verbose", is_flag=True, help="Print debug lines, too; with --log.")
@with_output
def node(
    output: Output,
    protocol: str,
    key_path: Path | None,
    as_log: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Run a node, until Ctrl-C or SIGTERM: it then disconnects its peers, and the exit code is 0.

    On a terminal it shows peers, traffic, discovery and events; else, and with --log, a line for
    each event. A chat sends the lines of the standard input to all peers;
    Ctrl-D ends it, the end of a pipe does not.
    """
    with closing(Waker()) as waker:
        is_live = not as_log and not output.as_json and output.console.is_terminal

        def show(event: Event) -> None:
            if is_live:
                waker.wake()
            else:
                output.result({"time": event.time_unix, **event.record}, _line(event))

        log = EventLog(show, _level(is_live, verbose))
        built_in = _PROTOCOLS[protocol](log.report, waker.wake) if protocol != "none" else None
        server = _server(key_path, [] if built_in is None else built_in.protocols, options)
        chat = built_in if isinstance(built_in, Chat) else None
        run = NodeRun(server, log, waker, chat, standard_input())
        with _logging_to(log):
            if is_live:
                show_live(run, output)
            else:
                run.run(lambda: _tell_start(log, server.self) if output.as_json else None)


def _server(
    key_path: Path | None, protocols: list[p2p.Protocol], options: dict[str, Any]
) -> p2p.Server:
    key = p2p.generate_key() if key_path is None else p2p.load_or_generate_key(key_path)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "network" in given:
        given["network"] = NETWORKS[given["network"]]
    return p2p.Server(private_key=key, protocols=protocols, **given)


def _tell_start(log: EventLog, own: p2p.Node) -> None:
    record = {"event": "start", "id": own.id, "enode": own.url, "record": str(own)}
    log.report(f"runs as {own.url}", record)


def _line(event: Event) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time_unix))
    return f"{moment} {event.text}"


def _level(is_live: bool, verbose: bool) -> int:
    if is_live:
        return logging.WARNING
    return logging.DEBUG if verbose else logging.INFO


@contextmanager
def _logging_to(log: EventLog) -> Iterator[None]:
    """Send the log lines of the library to ``log`` in the block."""
    logger = logging.getLogger("p2p")
    before = logger.level, logger.propagate
    logger.addHandler(log)
    logger.setLevel(log.level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(log)
        logger.level, logger.propagate = before
