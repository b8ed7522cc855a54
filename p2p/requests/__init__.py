"""Requests and replies on a read-writer, many at once from any thread.

:class:`Requests` numbers the requests of one connection, sends them, and gives each reply to the
thread that waits for it. Its ``start`` returns a :class:`Request`, whose ``result`` waits and whose
``cancel`` stops to wait; ``ask`` is both in one call. :class:`RequestCounters` counts requests and
how they ended, :class:`CodeCounters` those of one message code. Replies that are late or unasked
are counted there, and are no error.

:class:`RateEstimator` learns how much a peer delivers in a second, to size the next request, and
:class:`PeerRates` compares peers. These are the places of go-ethereum's packages ``p2p/tracker``
and ``p2p/msgrate``. A thread of the program reads the connection; no other runs here.

==========  ==============================================================
`front`     :class:`Requests`, and `request` :class:`Request`, for any thread
`ids`       the request id of a message object; pure
`pending`   the requests under way, and their counts; pure
`rates`     the estimates
==========  ==============================================================
"""

from __future__ import annotations

from p2p.requests.front import Requests
from p2p.requests.pending import CodeCounters, RequestCounters
from p2p.requests.rates import PeerRates, RateEstimator
from p2p.requests.request import Request

__all__ = [
    "CodeCounters",
    "PeerRates",
    "RateEstimator",
    "Request",
    "RequestCounters",
    "Requests",
]
