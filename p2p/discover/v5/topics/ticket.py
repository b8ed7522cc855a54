"""Tickets: the time that an ad has waited, kept by the advertiser.

Pure. Specification: discv5-theory, "Tickets"; the encoding is the registrar's own business. A
ticket is encrypted and authenticated with AES-128-GCM, under a key that the registrar makes at its
start and never sends::

    ticket      = nonce || aesgcm_encrypt(key, nonce, body, ad-digest || ip)
    nonce       = uint96    number of the ticket
    body        = first || last || wait
    first       = int64     time of the first request (tinit), in microseconds
    last        = int64     time of the latest request (tmod), in microseconds
    wait        = uint32    time to wait from then on (twait), in milliseconds
    ad-digest   = sha256(topic || record)
    ip          = 4 or 16 bytes: the address of the advertiser

Times are of the registrar's monotonic clock. The digest and the address are not in the ticket: it
cannot be decrypted with others. The record names the advertiser, and has its signature.

A ticket can be used more than once within its window, since nothing is kept of it. That gains
nothing: each new ticket has the same first time, a new ad takes the place of the old one, and the
window is short.
"""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from p2p.crypto import Entropy, gcm
from p2p.enr import Record
from p2p.netutil import IPAddress

_KEY_SIZE = 16
_NONCE_SIZE = 12
_TAG_SIZE = 16
_BODY = Struct(">qqI")
#: Size of a ticket, in bytes.
TICKET_SIZE = _NONCE_SIZE + _BODY.size + _TAG_SIZE

#: Early arrival that counts as in time: by this part of the wait. Clocks that are being adjusted
#: may differ by 500 ppm each (ntpd's limit), so that one of 15 minutes may end half a second early
#: at either end.
CLOCK_DIFFERENCE = 1e-3
#: Early arrival that counts as in time in any case, in seconds: the wait-time is in milliseconds.
RESOLUTION_S = 1e-3


class TicketError(Enum):
    """The reason why a ticket is not valid."""

    #: Of another registrar, another ad or another address; or no ticket at all.
    INVALID = "invalid"
    EARLY = "early"
    LATE = "late"


class Ticket(NamedTuple):
    """The content of a ticket: times in seconds (monotonic), the wait in milliseconds."""

    first: float
    last: float
    wait_ms: int

    def error_at(self, now: float, window_s: float) -> TicketError | None:
        """Return the reason why the ticket is not valid at ``now``; None if it is."""
        wait_s = self.wait_ms / 1000
        due = self.last + wait_s
        if now < due - max(RESOLUTION_S, wait_s * CLOCK_DIFFERENCE):
            return TicketError.EARLY
        return TicketError.LATE if now > due + window_s else None


class Tickets:
    """The tickets of one registrar, sealed and opened; ``entropy`` makes the key."""

    def __init__(self, entropy: Entropy, window_s: float) -> None:
        self._cipher = gcm(entropy(_KEY_SIZE))
        self._window_s = window_s
        self._sealed = 0

    def seal(self, ticket: Ticket, digest: bytes, ip: IPAddress) -> bytes:
        """Return a ticket for the ad with that digest, of an advertiser at ``ip``."""
        self._sealed += 1
        nonce = self._sealed.to_bytes(_NONCE_SIZE, "big")
        body = _BODY.pack(_micros(ticket.first), _micros(ticket.last), ticket.wait_ms)
        return nonce + self._cipher.encrypt(nonce, body, digest + ip.packed)

    def open(self, data: bytes, digest: bytes, ip: IPAddress, now: float) -> Ticket | TicketError:
        """Read a ticket that a remote sent, which may be anything; arguments as for seal."""
        if len(data) != TICKET_SIZE:
            return TicketError.INVALID
        nonce, ciphertext = data[:_NONCE_SIZE], data[_NONCE_SIZE:]
        try:
            body = self._cipher.decrypt(nonce, ciphertext, digest + ip.packed)
        except ValueError:
            return TicketError.INVALID
        first, last, wait_ms = _BODY.unpack(body)
        ticket = Ticket(first / 1e6, last / 1e6, wait_ms)
        return ticket.error_at(now, self._window_s) or ticket


def ad_digest(topic: bytes, record: Record) -> bytes:
    """Return the digest of an ad (discv5-theory, "Advertisements"), 32 bytes."""
    return sha256(topic + record.to_rlp()).digest()


def _micros(time: float) -> int:
    return round(time * 1e6)
