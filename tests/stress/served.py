"""A server in a process of its own, so that what it costs can be told from what its remotes cost.

A scenario starts a :class:`Served` and has it do things by name with ``ask``; each public method of
:class:`Host` is one. The server speaks "stress", the protocol of the crowd, and sends every message
back.

What a server holds is not sampled but kept count of: :class:`Marked` and :class:`Ages` stand in for
the peer set's own collections, and remember the most there ever was, and how long each stayed.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from typing import Any

import p2p
from p2p.peers.session import Session
from tests.kit import inspect
from tests.stress.child import Child, obey
from tests.stress.crowd import CAP, LENGTH, PATIENCE_S

#: Written to clear_refs, this makes the kernel forget the largest size so far (proc(5)).
_FORGET_PEAK = "5"


class Served(Child):
    """The server's process, as a scenario sees it; ``options`` are those of :class:`Host`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("tests.stress.served", json.dumps(options))

    def __enter__(self) -> Served:
        return self

    @property
    def node(self) -> p2p.Node:
        """Where it is to be dialed."""
        return p2p.parse_node(self.greeting["url"])

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has held, since the start or :meth:`forget_peak`."""
        lines = (self._proc / "status").read_text(encoding="ascii").splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def forget_peak(self) -> None:
        """Have ``peak_bytes`` count from now on."""
        (self._proc / "clear_refs").write_text(_FORGET_PEAK, encoding="ascii")


class Marked(dict[Session, None]):
    """Sessions in their order, and the most there were at a time."""

    most = 0

    def __setitem__(self, session: Session, value: None) -> None:
        super().__setitem__(session, value)
        self.most = max(self.most, len(self))


class Ages(set[Session]):
    """The sessions with an open socket: how many at a time were no peers, and how long they stayed.

    ``server`` knows how many are peers. Owned by ``p2p-io``; others may read and :meth:`wait`.
    """

    def __init__(self, server: p2p.Server) -> None:
        super().__init__()
        self.most_strangers = 0
        self.oldest_s = 0.0
        self._server = server
        self._since: dict[Session, float] = {}
        self._changed = threading.Condition()

    def add(self, session: Session) -> None:
        super().add(session)
        self._since[session] = time.monotonic()
        self.most_strangers = max(self.most_strangers, len(self) - self._server.peer_count)

    def discard(self, session: Session) -> None:
        with self._changed:
            super().discard(session)
            self._changed.notify_all()
        since = self._since.pop(session, None)
        if since is not None and session.peer is None:
            self.oldest_s = max(self.oldest_s, time.monotonic() - since)

    def wait(self, count: int) -> bool:
        """Wait until there are ``count``; returns whether it came to that. Any thread."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self) == count, PATIENCE_S)


class Host:
    """The server in its process. ``max_peers`` may all dial in; ``discovery`` runs beside it."""

    def __init__(self, max_peers: int = 50, discovery: bool = False) -> None:
        # guarded by _changed
        self._changed = threading.Condition()
        self._handlers = 0
        # fixed after __init__
        self.server = p2p.Server(
            private_key=p2p.generate_key(),
            name="served",
            max_peers=max_peers,
            no_dial=True,
            listen_addr="127.0.0.1:0",
            no_discovery=not discovery,
            protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, self._echo)],
        )
        self._pending = inspect.peer_set(self.server)._pending = Marked()
        self._open = inspect.peer_set(self.server)._open = Ages(self.server)
        self.server.start()
        self.greeting = {"url": self.server.self.url}

    def close(self) -> None:
        """End, whatever was asked before."""
        self.server.stop()

    # what can be asked for

    def await_peers(self, count: int) -> dict[str, Any]:
        """Wait until there are ``count`` peers, the handler of each runs, and no other socket is
        open. Raises TimeoutError, or Timeout, if it does not come to that."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._handlers == count, PATIENCE_S):
                raise TimeoutError(f"{self._handlers} handlers run, not {count}")
        with self.server.subscribe_events(capacity=1) as events:
            while self.server.peer_count != count:
                events.get(PATIENCE_S)
        if not self._open.wait(count):
            raise TimeoutError(f"{len(self._open)} sockets are open, not {count}")
        return {"peers": count}

    def state(self) -> dict[str, Any]:
        """How many peers there are, and the seconds of CPU until now."""
        return {"peers": self.server.peer_count, "cpu_s": time.process_time()}

    def strangers(self) -> dict[str, Any]:
        """What came of those that did not become peers, from the start until now."""
        return {
            "most_pending": self._pending.most,
            "most_open": self._open.most_strangers,
            "oldest_s": self._open.oldest_s,
        }

    def unsent(self) -> dict[str, Any]:
        """The most bytes that wait in any one session to be sent, framed or not framed yet."""
        sizes = inspect.on_io(self.server, lambda: [_unsent_of(session) for session in self._open])
        return {"bytes": max(sizes, default=0)}

    def announced(self) -> dict[str, Any]:
        """What has been read of large frames that are not complete: how many, how many bytes."""
        sizes = inspect.on_io(self.server, lambda: [_announced_to(one) for one in self._open])
        begun = [size for size in sizes if size is not None]
        return {"frames": len(begun), "bytes": sum(begun)}

    def discovery(self) -> dict[str, Any]:
        """What discovery has counted: bytes from and to the unproven, and what it dropped."""
        service = self.server.discovery_v4
        assert service is not None
        counters = service.counters()
        return {
            "unproven_in": counters.unproven_bytes_in,
            "unproven_out": counters.unproven_bytes_out,
            "packets_in": counters.packets_in.total(),
            "dropped": dict(counters.dropped),
        }

    def stop(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """Stop the server; returns the threads that did not end, and the seconds it took."""
        start = time.monotonic()
        left = self.server.stop(timeout_s)
        return {"left": left, "seconds": time.monotonic() - start}

    # its protocol

    def _echo(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self._count(1)
        try:
            for msg in rw:
                rw.write_msg(msg)
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._changed:
            self._handlers += more
            self._changed.notify_all()


def _unsent_of(session: Session) -> int:
    framed = sum(map(len, session._next_batch))
    return session.channel.unsent_bytes + framed + session.outbox._size


def _announced_to(session: Session) -> int | None:
    reader = session.machine._reader
    return None if reader is None or reader._body is None else len(reader._body)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    obey(Host(**json.loads(sys.argv[1])))
