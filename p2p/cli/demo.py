"""The command ``p2p demo``: foo and bar of the README between two nodes, step by step.

Both nodes run in this process, on loopback, each with threads of its own, and talk through a real
TCP connection. The main thread is the program of the dialer; the listener's handler runs in a
thread of its own. An observer of the dialer's connection reports its handshake.
"""

from __future__ import annotations

from collections.abc import Sequence

import p2p
from p2p.cli.command import command
from p2p.cli.output import Output, with_output
from p2p.observe import ConnectionEvent, ConnectionObserver, HelloReceived, NewConnection, Observer

_NAME, _VERSION, _LENGTH = "MyProtocol", 1, 1
#: Limit on each wait of one node for the other.
TIMEOUT_S = 20.0
#: Styles of the two nodes, and of both.
_STYLES = {"listener": "cyan", "dialer": "green", "": "dim"}


@command("demo", examples="p2p demo")
@with_output
def demo(output: Output) -> None:
    """Watch two nodes connect on this machine: one says foo, the other bar.

    It takes a second. The same in a program is in the README.
    """
    story = Story(output)
    listener = p2p.Server(
        private_key=p2p.generate_key(),
        name="listener",
        max_peers=1,
        listen_addr="127.0.0.1:0",
        no_discovery=True,
        no_dial=True,
        protocols=[p2p.Protocol(_NAME, _VERSION, _LENGTH, run=story.answer)],
    )
    with listener:
        own = listener.self
        story.tell("listener", f"has a new key: it is node {own.id.short}…")
        story.tell("listener", f"waits on {own.tcp_endpoint}; its URL: {own.url}", url=own.url)
        _dial(story, own)
    story.tell("", "Both nodes have stopped. Next: p2p node --help")


class Story:
    """The printer of the story, a line for each step. Any thread."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def tell(self, who: str, text: str, **details: object) -> None:
        """Tell a step of a node, or of both if ``who`` is empty."""
        from rich.text import Text

        line = Text.assemble((f"{who:10}", _STYLES[who]), text)
        line.overflow, line.no_wrap = "fold", False
        self._output.result({"node": who, "text": text, **details}, line)

    def answer(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """Answer foo with bar: the handler of the listener."""
        for msg in rw:
            (text,) = msg.decode(tuple[str])
            self.tell("listener", f'reads "{text}" from {peer.name}, and sends "bar"')
            rw.send_items(0, "bar")


class Handshake(Observer, ConnectionObserver):
    """Observer that prints the steps of the dialer's handshake. On ``p2p-io``."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def connection(self, new: NewConnection) -> ConnectionObserver:
        self._story.tell("dialer", f"opens a TCP connection to {new.remote}")
        return self

    def packet_out(self, packet: bytes, body: bytes, plain: bool) -> None:
        self._story.tell(
            "dialer", f"sends auth, {len(packet)} bytes that only the listener can read"
        )

    def packet_in(self, packet: bytes, body: bytes, plain: bool) -> None:
        self._story.tell(
            "dialer", f"receives ack, {len(packet)} bytes: both have the same keys now"
        )

    def events(self, events: Sequence[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, HelloReceived):
                shared = ", ".join(str(each.cap) for each in event.shared)
                self._story.tell(
                    "dialer", f'receives the hello of "{event.hello.name}"; in common: {shared}'
                )


def _dial(story: Story, node: p2p.Node) -> None:
    """Be the dialer: say foo, and read bar."""
    with p2p.connect(
        node,
        name=_NAME,
        version=_VERSION,
        length=_LENGTH,
        node_name="dialer",
        timeout=TIMEOUT_S,
        observer=Handshake(story),
    ) as rw:
        story.tell("dialer", 'sends "foo"')
        rw.send_items(0, "foo")
        (text,) = rw.read_msg(timeout=TIMEOUT_S).decode(tuple[str])
        counters = rw.peer.counters
        story.tell("dialer", f'reads "{text}" from {rw.peer.name}', answer=text)
    story.tell(
        "dialer",
        f"disconnects, after {counters.bytes_out} bytes sent and {counters.bytes_in} received",
    )
