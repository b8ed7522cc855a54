"""Observers of the connection machine: one that keeps all it is told, and a replay of that."""

from __future__ import annotations

from collections.abc import Sequence

from p2p.crypto.backend import Bytes
from p2p.rlpx import (
    BASE_LENGTH,
    Connection,
    ConnectionFailed,
    ConnectionObserver,
    Event,
    MessagesReceived,
    State,
)
from p2p.rlpx.handshake import Secrets
from p2p.rlpx.observer import ConnectionSetup
from tests.kit.observers import Calls


class Recording(Calls, ConnectionObserver):
    """All calls of one connection."""

    def setup(self, setup: ConnectionSetup) -> None:
        self.calls.append(("setup", (setup,)))

    def entropy(self, data: bytes) -> None:
        self.calls.append(("entropy", (data,)))

    def command(self, name: str, *arguments: object) -> None:
        self.calls.append(("command", (name, *arguments)))

    def data_in(self, data: Bytes, now: float) -> None:
        self.calls.append(("data_in", (bytes(data), now)))

    def data_out(self, buffers: Sequence[bytes]) -> None:
        self.calls.append(("data_out", (buffers,)))

    def events(self, events: Sequence[Event]) -> None:
        self.calls.append(("events", (list(map(comparable, events)),)))

    def packet_in(self, packet: bytes, body: bytes, plain: bool) -> None:
        self.calls.append(("packet_in", (packet, body, plain)))

    def packet_out(self, packet: bytes, body: bytes, plain: bool) -> None:
        self.calls.append(("packet_out", (packet, body, plain)))

    def secrets(self, secrets: Secrets) -> None:
        self.calls.append(("secrets", (secrets,)))

    def frames_in(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        self.calls.append(("frames_in", (frames,)))

    def frames_out(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        self.calls.append(("frames_out", (frames,)))

    def state(self, old: State, new: State) -> None:
        self.calls.append(("state", (old, new)))

    # what was told

    def messages(self) -> list[tuple[int, int, bytes, int]]:
        """Messages received, as (capability, code, payload, size as compressed)."""
        frames = [data for code, data in self.joined("frames_in") if code >= BASE_LENGTH]
        messages = [
            (event.capability, code, payload)
            for event in self.joined("events")
            if isinstance(event, MessagesReceived)
            for code, payload, _time in event.messages
        ]
        return [(*message, len(data)) for message, data in zip(messages, frames, strict=True)]


def comparable(event: Event) -> object:
    """An event that is equal to another one if they say the same: errors are not."""
    if isinstance(event, ConnectionFailed):
        return type(event.error), str(event.error)
    return event


def replay(recording: Recording) -> Recording:
    """Give a new machine the inputs of a recording; returns what its observer was told."""
    again = Recording()
    (setup,) = recording.told("setup")
    draws = iter(recording.told("entropy"))
    machine = Connection(
        setup.private_key,
        setup.hello,
        setup.protocols,
        lambda size: next(draws),
        setup.now,
        remote=setup.remote,
        accept_pre_eip8=setup.accept_pre_eip8,
        observer=again,
    )
    for method, arguments in recording.calls:
        if method == "data_in":
            machine.receive_data(*arguments)
        elif method == "data_out":
            machine.data_to_send()
        elif method == "command":
            getattr(machine, arguments[0])(*arguments[1:])
    return again
