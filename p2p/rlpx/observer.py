"""The observer of a connection: gets the input, the output and the internal steps of a machine.

Pure, and called by the thread that uses the machine, in the order of events. Each call is about a
batch, and passes the lists that the machine has made for itself: without an observer a batch costs
some comparisons. Discovery's observer has the same terms (``docs/design/observer.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from p2p.crypto import PrivateKey, PublicKey
from p2p.crypto.backend import Bytes
from p2p.rlpx.capability import Cap
from p2p.rlpx.event import Event
from p2p.rlpx.handshake import Secrets
from p2p.rlpx.messages import Hello
from p2p.rlpx.state import State


@dataclass(frozen=True, slots=True)
class ConnectionSetup:
    """Arguments of a :class:`~p2p.rlpx.Connection`, except for its entropy."""

    private_key: PrivateKey = field(repr=False)
    hello: Hello
    protocols: Sequence[tuple[Cap, int]]
    now: float
    remote: PublicKey | None
    accept_pre_eip8: bool


class ConnectionObserver:
    """Observer of one connection. A subclass defines the calls it wants; the others do nothing.

    It must not raise, call the machine or change its arguments. All but the data of :meth:`data_in`
    may be kept. It gets private keys, secrets and contents of messages.

    :meth:`setup`, :meth:`entropy`, :meth:`command`, :meth:`data_in` and :meth:`data_out` are enough
    to replay a connection: a new machine that gets the same inputs sends the same bytes and reports
    the same events.
    """

    # input

    def setup(self, setup: ConnectionSetup) -> None:
        """Called first. ``remote`` is None for the end that listens."""

    def entropy(self, data: bytes) -> None:
        """Called with random bytes that the machine has drawn.

        The first 32 of the end that dials are its ephemeral key.
        """

    def command(self, name: str, *arguments: object) -> None:
        """Called with the name and arguments of a method that the caller has called.

        Not for those with a call of their own, :meth:`data_in` and :meth:`data_out`.
        ``send_messages`` has the messages, as (code on the wire, payload). ``drop_buffers`` is the
        last: then the machine drops its observer. Calls without an effect are left out.
        """

    def data_in(self, data: Bytes, now: float) -> None:
        """Called with bytes received, before they are processed.

        Copy them to keep them: the buffer is reused.
        """

    # output

    def data_out(self, buffers: Sequence[bytes]) -> None:
        """Called with bytes to be sent, when the caller takes them."""

    def events(self, events: Sequence[Event]) -> None:
        """Called with events for the caller: hello, runs of messages, Disconnect, errors.

        The n-th message in them came in the n-th frame whose code is not of the base protocol.
        """

    # inside

    def packet_in(self, packet: bytes, body: bytes, plain: bool) -> None:
        """Called with the auth or ack received, and its body, decrypted and with its padding.

        ``plain`` is True for one from before EIP-8.
        """

    def packet_out(self, packet: bytes, body: bytes, plain: bool) -> None:
        """Called with the auth or ack to be sent, and its body before padding and encryption."""

    def secrets(self, secrets: Secrets) -> None:
        """Called when keys are agreed; the next bytes in both directions are frames."""

    def frames_in(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        """Called with authenticated frames, as (code on the wire, data before decompression).

        If one breaks the protocol, later ones may be among them.
        """

    def frames_out(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        """Called with frames about to be encrypted, in the same form."""

    def state(self, old: State, new: State) -> None:
        """Called after a change of the state."""
