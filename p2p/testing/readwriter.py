"""Read-writer of a test: each expectation has a timeout, and its error names the missing message.

A failed expectation is an AssertionError, which pytest shows as a failure of the test. It is
raised in the thread that waits; that may be any thread.
"""

from __future__ import annotations

from p2p.arguments import check_type, wrong_type
from p2p.clock import nonnegative_timeout
from p2p.codec import decode, encode
from p2p.errors import DecodeError, PeerDisconnected, Timeout, checked_reason
from p2p.message import Msg, MsgReadWriter

#: Limit on each wait, in seconds; ample even on a busy machine.
PATIENCE_S = 20.0
#: Limit on the content of a message in the text of a failed expectation, in characters.
CONTENT_LENGTH = 200


class ScriptedReadWriter(MsgReadWriter):
    """The test's end of a conversation. Any thread.

    The default timeout of ``read_msg`` is :data:`PATIENCE_S`.
    """

    def expect(self, code: int, content: object = None, timeout: float = PATIENCE_S) -> Msg:
        """Return the next message, which must have ``code`` and ``content``.

        ``content`` is compared by its RLP encoding; None accepts any. Raises AssertionError for
        another message, at the end of the conversation, and after ``timeout`` seconds::

            remote.expect(1, ["bar"])
            number, text = remote.expect(2).decode(tuple[int, str])
        """
        check_type("code", code, int, "the int code of a message")
        timeout = nonnegative_timeout(timeout)
        wanted = f"message {code}" if content is None else f"message {code} with {content!r}"
        payload = None if content is None else encode(content)
        try:
            msg = self.read_msg(timeout)
        except Timeout:
            raise AssertionError(f"{wanted} did not come within {timeout:g} s") from None
        except PeerDisconnected as error:
            raise AssertionError(f"{wanted} did not come: {error}") from error
        if msg.code != code or (payload is not None and msg.payload != payload):
            raise AssertionError(f"expected {wanted}; got {content_of(msg)}")
        return msg

    def expect_end(
        self, reason: int | None = None, timeout: float = PATIENCE_S
    ) -> PeerDisconnected:
        """Wait for the other end to end the conversation, with ``reason`` unless it is None.

        Returns the PeerDisconnected. Raises AssertionError for another reason, for a message, and
        after ``timeout`` seconds::

            remote.expect_end(p2p.DiscReason.USELESS_PEER)
        """
        wanted = "the end" if reason is None else f"the end with {checked_reason(reason)!r}"
        timeout = nonnegative_timeout(timeout)
        try:
            msg = self.read_msg(timeout)
        except Timeout:
            raise AssertionError(f"{wanted} did not come within {timeout:g} s") from None
        except PeerDisconnected as error:
            if reason is not None and error.reason != reason:
                raise AssertionError(f"expected {wanted}; got {error.reason!r}") from error
            return error
        raise AssertionError(f"expected {wanted}; got {content_of(msg)}")


def check_read_writer(name: str, rw: object) -> None:
    """Raise ArgumentTypeError unless ``rw`` has the methods of a read-writer."""
    if not (hasattr(rw, "read_msg") and hasattr(rw, "write_msg")):
        raise wrong_type(name, rw, "a read-writer, with read_msg and write_msg")


def content_of(msg: Msg) -> str:
    """Return code and content of a message, as text for a failed expectation."""
    try:
        content = repr(decode(msg.payload))
    except DecodeError:
        content = f"{msg.payload.hex()} (no RLP)"
    if len(content) > CONTENT_LENGTH:
        content = content[:CONTENT_LENGTH] + "…"
    return f"message {msg.code} with {content}"
