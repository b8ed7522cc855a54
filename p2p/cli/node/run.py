"""The run of ``p2p node``: one loop in the main thread until a signal, or the end of the input.

The loop waits for the input, for the thread that reads the server's events, and, in the live view,
for the time of the next drawing. Handlers of peers and that thread wake it by a pipe
(:class:`Waker`), so that without a view nothing happens unless there is something to do.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import p2p
from p2p.cli.node.builtin import MAX_LINE, Chat
from p2p.cli.node.lineinput import LineInput
from p2p.cli.node.state import EventLog, NodeState
from p2p.cli.output import Output
from p2p.cli.shown import shown

#: Seconds from one drawing of the live view to the next: at most, and at least, since a flood of
#: events must not keep the terminal busy.
REFRESH_S, MIN_REFRESH_S = 0.5, 0.05
#: Signals that end a node properly, as Ctrl-C does.
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Waker:
    """A pipe that wakes a ``select``. Any thread may call :meth:`wake`."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        """Let ``reader`` become readable; harmless after the end."""
        with suppress(OSError):  # full: it is readable already
            os.write(self._writer, b"x")

    @contextmanager
    def woken_by_signals(self) -> Iterator[None]:
        """Let signals wake it, too: one that comes just before a ``select`` does not end that."""
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def drain(self) -> None:
        """Take all that was written."""
        with suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass

    def close(self) -> None:
        """Close both ends."""
        writer, self._writer = self._writer, -1
        os.close(self.reader)
        os.close(writer)


class NodeRun:
    """A server with its events and its input. Main thread, where a method does not say otherwise.

    ``on_start`` is called when the server runs. ``lines`` are read for ``chat``, if there is one.
    """

    def __init__(
        self,
        server: p2p.Server,
        log: EventLog,
        waker: Waker,
        chat: Chat | None,
        lines: LineInput | None,
    ) -> None:
        # fixed after __init__
        self.server = server
        self.log = log
        self.lines = None if chat is None else lines
        self._chat = chat
        self._waker = waker
        # owned by the thread of events, read after its end
        self._error: BaseException | None = None
        # set by the thread of events
        self._is_over = False

    def run(
        self, on_start: Callable[[], object], draw: Callable[[str | None], object] | None = None
    ) -> None:
        """Run the server until it is to end, and stop it. ``draw`` shows the live view."""
        with ExitStack() as stack:
            stack.enter_context(ending_signals())
            stack.enter_context(self._waker.woken_by_signals())
            events = stack.enter_context(self.server.subscribe_events())
            reader = threading.Thread(target=self._read, args=(events,), name="p2p-cli-events")
            stack.callback(_join, reader)
            stack.callback(self._stop)
            with suppress(KeyboardInterrupt):
                self.server.start()
                on_start()
                reader.start()
                self._loop(draw)
        if self._error is not None:
            raise self._error

    def _read(self, events: p2p.Subscription[p2p.PeerEvent]) -> None:
        """Report peers that come and go. The thread of events."""
        names: dict[bytes, str] = {}
        try:
            for event in events:
                if event.type == "add":
                    names |= {peer.id: peer.name for peer in self.server.peers}
                name = names.get(event.peer, "a peer")
                self._report(event, name)
                if event.type == "drop":
                    names.pop(event.peer, None)
        except p2p.ServerStopped as error:
            self._error = error.__cause__ or error
        finally:
            self._is_over = True
            self._waker.wake()

    def _report(self, event: p2p.PeerEvent, name: str) -> None:
        record = {"event": "peer", "name": name, **event.to_json()}
        if event.type == "add":
            self.log.report(f"{name} is a peer, at {event.remote}", record)
        else:
            self.log.report(f"{name} has left: {shown(event.error, 200)}", record)

    def _stop(self) -> None:
        for name in self.server.stop():
            self.log.report(f"the thread {name} has not ended")

    def _loop(self, draw: Callable[[str | None], object] | None) -> None:
        last_draw = next_draw = time.monotonic()
        while not self._is_over and not self._input_has_ended():
            timeout = None if draw is None else max(next_draw - time.monotonic(), 0.0)
            watched = [self._waker.reader, *self._input()]
            ready, _, _ = select.select(watched, [], [], timeout)
            self._waker.drain()
            if self.lines is not None and self.lines.fileno in ready:
                self._say(self.lines)
            if ready:
                next_draw = min(next_draw, last_draw + MIN_REFRESH_S)
            if draw is not None and time.monotonic() >= next_draw:
                draw(None if self.lines is None else self.lines.editor.text)
                last_draw = time.monotonic()
                next_draw = last_draw + REFRESH_S

    def _input(self) -> list[int]:
        """Return the descriptor of the input, if it is time to read it.

        Lines of a pipe wait for a peer, since they would reach none.
        """
        lines = self.lines
        if lines is None or lines.editor.at_end or self._chat is None:
            return []
        return [lines.fileno] if lines.is_terminal or self._chat.has_peers else []

    def _say(self, lines: LineInput) -> None:
        assert self._chat is not None
        for line in lines.read():
            if line.strip():
                self._chat.say(line)
                if lines.is_terminal:
                    self.log.report(f"{self.server.config.name}: {shown(line, MAX_LINE)}")

    def _input_has_ended(self) -> bool:
        lines = self.lines
        return lines is not None and lines.is_terminal and lines.editor.at_end


def _join(thread: threading.Thread) -> None:
    if thread.ident is not None:
        thread.join()


@contextmanager
def ending_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C in the block.

    A signal that is ignored, as SIGHUP is under nohup, stays so.
    """
    found = {number: signal.getsignal(number) for number in ENDING}
    before = {number: to for number, to in found.items() if to is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_live(run: NodeRun, output: Output, on_start: Callable[[], object]) -> None:
    """Run a node with the live view on the terminal."""
    from rich.live import Live

    from p2p.cli.node.view import bytes_text, duration_text, view

    state, console = NodeState(run.server, run.log.events), output.console
    with ExitStack() as stack:
        if run.lines is not None and run.lines.is_terminal:
            stack.enter_context(run.lines.without_echo())
        live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))

        def draw(prompt: str | None) -> None:
            width, height = console.size
            live.update(view(state.sample(), width, height, prompt), refresh=True)

        def begin() -> None:
            state.begin()
            on_start()

        run.run(begin, draw)
    uptime_s, bytes_in, bytes_out = state.totals()
    output.text(
        f"{run.server.config.name} ended after {duration_text(uptime_s)}: "
        f"{bytes_text(bytes_in)} in, {bytes_text(bytes_out)} out"
    )
