"""One request that was sent: a thread waits for its reply, or cancels it.

Any thread may call any method. The request belongs to a :class:`~p2p.requests.front.Requests`,
which has the time and settles it, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from p2p.clock import Deadline, checked_timeout
from p2p.errors import P2PError
from p2p.latch import Latch

if TYPE_CHECKING:
    from p2p.requests.front import Requests

T = TypeVar("T")


class Request(Generic[T]):
    """A request that was sent, and its reply when it comes; from :meth:`Requests.start`.

    ``id`` is its request id on the connection, ``code`` the code of its message. Any thread.
    """

    __slots__ = ("code", "id", "__dict__")  # so that Mock(spec=Request) has them

    def __init__(
        self, owner: Requests, request_id: int, code: int, deadline: float, expect: Any
    ) -> None:
        # fixed after __init__
        self.id = request_id
        self.code = code
        self._owner = owner
        self._deadline = deadline
        self._expect = expect
        # set once, before _settled opens
        self._settled = Latch()
        self._reply: Any = None
        self._make_error: Callable[[], P2PError] | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has a reply, its time is over, it was cancelled, or the connection ended."""
        self._owner._expire()
        return self._settled.is_open

    def result(self, timeout: float | None = None) -> T:
        """Wait for the reply and return it.

        ``timeout`` limits this wait, in seconds of real time; the request may still be answered
        later. Without it, the wait ends with the time of the request. Raises Timeout in both
        cases, RequestCancelled after :meth:`cancel`, PeerDisconnected if the connection ended
        first, and ArgumentError for a timeout that is not a number.
        """
        patience = Deadline(checked_timeout(timeout))
        if not self._owner._wait(self, patience):
            assert timeout is not None
            raise self._owner._no_reply(self, timeout)
        if self._make_error is not None:
            raise self._make_error()
        return cast(T, self._reply)

    def cancel(self) -> bool:
        """Stop waiting for the reply, which counts as late if it comes. Does not tell the peer.

        All calls of :meth:`result` raise RequestCancelled. Returns False if it was done already.
        """
        return self._owner._cancel(self)

    def _settle(self, reply: Any = None, make_error: Callable[[], P2PError] | None = None) -> None:
        self._reply, self._make_error = reply, make_error
        self._settled.open()

    def __repr__(self) -> str:
        state = "done" if self._settled.is_open else "pending"
        return f"<request {self.id} of code {self.code}, {state}>"
