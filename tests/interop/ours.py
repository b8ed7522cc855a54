"""Our side of a conversation: a server whose handlers hand everything to the test.

Owns the server and, for each protocol that runs with a peer, a session with the messages that have
come and the way it ended. Handlers run in the library's worker threads; tests read the queues.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable

import p2p
from p2p.discover.v4.udpv4 import UDPv4

from .program import DEADLINE_S


class Session:
    """One protocol running with one peer; the queues may be read by any thread."""

    def __init__(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.peer = peer
        self.rw = rw
        self._messages: queue.Queue[p2p.Msg] = queue.Queue()
        self._end: queue.Queue[p2p.PeerDisconnected] = queue.Queue()

    def serve(self) -> None:
        """Read until the peer leaves."""
        while True:
            try:
                self._messages.put(self.rw.read_msg())
            except p2p.PeerDisconnected as end:
                self._end.put(end)
                return

    def next_message(self) -> p2p.Msg:
        """The next message that came; raises queue.Empty when none comes in time."""
        return self._messages.get(timeout=DEADLINE_S)

    def end(self) -> p2p.PeerDisconnected:
        """How the session ended; raises queue.Empty when it does not in time."""
        return self._end.get(timeout=DEADLINE_S)


class OurNode:
    """A server of ours on a free port of 127.0.0.1, with recording protocols.

    ``protocols`` is written as for the programs: ``foo/1/5,bar/2/3``. With ``bootnodes``, even
    none, it runs discovery, and dials what it finds unless ``no_dial`` is set. With
    ``discovery_v4=False`` it runs v5 only.
    """

    def __init__(
        self,
        protocols: str = "foo/1/5",
        name: str = "our node",
        *,
        bootnodes: Iterable[str] | None = None,
        no_dial: bool = False,
        discovery_v4: bool | None = None,
    ) -> None:
        self._sessions: dict[str, queue.Queue[Session]] = {}
        self.server = p2p.Server(
            private_key=p2p.generate_key(),
            name=name,
            max_peers=10,
            listen_addr="127.0.0.1:0",
            protocols=[self._protocol(item) for item in protocols.split(",")],
            no_discovery=bootnodes is None,
            bootstrap_nodes=[p2p.parse_node(text) for text in bootnodes or ()],
            no_dial=no_dial,
            discovery_v4=discovery_v4,
        )

    def _protocol(self, item: str) -> p2p.Protocol:
        name, version, length = item.split("/")
        started: queue.Queue[Session] = queue.Queue()
        self._sessions[f"{name}/{version}"] = started

        def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            session = Session(peer, rw)
            started.put(session)
            session.serve()

        return p2p.Protocol(name=name, version=int(version), length=int(length), run=run)

    @property
    def url(self) -> str:
        return self.server.self.url

    @property
    def discovery(self) -> UDPv4:
        """Its discovery; only of a server that was started with it."""
        assert self.server.discovery_v4 is not None
        return self.server.discovery_v4

    def session(self, protocol: str) -> Session:
        """The next session of ``name/version``; waits until one starts."""
        return self._sessions[protocol].get(timeout=DEADLINE_S)

    def has_session(self, protocol: str) -> bool:
        """Whether a session of ``name/version`` has started that was not asked for yet."""
        return not self._sessions[protocol].empty()


#: A fixture: starts a server of ours; the options of :class:`OurNode` may be given.
StartServer = Callable[..., OurNode]
