"""Every command of ``p2p``, by its name; its module is imported when the command is wanted.

The import of all modules takes as long as that of the library; a Tab in a shell, and most commands,
need one or none. Main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import click

Load: TypeAlias = Callable[[], click.Command]


class Commands(Mapping[str, click.Command]):
    """The commands, in the order of the help, each loaded at its first use.

    ``summaries`` has a line for each, for the list of them.
    """

    def __init__(self) -> None:
        self.summaries: dict[str, str] = {}
        self._loaders: dict[str, Load] = {}
        self._loaded: dict[str, click.Command] = {}

    def add(self, name: str, summary: str) -> Callable[[Load], Load]:
        """Return a decorator for the function that imports the command."""

        def add(load: Load) -> Load:
            self.summaries[name] = summary
            self._loaders[name] = load
            return load

        return add

    def __getitem__(self, name: str) -> click.Command:
        load = self._loaders[name]
        if name not in self._loaded:
            self._loaded[name] = load()
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


COMMANDS = Commands()


@COMMANDS.add("demo", "Watch two nodes say foo and bar.")
def _demo() -> click.Command:
    from p2p.cli.demo import demo

    return demo


@COMMANDS.add("node", "Run a node, with a live view of it.")
def _node() -> click.Command:
    from p2p.cli.node.command import node

    return node


@COMMANDS.add("key", "Make keys; show their node IDs, URLs and records.")
def _key() -> click.Command:
    from p2p.cli.key import key

    return key


@COMMANDS.add("enr", "Show, make and verify node records.")
def _enr() -> click.Command:
    from p2p.cli.enr import enr

    return enr


@COMMANDS.add("nodeset", "Count and filter the nodes of a file.")
def _nodeset() -> click.Command:
    from p2p.cli.nodeset import nodeset

    return nodeset


@COMMANDS.add("dns", "Copy, sign, publish and check node lists in DNS.")
def _dns() -> click.Command:
    from p2p.cli.dns import dns

    return dns


@COMMANDS.add("ping", "Ask a node whether it answers, and how fast.")
def _ping() -> click.Command:
    from p2p.cli.ping import ping

    return ping


@COMMANDS.add("discv4", "Ask nodes by discovery v4.")
def _discv4() -> click.Command:
    from p2p.cli.discovery.command import disc_group

    return disc_group("v4")


@COMMANDS.add("discv5", "Ask nodes by discovery v5.")
def _discv5() -> click.Command:
    from p2p.cli.discovery.command import disc_group

    return disc_group("v5")


@COMMANDS.add("explain", "Explain a handshake, a packet or a message.")
def _explain() -> click.Command:
    from p2p.cli.explain import explain

    return explain


@COMMANDS.add("test", "Test whether a node keeps the specifications.")
def _test() -> click.Command:
    from p2p.cli.test import test

    return test


@COMMANDS.add("crawl", "Visit all nodes of a network.")
def _crawl() -> click.Command:
    from p2p.cli.crawl.command import crawl_command

    return crawl_command(("v4", "v5"), "p2p crawl")


@COMMANDS.add("lab", "Run experiments in networks of many nodes.")
def _lab() -> click.Command:
    from p2p.cli.lab.command import lab

    return lab


@COMMANDS.add("doctor", "Check what a node needs, and the way to another.")
def _doctor() -> click.Command:
    from p2p.cli.doctor.command import doctor

    return doctor


@COMMANDS.add("capture", "Capture traffic, for p2p decode.")
def _capture() -> click.Command:
    from p2p.cli.capture import capture

    return capture


@COMMANDS.add("decode", "Decrypt and decode captured traffic.")
def _decode() -> click.Command:
    from p2p.cli.decode import decode

    return decode


@COMMANDS.add("record", "Record what a node says, for p2p replay.")
def _record() -> click.Command:
    from p2p.cli.record import record

    return record


@COMMANDS.add("replay", "Say to a handler what a peer has said.")
def _replay() -> click.Command:
    from p2p.cli.replay import replay

    return replay


@COMMANDS.add("completion", "Complete commands in a shell.")
def _completion() -> click.Command:
    from p2p.cli.completion import completion

    return completion
