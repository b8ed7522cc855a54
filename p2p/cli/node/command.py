"""The command ``p2p node``: a node with a built-in protocol.

Main thread. The run is in :mod:`p2p.cli.node.run`, the live view in :mod:`p2p.cli.node.view`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import click

import p2p
from p2p.cli.command import command
from p2p.cli.livepage import OPTIONS as PAGE_OPTIONS
from p2p.cli.livepage import address_of, page_shown
from p2p.cli.node.builtin import Chat, Echo
from p2p.cli.node.lineinput import standard_input
from p2p.cli.node.run import NodeRun, Waker, show_live
from p2p.cli.node.state import Event, EventLog
from p2p.cli.options import (
    external_text,
    with_addr,
    with_bootnodes,
    with_extaddr,
    with_keylog,
    with_lan,
    with_nat,
    with_network,
    with_nodedb,
    with_nodekey,
)
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NETWORKS, NODE

#: Options whose names are not those of the server's.
_SERVER_NAMES = {
    "addr": "listen_addr",
    "bootnodes": "bootstrap_nodes",
    "extaddr": "advertise",
    "keylog": "key_log",
    "lan": "lan_discovery",
    "nodedb": "node_database",
    "page": "monitor_addr",
}
F = TypeVar("F", bound=Callable[..., object])
_PROTOCOLS: dict[str, type[Echo] | type[Chat]] = {"echo": Echo, "chat": Chat}

#: Options of the server.
_SERVER_OPTIONS = (
    click.option("--name", default=f"p2p/{p2p.__version__}", show_default=True,
                 help="Name in the hello."),
    click.option("--maxpeers", "max_peers", type=click.IntRange(0), default=50, show_default=True,
                 help="Maximum number of peers."),
    with_addr(":30303"),
    click.option("--disc-addr", metavar="ADDRESS",
                 help="UDP address of discovery (default: --addr)."),
    click.option("--connect", "static_nodes", type=NODE, multiple=True,
                 help="Keep connected to this node; may be repeated."),
    with_bootnodes,
    with_network(),
    click.option("--dns", "dns_discovery", metavar="URL", multiple=True,
                 help="Dial nodes of a list in DNS; may be repeated."),
    with_lan,
    with_nat("none"),
    with_extaddr,
    click.option("--netrestrict", "net_restrict", metavar="NETWORKS",
                 help='Talk to these networks only, "10.0.0.0/8,fd00::/8".'),
    click.option("--v4/--no-v4", "discovery_v4", default=None, help="Discovery v4 (default: on)."),
    click.option("--v5/--no-v5", "discovery_v5", default=None, help="Discovery v5 (default: on)."),
    click.option("--topics", "discovery_topics", is_flag=True, help="Topics of discovery v5."),
    click.option("--nodiscover", "no_discovery", is_flag=True, help="No discovery at all."),
    click.option("--nodial", "no_dial", is_flag=True, help="Wait for other nodes only."),
    with_nodedb,
    with_keylog,
    click.option("--metrics", "metrics_addr", metavar="ADDRESS",
                 help="Serve metrics to Prometheus, 127.0.0.1:6060."),
    *PAGE_OPTIONS,
)  # fmt: skip


def _with_server_options(function: F) -> F:
    for option in reversed(_SERVER_OPTIONS):
        function = option(function)
    return function


@command(
    "node",
    examples="""
    p2p node
    p2p node --serve chat --name ann --connect enode://…@192.0.2.1:30303
    p2p node --serve none --network sepolia --nat any --nodedb nodes.db --log
    p2p node --page --open
    """,
)
@click.option(
    "--serve",
    type=click.Choice([*_PROTOCOLS, "none"]),
    default="echo",
    show_default=True,
    help="echo: send each message back; chat: pass lines on; none: discovery only.",
)
@with_nodekey
@_with_server_options
@click.option("--log", "as_log", is_flag=True, help="Print lines instead of the live view.")
@click.option("--verbose", is_flag=True, help="Print debug lines, too; with --log.")
@with_output
def node(
    output: Output,
    serve: str,
    nodekey: p2p.PrivateKey | None,
    as_log: bool,
    verbose: bool,
    in_browser: bool,
    **options: Any,
) -> None:
    """Run a node, until Ctrl-C or SIGTERM: it then disconnects its peers, and the exit code is 0.

    On a terminal it shows peers, traffic, discovery and events; else, and with --log, a line for
    each event. A chat sends the lines of the standard input to all peers;
    Ctrl-D ends it, the end of a pipe does not. The address of a live page is a line, too, and has a
    secret token: who knows it can read the page.
    """
    options["page"] = address_of(options["page"], in_browser)
    with closing(Waker()) as waker:
        is_live = not as_log and not output.as_json and output.console.is_terminal

        def show(event: Event) -> None:
            if is_live:
                waker.wake()
            else:
                output.result({"time": event.time_unix, **event.record}, _line(event))

        log = EventLog(show, _level(is_live, verbose))
        built_in = _PROTOCOLS[serve](log.report, waker.wake) if serve != "none" else None
        server = _server(nodekey, [] if built_in is None else built_in.protocols, options)
        chat = built_in if isinstance(built_in, Chat) else None
        run = NodeRun(server, log, waker, chat, standard_input())
        tell = _tell_start if output.as_json else _tell_other_terminal
        with _logging_to(log), page_shown(log.report, in_browser) as show_page:

            def begin() -> None:
                tell(log, server, serve)
                show_page(server.monitor_url)

            if is_live:
                show_live(run, output, begin)
            else:
                run.run(begin)


def _server(
    key: p2p.PrivateKey | None, protocols: list[p2p.Protocol], options: dict[str, Any]
) -> p2p.Server:
    options["extaddr"] = [external_text(each) for each in options["extaddr"]] or None
    if options["network"] is not None:
        options["network"] = NETWORKS[options["network"]]
    given = {
        _SERVER_NAMES.get(name, name): value
        for name, value in options.items()
        if value is not None and (value != () or name == "bootnodes")
    }
    try:
        return p2p.Server(private_key=key or p2p.generate_key(), protocols=protocols, **given)
    except p2p.ConfigError as error:
        raise click.UsageError(_in_our_words(str(error))) from error


def _in_our_words(text: str) -> str:
    """Return the text of an error with the option of the command that it is about."""
    name, colon, rest = text.partition(":")
    ours = {server: name for name, server in _SERVER_NAMES.items()}.get(name)
    return text if ours is None else f"--{ours}{colon}{rest}"


def _tell_start(log: EventLog, server: p2p.Server, _serve: str) -> None:
    own = server.self
    record = {"event": "start", "id": own.id, "enode": own.url, "record": str(own)}
    log.report(f"runs as {own.url}", record)


def _tell_other_terminal(log: EventLog, server: p2p.Server, serve: str) -> None:
    """Tell the command for a second node, in another terminal of this machine."""
    own, has_discovery = server.self, server.discovery_v4 or server.discovery_v5
    if own.tcp or has_discovery:
        way = f"--bootnodes {own.url}" if has_discovery else f"--connect {own.url}"
        spoken = "" if serve == "echo" else f" --serve {serve}"
        log.report(f"in another terminal: p2p node --addr :0{spoken} {way}")


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
        logger.setLevel(before[0])  # which tells the loggers below it
        logger.propagate = before[1]
